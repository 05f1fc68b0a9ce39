"""Run by test_ranks.py under torchrun: gradients, and the weights after three steps, from all ranks together."""

import sys

import torch
import torch.distributed as dist
from conftest import ADAMW, message, open_model, sequences
from safetensors.torch import save_file


def add_gradient(model, lengths, seed):
    batch = model.read(message(sequences(model.vocab, lengths, seed)))
    model.forward_backward(batch, 1.0, torch.full((len(batch),), -1 / len(batch)), None)


def summed(model):
    """The gradient of all ranks together; each keeps its own."""
    parts = {n: torch.zeros_like(w) if w.grad is None else w.grad.clone() for n, w in model.weights.items()}
    model.ranks.sum(list(parts.values()))
    for weight in model.weights.values():
        weight.grad = None
    return parts


def main(folder, out):
    model = open_model(folder)
    tensors = {}
    # Uneven shares, and a single sequence: then all ranks but one have none, and no gradient of their own.
    for name, lengths in [("many", [30, 3, 17, 17, 9]), ("single", [12])]:
        add_gradient(model, lengths, 0)
        tensors |= {f"{name}.{n}": gradient for n, gradient in summed(model).items()}
    for step, lengths in enumerate([[30, 3, 17], [12], [5, 40, 2]]):
        add_gradient(model, lengths, step)
        model.optim_step(ADAMW)
    if model.ranks.rank == 0:
        save_file(tensors | {f"weights.{n}": w.detach() for n, w in model.weights.items()}, out)
    if model.ranks.count > 1:
        # gloo can abort at the end of a process that leaves before the others.
        dist.barrier()
        dist.destroy_process_group()


main(*sys.argv[1:])
