"""Curves for trackers, against stand-ins that keep what they are told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tercet import track

RUN = Path(__file__).parents[2] / "crates/runs/tests/fixtures/quickstart"


class Recorder(ModuleType):
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: list[dict[str, Any]] = []

    def init(self, **given: Any) -> None:
        self.runs.append({**given, "steps": {}})

    def log(self, values: dict[str, float], step: int) -> None:
        self.runs[-1]["steps"][step] = values

    def finish(self) -> None:
        self.runs[-1]["finished"] = True


def test_every_stage_is_sent_with_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "wandb", recorder)
    sent = track.track(RUN, project="lab")
    assert sent == ["main, seed 1: pre", "main, seed 1: mid", "main, seed 1: rl"]
    assert all(run["project"] == "lab" and run["finished"] for run in recorder.runs)
    lines = (RUN / "stages/rl-e644384cdc/metrics.jsonl").read_text().splitlines()
    written = {line["step"]: line["values"] for line in map(json.loads, lines)}
    assert recorder.runs[-1]["steps"] == written
    assert recorder.runs[-1]["config"]["kind"] == "rl"


def test_half_a_line_is_left_for_later_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    place = tmp_path / "stages/pre-1"
    place.mkdir(parents=True)
    about = {"name": "pre", "seed": 1, "kind": "pre-training", "steps": 2, "tokens": 8, "parameters": 4, "key": "1"}
    (place / "stage.json").write_text(json.dumps(about))
    arms = [{"arm": arm, "seed": 1, "stages": ["pre-1"]} for arm in ("a", "b")]
    manifest = {"name": "r", "recipe_hash": "h", "revision": "0", "runs": arms}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (place / "metrics.jsonl").write_text('{"step":1,"values":{"loss":2.0}}\n{"step":2,"val')
    (place / "timings.jsonl").write_text('{"step":1,"values":{"timing_s/step":0.5}}\n')
    [stage] = track.curves(tmp_path)
    assert stage.name == "a+b, seed 1: pre"
    assert stage.steps == [(1, {"loss": 2.0, "timing_s/step": 0.5})]
    (place / "metrics.jsonl").write_text('{"step":1,"val\n')
    with pytest.raises(ValueError, match="line 1 is damaged"):
        list(track.curves(tmp_path))


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no run folder"):
        list(track.curves(tmp_path))
    with pytest.raises(ValueError, match="no tracker `csv`; known are wandb, trackio"):
        track.track(RUN, to="csv")
