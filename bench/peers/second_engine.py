"""The second engine beside plain PyTorch and transformers' `generate()`, in one process and in turns.

    PYTHONPATH=python VENV/bin/python bench/peers/second_engine.py --shape T --rounds 3

prints tokens a second of each, and ratios within each round: machines differ from round to round, the ratio does not.
`wire` is the share of a step that the messages take: coding and decoding them on this side of the connection.
"""

import argparse
import os
import tempfile
import time
from statistics import median

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from peer import SHAPES, Sample, Train, hub_model, tokens
from tercet.torch.model import Model
from tercet.torch.ranks import Ranks
from tercet.torch.sample import Sampler
from tercet.torch.wire import decode, encode

ADAMW = dict(lr=1e-3, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, clip_norm=1.0)


def open_model(shape, context):
    settings = argparse.Namespace(precision="f32", micro_tokens=16384, checkpointing=False)
    with tempfile.TemporaryDirectory() as folder:
        hub_model(shape, context).save_pretrained(folder)
        return Model(folder, None, Ranks(), settings)


class OurTrain:
    """A step as the worker does it: cross-entropy in one request, then the optimizer."""

    def __init__(self, name):
        work = SHAPES[name]["train"]
        self.model = open_model(SHAPES[name]["model"], work["length"])
        self.count = work["rows"] * work["length"]
        flat = tokens(work["rows"], work["length"], SHAPES[name]["model"]["vocab"])
        self.given = {
            "tokens": torch.tensor(flat, dtype=torch.int32),
            "starts": torch.arange(0, self.count + 1, work["length"], dtype=torch.int32),
            "gradient": torch.full((self.count,), -1 / self.count),
        }
        self.wire = 0.0

    def step(self):
        start = time.perf_counter()
        _, given = decode(encode({"verb": "forward_backward"}, self.given))
        self.wire += time.perf_counter() - start
        out = self.model.forward_backward(self.model.read(given), 1.0, given["gradient"], None)
        self.model.optim_step(ADAMW)
        start = time.perf_counter()
        encode({}, out)
        self.wire += time.perf_counter() - start
        return self.count


class OurSample:
    """A batch of samples as the worker draws it; no token ends one."""

    def __init__(self, name):
        work = SHAPES[name]["sample"]
        shape = SHAPES[name]["model"]
        self.model = open_model(shape, work["prompt"] + work["new"])
        flat = torch.tensor(tokens(work["prompts"], work["prompt"], shape["vocab"]))
        self.prompts = flat.view(work["prompts"], work["prompt"]).tolist()
        self.sampling = dict(temperature=1.0, top_p=1.0, top_k=0, max_tokens=work["new"])

    def step(self):
        uniforms = torch.rand(len(self.prompts), self.sampling["max_tokens"], dtype=torch.float64)
        sampler = Sampler(self.model, self.sampling, self.prompts, lambda lengths: None)
        return int(sampler.draw(range(len(self.prompts)), uniforms)["lengths"].sum())


def rate(peer, seconds):
    """Tokens a second over whole steps."""
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        done += peer.step()
    return done / (time.perf_counter() - start)


def compare(what, peers, rounds, seconds):
    for peer in peers.values():
        peer.step()
    found = [{name: rate(peer, seconds) for name, peer in peers.items()} for _ in range(rounds)]
    ours = next(iter(peers))
    for name in peers:
        line = f"{what:14} {name:18} {median(r[name] for r in found):10.0f} tokens/s"
        if name != ours:
            ratios = sorted(r[ours] / r[name] for r in found)
            line += f"   {ours} is {median(ratios):.2f} times it [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="T")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each peer in each round")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    ours = OurTrain(args.shape)
    peers = {"second engine": ours, "plain": Train(args.shape, "eager", "f32"), "transformers": Train(args.shape, "hub", "f32")}
    compare(f"train {args.shape}", peers, args.rounds, args.seconds)
    began = time.perf_counter()
    ours.wire = 0.0
    for _ in range(3):
        ours.step()
    print(f"{'wire':14} {100 * ours.wire / (time.perf_counter() - began):.1f}% of a step")
    peers = {
        "second engine": OurSample(args.shape),
        "plain": Sample(args.shape, "eager", "f32", 1),
        "generate()": Sample(args.shape, "generate", "f32", 1),
    }
    with torch.inference_mode():
        compare(f"sample {args.shape}", peers, args.rounds, args.seconds)


main()
