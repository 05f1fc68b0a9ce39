"""Rewards for TRL (tested with 1.16).

    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    problems = tercet.generate(op="4-8", context="terse", split="rl", n=1000)
    trainer = GRPOTrainer(
        model=checkpoint,
        train_dataset=Dataset.from_list(list(problems.rows())),
        reward_funcs=tercet.trl.reward(kind="strict", end=tokenizer),
        args=GRPOConfig(...),
    )
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tercet._scoring import end_tokens, reply, score

__all__ = ["reward"]


def reward(
    *, kind: str, end: Any, alpha: float | None = None, policy: str = "paper", column: str = "record"
) -> Callable[..., list[float]]:
    """A reward function for `GRPOTrainer`: `f(prompts, completions, completion_ids, **columns) -> list[float]`.

    - `kind`, `alpha`, `policy`: as in `tercet.reward`.
    - `end`: id of the end token, several of them, or the tokenizer. A completion whose last token is none of them was
      cut at the length limit and earns 0: the text alone does not show it.
    - `column`: the data set's column with the problems' records, as `Problem.row` has it.
    """
    ends = end_tokens(end)

    def rewards(
        prompts: Sequence[Any], completions: Sequence[Any], completion_ids: Sequence[Sequence[int]], **columns: Any
    ) -> list[float]:
        if column not in columns:
            raise ValueError(f"the data set has no column `{column}` with the problems' records")
        rows = zip(columns[column], completions, completion_ids, strict=True)
        return [
            float(
                score(
                    record,
                    reply(completion),
                    kind=kind,
                    alpha=alpha,
                    policy=policy,
                    cut=len(ids) == 0 or int(ids[-1]) not in ends,
                )
            )
            for record, completion, ids in rows
        ]

    # The trainer logs each reward under the name of its function.
    rewards.__name__ = f"tercet_{kind}"
    return rewards
