"""Run by test_ranks.py: gradients, samples, and the weights after three steps, from all ranks together.

The ranks are forks of this process, which has imported what they need once; torchrun itself is tested elsewhere.
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from conftest import ADAMW, message, open_model, sequences
from safetensors.torch import save_file
from tercet.torch.shard import whole_tensors
from tercet.torch.verbs import Worker
from tercet.torch.wire import decode, encode


def add_gradient(model, lengths, seed):
    batch = model.read(message(sequences(model.vocab, lengths, seed)))
    gradient_T = torch.full((len(batch),), -1 / len(batch))
    # In two phases and in one, by turns; of an objective's, the weights of a KL term are often 0.
    if seed % 2:
        model.forward(batch, 1.0)
        model.backward(gradient_T, None)
    else:
        model.forward_backward(batch, 1.0, gradient_T, None)


def summed(model):
    """The gradient of all ranks together; each keeps its own, unless it is sharded."""
    parts = {n: torch.zeros_like(w) if w.grad is None else w.grad.clone() for n, w in model.weights.items()}
    if not model.sharded:
        model.ranks.sum(list(parts.values()))
    model.module.zero_grad()
    return whole_tensors(parts)


def samples(model):
    """Texts of prompts of several lengths, as the driver asks for them."""
    prompts = message(sequences(model.vocab, [5, 9, 2, 14, 7] * 10, 3))
    worker = Worker(model.ranks, model.settings)
    worker.models[1] = model
    uniforms = torch.rand(100, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    sampling = {"temperature": 0.8, "top_p": 1.0, "top_k": 0, "max_tokens": 20}
    counts = torch.full((50,), 2, dtype=torch.int32)
    request = encode({"verb": "sample", "model": 1, "sampling": sampling}, prompts | {"counts": counts, "uniforms": uniforms})
    return decode(worker.job(request, lambda lengths: None))[1]["tokens"]


def main(folder, out, *options):
    model = open_model(folder, shard="shard" in options)
    tensors = {}
    # Uneven shares, and a single sequence: then all ranks but one have none, and no gradient of their own.
    for name, lengths in [("many", [30, 3, 17, 17, 9]), ("single", [12])]:
        add_gradient(model, lengths, 0)
        tensors |= {f"{name}.{n}": gradient for n, gradient in summed(model).items()}
    tensors["samples"] = samples(model)
    for step, lengths in enumerate([[30, 3, 17], [12], [5, 40, 2]]):
        add_gradient(model, lengths, step)
        model.optim_step(ADAMW)
    tensors |= {f"weights.{n}": w.detach() for n, w in whole_tensors(model.weights).items()}
    # A checkpoint holds the whole model, whoever wrote it.
    checkpoint = Path(out).with_suffix("")
    model.save(checkpoint, True)
    if model.ranks.count > 1:
        dist.barrier()
    again = type(model)(checkpoint, None, model.ranks, model.settings)
    same = lambda a, b: all(torch.equal(x, b[n]) for n, x in whole_tensors(a).items())
    assert same(model.weights, whole_tensors(again.weights)) and same(model.first, whole_tensors(again.first))
    again.load(folder)
    assert again.first is None and not same(model.weights, whole_tensors(again.weights))
    if model.ranks.rank == 0:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out)
    if model.ranks.count > 1:
        # gloo can abort at the end of a process that leaves before the others.
        dist.barrier()
        dist.destroy_process_group()


def fork(rank, count, port, *rest):
    child = os.fork()
    if child == 0:
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in names.items()})
        torch.set_num_threads(1)
        main(*rest)
        sys.exit(0)
    return child


folder, out, port = sys.argv[1:4]
for number, kind in enumerate(sys.argv[4:]):
    count, *options = kind.split("-")
    ranks = [fork(r, int(count), int(port) + number, folder, f"{out}/{kind}.safetensors", *options) for r in range(int(count))]
    running = set(ranks)
    while running:
        rank, status = os.wait()
        running.discard(rank)
        if status != 0:
            # The others would wait for it in vain.
            for rank in running:
                os.kill(rank, 9)
            sys.exit(f"a rank of {kind} failed")
