"""Runs, plans, reports, and results as frames."""

from __future__ import annotations

import html
import importlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tercet import _lib
from tercet._progress import listener
from tercet._toml import toml

Frames = Literal["pandas", "polars"]
Changes = Mapping[str, Any] | Iterable[str]


@dataclass(frozen=True)
class Report:
    """A run folder with its report. `print()` shows the result table."""

    folder: Path
    """The run folder."""
    path: Path
    """The report, one HTML file."""
    table: str
    """The result table as text: percent, with 95% intervals."""

    def results(self, frames: Frames = "pandas") -> Results:
        """The results as frames; see `tercet.results`."""
        return results(self.folder, frames)

    def __str__(self) -> str:
        return self.table

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.table)}</pre><p>{html.escape(str(self.path))}</p>"


@dataclass(frozen=True)
class Results:
    """The results of a run as frames of `pandas` or `polars`."""

    rows: Any
    """A row for each suite, model, band and context. Rates are between 0 and 1; `_low` and `_high` are the ends of the
    95% interval (bootstrap by problem)."""
    metrics: Any
    """A row for each stage and step: the lines of `metrics.jsonl`."""
    claims: Any
    """A row for each claim of the recipe: its verdict (`holds`, `fails`, `inconclusive`) and the paired difference."""


def run(
    recipe: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    scale: str | None = None,
    set: Changes = (),
    arm: str | None = None,
    seed: int | None = None,
    reuse: Iterable[str | os.PathLike[str]] = (),
    threads: int | None = None,
    progress: bool = True,
) -> Report:
    """Runs a recipe, as `tercet run` does: problems, tokenizer, training, evaluation, report.

    All files go to the folder `out`, `runs/NAME` by default. The same call resumes where an earlier one stopped. Ctrl-C,
    or a notebook's stop button, lets the step end, saves, and raises `KeyboardInterrupt`.

    - `scale`: another size of the recipe, its `[scale.NAME]`.
    - `set`: changes, as `{"stage.rl.steps": 50}` or `["stage.rl.steps=50"]`.
    - `arm`, `seed`: only these of the recipe.
    - `reuse`: run folders whose finished stages are taken over if they are the same.
    - `threads`: threads of the engine; all cores by default. Results do not depend on it.
    - `progress`: bars (with tqdm installed) or lines on stderr.

    Raises `ValueError` if the recipe is wrong, with the place of the mistake; `OSError` if a file cannot be read or
    written; `RuntimeError` if training fails.
    """
    told = listener(progress)
    folders = [Path(folder) for folder in reuse]
    for folder in folders:
        if not (folder / "manifest.json").is_file():
            raise ValueError(f"{folder} is no run folder: it has no manifest.json")
    overrides = _overrides(scale, set)
    given = [f"out={str(out)!r}"] if out is not None else []
    given += [f"{name}={value!r}" for name, value in (("arm", arm), ("seed", seed)) if value is not None]
    given += [f"overrides={overrides!r}"] if overrides else []
    command = f"tercet.run({', '.join([repr(str(recipe)), *given])})"
    try:
        done = _lib.execute(recipe, overrides, out, arm, seed, folders, threads, command, told)
    finally:
        told.close()
    return Report(*done)


def plan(recipe: str | os.PathLike[str], *, scale: str | None = None, set: Changes = ()) -> dict[str, Any]:
    """What a recipe costs, without running it: arms with their stages, tokens, floating-point operations, memory and
    disk in bytes, as `tercet plan --untimed --json` prints them."""
    planned: dict[str, Any] = json.loads(_lib.plan(recipe, _overrides(scale, set)))
    return planned


def mix(
    recipe: str | os.PathLike[str], name: str, *, scale: str | None = None, set: Changes = (), seed: int = 1
) -> _lib.Mix:
    """The problems of a recipe's mix, without end, in the order in which the first stage that is trained on it reads them.

    `itertools.islice(mix, n)` takes the first n, and `tercet.write` writes them. Where the shares of the mix count tokens, the
    recipe's tokenizer is trained first.

    - `seed`: the model seed.
    - `scale`, `set`: as in `tercet.run`.

    Raises `ValueError` if no stage is trained on such a mix.
    """
    return _lib.reading(recipe, _overrides(scale, set), name, seed)


def report(folder: str | os.PathLike[str]) -> Report:
    """Writes the report of a run folder, as `tercet report` does. An unfinished run gets one of what is there."""
    path, table = _lib.report(folder)
    return Report(Path(folder), path, table)


def results(folder: str | os.PathLike[str], frames: Frames = "pandas") -> Results:
    """The results of a run folder as frames of `pandas` or `polars`, which are imported when they are asked for."""
    if frames not in ("pandas", "polars"):
        raise ValueError(f"there are no frames `{frames}`; known are pandas, polars")
    tables = json.loads(_lib.results(folder))
    library = importlib.import_module(frames)

    def frame(name: str) -> Any:
        # Metrics differ from stage to stage: all rows decide the columns and their types.
        more = {"infer_schema_length": None} if frames == "polars" else {}
        return library.DataFrame(tables[name], **more)

    return Results(frame("rows"), frame("metrics"), frame("claims"))


def _overrides(scale: str | None, changes: Changes) -> list[str]:
    """Changes as the command line has them."""
    if isinstance(changes, str):
        raise ValueError('changes are a dict or a list, such as ["stage.rl.steps=50"]')
    if isinstance(changes, Mapping):
        changes = [f"{path}={toml(value)}" for path, value in changes.items()]
    scales = [] if scale is None else [f"scale={scale}"]
    return [*scales, *changes]
