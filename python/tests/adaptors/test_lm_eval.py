"""The task of lm-evaluation-harness scores a checkpoint as `tercet eval` does."""

import json

import lm_eval
import pytest
import torch
from lm_eval.tasks import TaskManager

import tercet
from conftest import REPOSITORY
from tercet.lm_eval import folder

RECIPE = REPOSITORY / "recipes/quickstart.toml"


@pytest.fixture(scope="module")
def able(tmp_path_factory):
    """A model that solves some problems: about half a minute of pre-training."""
    run = tmp_path_factory.mktemp("run") / "able"
    changes = {"evaluation.suite.main.problems": 1, "evaluation.suite.main.samples": 1, "stage.mid.tokens": 2048, "stage.rl.steps": 1}
    tercet.run(RECIPE, scale="tutorial", set=changes, out=run, progress=False)
    return next((run / "stages").glob("pre-*/checkpoints/step-*"))


@pytest.fixture(scope="module")
def problems(able, tmp_path_factory):
    """Problems of the checkpoint's world, and the file with their records."""
    world = tercet.World.from_recipe(able.parents[3] / "recipe.toml")
    problems = tercet.generate(op="2-4", context="terse", n=12, world=world)
    path = tmp_path_factory.mktemp("lm-eval") / "problems.jsonl"
    path.write_text("".join(problem.record_json + "\n" for problem in problems))
    return problems, path


@pytest.fixture(scope="module")
def found(able, problems):
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERCET_PROBLEMS", str(problems[1]))
        return lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(able), "dtype": "float32"},
            tasks=["tercet"],
            task_manager=TaskManager(include_path=str(folder()), include_defaults=False),
            device="cpu",
            batch_size=8,
            gen_kwargs="max_gen_toks=96",
            log_samples=True,
            bootstrap_iters=0,
        )


def test_its_scores_are_the_judges(found, problems):
    samples = found["samples"]["tercet"]
    assert len(samples) == len(problems[0])
    verdicts = [tercet.verify(tercet.Problem.from_record(s["doc"]["record"]), s["resps"][0][0]) for s in samples]
    assert [s["verified"] for s in samples] == [float(verdict.verified) for verdict in verdicts]
    assert 0 < sum(verdict.verified for verdict in verdicts) < len(verdicts), "a model that can some and not all"
    scores = found["results"]["tercet"]
    assert scores["process,none"] == pytest.approx(sum(verdict.process for verdict in verdicts) / len(verdicts))
    assert scores["correct,none"] == pytest.approx(sum(verdict.correct for verdict in verdicts) / len(verdicts))
    assert json.dumps(scores)


def test_the_programs_evaluation_of_its_samples_says_the_same(binary, found, problems, tmp_path):
    """`tercet eval --responses` reads the harness's log of samples."""
    responses = tmp_path / "samples_tercet.jsonl"
    samples = found["samples"]["tercet"]
    responses.write_text("".join(json.dumps(sample, default=str) + "\n" for sample in samples))
    rows = binary("eval", "--responses", responses, "--problems", problems[1]).splitlines()
    verified = {row["problem"]: row["verified"] for row in map(json.loads, rows)}
    assert verified == {sample["doc_id"]: int(sample["verified"]) for sample in samples}
