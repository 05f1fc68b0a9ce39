"""The one function behind all adaptors: the reward of a text that answers the problem of a record."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from tercet._lib import Problem, Reward, reward

# Groups of rollouts share a problem, and epochs come back to it.
problem_of = lru_cache(maxsize=8192)(Problem.from_record)


def score(
    record: str, text: str, *, kind: str, alpha: float | None = None, policy: str = "paper", cut: bool = False
) -> Reward:
    """The reward of a response to the problem whose record is one line of JSON. The lock is released meanwhile."""
    return reward(problem_of(record), text, kind=kind, alpha=alpha, policy=policy, cut=cut)


def end_tokens(end: Any) -> Collection[int]:
    """Ids of the tokens that end a response: given as one, as several, or as a tokenizer or configuration that has
    `eos_token_id`."""
    ids = getattr(end, "eos_token_id", end)
    if isinstance(ids, int):
        return frozenset([ids])
    if ids is None or isinstance(ids, str):
        raise ValueError("`end` is the id of the end token, several of them, or a tokenizer")
    return frozenset(int(i) for i in ids)


def reply(completion: Any) -> str:
    """The text of a completion: itself, or the content of the last message of a conversation."""
    if isinstance(completion, str):
        return completion
    return str(completion[-1]["content"]) if completion else ""
