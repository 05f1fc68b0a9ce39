"""TRL's GRPOTrainer trains a checkpoint of ours on a CPU, and its rewards are the program's."""

import json

import pytest

import tercet
import tercet.trl

torch = pytest.importorskip("torch")
trl = pytest.importorskip("trl")
transformers = pytest.importorskip("transformers")
datasets = pytest.importorskip("datasets")


def test_ten_steps_with_equal_rewards(binary, checkpoint, tmp_path):
    torch.set_num_threads(1)  # the model is tiny, and threads that wait for each other cost more than they do
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    world = tercet.World.from_recipe(checkpoint.parents[3] / "recipe.toml")
    problems = tercet.generate(op="2-4", context="terse", split="rl", n=20, world=world)
    seen = []
    ours = tercet.trl.reward(kind="blend", alpha=0.3, end=tokenizer)

    def watched(prompts, completions, completion_ids, **columns):
        rewards = ours(prompts, completions, completion_ids, **columns)
        for record, text, ids, reward in zip(columns["record"], completions, completion_ids, rewards):
            seen.append((record, text, ids[-1] != tokenizer.eos_token_id, reward))
        return rewards

    trainer = trl.GRPOTrainer(
        model=str(checkpoint),
        train_dataset=datasets.Dataset.from_list(list(problems.rows())),
        reward_funcs=watched,
        args=trl.GRPOConfig(
            output_dir=str(tmp_path / "trl"),
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
    assert trainer.state.global_step == 10 and len(seen) == 80
    assert any(cut for _, _, cut, _ in seen) or any(reward > 0 for *_, reward in seen)
    logged = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
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
