"""The lock is released, threads agree, and nothing is kept."""

import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import tercet


def test_eight_threads_agree():
    problems = tercet.generate(op="2-6", context=["zoo", "terse"], n=40)
    expected = [(problem.id, tercet.verify(problem, problem.response).json) for problem in problems]

    def work(thread):
        order = list(range(thread, len(problems))) + list(range(thread))
        found = {}
        for i in order:
            problem = problems[i]
            found[i] = (problem.id, tercet.verify(problem, problem.response).json)
        verdicts = tercet.verify_many(problems, [problem.response for problem in problems])
        assert [verdict.json for verdict in verdicts] == [json for _, json in expected]
        return [found[i] for i in range(len(problems))]

    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(work, range(8)))
    shared = iter(problems)
    with ThreadPoolExecutor(8) as pool:
        ids = [id for part in pool.map(lambda _: [problem.id for problem in shared], range(8)) for id in part]
    assert sorted(ids) == sorted(id for id, _ in expected)


def ticks(work):
    """How often another thread woke while `work` ran."""
    begun, done, woken = threading.Event(), threading.Event(), 0

    def run():
        begun.set()
        work()
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    while not done.is_set():
        time.sleep(0.0005)
        woken += 1
    thread.join()
    return woken


def test_another_thread_runs_meanwhile():
    problem = tercet.generate(op=12)[0]
    texts = [problem.response] * 50_000
    held = ticks(lambda: sum(range(1)))
    assert held < 20
    assert ticks(lambda: tercet.verify_many(problem, texts)) > 50
    assert ticks(lambda: tercet.generate(op=10, n=20_000).__getitems__(list(range(20_000)))) > 50


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_million_calls_keep_nothing():
    problems = list(tercet.generate(op=3, context="terse", n=100))
    texts = [problem.response for problem in problems]
    wrong = [text[: len(text) // 2] for text in texts]

    def calls(n):
        for i in range(n // 4):
            k = i % 100
            tercet.verify(problems[k], texts[k])
            tercet.verify(problems[k], wrong[k]).first_fault
            tercet.reward(problems[k], texts[k], kind="strict")
            problems[k].prompt

    calls(50_000)
    gc.collect()
    before = resident()
    calls(1_000_000)
    tercet.verify_many(problems * 100, texts * 100)
    list(tercet.generate(op=3, n=5_000))
    gc.collect()
    assert resident() - before < 16e6
