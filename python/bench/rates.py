"""Rates of the wheel, as a table for docs/performance.md: python python/bench/rates.py [WHEEL]

Each rate is the median of five rounds, in thousands. A core-second is a second of processor time, which other work on
the machine hardly disturbs. Problems are of op 2 to 10 in the zoo.
"""

import os
import platform
import statistics
import sys
import time
from pathlib import Path

import tercet

ROUNDS = 5
N = 4_500


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def rate(work, n):
    """Thousands a second and a core-second: the median, and the slowest and fastest round."""
    shown = []
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter(), time.process_time()
        work()
        rounds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    for clock in zip(*rounds):
        rates = [n / seconds / 1000 for seconds in clock]
        shown.append(f"{statistics.median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})")
    return " | ".join(shown)


def main():
    asked = {"op": "2-10", "n": N // 9}
    problems = list(tercet.generate(**asked))
    texts = [problem.response for problem in problems]
    records = [problem.record_json for problem in problems]
    pairs = list(zip(problems, texts))
    cores = len(os.sched_getaffinity(0))
    print(f"Python {platform.python_version()}, {cores} cores of {processor()}, load {os.getloadavg()[0]:.1f}\n")
    for wheel in sys.argv[1:]:
        print(f"{Path(wheel).name}: {Path(wheel).stat().st_size / 1e6:.2f} MB\n")
    print("| work | thousands a second | thousands a core-second |")
    print("|---|--:|--:|")
    for name, work in [
        ("problems, by iteration on all cores", lambda: list(tercet.generate(**asked))),
        ("problems, one by one", lambda: one_by_one(asked)),
        ("rows of a data set", lambda: list(tercet.generate(**asked).rows())),
        ("problems from their records", lambda: [tercet.Problem.from_record(record) for record in records]),
        ("`verify`, one call a response", lambda: [tercet.verify(p, text) for p, text in pairs]),
        ("`verify` and `first_fault`", lambda: [tercet.verify(p, text).first_fault for p, text in pairs]),
        ("`reward`, one call a response", lambda: [tercet.reward(p, text, kind="strict") for p, text in pairs]),
        ("`verify_many`", lambda: tercet.verify_many(problems, texts)),
    ]:
        print(f"| {name} | {rate(work, len(problems))} |", flush=True)


def one_by_one(asked):
    problems = tercet.generate(**asked)
    return [problems[i] for i in range(len(problems))]


if __name__ == "__main__":
    main()
