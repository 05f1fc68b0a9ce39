"""A task of lm-evaluation-harness (tested with 0.4.13).

    lm_eval --model hf --model_args pretrained=MODEL --tasks tercet --include_path "$(python -m tercet.lm_eval)"

The problems come from a file that `tercet problems` wrote; `TERCET_PROBLEMS` names it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tercet._lib import verify
from tercet._scoring import problem_of

__all__ = ["folder", "load", "process_results"]


def folder() -> Path:
    """The folder with the task, for `--include_path`."""
    return Path(__file__).parent


def load(problems: str | None = None, **_: Any) -> Any:
    """The problems of a file as the split `test` of a data set; the file is `problems`, or `TERCET_PROBLEMS` names it."""
    from datasets import Dataset, DatasetDict

    path = problems or os.environ.get("TERCET_PROBLEMS")
    if path is None:
        raise ValueError("TERCET_PROBLEMS names no file of problems, as `tercet problems --out FILE` writes them")
    with open(path, encoding="utf-8") as file:
        rows = [problem_of(line).row() for line in map(str.strip, file) if line]
    return DatasetDict({"test": Dataset.from_list(rows)})


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """What is measured of a problem's response. The harness does not say whether it was cut, so a text that stops before
    its answer is wrong, and one that was cut after it counts."""
    verdict = verify(problem_of(doc["record"]), results[0])
    return {
        "verified": float(verdict.verified),
        "correct": float(verdict.correct),
        "process": verdict.process,
    }
