"""`python -m tercet.ray run RECIPE`: the stages of a recipe as tasks of a Ray cluster.

The graph is the program's own (`tercet plan --json`), and a task is one call of `tercet run --stage`. So what comes out is
what one process makes, byte for byte, wherever a stage ran and whatever died on the way.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import io
import itertools
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tercet._toml import toml

MIB = 1 << 20


class StageFailed(Exception):
    """A stage cannot go on; the same call would fail again."""


class Interrupted(Exception):
    """A stage was ended from outside: it goes on from its last checkpoint when it is tried again."""


@dataclass(frozen=True)
class Job:
    """What all tasks of a run have in common."""

    program: tuple[str, ...]
    """The program as the nodes call it; empty for the one in the node's own Python package."""
    out: str
    """The run folder, as the head names it."""
    token: str
    """The name of a file in `.locks`, by which a task knows that it sees the head's run folder."""
    options: tuple[str, ...]
    """Options of `tercet run`, such as those of the engine."""
    nodes: int
    """Nodes that the PyTorch workers of a stage are spread over; 0 where the program starts them itself."""
    gpus: float
    """GPUs of each of these."""
    limit: int
    """Bytes of a stage's folder that travel as an object, at most."""


@dataclass
class Made:
    """What a task leaves."""

    name: str
    host: str
    seconds: float
    folder: bytes | None = None
    """The stage's folder as an archive, where the node does not see the run folder."""


@dataclass
class Graph:
    """The stages of a run, each with the one that it starts from."""

    parents: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, Any]]) -> Graph:
        stages = {node["name"]: node for node in nodes if node["kind"] == "stage"}
        return cls(
            {
                name: next((parent for parent in node["parents"] if parent in stages), None)
                for name, node in stages.items()
            }
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns the exit code: 0 done, 1 failed, 2 wrong usage or a wrong recipe."""
    settings = parse(arguments)
    try:
        return run(settings)
    except subprocess.CalledProcessError as failed:
        return int(failed.returncode)
    except ValueError as wrong:
        say(f"error: {wrong}")
        return 2


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tercet.ray", description=__doc__)
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "run",
        help="run a recipe on a cluster",
        description="Run a recipe on a Ray cluster: one task a stage. Other options go to `tercet run`, e.g. --engine torch.",
    )
    command.add_argument("recipe", help="recipe to run, a TOML file")
    command.add_argument("--out", type=Path, metavar="DIR", help="run folder; runs/NAME by default")
    command.add_argument("--address", help="address of the cluster; by default Ray finds one or starts one here")
    command.add_argument("--scale", metavar="NAME", help="another size of the recipe")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a value (repeatable)")
    command.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="KEY=V1,V2",
        help="an arm for each of these values (repeatable: then for each combination)",
    )
    command.add_argument("--num-cpus", type=float, default=1.0, metavar="N", help="cores of a stage")
    command.add_argument("--num-gpus", type=float, default=0.0, metavar="N", help="GPUs of a stage")
    command.add_argument(
        "--nodes",
        type=int,
        default=0,
        metavar="N",
        help="PyTorch workers of a stage, one a node, started by Ray Train; --num-gpus is for each",
    )
    command.add_argument("--retries", type=int, default=3, metavar="N", help="how often a stage is tried again whose node died")
    command.add_argument(
        "--object-limit",
        type=int,
        default=2048,
        metavar="MIB",
        help="largest stage folder that travels as an object, where nodes do not share the run folder",
    )
    command.add_argument("--program", metavar="COMMAND", help="the program as the nodes call it; by default that of their package")
    settings, others = parser.parse_known_args(arguments)
    settings.options = others
    if settings.out is None:
        settings.out = Path("runs") / Path(settings.recipe).stem
    return settings


def run(settings: argparse.Namespace) -> int:
    """Prepares the run folder here, hands out the stages, and writes the report."""
    program = tuple(shlex.split(settings.program)) if settings.program else own_program()
    out = settings.out.absolute()
    changes = [f"scale={settings.scale}"] if settings.scale else []
    changes += settings.set
    changes += sweep(settings.recipe, settings.sweep)
    recipe = [settings.recipe, *(word for change in changes for word in ("--set", change))]
    planned_engine = engine_of(settings)

    def tercet(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*program, *words], check=True, text=True, **more)

    plan = tercet("plan", *recipe, "--untimed", "--json", "--out", str(out), *planned_engine, stdout=subprocess.PIPE)
    graph = Graph.of(json.loads(plan.stdout)["nodes"])
    say(f"{len(graph.parents)} stages")
    for part in ("tokenizer", "suites"):
        tercet("run", *recipe, "--out", str(out), "--stage", part, *planned_engine, *chosen(settings.options, "--lease"))

    ray = importlib.import_module("ray")
    if not ray.is_initialized():
        ray.init(address=settings.address, log_to_driver=False, logging_level="warning")
    token = f"ray-{uuid.uuid4().hex}"
    (out / ".locks" / token).write_text("")
    job = Job(
        tuple(shlex.split(settings.program)) if settings.program else (),
        str(out),
        token,
        tuple(settings.options),
        settings.nodes,
        settings.num_gpus,
        settings.object_limit * MIB,
    )
    failed = hand_out(ray, settings, job, graph, out)
    (out / ".locks" / token).unlink()
    tercet("report", str(out))
    if failed:
        say(f"error: {len(failed)} of {len(graph.parents)} stages are not finished")
    return 1 if failed else 0


def hand_out(ray: Any, settings: argparse.Namespace, job: Job, graph: Graph, out: Path) -> set[str]:
    """Hands out the stages and waits for them. Gives the names of those that were not made."""
    gpus: dict[str, float] = {} if settings.nodes or not settings.num_gpus else {"num_gpus": settings.num_gpus}
    task = ray.remote(make).options(
        num_cpus=settings.num_cpus,
        **gpus,
        max_retries=settings.retries,
        retry_exceptions=[Interrupted],
    )
    prepared = ray.put(archive(out, [".locks", ".lock", "stages", "report.html", "results.json", "results.md", "figures"]))
    parts: dict[str, Any] = {}
    for name, parent in graph.parents.items():
        # Ray starts a task when what it is given is there.
        parts[name] = task.remote(job, name, settings.num_cpus, prepared, parts[parent] if parent else None)
    names = {part: name for name, part in parts.items()}
    failed: set[str] = set()
    waiting = list(names)
    said = time.monotonic()
    while waiting:
        ready, waiting = ray.wait(waiting, num_returns=1, timeout=5.0)
        for part in ready:
            name = names[part]
            done = len(names) - len(waiting)
            try:
                made = ray.get(part)
            except ray.exceptions.RayError as error:
                failed.add(name)
                parent = graph.parents[name]
                why = f"not made, since {parent} is not" if parent in failed else f"failed: {reason(error)}"
                say(f"[{done}/{len(names)}] {name} {why}")
                continue
            if made.folder is not None:
                unpack(made.folder, out / "stages" / name)
            say(f"[{done}/{len(names)}] {name} finished on {made.host}, {made.seconds:.0f} s")
        if waiting and time.monotonic() - said > 30:
            said = time.monotonic()
            say(f"{len(names) - len(waiting)} of {len(names)} stages are done; at work: {at_work(out) or 'nobody yet'}")
    return failed


def at_work(out: Path) -> str:
    """Who works on what in the run folder."""
    held = []
    for path in sorted((out / ".locks").glob("*.lock")):
        try:
            holder = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        held.append(f"{path.stem} ({holder['host']})")
    return ", ".join(held)


def reason(error: BaseException) -> str:
    """What a failed task said, without Ray's trace."""
    cause = getattr(error, "cause", None) or error
    return str(cause).strip()


def make(job: Job, name: str, cpus: float, prepared: bytes, parent: Made | None) -> Made:
    """Makes one stage; runs on a node of the cluster."""
    began = time.monotonic()
    out = Path(job.out)
    shared = (out / ".locks" / job.token).is_file()
    if not shared:
        out = Path(tempfile.gettempdir()) / f"tercet-{job.token}"
        unpack(prepared, out)
        if parent is not None and parent.folder is not None:
            unpack(parent.folder, out / "stages" / parent.name)
    program = list(job.program or own_program())
    threads = str(max(1, int(cpus)))
    words = ["run", str(out / "recipe.toml"), "--out", str(out), "--stage", name, "--threads", threads, *job.options]
    log = out / ".locks" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if job.nodes:
        with workers(job) as (address, token):
            words += ["--engine", address]
            code = call([*program, *words], log, {"TERCET_TOKEN": token})
    else:
        code = call([*program, *words], log, {})
    if code < 0:
        raise Interrupted(f"{name} was ended by signal {-code} on {socket.gethostname()}")
    if code:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise StageFailed(f"exit code {code} on {socket.gethostname()}, log {log}\n{tail}")
    made = Made(name, socket.gethostname(), time.monotonic() - began)
    if not shared:
        made.folder = archive(out / "stages" / name, [])
        if len(made.folder) > job.limit:
            raise StageFailed(
                f"its folder has {len(made.folder) // MIB} MiB, more than travel as an object: raise --object-limit, or "
                "give all nodes the run folder on a shared disk"
            )
    return made


def call(words: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
    """Runs the program, which ends with this process. What it says goes to a file."""
    with log.open("ab") as said:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, **environment},
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
        return process.wait()


def end_with_parent() -> None:
    """On Linux a process can be told to stop when the one that started it dies: SIGTERM saves."""
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGTERM)


def own_program() -> tuple[str, ...]:
    """The program that the Python package brings."""
    return (sys.executable, "-m", "tercet")


def archive(folder: Path, without: Sequence[str]) -> bytes:
    """A folder as bytes, without some of what lies in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            if path.name not in without:
                tar.add(path, path.name)
    return packed.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Makes a folder from its bytes. One that is there already is the same one."""
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(beside, filter="data")
    beside.chmod(0o755)
    try:
        beside.rename(folder)
    except OSError:
        # Another task was first.
        if not folder.exists():
            raise


def engine_of(settings: argparse.Namespace) -> list[str]:
    """The engine as a plan needs it: it is part of the keys."""
    if settings.nodes:
        return ["--engine", "torch", *chosen(settings.options, "--precision")]
    return [word for option in ("--engine", "--precision") for word in chosen(settings.options, option)]


def chosen(options: Sequence[str], option: str) -> list[str]:
    """An option with its value, as it was given."""
    for i, word in enumerate(options):
        if word == option and i + 1 < len(options):
            return [option, options[i + 1]]
        if word.startswith(f"{option}="):
            return [word]
    return []


def sweep(recipe: str, axes: Sequence[str]) -> list[str]:
    """The changes to a recipe that make a grid of arms: each of its arms with each combination of values."""
    if not axes:
        return []
    split = [axis.partition("=") for axis in axes]
    if wrong := [axis for axis, (key, _, values) in zip(axes, split, strict=True) if not key or not values]:
        raise ValueError(f"--sweep {wrong[0]}: write KEY=V1,V2")
    grid = [[(key, value) for value in values_of(values)] for key, _, values in split]
    given = arms_of(recipe)
    arms = []
    for arm, point in itertools.product(given, itertools.product(*grid)):
        parts = [name for name in [arm.get("name")] if name]
        parts += [f"{key.rsplit('.', 1)[-1]}-{plain(value)}" for key, value in point]
        changes = {**{key: toml(value) for key, value in arm.get("set", {}).items()}, **dict(point)}
        more = "".join(f", {key} = {toml(value)}" for key, value in arm.items() if key not in ("name", "set"))
        inner = ", ".join(f"{json.dumps(key)} = {value}" for key, value in changes.items())
        arms.append(f"{{ name = {json.dumps('_'.join(parts))}, set = {{ {inner} }}{more} }}")
    say(f"sweep: {len(arms)} arms; claims are left out, since they name the recipe's own arms")
    return [f"arm=[{', '.join(arms)}]", "claim=[]", "matched=[]"]


def values_of(text: str) -> Iterator[str]:
    """Values that are separated by commas, but not by those inside brackets or quotes."""
    depth, quoted, value = 0, False, ""
    for sign in text:
        quoted ^= sign == '"'
        depth += (sign in "[{") - (sign in "]}") if not quoted else 0
        if sign == "," and depth == 0 and not quoted:
            yield value
            value = ""
        else:
            value += sign
    yield value


def plain(value: str) -> str:
    """A value as part of a name."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "_" for sign in value).strip("_")


def arms_of(recipe: str) -> list[dict[str, Any]]:
    """The recipe's own arms; one without a name where it has none."""
    try:
        tomllib = importlib.import_module("tomllib")
    except ModuleNotFoundError:
        tomllib = importlib.import_module("tomli")
    arms: list[dict[str, Any]] = tomllib.loads(Path(recipe).read_text(encoding="utf-8")).get("arm", [])
    return arms or [{}]


def say(line: str) -> None:
    """A line for people."""
    print(line, file=sys.stderr, flush=True)


def workers(job: Job) -> Any:
    """PyTorch workers on several nodes, started by Ray Train, as a context that gives their address and token."""
    return importlib.import_module("tercet._ray_workers").Workers(job.nodes, job.gpus)


if __name__ == "__main__":
    sys.exit(main())
