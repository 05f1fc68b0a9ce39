"""Weights, gradients and moments shared out over the processes (FSDP2)."""

from contextlib import contextmanager

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def split(module, ranks):
    """Shards a model in place, layer by layer."""
    mesh = init_device_mesh(ranks.device.type, (ranks.count,))
    layers = next(part for part in module.modules() if isinstance(part, torch.nn.ModuleList))
    for part in (*layers, module):
        fully_shard(part, mesh=mesh)
    for part in sharded(module):
        # A sum, never a mean: losses are normalised over the whole step. gloo knows no other way to get one.
        part.set_gradient_divide_factor(1.0)
        part.set_force_sum_reduction_for_comms(True)


def sharded(module):
    return [part for part in module.modules() if isinstance(part, FSDPModule)]


@contextmanager
def whole(module):
    """All weights on every rank, so that passes need nobody else."""
    for part in sharded(module):
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in sharded(module):
            part.set_reshard_after_forward(True, recurse=False)
            part.reshard()


def local(tensor):
    """The part of a tensor that this process holds."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole_tensors(tensors):
    """Tensors in one piece; all ranks must ask."""
    return {name: t.full_tensor() if isinstance(t, DTensor) else t for name, t in tensors.items()}


def like(tensor, weight):
    """A tensor, laid out over the processes as a weight is."""
    tensor = tensor.to(weight.device)
    return distribute_tensor(tensor, weight.device_mesh, weight.placements) if isinstance(weight, DTensor) else tensor
