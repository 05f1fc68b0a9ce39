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
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nodes import two_nodes

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
    "kl-in-the-reward": {"kl": '{ kind = "k1", coefficient = 0.01, place = "reward" }'},
    "k2": {"kl": '{ kind = "k2", coefficient = 0.01 }'},
}
#: These need responses that are right in part.
TAUGHT = {
    "plain": {},
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

    def command(self, out, engine, changes=(), reuse=(), prefix=(), scale="tiny"):
        words = [*prefix, self.program, "run", RECIPE, "--scale", scale, "--out", str(self.folder / out), *engine]
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

    def same_losses(self, a, b):
        """The losses of both runs' first twenty steps of each stage before reinforcement learning are about the same."""
        for stage in ("pre", "mid"):
            pairs = list(zip(self.metrics(a, stage), self.metrics(b, stage)))[:20]
            for step, (one, other) in enumerate(pairs):
                close(f"{stage}, loss of step {step + 1}", one["loss"], other["loss"], 1e-4, 0)
            worst = max(abs(one["loss"] / other["loss"] - 1) for one, other in pairs)
            print(f"{stage}: losses of {len(pairs)} steps within {worst:.1e}")

    def rollouts(self, out, step):
        with gzip.open(self.stage(out, "rl") / f"rollouts/step-{step:06}.jsonl.gz", "rt") as file:
            return [json.loads(line) for line in file]

    def texts(self, out, step):
        return [line["text"] for line in self.rollouts(out, step)]


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
    runner.same_losses("cpu", "torch")
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


def taught(runner):
    """The same with a model that solves some problems: the tutorial's, pre-trained for half a minute."""
    minimal = {"stage.rl.steps": 1, "evaluation.suite.main.problems": 1, "evaluation.suite.main.ops": "4"}
    runner.run("taught", [], minimal | {"stage.pre.tokens": 800_000}, scale="tutorial")
    given = {"model.from": f"{runner.folder / 'taught'}:mid", "stage.pre.tokens": 2048, "stage.mid.tokens": 2048}
    sizes = []
    for name, policy in TAUGHT.items():
        changes = given | minimal | {f"stage.rl.{key if '.' in key else 'policy.' + key}": value for key, value in policy.items()}
        changes |= {"stage.rl.rollout.max_tokens": 96, "stage.rl.rollout.overlong_buffer": 16}
        for out, engine in [(f"cpu-{name}", []), (f"torch-{name}", ["--engine", runner.url])]:
            runner.run(out, engine, changes, scale="tutorial")
        first = compare_first_step(runner, f"cpu-{name}", f"torch-{name}", name)
        sizes.append(first["critic/advantages/abs_mean"])
        right = sum(line["verified"] for line in runner.rollouts(f"torch-{name}", 1))
        if right == 0:
            raise SystemExit(f"{name}: no response is right")
        print(f"{name}: {right} of 128 right, mean advantage {sizes[-1]:.4f}, {len(first)} metrics are the same")
    if sizes[1] == sizes[0]:
        raise SystemExit("step credit changed nothing")


ALONE = ["--engine", "torch", "--python", sys.executable]
TORCHRUN = f"{sys.executable} -m torch.distributed.run --standalone --nproc-per-node 2 -m tercet.torch --threads 1"
PAIR = ["--engine", "torch", "--launch", TORCHRUN]


def kills(runner, count, seed):
    """A driver, its worker or one of two ranks is killed at random moments; the same command then goes on to the same bytes."""
    moments, whole = random.Random(seed), {}
    for i in range(count):
        whom = ("driver", "worker", "driver", "worker", "rank")[i % 5]
        engine, undisturbed = (PAIR, "pair") if whom == "rank" else (ALONE, "alone")
        if undisturbed not in whole:
            began = time.monotonic()
            runner.run(undisturbed, engine)
            whole[undisturbed] = time.monotonic() - began
        out, at = f"killed-{i}", moments.uniform(0.3, 0.9) * whole[undisturbed]
        process = runner.start(out, engine)
        time.sleep(at)
        said = kill(process, whom)
        runner.run(out, engine)
        same = subprocess.run(
            [runner.program, "compare", "--assert-equal", runner.folder / undisturbed, runner.folder / out],
            stdout=subprocess.DEVNULL,
        )
        if same.returncode != 0:
            raise SystemExit(f"after the {whom} was killed at {at:.1f} s the results differ")
        print(f"{whom} killed at {at:.1f} of {whole[undisturbed]:.1f} s: {said}; resumed to the same bytes", flush=True)


def kill(process, whom):
    """Kills a driver, or what works for it, and sees that the others end; says what was seen."""
    if process.poll() is not None:
        return "it had ended"
    workers = descendants(process.pid)
    if whom == "driver":
        process.kill()
        process.wait()
        gone(workers)
        return "its worker ended with it"
    victims = workers if whom == "worker" else workers[-1:]
    for victim in victims:
        os.kill(victim, 9)
    text = process.communicate(timeout=90)[1]
    if process.returncode != 1 or "worker" not in text:
        raise SystemExit(f"the driver ended with {process.returncode}:\n{text}")
    gone(workers)
    return "the driver named the loss" if victims else "there was no worker yet"


def descendants(pid):
    """The processes below one, parents first."""
    children = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        children += [int(child) for child in (thread / "children").read_text().split()]
    return children + [below for child in children for below in descendants(child)]


def gone(workers):
    """Waits until these processes have ended."""
    for _ in range(300):
        if not any(Path(f"/proc/{worker}").exists() and not zombie(worker) for worker in workers):
            return
        time.sleep(0.1)
    raise SystemExit(f"workers {workers} outlived their driver")


def zombie(pid):
    try:
        return re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.M) is not None
    except OSError:
        return True


def make_model(folder, config, tokenizer):
    """Fresh weights from transformers, with the tokenizer of another run."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder / name)


def sizes(tokenizer, **more):
    known = json.loads((tokenizer / "tokenizer.json").read_text())
    tokens = {token["content"]: token["id"] for token in known["added_tokens"]}
    end = json.loads((tokenizer / "tokenizer_config.json").read_text())["eos_token"]
    vocab = 1 + max([*known["model"]["vocab"].values(), *tokens.values()])
    return dict(vocab_size=vocab, eos_token_id=tokens[end], bos_token_id=None, pad_token_id=None) | more


def decoders(runner):
    """Decoders that the CPU engine does not know are trained, sampled and evaluated; the CPU engine refuses them."""
    from transformers import GPT2Config, LlamaConfig, Qwen3Config

    tokenizer = tokenizer_of(runner)
    small = sizes(tokenizer, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    small |= dict(num_key_value_heads=2, max_position_embeddings=384, initializer_range=0.06)
    gpt2 = sizes(tokenizer, n_embd=32, n_layer=2, n_head=4, n_positions=384, initializer_range=0.06)
    configs = {"llama": LlamaConfig(**small), "qwen3": Qwen3Config(**small, head_dim=16), "gpt2": GPT2Config(**gpt2)}
    for name, config in configs.items():
        folder = runner.folder / f"model-{name}"
        make_model(folder, config, tokenizer)
        changes = {"model.from": str(folder), "stage.rl.steps": 1, "evaluation.suite.main.problems": 1}
        refused = runner.start(f"cpu-{name}", [], changes)
        said = refused.communicate(timeout=60)[1]
        if refused.returncode == 0 or "qwen2" not in said.lower():
            raise SystemExit(f"{name}: the CPU engine ended with {refused.returncode}:\n{said}")
        runner.run(f"torch-{name}", ["--engine", runner.url], changes)
        losses = [row["loss"] for row in runner.metrics(f"torch-{name}", "pre")]
        rollouts = len(runner.texts(f"torch-{name}", 1))
        if not (losses[-1] < losses[0] - 0.5 and rollouts == 128):
            raise SystemExit(f"{name}: loss from {losses[0]} to {losses[-1]}, {rollouts} rollouts")
        print(f"{name}: loss {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} steps, {rollouts} rollouts; the CPU engine refuses it")


def tokenizer_of(runner):
    """The folder of the tokenizer that the tiny recipe makes."""
    return next((runner.folder / "cpu").rglob("tokenizer.json")).parent


def drift(runner, steps=200):
    """Pre-training of the quick recipe's model: the engines part no further than the CPU engine parts from itself when its
    first weights are changed by 1e-7 of themselves."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import Qwen2Config

    tokenizer = tokenizer_of(runner)
    shape = sizes(tokenizer, hidden_size=128, intermediate_size=384, num_hidden_layers=4, num_attention_heads=4)
    shape |= dict(num_key_value_heads=2, max_position_embeddings=384, initializer_range=0.06, rms_norm_eps=1e-6)
    shape |= dict(rope_parameters={"rope_type": "default", "rope_theta": 1e3}, tie_word_embeddings=True)
    first, moved = runner.folder / "model-first", runner.folder / "model-moved"
    make_model(first, Qwen2Config(**shape), tokenizer)
    shutil.copytree(first, moved)
    weights = load_file(first / "model.safetensors")
    save_file({n: w * (1 + 1e-7 * torch.randn_like(w)) for n, w in weights.items()}, moved / "model.safetensors", {"format": "pt"})
    changes = {"stage.pre.tokens": 1024 * steps, "stage.pre.batch_tokens": 1024, "stage.pre.validate_every": 0}
    changes |= {"stage.pre.checkpoint_every": 0, "stage.mid.tokens": 4096, "stage.rl.steps": 1, "evaluation.suite.main.problems": 1}
    losses = {}
    for out, engine, model in [("drift-cpu", [], first), ("drift-moved", [], moved), ("drift-torch", ["--engine", runner.url], first)]:
        runner.run(out, engine, changes | {"model.from": str(model)})
        losses[out] = [row["loss"] for row in runner.metrics(out, "pre")]
    apart = lambda out: [abs(a / b - 1) for a, b in zip(losses[out], losses["drift-cpu"], strict=True)]
    engines, own = apart("drift-torch"), apart("drift-moved")
    early, late = max(engines[:20]), statistics.mean(engines[-20:])
    print(f"{len(engines)} steps: engines {early:.1e} apart in the first 20, {late:.1e} in the last 20; own {statistics.mean(own[-20:]):.1e}")
    if not (len(engines) == steps and early < 1e-4 and late <= 2 * statistics.mean(own[-20:])):
        raise SystemExit("the engines part too far")


def plans(runner):
    """What the larger scales would take on this worker's device."""
    for scale in ("small", "paper"):
        command = [runner.program, "plan", str(ROOT / "recipes/extrapolation.toml"), "--scale", scale, "--engine", runner.url]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TERCET_TOKEN": "secret"}, timeout=300)
        lines = done.stdout.splitlines()
        memory = [line for line in lines if re.match(r"memory up to .+ \(each device has .+\), disk ", line)]
        time_ = [line for line in lines if line.startswith("time about ")]
        if not (done.returncode == 0 and memory and time_):
            raise SystemExit(f"{scale}: plan ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        print(f"{scale}: {memory[0]}; {time_[0]}")


def whole(program, ours, theirs):
    """The whole quick recipe on both engines: hours. Each number of the table lies within the interval of ours. What a run
    folder has is not done again."""
    for out, engine in [(ours, []), (theirs, ALONE)]:
        subprocess.run([program, "run", RECIPE, "--out", out, *engine], check=True)
    tables = [json.loads((Path(out) / "results.json").read_text())["rows"] for out in (ours, theirs)]
    outside = 0
    for a, b in zip(*tables, strict=True):
        for metric in ("pass_1", "pass_k"):
            low, high, found = a[metric]["low"], a[metric]["high"], b[metric]["value"]
            outside += not low <= found <= high
            print(f"{a['band']:12} {a['model']:6} {metric}: {100 * found:.1f}, ours {100 * a[metric]['value']:.1f} [{100 * low:.1f}, {100 * high:.1f}]")
    if outside:
        raise SystemExit(f"{outside} numbers lie outside")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--kills", type=int, default=5, help="how often something is killed")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parts = {"variants": variants, "taught": taught, "decoders": decoders, "drift": drift, "nodes": two_nodes, "plans": plans}
    parser.add_argument("--only", nargs="+", choices=["engines", *parts, "kills"], help="these parts")
    parser.add_argument("--whole", nargs=2, metavar=("OURS", "THEIRS"), help="run folders of the whole recipe, and nothing else")
    args = parser.parse_args()
    if args.whole:
        return whole(args.program, *args.whole)
    wanted = args.only or ["engines", *parts, "kills"]
    failed = []

    def attempt(name, act, *more):
        began = time.monotonic()
        try:
            act(*more)
        except (SystemExit, Exception) as error:
            failed.append(name)
            print(f"FAILED: {name}: {error}")
        print(f"-- {name}: {time.monotonic() - began:.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(str(Path(args.program).absolute()), folder)
        try:
            if set(wanted) - {"kills", "plans"}:
                attempt("engines", two_engines, runner)
            for name in [name for name in parts if name in wanted]:
                attempt(name, parts[name], runner)
        finally:
            runner.worker.kill()
        if "kills" in wanted:
            attempt("kills", kills, runner, args.kills, args.seed)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")
    print("all of it holds")


if __name__ == "__main__":
    main()
