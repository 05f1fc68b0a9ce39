"""The adaptors beside the programs they are for, each where it is installed."""

import asyncio
import json

import pytest

import tercet

PROBLEMS = tercet.generate(op="2-4", context="terse", n=4)


def test_verifiers():
    vf = pytest.importorskip("verifiers.v1")
    from tercet.verifiers import TercetConfig, TercetTask, TercetTaskset

    taskset = TercetTaskset(TercetConfig(op="2-4", context="terse", n=4))
    tasks = list(taskset)
    assert [task.data.record for task in tasks] == [problem.record_json for problem in PROBLEMS]
    assert [task.data.prompt for task in tasks] == [problem.prompt for problem in PROBLEMS]
    assert taskset.task_type() is TercetTask and issubclass(TercetTaskset, vf.Taskset)

    class Trace:
        def __init__(self, reply, cut=False):
            self.last_reply, self.is_truncated = reply, cut

    for task, problem in zip(tasks, PROBLEMS):
        rewards = [
            asyncio.run(task.tercet(trace))
            for trace in (Trace(problem.response.strip()), Trace("no"), Trace(problem.response, cut=True))
        ]
        assert rewards == [1.0, 0.0, 0.0]


def test_reasoning_gym():
    dataset = pytest.importorskip("reasoning_gym.dataset")
    from tercet.reasoning_gym import Dataset

    data = Dataset(PROBLEMS)
    theirs = {name for name in vars(dataset.ProceduralDataset) if not name.startswith("_")} - {"category"}
    assert theirs <= set(dir(data)), "what their data sets have"
    assert all(data.score_answer(entry["answer"], entry) == 1.0 for entry in data)


def test_verl():
    verl = pytest.importorskip("verl")
    torch = pytest.importorskip("torch")
    numpy = pytest.importorskip("numpy")
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import load_reward_manager

    config = OmegaConf.create(
        {
            "reward": {
                "custom_reward_function": {
                    "path": "pkg://tercet.verl",
                    "name": "compute_score",
                    "reward_kwargs": {"kind": "outcome", "policy": "strict"},
                },
                "reward_manager": {
                    "source": "importlib",
                    "name": "RewardManager",
                    "module": {"path": "pkg://tercet.verl"},
                },
            }
        }
    )
    problem = PROBLEMS[0]

    class Tokenizer:
        eos_token_id = 2

        def decode(self, ids, skip_special_tokens):
            return problem.response

    manager = load_reward_manager(config, Tokenizer())
    truth = numpy.array([{"ground_truth": problem.record_json}], dtype=object)
    for ids, reward in [([5, 2, 0, 0], 1.0), ([5, 6, 7, 8], 0.0)]:
        length = ids.index(0) if 0 in ids else 4
        batch = {
            "prompts": torch.ones(1, 3, dtype=torch.long),
            "responses": torch.tensor([ids]),
            "attention_mask": torch.tensor([[1] * (3 + length) + [0] * (4 - length)]),
        }
        fields = {"data_source": numpy.array(["tercet"], dtype=object), "reward_model": truth}
        data = verl.DataProto.from_dict(tensors=batch, non_tensors=fields)
        found = asyncio.run(manager.run_single(data))
        assert found["reward_score"] == reward
        scores = type(manager).assemble_rm_scores(data, [reward])
        assert scores.tolist() == [[reward if i == length - 1 else 0.0 for i in range(4)]]


def test_lm_eval(checkpoint, tmp_path, monkeypatch):
    lm_eval = pytest.importorskip("lm_eval")
    import torch
    from lm_eval.tasks import TaskManager
    from tercet.lm_eval import folder

    torch.set_num_threads(1)
    world = tercet.World.from_recipe(checkpoint.parents[3] / "recipe.toml")
    problems = tercet.generate(op="2-3", context="terse", n=8, world=world)
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(problem.record_json + "\n" for problem in problems))
    monkeypatch.setenv("TERCET_PROBLEMS", str(path))
    found = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(checkpoint), "dtype": "float32"},
        tasks=["tercet"],
        task_manager=TaskManager(include_path=str(folder()), include_defaults=False),
        device="cpu",
        batch_size=8,
        gen_kwargs="max_gen_toks=64",
        log_samples=True,
        bootstrap_iters=0,
    )
    samples = found["samples"]["tercet"]
    assert len(samples) == len(problems)
    verdicts = [tercet.verify(tercet.Problem.from_record(s["doc"]["record"]), s["resps"][0][0]) for s in samples]
    assert [s["verified"] for s in samples] == [float(verdict.verified) for verdict in verdicts]
    scores = found["results"]["tercet"]
    assert scores["process,none"] == pytest.approx(sum(verdict.process for verdict in verdicts) / len(verdicts))
    assert scores["correct,none"] == pytest.approx(sum(verdict.correct for verdict in verdicts) / len(verdicts))
    assert json.dumps(scores)
