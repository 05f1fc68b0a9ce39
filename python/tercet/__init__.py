"""Tercet in Python: problems of exact difficulty, a judge that reads every step, rewards, runs and their results.

>>> import tercet
>>> problem = tercet.generate(op=6, context="zoo", seed=7)[0]
>>> tercet.verify(problem, problem.response).verified
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tercet._lib import (
        Cell,
        Context,
        Fault,
        Graph,
        Mix,
        Problem,
        Problems,
        Quantity,
        Reward,
        Step,
        Verdict,
        World,
        advantages,
        explain,
        generate,
        reward,
        verify,
        verify_many,
        write,
    )
    from tercet._runs import Report, Results, mix, plan, report, results, run

__all__ = [
    "Cell",
    "Context",
    "Fault",
    "Graph",
    "Mix",
    "Problem",
    "Problems",
    "Quantity",
    "Report",
    "Results",
    "Reward",
    "Step",
    "Verdict",
    "World",
    "advantages",
    "explain",
    "generate",
    "mix",
    "plan",
    "report",
    "results",
    "reward",
    "run",
    "verify",
    "verify_many",
    "write",
]

_RUNS = {"Report", "Results", "mix", "plan", "report", "results", "run"}


def __getattr__(name: str) -> Any:
    # What is asked for is imported then: the workers in `tercet.torch` need PyTorch and not the extension.
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("tercet")
    if name not in __all__:
        raise AttributeError(f"module 'tercet' has no attribute '{name}'")
    value = getattr(importlib.import_module("tercet._runs" if name in _RUNS else "tercet._lib"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
