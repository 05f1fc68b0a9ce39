"""Sends a run folder's curves to Weights & Biases or trackio, from the command line or from Python.

    python -m tercet.track runs/quickstart --to wandb --project tercet
    WANDB_MODE=offline python -m tercet.track runs/quickstart --to wandb

The run folder stays the record. Their programs are asked as they are installed, so no file format of theirs is written
here. Each stage becomes a run of theirs, because steps begin anew with every stage.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRACKERS = ("wandb", "trackio")


@dataclass(frozen=True)
class Curves:
    """The curves of one stage."""

    name: str
    """`ARM, seed S: STAGE`; arms that share the stage are joined by `+`."""
    config: dict[str, Any]
    """What the stage is: arms, seed, stage, kind, steps, tokens, parameters, key, recipe hash and program revision."""
    steps: list[tuple[int, dict[str, float]]]
    """Steps and what was measured in them; the names are those of docs/training.md. Seconds and rates are among them."""


def curves(folder: str | os.PathLike[str]) -> Iterator[Curves]:
    """The curves of all stages of a run folder, in the order of the recipe. A stage that several arms share comes once.

    Raises `ValueError` if it is no run folder or a file in it is damaged.
    """
    root = Path(folder)
    manifest = _json(root / "manifest.json")
    arms: dict[str, list[str]] = {}
    for run in manifest["runs"]:
        for stage in run["stages"]:
            arms.setdefault(stage, []).append(run["arm"])
    for stage, names in arms.items():
        place = root / "stages" / stage
        if not (place / "stage.json").exists():
            # Not begun yet.
            continue
        info = _json(place / "stage.json")
        arm = "+".join(dict.fromkeys(names))
        about = {key: info[key] for key in ("seed", "kind", "steps", "tokens", "parameters", "key")}
        config = {"arm": arm, "stage": info["name"], **about}
        config |= {"recipe": manifest["name"], "recipe_hash": manifest["recipe_hash"], "program": manifest["revision"]}
        yield Curves(f"{arm}, seed {info['seed']}: {info['name']}", config, _steps(place))


def track(folder: str | os.PathLike[str], *, to: str = "wandb", project: str = "tercet") -> list[str]:
    """Sends a run folder's curves to `wandb` or `trackio`, which must be installed, and returns the names of their runs.

    Where they go is said as these programs have it, e.g. by `WANDB_MODE=offline`. Sent again, a run appears again.

    Raises `ValueError` for another tracker and for what is no run folder, and `ImportError` if the tracker is missing.
    """
    if to not in TRACKERS:
        raise ValueError(f"there is no tracker `{to}`; known are {', '.join(TRACKERS)}")
    library = importlib.import_module(to)
    sent = []
    for stage in curves(folder):
        library.init(project=project, name=stage.name, config=stage.config)
        for step, values in stage.steps:
            library.log(values, step=step)
        library.finish()
        sent.append(stage.name)
    return sent


def _steps(stage: Path) -> list[tuple[int, dict[str, float]]]:
    merged: dict[int, dict[str, float]] = {}
    for name in ("metrics.jsonl", "timings.jsonl"):
        for line in _lines(stage / name):
            merged.setdefault(line["step"], {}).update(line["values"])
    return sorted(merged.items())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Whole lines: of a run that is under way, the last one may be half written."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}: line {number} is damaged: {error}") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: {path.parent} is no run folder") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return content


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tercet.track", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder")
    parser.add_argument("--to", choices=TRACKERS, default="wandb", help="program that tracks (default: wandb)")
    parser.add_argument("--project", default="tercet", help="project there (default: tercet)")
    options = parser.parse_args()
    try:
        for run in options.runs:
            for name in track(run, to=options.to, project=options.project):
                print(f"{run}: {name}")
    except (ValueError, ImportError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
