"""Problems in the shape of reasoning-gym (read in 0.1.25): items by index, and a score for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tercet._lib import Problems
from tercet._scoring import score

__all__ = ["Dataset"]


class Dataset:
    """A data set of reasoning-gym's shape. `question` is the prompt; the answer that is scored is the whole response after
    it, since the judge reads every step.

    - `problems`: what `tercet.generate` gives.
    - `kind`, `alpha`, `policy`: the score, as in `tercet.reward`.
    """

    category = "tercet"

    def __init__(
        self, problems: Problems, *, kind: str = "strict", alpha: float | None = None, policy: str = "paper"
    ) -> None:
        self.problems = problems
        self.size = len(problems)
        self._score: dict[str, Any] = {"kind": kind, "alpha": alpha, "policy": policy}

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(self.size))

    def __getitem__(self, idx: int) -> dict[str, Any]:
        problem = self.problems[idx]
        metadata = {
            "source_dataset": "tercet",
            "source_index": idx,
            "record": problem.record_json,
            "difficulty": {"op": problem.op},
            "context": problem.context,
            "mode": problem.mode,
        }
        return {"question": problem.prompt, "answer": problem.response, "metadata": metadata}

    def score_answer(self, answer: str | None, entry: dict[str, Any]) -> float:
        """The reward of a response to the entry's question, 0 to 1; 0 for no response."""
        if answer is None:
            return 0.0
        return float(score(entry["metadata"]["record"], answer, **self._score))
