"""Tercet in Python: problems of exact difficulty, a judge that reads every step, rewards, runs and their results.

>>> import tercet
>>> problem = tercet.generate(op=6, context="zoo", seed=7)[0]
>>> tercet.verify(problem, problem.response).verified
True
"""

from tercet._lib import (
    Cell,
    Context,
    Fault,
    Graph,
    Problem,
    Problems,
    Quantity,
    Reward,
    Step,
    Verdict,
    World,
    explain,
    generate,
    reward,
    verify,
    verify_many,
)
from tercet._runs import Report, Results, plan, report, results, run

__all__ = [
    "Cell",
    "Context",
    "Fault",
    "Graph",
    "Problem",
    "Problems",
    "Quantity",
    "Report",
    "Results",
    "Reward",
    "Step",
    "Verdict",
    "World",
    "explain",
    "generate",
    "plan",
    "report",
    "results",
    "reward",
    "run",
    "verify",
    "verify_many",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("tercet")
    raise AttributeError(f"module 'tercet' has no attribute '{name}'")
