"""Several processes compute what one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ADAMW, FIXTURES, off
from safetensors.torch import load_file


def run(folder, count, *options):
    """What the processes say, and the checkpoint that they wrote."""
    here = Path(__file__).parent
    out = folder / f"{count}{''.join(options)}.safetensors"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)] if count > 1 else []
    command = [sys.executable, *launcher, str(here / "two_ranks.py"), str(FIXTURES / "qwen2_tied_gqa"), str(out), *options]
    path = os.pathsep.join([str(here), *sys.path])
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, timeout=300)
    return load_file(out)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return run(tmp_path_factory.mktemp("one"), 1)


@pytest.mark.parametrize("count, options", [(2, []), (4, []), (2, ["shard"]), (4, ["shard"])])
def test_several_processes_compute_what_one_does(one, count, options, tmp_path):
    several = run(tmp_path, count, *options)
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
