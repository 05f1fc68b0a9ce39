"""Settings that torch reads when it is imported, and what several tests share."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ["HF_HUB_OFFLINE"] = "1"

from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tercet.torch.model import Model
from tercet.torch.ranks import Ranks

# On a GPU some operations know no other way than one that is not.
torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "crates/engine/tests/fixtures"
MODELS = ["qwen2_tied_gqa", "qwen2_untied_mha"]
ADAMW = dict(lr=0.01, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, clip_norm=1.0)


def settings(**changes):
    return Namespace(**{"precision": "f32", "micro_tokens": 16384, "checkpointing": False, "shard": False, **changes})


def open_model(folder, **changes):
    return Model(folder, None, Ranks(), settings(**changes))


def message(sequences):
    """Sequences as the driver sends them."""
    starts = [0]
    for sequence in sequences:
        starts.append(starts[-1] + len(sequence))
    flat = [int(token) for sequence in sequences for token in sequence]
    return {"tokens": torch.tensor(flat, dtype=torch.int32), "starts": torch.tensor(starts, dtype=torch.int32)}


def off(found, expected):
    """Largest difference over the largest value."""
    found, expected = (tensor.detach().cpu().double() for tensor in (found, expected))
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))


def sequences(vocab, lengths, seed=0):
    numbers = torch.Generator().manual_seed(seed)
    return [torch.randint(0, vocab, (n,), generator=numbers).tolist() for n in lengths]


@pytest.fixture(params=MODELS)
def fixture(request):
    """A folder of float64 results of transformers, and a way to read its files."""
    folder = FIXTURES / request.param
    return folder, lambda name: load_file(folder / f"{name}.safetensors")
