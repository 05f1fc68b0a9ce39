"""The taskset of verifiers loads and rewards."""

import asyncio

import tercet
import verifiers.v1 as vf
from tercet.verifiers import TercetConfig, TercetTask, TercetTaskset

PROBLEMS = tercet.generate(op="2-4", context="terse", n=4)


def test_the_taskset_loads_and_rewards():
    taskset = TercetTaskset(TercetConfig(op="2-4", context="terse", n=4))
    tasks = list(taskset)
    assert [task.data.record for task in tasks] == [problem.record_json for problem in PROBLEMS]
    assert [task.data.prompt for task in tasks] == [problem.prompt for problem in PROBLEMS]
    assert taskset.task_type() is TercetTask and issubclass(TercetTaskset, vf.Taskset)

    class Trace:
        def __init__(self, reply, cut=False):
            self.last_reply, self.is_truncated = reply, cut

    for task, problem in zip(tasks, PROBLEMS):
        rewards = [
            asyncio.run(task.tercet(trace))
            for trace in (Trace(problem.response.strip()), Trace("no"), Trace(problem.response, cut=True))
        ]
        assert rewards == [1.0, 0.0, 0.0]


def test_their_loader_finds_it():
    package = __import__("tercet.verifiers", fromlist=["__all__"])
    assert [getattr(package, name) for name in package.__all__] == [TercetTaskset]
