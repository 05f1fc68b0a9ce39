"""Runs are those of the program; results are frames."""

import json
import math
import signal
import subprocess
import sys

import pytest

import tercet
from conftest import REPOSITORY

RECIPE = REPOSITORY / "recipes/quickstart.toml"


def test_a_run_is_the_programs_run(binary, tiny, tmp_path):
    binary("run", RECIPE, "--scale", "tiny", "--out", tmp_path / "run")
    binary("compare", "--assert-equal", tiny.folder, tmp_path / "run")
    assert (tiny.path, str(tiny)) == (tiny.folder / "report.html", tiny.table)
    assert tiny.table == binary("report", tmp_path / "run")
    again = tercet.report(tiny.folder)
    assert again == tiny and "pass@1" in again.table and "<pre>" in again._repr_html_()
    manifest = json.loads((tiny.folder / "manifest.json").read_text())
    assert manifest["command"].startswith("tercet.run('") and "scale=tiny" in manifest["command"]


def test_results_are_frames(tiny):
    pandas, polars = tercet.results(tiny.folder), tiny.results("polars")
    table = json.loads((tiny.folder / "results.json").read_text())
    assert len(pandas.rows) == len(table["rows"]) and len(pandas.claims) == len(table["claims"])
    for i, row in enumerate(table["rows"]):
        for frame in (pandas.rows.iloc[i], polars.rows.row(i, named=True)):
            assert frame["pass_1"] == row["pass_1"]["value"] and frame["pass_1_low"] == row["pass_1"]["low"]
            assert frame["model"] == row["model"] and frame["op_to"] == row["ops"][1]
            measured = {m["metric"]: m["estimate"]["value"] for m in row["measures"]}
            assert all(frame[name] == value for name, value in measured.items())
    assert list(pandas.claims["verdict"]) == [claim["verdict"] for claim in table["claims"]]
    lines = {}
    for path in sorted((tiny.folder / "stages").glob("*/metrics.jsonl")):
        lines.update({(path.parent.name, line["step"]): line["values"] for line in map(json.loads, path.open())})
    assert len(pandas.metrics) == len(polars.metrics) == len(lines) > 10
    for frame in polars.metrics.iter_rows(named=True):
        for name, value in lines[frame["stage"], frame["step"]].items():
            assert frame[name] == value or (value is None and (frame[name] is None or math.isnan(frame[name])))
    with pytest.raises(ValueError, match="known are pandas, polars"):
        tercet.results(tiny.folder, "arrow")


def test_a_plan_is_the_programs(binary):
    assert tercet.plan(RECIPE, set={"seeds": [1, 2]}) == json.loads(
        binary("plan", "--untimed", "--json", "--set", "seeds=[1,2]", RECIPE)
    )


def test_a_wrong_recipe_is_shown_with_its_place(tmp_path):
    for call in (tercet.plan, lambda recipe, **more: tercet.run(recipe, out=tmp_path / "no", progress=False, **more)):
        with pytest.raises(ValueError, match="stage.rl.stepps"):
            call(RECIPE, set=["stage.rl.stepps=3"])
        with pytest.raises(ValueError, match="scale"):
            call(RECIPE, scale="huge")
        with pytest.raises(ValueError, match=r'such as \["stage.rl.steps=50"\]'):
            call(RECIPE, set="stage.rl.steps=3")
    with pytest.raises(ValueError, match="the recipe has no arm `x`"):
        tercet.run(RECIPE, scale="tiny", arm="x", out=tmp_path / "no", progress=False)
    with pytest.raises(ValueError, match="is no run folder"):
        tercet.run(RECIPE, scale="tiny", reuse=[tmp_path], progress=False)
    with pytest.raises(OSError):
        tercet.report(tmp_path)


STOPPED = """
import sys, threading, _thread, time, tercet
recipe, out = sys.argv[1:]
try:
    tercet.run(recipe, scale="tiny", out=out)
except KeyboardInterrupt:
    sys.exit(77)
"""


def test_ctrl_c_saves_and_the_same_call_resumes(binary, tiny, tmp_path):
    out = tmp_path / "stopped"
    process = subprocess.Popen([sys.executable, "-c", STOPPED, RECIPE, out], stderr=subprocess.PIPE, text=True)
    seen = ""
    while "already done" not in seen and "steps" not in seen:  # the line of the first finished stage
        seen += process.stderr.readline()
    process.send_signal(signal.SIGINT)
    seen += process.stderr.read()
    assert process.wait(timeout=60) == 77, seen
    assert "stopping after this step and saving" in seen
    assert not (out / "report.html").exists()
    tercet.run(RECIPE, scale="tiny", out=out, progress=False)
    binary("compare", "--assert-equal", tiny.folder, out)


def test_a_listener_that_fails_stops_the_run(tmp_path, monkeypatch):
    import tercet._runs

    class Broken:
        def begins(self, *news):
            raise ZeroDivisionError("the listener")

        done = line = begins

        def close(self):
            self.closed = True

    broken = Broken()
    monkeypatch.setattr(tercet._runs, "listener", lambda progress: broken)
    with pytest.raises(ZeroDivisionError, match="the listener"):
        tercet.run(RECIPE, scale="tiny", out=tmp_path / "broken")
    assert broken.closed
