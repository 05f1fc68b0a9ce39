"""Clusters of two nodes on this machine, and the recipe that runs on them."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = os.environ.get("TERCET_BINARY", "tercet")
ARMS = "\n".join(
    f'[[arm]]\nname = "lr-{i}"\nset = {{ "stage.rl.optimizer.lr" = {i}e-4 }}' for i in range(1, 5)
)
#: Small, and with stages that take long enough to be killed in.
CHANGES = ["scale=tiny", "claim=[]", "stage.pre.tokens=60000", "stage.pre.checkpoint_every=2", "stage.rl.steps=4"]


def tercet(*words, **more):
    return subprocess.run([PROGRAM, *map(str, words)], text=True, capture_output=True, **more)


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    """Four arms that share their base."""
    path = tmp_path_factory.mktemp("recipe") / "four.toml"
    path.write_text((ROOT / "recipes/quickstart.toml").read_text() + ARMS)
    return path


@pytest.fixture(scope="session")
def changes():
    return [word for change in CHANGES for word in ("--set", change)]


@pytest.fixture(scope="session")
def serial(recipe, changes, tmp_path_factory):
    """The run that one process makes."""
    out = tmp_path_factory.mktemp("serial") / "run"
    ended = tercet("run", recipe, *changes, "--out", out, "--threads", 1)
    assert ended.returncode == 0, ended.stderr
    return out


@pytest.fixture
def cluster():
    """A head without cores and two nodes of one core each."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.nodes_of_test = nodes
    ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
    yield cluster
    ray.shutdown()
    cluster.shutdown()
