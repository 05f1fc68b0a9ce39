"""Several processes compute what one does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ADAMW, FIXTURES, off
from safetensors.torch import load_file

SEVERAL = ["2", "4", "2-shard", "4-shard"]


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """What one process computes, and what several do."""
    here, out = Path(__file__).parent, tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(here / "two_ranks.py"), str(FIXTURES / "qwen2_tied_gqa"), str(out), str(port)]
    path = os.pathsep.join([str(here), *sys.path])
    subprocess.run([*command, "1", *SEVERAL], check=True, env=os.environ | {"PYTHONPATH": path}, timeout=300)
    return {kind: load_file(out / f"{kind}.safetensors") for kind in ["1", *SEVERAL]}


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_processes_compute_what_one_does(computed, kind):
    one, several = computed["1"], dict(computed[kind])
    same = (several.pop("samples") == one["samples"]).all(-1)
    assert len(same) == 100 and int(same.sum()) >= 99
    for name, found in several.items():
        expected, kind = one[name], name.split(".")[0]
        if name.endswith("k_proj.bias"):
            # Softmax hardly feels it. Its gradient is small beside that of the values' bias, and Adam enlarges its rounding.
            scale = one[name.replace("k_proj", "v_proj")].abs().max()
            worst = float((found - expected).abs().max())
            bound = 1e-6 * scale if kind != "weights" else 0.1 * ADAMW["lr"] * 3
        else:
            worst, bound = off(found, expected), 1e-4 if kind == "weights" else 1e-6
        assert worst < bound, f"{name}: {worst}"
