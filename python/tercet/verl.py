"""Rewards for verl (tested with 0.9.1).

In the data, `reward_model.ground_truth` holds the problem's record, one line of JSON. In the configuration:

    reward.custom_reward_function.path=pkg://tercet.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.kind=strict

`compute_score` sees the text and cannot see that a response was cut. The reward manager of this module can:

    reward.reward_manager.source=importlib
    reward.reward_manager.name=RewardManager
    reward.reward_manager.module.path=pkg://tercet.verl
"""

from __future__ import annotations

import asyncio
from typing import Any

from tercet._scoring import end_tokens, score

__all__ = ["RewardManager", "compute_score"]


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: dict[str, Any] | None = None,
    *,
    kind: str = "strict",
    alpha: float | None = None,
    policy: str = "paper",
    cut: bool = False,
    **_: Any,
) -> dict[str, float]:
    """verl's reward function: the reward as `score`, and its parts, which verl logs.

    `ground_truth` is the problem's record. `kind`, `alpha` and `policy` are as in `tercet.reward`; they come from
    `reward_kwargs`.
    """
    found = score(ground_truth, solution_str, kind=kind, alpha=alpha, policy=policy, cut=cut)
    return {
        "score": found.reward,
        "outcome": found.outcome,
        "process": found.process,
        "verified": found.verified,
        "format": found.format,
    }


# Under another name for the manager, whose argument has verl's name for it.
_compute_score = compute_score


class RewardManager:
    """A reward manager of verl's reward loop that sees whether a response was cut: its last token is not the end token."""

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any = None, **_: Any) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.compute_score = compute_score or _compute_score
        self._ends = end_tokens(tokenizer)

    async def run_single(self, data: Any) -> dict[str, Any]:
        """Judges the last response of the batch."""
        item = data[-1:][0]
        ids = item.batch["responses"]
        length = int(item.batch["attention_mask"][-ids.shape[-1] :].sum())
        ids = ids[:length].tolist()

        def judged() -> dict[str, float]:
            fields = item.non_tensor_batch
            parts: dict[str, float] = self.compute_score(
                data_source=fields["data_source"],
                solution_str=self.tokenizer.decode(ids, skip_special_tokens=True),
                ground_truth=fields["reward_model"]["ground_truth"],
                extra_info=fields.get("extra_info"),
                cut=not ids or ids[-1] not in self._ends,
            )
            return parts

        parts = await asyncio.get_running_loop().run_in_executor(None, judged)
        return {"reward_score": parts["score"], "reward_extra_info": parts}

    @classmethod
    def assemble_rm_scores(cls, data: Any, scores: list[float]) -> Any:
        """The scores as verl's tensor, each at the last token of its response."""
        responses = data.batch["responses"]
        lengths = data.batch["attention_mask"][:, data.batch["prompts"].shape[1] :].sum(axis=1)
        rewards = responses.new_zeros(responses.shape, dtype=data.batch["attention_mask"].float().dtype)
        for i, reward in enumerate(scores):
            rewards[i, int(lengths[i]) - 1] = reward
        return rewards
