"""The hand-over to LLaMA-Factory: its parser takes the folder, and its data are our ids, whole and in order."""

import json
import os
import runpy
import subprocess
import sys

import pytest
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

import tercet
from conftest import REPOSITORY

RECIPE = REPOSITORY / "recipes/quickstart.toml"


@pytest.fixture(scope="module", params=[1, 0], ids=["pt", "sft"])
def folder(request, binary, checkpoint, tmp_path_factory):
    """The folder for mid-training, with loss on everything or on responses only."""
    out = tmp_path_factory.mktemp("export") / "llama-factory"
    weight = ["--set", f"stage.mid.prompt_loss_weight={request.param}"]
    binary(
        "export", "llama-factory", RECIPE, "--scale", "tiny", *weight, "--stage", "mid", "--model", checkpoint, "--problems", 60, "--out", out
    )
    return out


def arguments(folder):
    import yaml

    return {**yaml.safe_load((folder / "config.yaml").read_text()), "bf16": False, "use_cpu": True}


def test_its_parser_takes_the_configuration(folder, monkeypatch):
    monkeypatch.chdir(folder)
    model, data, training, tuning, _ = get_train_args(arguments(folder))
    assert (training.learning_rate, training.weight_decay, str(training.lr_scheduler_type)) == (1e-3, 0.1, "SchedulerType.LINEAR") or (
        training.learning_rate,
        training.weight_decay,
    ) == (1e-3, 0.1)
    assert training.max_steps == 3 and data.cutoff_len == 384 and not data.packing
    assert tuning.finetuning_type == "full" and tuning.stage in ("pt", "sft")


def test_its_data_are_our_ids_and_no_document_is_cut(folder, monkeypatch):
    monkeypatch.chdir(folder)
    model, data, training, tuning, _ = get_train_args(arguments(folder))
    module = load_tokenizer(model)
    tokenizer = module["tokenizer"]
    template = get_template_and_fix_tokenizer(tokenizer, data)
    rows = get_dataset(template, model, data, training, tuning.stage, **module)["train_dataset"]
    examples = [json.loads(line) for line in (folder / "conformance.jsonl").read_text().splitlines()]
    assert len(rows) == 60 == len(examples)
    for row, example in zip(rows, examples):
        assert list(row["input_ids"]) == example["prompt_ids"] + example["response_ids"]
        if tuning.stage == "sft":
            masked = [-100] * len(example["prompt_ids"])
            assert list(row["labels"]) == masked + example["response_ids"]


def test_two_steps(folder, tmp_path):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "DISABLE_VERSION_CHECK": "0"}
    options = ["max_steps=2", "use_cpu=true", "logging_steps=1", "save_strategy=no", f"output_dir={tmp_path}", "overwrite_output_dir=true"]
    command = [sys.executable, "-m", "llamafactory.cli", "train", "config.yaml", *options]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    log = [json.loads(line) for line in (tmp_path / "trainer_log.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    assert len(losses) == 2 and all(0 < loss < 10 for loss in losses)


def test_the_check_of_the_folder_passes(folder):
    runpy.run_path(str(folder / "check.py"), run_name="__main__")
    assert tercet.__version__
