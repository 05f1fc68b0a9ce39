"""TRL's GRPOTrainer trains a checkpoint of ours on a CPU, and its rewards are the program's."""

import json
import runpy
import subprocess
import sys

import pytest

import tercet
import tercet.trl
from conftest import REPOSITORY

torch = pytest.importorskip("torch")
trl = pytest.importorskip("trl")
transformers = pytest.importorskip("transformers")
datasets = pytest.importorskip("datasets")

RECIPE = REPOSITORY / "recipes/quickstart.toml"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # the model is tiny, and threads that wait for each other cost more than they do


def rows(checkpoint, chat):
    world = tercet.World.from_recipe(checkpoint.parents[3] / "recipe.toml")
    for row in tercet.generate(op="2-4", context="terse", split="rl", n=20, world=world).rows():
        if chat:
            question = row["prompt"].removeprefix("<question> ").removesuffix(" </question> <solution>")
            row["prompt"] = [{"role": "user", "content": question}]
        yield row


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "chat"])
def trained(request, checkpoint, tmp_path_factory):
    """Ten steps; what was rewarded, what was logged, and the model that was saved."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    seen = []
    ours = tercet.trl.reward(kind="blend", alpha=0.3, end=tokenizer)

    def watched(prompts, completions, completion_ids, **columns):
        rewards = ours(prompts, completions, completion_ids, **columns)
        for record, completion, ids, reward in zip(columns["record"], completions, completion_ids, rewards):
            text = completion[-1]["content"] if request.param else completion
            seen.append((record, text, ids[-1] != tokenizer.eos_token_id, reward))
        return rewards

    folder = tmp_path_factory.mktemp("trl")
    trainer = trl.GRPOTrainer(
        model=str(checkpoint),
        train_dataset=datasets.Dataset.from_list(list(rows(checkpoint, request.param))),
        reward_funcs=watched,
        args=trl.GRPOConfig(
            output_dir=str(folder),
            max_steps=10,
            per_device_train_batch_size=8,
            num_generations=4,
            max_completion_length=48,
            bf16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_steps=1,
            seed=1,
        ),
    )
    trainer.train()
    trainer.save_model(str(folder / "model"))
    return trainer, seen, folder / "model"


def test_ten_steps_with_equal_rewards(binary, trained, tmp_path):
    trainer, seen, _ = trained
    assert trainer.state.global_step == 10 and len(seen) == 80
    assert any(cut for _, _, cut, _ in seen) or any(reward > 0 for *_, reward in seen)
    logged = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert len(logged) == 10
    for step, mean in enumerate(logged):
        of_step = [reward for *_, reward in seen[8 * step : 8 * step + 8]]
        assert mean == pytest.approx(sum(of_step) / 8, abs=1e-6)

    # The same texts judged by the program.
    answers = tmp_path / "answers.jsonl"
    lines = [{"text": text, "problem": i, "record": json.loads(record), "cut": cut} for i, (record, text, cut, _) in enumerate(seen)]
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for line, (*_, cut, reward) in zip(binary("verify", "--responses", answers).splitlines(), seen):
        told = json.loads(line)
        outcome, process = float(told["answer_right"]), told["process_acc"]
        assert reward == (0.0 if cut else pytest.approx(0.3 * outcome + 0.7 * process))


def test_what_it_saves_opens_in_the_program(binary, checkpoint, trained, tmp_path):
    *_, model = trained
    recipe = checkpoint.parents[3] / "recipe.toml"
    args = ["--op", 2, "--context", "terse", "--recipe", recipe, "--max-tokens", 16, "--temperature", 0]
    assert "under `paper`" in binary("sample", model, *args)
    text = " owl zoo =12; fox lake =3 + owl zoo;"
    assert binary("tokenizer", "inspect", model, text) == binary("tokenizer", "inspect", checkpoint, text)
    binary("export", "hf", model, "--out", tmp_path / "again")
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "again").model_max_length == 384


@pytest.fixture(scope="module")
def folder(binary, checkpoint, tmp_path_factory):
    """What `tercet export trl` writes for the last stage of the tiny recipe, with a reward that some responses earn."""
    out = tmp_path_factory.mktemp("export") / "trl"
    changes = ["--set", 'stage.rl.rollout.reward={kind="blend",alpha=0.3}', "--set", "stage.rl.policy.mini_batches=2"]
    binary("export", "trl", RECIPE, "--scale", "tiny", *changes, "--model", checkpoint, "--out", out)
    return out


def test_its_parser_takes_the_configuration_of_the_hand_over(folder):
    config = runpy.run_path(str(folder / "train.py"))["config"]
    args = config(["--use_cpu", "true", "--bf16", "false", "--per_device_train_batch_size", "4"])
    assert (args.num_generations, args.max_completion_length, args.temperature) == (4, 192, 1.0)
    assert (args.learning_rate, args.beta, args.epsilon, args.epsilon_high, args.delta) == (2e-4, 1e-3, 0.2, 0.2, 3.0)
    assert (args.loss_type, args.scale_rewards, args.importance_sampling_level) == ("dapo", "group", "token")
    # Three steps of 4 prompts with 4 responses, each in two optimizer steps.
    assert (args.gradient_accumulation_steps, args.steps_per_generation, args.max_steps) == (2, 4, 6)
    assert args.generation_batch_size == 16 and args.lr_scheduler_type == "constant_with_warmup"
    assert datasets.Dataset.from_parquet(str(folder / "train.parquet")).num_rows == 12


def test_the_hand_over_checks_itself_and_trains(folder):
    checked = subprocess.run([sys.executable, folder / "check.py"], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "ids and rewards of 12 problems are Tercet's\n"), checked.stderr
    # A tokenizer that splits otherwise is found out, with the difference.
    tokenizer, config = folder / "checkpoint/tokenizer.json", folder / "conformance.jsonl"
    text = config.read_text()
    config.write_text(text.replace('"prompt_ids":[2,', '"prompt_ids":[3,', 1))
    refused = subprocess.run([sys.executable, folder / "check.py"], capture_output=True, text=True)
    config.write_text(text)
    assert refused.returncode == 1 and "error: the ids of a prompt: at 0 there is [2," in refused.stderr, refused.stderr
    assert tokenizer.is_file()
    options = ["--use_cpu", "true", "--bf16", "false", "--per_device_train_batch_size", "8", "--max_steps", "2", "--max_completion_length", "24"]
    done = subprocess.run([sys.executable, folder / "train.py", *options], capture_output=True, text=True, env=None)
    assert done.returncode == 0 and "rewards/tercet_blend/mean" in done.stdout, done.stdout + done.stderr
    assert (folder / "checkpoints/model.safetensors").is_file()
