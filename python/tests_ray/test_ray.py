"""The graph on two nodes: what comes out is what one process makes."""

import json
import threading
import time

import pytest
from conftest import PROGRAM, tercet
from tercet import ray as on_ray


def assert_equal(a, b):
    compared = tercet("compare", "--assert-equal", a, b)
    assert compared.returncode == 0, compared.stdout + compared.stderr


def run(recipe, out, *more):
    return on_ray.main(["run", str(recipe), "--out", str(out), "--program", PROGRAM, *map(str, more)])


def stages(out):
    return {path.parent.name: json.loads((path.parent / "maker.json").read_text()) for path in (out / "stages").glob("*/done.json")}


def test_two_nodes_make_what_one_process_makes(cluster, recipe, changes, serial, tmp_path, capfd):
    out = tmp_path / "run"
    assert run(recipe, out, *changes) == 0
    assert_equal(serial, out)
    # The base once, and an arm each.
    assert len(stages(out)) == 6
    assert "[6/6]" in capfd.readouterr().err


def test_a_node_that_dies_in_the_middle_changes_nothing(cluster, recipe, changes, serial, tmp_path):
    out = tmp_path / "run"
    killed = []

    def kill():
        """The node whose stage has taken a few steps."""
        until = time.monotonic() + 120
        while time.monotonic() < until and not killed:
            for path in out.glob("stages/pre-*/checkpoints"):
                if any(path.iterdir()) and not (path.parent / "done.json").exists():
                    import ray

                    busy = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
                    free = ray._private.state.available_resources_per_node()
                    for node in cluster.nodes_of_test:
                        if node.node_id in busy and not free.get(node.node_id, {}).get("CPU"):
                            killed.append(node)
                            cluster.remove_node(node, allow_graceful=False)
                            return
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    assert run(recipe, out, *changes) == 0
    killer.join()
    assert killed, "no node was killed"
    assert_equal(serial, out)
    assert sum(name.startswith("pre-") for name in stages(out)) == 1


def test_nodes_that_do_not_see_the_run_folder_send_their_stages(cluster, recipe, changes, serial, tmp_path, monkeypatch):
    out = tmp_path / "run"
    real = on_ray.Job

    def elsewhere(program, folder, *rest):
        return real(program, folder + "-which-no-node-sees", *rest)

    monkeypatch.setattr(on_ray, "Job", elsewhere)
    assert run(recipe, out, *changes) == 0
    assert_equal(serial, out)


def test_a_stage_that_fails_is_named_with_its_log_and_the_rest_goes_on(cluster, recipe, changes, tmp_path, capfd):
    out = tmp_path / "run"
    assert tercet("run", recipe, *changes, "--out", out, "--arm", "lr-1").returncode == 0
    done = next(out.glob("stages/rl-*"))
    for weights in done.glob("checkpoints/*/model.safetensors"):
        weights.unlink()
    assert run(recipe, out, *changes) == 1
    said = capfd.readouterr().err
    assert f"{done.name} failed: exit code 1" in said and f"{done.name}.log" in said, said
    assert "1 of 6 stages are not finished" in said
    assert len(stages(out)) == 6
    assert (out / "report.html").exists()


def test_a_sweep_is_a_grid_of_arms(recipe, tmp_path):
    plain = tmp_path / "plain.toml"
    plain.write_text(recipe.read_text().split("[[arm]]")[0])
    axes = ["stage.rl.optimizer.lr=1e-4,2e-4", "stage.rl.rollout.samples=2,4"]
    for path, arms in ((plain, 4), (recipe, 16)):
        changes = [word for change in on_ray.sweep(path, axes) for word in ("--set", change)]
        planned = tercet("plan", path, "--set", "scale=tiny", *changes, "--untimed", "--json")
        assert planned.returncode == 0, planned.stderr
        nodes = json.loads(planned.stdout)["nodes"]
        ends = [node for node in nodes if node["kind"] == "stage" and node["stage"]["name"] == "rl"]
        assert sum(len(node["stage"]["arms"]) for node in ends) == arms
        assert sum(node["kind"] == "stage" and node["stage"]["name"] == "pre" for node in nodes) == 1
    with pytest.raises(ValueError, match="KEY=V1,V2"):
        on_ray.sweep(plain, ["stage.rl.steps"])
