"""A taskset for verifiers (tested with 0.4, its `v1`).

    uv run eval tercet.verifiers -m MODEL --env.taskset.op 4-8 --env.taskset.n 100

Its models chat: the prompt is a user's message, and the reply is judged as the response.
"""

from __future__ import annotations

from collections.abc import Iterator

import verifiers.v1 as vf

from tercet._lib import generate
from tercet._scoring import score

__all__ = ["TercetTaskset"]


class TercetTaskConfig(vf.TaskConfig):
    """How replies are rewarded; see `tercet.reward`."""

    kind: str = "strict"
    alpha: float | None = None
    policy: str = "paper"


class TercetConfig(vf.TasksetConfig):
    """Which problems; see `tercet.generate`."""

    op: str = "4-8"
    context: str = "zoo"
    mode: str = "forward"
    n: int = 100
    seed: int = 1
    split: str | None = None
    task: TercetTaskConfig = TercetTaskConfig()


class TercetData(vf.TaskData):
    """A problem: its record is one line of JSON."""

    record: str


class TercetTask(vf.Task[TercetData, vf.State, TercetTaskConfig]):
    """Rewards a reply. One that was cut earns 0."""

    @vf.reward
    async def tercet(self, trace: vf.Trace) -> float:
        config = self.config
        parts = score(
            self.data.record,
            trace.last_reply,
            kind=config.kind,
            alpha=config.alpha,
            policy=config.policy,
            cut=trace.is_truncated,
        )
        return float(parts)


class TercetTaskset(vf.Taskset[TercetTask, TercetConfig]):
    """Problems of exact difficulty."""

    def load(self) -> Iterator[TercetTask]:
        c = self.config
        for problem in generate(c.op, c.context.split(","), c.mode.split(","), n=c.n, seed=c.seed, split=c.split):
            data = TercetData(id=problem.id, prompt=problem.prompt, record=problem.record_json)
            yield TercetTask(data, c.task)
