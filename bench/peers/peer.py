"""One peer in one process: builds a model, warms up, then runs a round for every line it is sent.

    python peer.py --shape T --work train --variant compile-bf16 --threads 2

speaks lines of JSON on stdout: {"parameters", "base", "versions"} once the model stands, {"warm_up_seconds",
"loss"} after warm-up, and then, for each line `SECONDS` on stdin, runs whole steps for at least that long and
answers {"seconds", "core_seconds", "tokens", "peak"}. End of input ends it. `--check` compares the plain model
with transformers' on equal weights instead.

Variants. Training: eager-*, compile-* (the plain model of plain.py) and hub-* (transformers' Qwen2), each as
f32, bf16 (autocast: f32 weights and optimizer state) or bf16pure (weights and state in bf16 too: less exact
than the others, and so a peer that does less work). Sampling: eager-* (plain model, own loop over a
preallocated cache) and generate-* (transformers' generate()), each as f32 or bf16 (weights in bf16).

torch.compile keeps what it compiled between runs (TORCHINDUCTOR_CACHE_DIR). If a run that was killed while it
compiled left half a file there ("file too short"), remove that folder.
"""

import argparse
import json
import os
import pathlib
import sys
import time

TRAIN = [f"{how}-{dtype}" for how in ("eager", "compile", "hub") for dtype in ("f32", "bf16", "bf16pure")]
SAMPLE = [f"{how}-{dtype}" for how in ("eager", "generate") for dtype in ("f32", "bf16")]
SHAPES = json.loads(pathlib.Path(os.environ.get("SHAPES") or pathlib.Path(__file__).with_name("shapes.json")).read_text())


def say(**line):
    print(json.dumps(line), flush=True)


def tokens(rows, length, vocab):
    """Tokens without a pattern, the same in every peer (and in ours)."""
    state, flat = 1, []
    for _ in range(rows * length):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        flat.append((state >> 33) % vocab)
    return flat


def hub_model(shape, context):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=shape["vocab"],
            hidden_size=shape["hidden"],
            intermediate_size=shape["mlp"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            num_key_value_heads=shape["kv_heads"],
            max_position_embeddings=context,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
            rms_norm_eps=1e-6,
            tie_word_embeddings=True,
            use_sliding_window=False,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=0,
            attn_implementation="sdpa",
        )
    )


class Train:
    """Forward, backward, clipping of the global norm, fused AdamW with decay on matrices only."""

    def __init__(self, name, how, dtype):
        import torch
        from plain import Plain

        spec = SHAPES[name]
        shape, work = spec["model"], spec["train"]
        self.torch, self.hub = torch, how == "hub"
        self.per_step = work["rows"] * work["length"]
        self.model = hub_model(shape, work["length"]) if self.hub else Plain(shape, work["length"])
        if dtype == "bf16pure":
            self.model.to(torch.bfloat16)
        self.model.train()
        self.weights = list(self.model.parameters())
        decayed = [p for p in self.weights if p.dim() > 1]
        others = [p for p in self.weights if p.dim() < 2]
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.adamw = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), fused=True)
        self.autocast = dtype == "bf16"
        self.call = torch.compile(self.model) if how == "compile" else self.model
        flat = tokens(work["rows"], work["length"], shape["vocab"])
        self.tokens_BL = torch.tensor(flat).view(work["rows"], work["length"])
        self.targets_BL = self.tokens_BL.roll(-1, 1)
        self.targets_BL[:, -1] = -100

    def step(self):
        torch = self.torch
        with torch.autocast(self.tokens_BL.device.type, torch.bfloat16, enabled=self.autocast):
            if self.hub:
                loss = self.call(self.tokens_BL, labels=self.tokens_BL, use_cache=False).loss
            else:
                loss = self.call(self.tokens_BL, self.targets_BL)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.adamw.step()
        self.adamw.zero_grad(set_to_none=True)
        self.loss = loss.item()
        return self.per_step


class Sample:
    """Draws a batch of responses at temperature 1, all of the same length."""

    def __init__(self, name, how, dtype, group):
        import torch
        from plain import Plain

        spec = SHAPES[name]
        shape, work = spec["model"], spec["sample"]
        context = work["prompt"] + work["new"]
        self.how, self.new, self.group = how, work["new"], group
        self.model = Plain(shape, context) if how == "eager" else hub_model(shape, context)
        if dtype == "bf16":
            self.model.to(torch.bfloat16)
        self.model.eval()
        distinct = work["prompts"] // group
        flat = tokens(distinct, work["prompt"], shape["vocab"])
        self.prompts_BL = torch.tensor(flat).view(distinct, work["prompt"])
        self.weights = list(self.model.parameters())
        self.loss = None

    def step(self):
        if self.how == "eager":
            out_BL = self.model.sample(self.prompts_BL.repeat_interleave(self.group, 0), self.new)
        else:
            out_BL = self.model.generate(
                self.prompts_BL,
                attention_mask=self.prompts_BL.new_ones(self.prompts_BL.shape),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                num_return_sequences=self.group,
                min_new_tokens=self.new,
                max_new_tokens=self.new,
                pad_token_id=0,
            )[:, self.prompts_BL.shape[1] :]
        if tuple(out_BL.shape) != (self.prompts_BL.shape[0] * self.group, self.new):
            raise RuntimeError(f"sampled {tuple(out_BL.shape)}")
        return out_BL.numel()


def check(name):
    """The plain model is Qwen2: equal weights, equal loss and gradient as transformers'."""
    import torch
    from plain import Plain, load_hub_weights

    spec = SHAPES[name]
    shape = spec["model"]
    torch.manual_seed(0)
    hub, ours = hub_model(shape, 48), Plain(shape, 48)
    with torch.no_grad():
        for p in hub.parameters():
            p.add_(torch.randn_like(p), alpha=0.05)
    load_hub_weights(ours, hub)
    tokens_BL = torch.tensor(tokens(2, 48, shape["vocab"])).view(2, 48)
    targets_BL = tokens_BL.roll(-1, 1)
    targets_BL[:, -1] = -100
    theirs = hub(tokens_BL, labels=tokens_BL).loss
    mine = ours(tokens_BL, targets_BL)
    theirs.backward()
    mine.backward()
    a, b = hub.model.embed_tokens.weight.grad, ours.embed.weight.grad
    gap = ((a - b).norm() / a.norm()).item()
    count = sum(p.numel() for p in ours.parameters())
    same = abs(theirs.item() - mine.item()) < 1e-4 and gap < 1e-4 and count == hub.num_parameters()
    say(check=same, loss=[theirs.item(), mine.item()], gradient_gap=gap, parameters=count)
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="T")
    parser.add_argument("--work", choices=["train", "sample"], default="train")
    parser.add_argument("--variant", default="eager-f32", help=" ".join(TRAIN + SAMPLE))
    parser.add_argument("--group", type=int, default=1, help="samples a prompt")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before the first round")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.variant not in (TRAIN if args.work == "train" else SAMPLE):
        parser.error(f"{args.work} has no variant {args.variant}")

    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Compile in this process, not in a pool of workers that would stay around and take the cores.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    import torch
    import transformers

    import memory

    torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    if args.check:
        sys.exit(0 if check(args.shape) else 1)

    base = memory.now()
    how, dtype = args.variant.split("-")
    if args.work == "train":
        job = Train(args.shape, how, dtype)
    else:
        job = Sample(args.shape, how, dtype, args.group)
    versions = f"PyTorch {torch.__version__}, transformers {transformers.__version__}"
    say(parameters=sum(p.numel() for p in job.weights), base=base, versions=versions)
    start = time.perf_counter()
    for _ in range(args.warm_up):
        job.step()
    say(warm_up_seconds=time.perf_counter() - start, loss=job.loss)
    memory.forget_peak()
    settle = torch.cuda.synchronize if args.device == "cuda" else lambda: None
    settle()
    for line in sys.stdin:
        wanted, done = float(line), 0
        start, busy = time.perf_counter(), time.process_time()
        while done == 0 or time.perf_counter() - start < wanted:
            done += job.step()
            settle()
        seconds, core_seconds = time.perf_counter() - start, time.process_time() - busy
        say(seconds=seconds, core_seconds=core_seconds, tokens=done, peak=torch.cuda.max_memory_allocated() if args.device == "cuda" else memory.peak())


if __name__ == "__main__":
    main()
