"""The worker of the second engine as a peer: the same lines on stdin and stdout as peer.py.

    PYTHONPATH=../../python python worker.py --shape T --work train --how wire

`wire` asks a worker in a process of its own over the connection, as the driver does; `direct` calls the same verbs here,
so that the difference is what the connection costs. Training is a step in one request for the gradient and one for AdamW.
"""

import argparse
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import memory
from peer import SHAPES, hub_model, say, tokens

ADAMW = dict(lr=1e-3, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, clip_norm=1.0)


class Direct:
    """The verbs in this process."""

    def __init__(self, options):
        from tercet.torch.ranks import Ranks
        from tercet.torch.verbs import Worker

        self.worker = Worker(Ranks(), options)

    def ask(self, data):
        return self.worker.job(data, lambda lengths: None)


class Wire:
    """The verbs of a worker, over HTTP."""

    def __init__(self, options):
        command = [sys.executable, "-m", "tercet.torch", "--threads", str(options.threads)]
        command += ["--precision", options.precision, "--no-checkpointing"]
        environment = os.environ | {"TERCET_TOKEN": "bench"}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split("//")[-1].strip()
        self.connection = http.client.HTTPConnection(self.address, timeout=3600)
        self.session = ""
        self.session = self.head(self.post("/hello", {"protocol": 1}))["session"]

    def head(self, data):
        from tercet.torch.wire import decode

        return decode(data)[0]

    def post(self, path, data):
        from tercet.torch.wire import encode

        body = data if isinstance(data, bytes) else encode(data)
        headers = {"Authorization": "Bearer bench", "Tercet-Session": self.session, "Tercet-Wait": "5"}
        self.connection.request("POST", path, body, headers)
        response = self.connection.getresponse()
        answer = response.read()
        return self.post("/wait", {}) if response.status == 202 else answer

    def ask(self, data):
        return self.post("/do", data)


class Job:
    """A step of training, or a batch of samples."""

    def __init__(self, args, spec, folder):
        import torch
        from tercet.torch.wire import decode, encode

        self.torch, self.encode, self.decode = torch, encode, decode
        self.verbs = (Direct if args.how == "direct" else Wire)(args)
        answer = self.decode(self.verbs.ask(encode({"verb": "open", "folder": folder, "eos": None})))[0]
        self.model, self.parameters = answer["model"], answer["parameters"]
        work, vocab = spec[args.work], spec["model"]["vocab"]
        if args.work == "train":
            flat, count = tokens(work["rows"], work["length"], vocab), work["rows"]
            self.per_step, self.step = len(flat), self.train
        else:
            flat, count = tokens(work["prompts"], work["prompt"], vocab), work["prompts"]
            self.per_step, self.step, self.new = count * work["new"], self.sample, work["new"]
        starts = [row * (len(flat) // count) for row in range(count + 1)]
        self.batch = {"tokens": torch.tensor(flat, dtype=torch.int32), "starts": torch.tensor(starts, dtype=torch.int32)}
        self.count = count
        self.loss = None

    def ask(self, head, tensors):
        found, out = self.decode(self.verbs.ask(self.encode(head | {"model": self.model}, tensors)))
        if "error" in found:
            sys.exit(found["message"])
        return out

    def train(self):
        predicted = self.torch.ones(len(self.batch["tokens"]))
        predicted[self.batch["starts"][:-1].long()] = 0
        gradient = -predicted / predicted.sum()
        out = self.ask({"verb": "forward_backward", "temperature": 1.0}, self.batch | {"gradient": gradient})
        self.loss = float(out["logprobs"] @ gradient)
        self.ask({"verb": "optim_step", "adamw": ADAMW}, {})
        return self.per_step

    def sample(self):
        # The driver's own work, drawing numbers, is not the worker's.
        uniforms = self.torch.rand(self.count, self.new, dtype=self.torch.float64)
        counts = self.torch.ones(self.count, dtype=self.torch.int32)
        sampling = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_tokens": self.new}
        out = self.ask({"verb": "sample", "sampling": sampling}, self.batch | {"counts": counts, "uniforms": uniforms})
        return int(out["lengths"].sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="T")
    parser.add_argument("--work", choices=["train", "sample"], default="train")
    parser.add_argument("--how", choices=["direct", "wire"], default="wire")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm-up", type=int, default=2)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # A pass takes the whole batch, as the peers' do, and keeps its activations.
    args.micro_tokens, args.checkpointing, args.shard = 16384, False, False
    spec, base = SHAPES[args.shape], memory.now()
    with tempfile.TemporaryDirectory() as folder:
        work = spec[args.work]
        context = work["length"] if args.work == "train" else work["prompt"] + work["new"]
        hub_model(spec["model"], context).save_pretrained(folder)
        job = Job(args, spec, folder)
        say(parameters=job.parameters, base=base, versions=f"PyTorch {torch.__version__}, transformers {transformers.__version__}")
        start = time.perf_counter()
        for _ in range(args.warm_up):
            job.step()
        say(warm_up_seconds=time.perf_counter() - start, loss=job.loss)
        memory.forget_peak()
        for line in sys.stdin:
            wanted, done = float(line), 0
            start, busy = time.perf_counter(), time.process_time()
            while done == 0 or time.perf_counter() - start < wanted:
                done += job.step()
            seconds, core_seconds = time.perf_counter() - start, time.process_time() - busy
            say(seconds=seconds, core_seconds=core_seconds, tokens=done, peak=memory.peak())
        if args.how == "wire":
            job.verbs.connection.close()
            job.verbs.process.kill()


if __name__ == "__main__":
    main()
