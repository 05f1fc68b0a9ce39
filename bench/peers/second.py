"""The second engine's worker beside plain PyTorch and transformers' generate(), in turn on this machine.

    PYTHONPATH=python python bench/peers/second.py --shapes T,S,P --rounds 5

Every side lives in a process of its own, is warmed up, and then works round by round. Figures are medians; ratios are
medians of the rounds' ratios. `worker` is asked over the connection; `direct` does the same work in one process.
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
TRAIN, SAMPLE = "worker,direct,eager,hub", "worker,direct,generate,eager"


class Side:
    def __init__(self, name, shape, work, args):
        if name in ("worker", "direct"):
            words = ["worker.py", "--how", "wire" if name == "worker" else "direct", "--precision", args.precision]
        else:
            words = ["peer.py", "--variant", f"{name}-{args.precision}", "--device", args.device]
        words += ["--shape", shape, "--work", work, "--threads", str(args.threads), "--warm-up", str(args.warm_up)]
        command = [sys.executable, str(HERE / words[0]), *words[1:]]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.built, self.warm, self.rates = self.line(), self.line(), []

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self.process.args)} ended with {self.process.wait()}")
        return json.loads(line)

    def round(self, seconds):
        print(seconds, file=self.process.stdin, flush=True)
        done = self.line()
        self.rates.append(done["tokens"] / done["seconds"])

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def ratio(above, below):
    return statistics.median(a / b for a, b in zip(above.rates, below.rates))


def measure(shape, work, args):
    names = (args.train if work == "train" else args.sample).split(",")
    sides = {name: Side(name, shape, work, args) for name in names}
    for _ in range(args.rounds):
        for side in sides.values():
            side.round(args.seconds)
    rows = []
    for name, side in sides.items():
        median, spread = statistics.median(side.rates), max(side.rates) / min(side.rates) - 1
        against = "" if name == "worker" else f"worker {ratio(sides['worker'], side):.3f} of it"
        rows.append(f"  {name:14} {median:10.0f} tokens/s  ±{100 * spread / 2:.0f}%  {against}")
        side.end()
    built = sides["worker"].built
    print(f"{shape} {work}, {built['parameters'] / 1e6:.2f}M parameters", *rows, sep="\n", flush=True)
    return {name: side.rates for name, side in sides.items()}


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="T,S")
    parser.add_argument("--work", default="train,sample")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="of the peers; the worker takes a GPU that is there")
    parser.add_argument("--train", default=TRAIN, help=f"sides in training, `worker` among them ({TRAIN})")
    parser.add_argument("--sample", default=SAMPLE, help=f"sides in sampling ({SAMPLE})")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="least length of a round; always a whole step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    import torch

    device = torch.cuda.get_device_name() if args.device == "cuda" else processor()
    print(f"{device}, {args.threads} threads, {args.rounds} rounds, {time.strftime('%Y-%m-%d')}", flush=True)
    found = {}
    for shape in args.shapes.split(","):
        for work in args.work.split(","):
            found[f"{shape} {work}"] = measure(shape, work, args)
            if args.json:
                args.json.write_text(json.dumps(found, indent=1) + "\n")


main()
