"""One recipe on two engines, and on a second engine that is killed: `python recipes.py path/to/tercet`.

Every part of the quick recipe at its tiny scale, changed so that losses run for twenty steps, groups are mixed (rewards
differ by length, for nothing is solved so early) and ratios are clipped (several updates on the same rollouts).
"""

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPE = str(ROOT / "recipes/quickstart.toml")
BASE = {
    "stage.pre.tokens": 84_000,
    "stage.rl.steps": 2,
    "stage.rl.optimizer.lr": 2e-3,
    "stage.rl.rollout.prompts": 16,
    "stage.rl.rollout.samples": 8,
    "stage.rl.rollout.max_tokens": 48,
    "stage.rl.rollout.overlong_buffer": 47,
    "stage.rl.rollout.store_every": 1,
    "stage.rl.rollout.store_prompts": 16,
    "stage.rl.policy.mini_batches": 2,
    "stage.rl.policy.epochs": 2,
    "evaluation.suite.main.ops": "6",
}
EXACT = '{ kind = "exact", coefficient = 0.01 }'
VARIANTS = {
    "gspo": {"surrogate": '"gspo"'},
    "cispo": {"surrogate": '"cispo"'},
    "exact-kl": {"kl": EXACT},
    # Rewards differ in their last bits, so that after several updates a ratio may cross its bound: one pass, then.
    "kl-in-the-reward": {"kl": '{ kind = "k1", coefficient = 0.01, place = "reward" }', "epochs": 1},
    "k2": {"kl": '{ kind = "k2", coefficient = 0.01 }'},
    "step-credit": {"step_credit": 1.0},
    "curriculum": {"rollout.curriculum": "{ k = 8, succeeds_from = 0.5, fails_to = 0.5 }"},
}


def toml(value):
    return f'"{value}"' if isinstance(value, str) and not value.startswith(("{", '"')) else value


class Runner:
    """Runs the program; `url` is a worker that is up."""

    def __init__(self, program, folder):
        self.program, self.folder = program, Path(folder)
        environment = os.environ | {"TERCET_TOKEN": "secret"}
        command = [sys.executable, "-m", "tercet.torch", "--threads", "2"]
        self.worker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.url = self.worker.stdout.readline().split()[-1]

    def command(self, out, engine, changes=(), reuse=()):
        words = [self.program, "run", RECIPE, "--scale", "tiny", "--out", str(self.folder / out), *engine]
        for key, value in (BASE | dict(changes)).items():
            words += ["--set", f"{key}={toml(value)}"]
        for other in reuse:
            words += ["--reuse", str(self.folder / other)]
        return words

    def start(self, *args, **more):
        return subprocess.Popen(
            self.command(*args, **more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TERCET_TOKEN": "secret"},
        )

    def run(self, *args, **more):
        process = self.start(*args, **more)
        said = process.communicate(timeout=300)[1]
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(process.args)}\nended with {process.returncode}:\n{said}")
        return said

    def stage(self, out, name):
        [stage] = (self.folder / out / "stages").glob(f"{name}-*")
        return stage

    def metrics(self, out, name):
        lines = (self.stage(out, name) / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["values"] for line in lines]

    def texts(self, out, step):
        with gzip.open(self.stage(out, "rl") / f"rollouts/step-{step:06}.jsonl.gz", "rt") as file:
            return [json.loads(line)["text"] for line in file]


def close(what, a, b, relative, absolute):
    if abs(a - b) > relative * max(abs(a), abs(b)) + absolute:
        raise SystemExit(f"{what}: {a} on one engine, {b} on the other")


def compare_first_step(runner, ours, theirs, name):
    """The metrics of the first step of reinforcement learning, whose rollouts are the same. Later ones rest on weights that
    have drifted apart."""
    a, b = runner.texts(ours, 1), runner.texts(theirs, 1)
    same = sum(x == y for x, y in zip(a, b))
    if not (len(a) == len(b) == 128 and same >= 127):
        raise SystemExit(f"{name}: {same} of {len(a)} texts are the same")
    first, second = (runner.metrics(out, "rl")[0] for out in (ours, theirs))
    if first.keys() != second.keys():
        raise SystemExit(f"{name}: other metrics: {first.keys() ^ second.keys()}")
    if not first["groups/mixed"] > 0:
        raise SystemExit(f"{name}: no group is mixed")
    loose = 1 if same == len(a) else 50  # A text that forked counts in every mean.
    for key, value in first.items():
        if not key.startswith("sampling/"):
            close(f"{name}: {key}", value, second[key], 1e-4 * loose, 1e-4 * loose)
    return first


def two_engines(runner):
    torch = ["--engine", runner.url]
    runner.run("cpu", [])
    said = runner.run("torch", torch)
    if "engine: torch in f32" not in said:
        raise SystemExit(f"the engine is not named:\n{said}")
    folders = [{path.name for path in (runner.folder / out / "stages").iterdir()} for out in ("cpu", "torch")]
    if folders[0] & folders[1]:
        raise SystemExit(f"stages of two engines share a name: {folders}")
    manifest = json.loads((runner.folder / "torch/manifest.json").read_text())
    print("manifest:", manifest["engines"])
    worst = 0
    for stage in ("pre", "mid"):
        pairs = list(zip(runner.metrics("cpu", stage), runner.metrics("torch", stage)))[:20]
        for step, (a, b) in enumerate(pairs):
            close(f"{stage}, loss of step {step + 1}", a["loss"], b["loss"], 1e-4, 0)
            worst = max(worst, abs(a["loss"] / b["loss"] - 1))
        print(f"{stage}: losses of {len(pairs)} steps within {worst:.1e}")
    first = compare_first_step(runner, "cpu", "torch", "grpo")
    if not first["actor/pg_clipfrac"] > 0:
        raise SystemExit("nothing is clipped")
    print("grpo: loss {loss:.6f}, clipped {actor/pg_clipfrac:.4f}, KL {actor/kl_loss:.2e}, mixed {groups/mixed:.2f}".format(**first))
    # The same run twice on the same machine.
    runner.run("again", torch)
    same = subprocess.run([runner.program, "compare", "--assert-equal", runner.folder / "torch", runner.folder / "again"])
    if same.returncode != 0:
        raise SystemExit("the same run twice gives other bytes")
    # A stage of one engine is never taken for one of the other.
    runner.run("mixed", torch, reuse=["cpu"])
    if folders[0] & {path.name for path in (runner.folder / "mixed/stages").iterdir()}:
        raise SystemExit("a stage of the other engine was reused")


def variants(runner):
    for name, policy in VARIANTS.items():
        changes = {f"stage.rl.{key if '.' in key else 'policy.' + key}": value for key, value in policy.items()}
        changes |= {"stage.rl.steps": 1, "evaluation.suite.main.problems": 1}
        runner.run(f"cpu-{name}", [], changes, ["cpu"])
        runner.run(f"torch-{name}", ["--engine", runner.url], changes, ["torch"])
        first = compare_first_step(runner, f"cpu-{name}", f"torch-{name}", name)
        print(f"{name}: loss {first['loss']:.6f}, {len(first)} metrics are the same")


def kills(runner, count, seed):
    """A driver or its worker is killed at random moments; the same command then goes on to the same bytes."""
    moments = random.Random(seed)
    began = time.monotonic()
    runner.run("undisturbed", ["--engine", "torch", "--python", sys.executable])
    whole = time.monotonic() - began
    for i in range(count):
        out, whom = f"killed-{i}", ("driver", "worker")[i % 2]
        process = runner.start(out, ["--engine", "torch", "--python", sys.executable])
        at = moments.uniform(0.3, 0.9) * whole
        time.sleep(at)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        threads = Path(f"/proc/{process.pid}/task").iterdir() if not children else []
        children += [c for thread in threads for c in (thread / "children").read_text().split()]
        if process.poll() is not None:
            said = "it had ended"
        elif whom == "driver":
            process.kill()
            process.wait()
            gone(children)
            said = "its worker ended with it"
        else:
            for child in children:
                os.kill(int(child), 9)
            text = process.communicate(timeout=60)[1]
            if process.returncode != 1 or "worker" not in text:
                raise SystemExit(f"the driver ended with {process.returncode}:\n{text}")
            said = text.strip().splitlines()[-1][:100]
        runner.run(out, ["--engine", "torch", "--python", sys.executable])
        same = subprocess.run([runner.program, "compare", "--assert-equal", runner.folder / "undisturbed", runner.folder / out])
        if same.returncode != 0:
            raise SystemExit(f"after the {whom} was killed at {at:.1f} s the results differ")
        print(f"{whom} killed at {at:.1f} of {whole:.1f} s: {said}; resumed to the same bytes")


def gone(children):
    """Waits until these processes have ended."""
    for _ in range(100):
        if not any(Path(f"/proc/{child}").exists() and not zombie(child) for child in children):
            return
        time.sleep(0.1)
    raise SystemExit(f"workers {children} outlived their driver")


def zombie(pid):
    try:
        return re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.M) is not None
    except OSError:
        return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--kills", type=int, default=5, help="how often something is killed")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--only", choices=["engines", "variants", "kills"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(str(Path(args.program).absolute()), folder)
        try:
            if args.only != "kills":
                two_engines(runner)
            if args.only in (None, "variants"):
                variants(runner)
        finally:
            runner.worker.kill()
        if args.only in (None, "kills"):
            kills(runner, args.kills, args.seed)
    print("all of it holds")


main()
