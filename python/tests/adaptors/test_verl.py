"""The hand-over to verl, beside verl without vllm: its data set class, its configuration, its reward loop, its advantages."""

import asyncio
import json
import random
from collections import Counter

import numpy
import pytest
import torch
import verl
from hydra import compose, initialize_config_dir
from transformers import AutoTokenizer
from verl.experimental.reward_loop.reward_loop import migrate_legacy_reward_impl
from verl.trainer.ppo.core_algos import get_adv_estimator_fn
from verl.trainer.ppo.reward import load_reward_manager
from verl.utils.config import omega_conf_to_dataclass, validate_config
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer.continuous_token import QwenContinuousTokenBuilder

import tercet
from conftest import REPOSITORY

RECIPE = REPOSITORY / "recipes/quickstart.toml"


@pytest.fixture(scope="module")
def folder(binary, checkpoint, tmp_path_factory):
    """What `tercet export verl` writes for a stage whose reward is a blend under the strict policy."""
    out = tmp_path_factory.mktemp("export") / "verl"
    changes = ['stage.rl.rollout.reward={kind="blend",alpha=0.3}', "stage.rl.rollout.policy=strict"]
    changes = [word for change in changes for word in ("--set", change)]
    binary("export", "verl", RECIPE, "--scale", "tiny", *changes, "--model", checkpoint, "--problems", 40, "--out", out)
    return out


@pytest.fixture(scope="module")
def config(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPORT", str(folder))
        patch.setenv("GPUS", "1")
        with initialize_config_dir(config_dir=str(folder), version_base=None):
            config = migrate_legacy_reward_impl(compose("config"))
            yield config


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder / "checkpoint")


@pytest.fixture(scope="module")
def data(config, tokenizer, folder):
    return RLHFDataset(config.data.train_files, tokenizer, config.data)


def test_the_check_of_the_folder_passes(folder):
    import runpy

    runpy.run_path(str(folder / "check.py"), run_name="__main__")


def test_hydra_takes_the_configuration(config):
    validate_config(config, use_reference_policy=True, use_critic=False)
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    assert (config.data.train_batch_size, rollout.n, rollout.response_length) == (4, 4, 192)
    assert (actor.optim.lr, actor.kl_loss_coef, actor.kl_loss_type, actor.use_kl_loss) == (2e-4, 1e-3, "low_var_kl", True)
    assert (actor.clip_ratio_low, actor.clip_ratio_c, actor.loss_agg_mode) == (0.2, 3.0, "token-mean")
    assert config.algorithm.adv_estimator == "grpo" and config.trainer.total_training_steps == 3
    assert omega_conf_to_dataclass(actor).optim.lr == 2e-4


def test_the_data_set_gives_the_prompt_ids_of_training(data, tokenizer):
    assert len(data) == 40
    builder = QwenContinuousTokenBuilder(tokenizer)
    for row in (data[i] for i in range(40)):
        problem = tercet.Problem.from_record(row["reward_model"]["ground_truth"])
        ids = builder.build_initial_tokens(list(row["raw_prompt"]))
        assert ids == tokenizer(problem.prompt)["input_ids"]
        assert row["data_source"] == f"tercet/op{problem.op:02}/{problem.context}"
        assert row["extra_info"]["id"] == problem.id


def responses(problems):
    """Of each problem a correct response, one without its first step, one with wrong arithmetic, a wrong answer, and one that
    is cut at its last token."""
    for problem in problems:
        text = problem.response
        yield problem, text, False
        yield problem, ". ".join(text.split(". ")[1:]), False
        yield problem, text.replace(f"<answer> {problem.answer} ", f"<answer> {problem.answer + 1} "), False
        yield problem, text.replace(" =", " =1 =", 1), False
        yield problem, text, True


def test_its_reward_loop_calls_ours_with_the_policy(config, tokenizer, data):
    manager = load_reward_manager(config, tokenizer)
    assert type(manager).__module__ == "tercet.verl" or type(manager).__qualname__ == "RewardManager"
    problems = [tercet.Problem.from_record(data[i]["reward_model"]["ground_truth"]) for i in range(8)]
    found, expected, policies = [], [], Counter()
    for problem, text, cut in responses(problems):
        ids = [*tokenizer(text)["input_ids"], *([] if cut else [tokenizer.eos_token_id])]
        prompt, width = tokenizer(problem.prompt)["input_ids"], len(ids) + 3
        mask = [1] * (len(prompt) + len(ids)) + [0] * (width - len(ids))
        batch = {
            "prompts": torch.tensor([prompt]),
            "responses": torch.tensor([ids + [tokenizer.pad_token_id] * (width - len(ids))]),
            "attention_mask": torch.tensor([mask]),
        }
        truth = numpy.array([{"style": "rule", "ground_truth": problem.record_json}], dtype=object)
        fields = {"data_source": numpy.array(["tercet"], dtype=object), "reward_model": truth}
        item = verl.DataProto.from_dict(tensors=batch, non_tensors=fields)
        result = asyncio.run(manager.run_single(item))
        found.append(result["reward_score"])
        strict, paper = (
            tercet.reward(problem, text, kind="blend", alpha=0.3, policy=policy, cut=cut) for policy in ("strict", "paper")
        )
        expected.append(strict.reward)
        assert result["reward_extra_info"]["verified"] == strict.verified
        policies[strict.verified == paper.verified] += 1
        scores = type(manager).assemble_rm_scores(item, [result["reward_score"]])
        assert scores.shape == batch["responses"].shape and float(scores[0, len(ids) - 1]) == pytest.approx(strict.reward)
        assert float(scores.sum()) == pytest.approx(strict.reward)
    assert found == expected and len(set(expected)) > 3
    assert policies[False] > 0, "no response is judged otherwise by the two policies, so the policy is not tested"


@pytest.mark.parametrize(("ours", "theirs", "by_std"), [("grpo", "grpo", True), ("grpo-no-std", "grpo", False), ("rloo", "rloo", True)])
def test_its_advantages_are_ours(ours, theirs, by_std):
    rng = random.Random(3)
    groups = [[rng.choice([0.0, 0.25, 0.6, 1.0]) for _ in range(6)] for _ in range(20)] + [[1.0] * 6, [0.0] * 6]
    lengths = [rng.randint(1, 9) for group in groups for _ in group]
    rewards, mask = torch.zeros(len(lengths), 9), torch.zeros(len(lengths), 9)
    for i, (reward, length) in enumerate(zip((r for group in groups for r in group), lengths)):
        mask[i, :length] = 1
        rewards[i, length - 1] = reward
    index = numpy.array([str(p) for p, group in enumerate(groups) for _ in group], dtype=object)
    found, _ = get_adv_estimator_fn(theirs)(
        token_level_rewards=rewards, response_mask=mask, index=index, norm_adv_by_std_in_grpo=by_std
    )
    expected = torch.tensor([a for group in tercet.advantages(groups, ours) for a in group])
    assert torch.allclose(found, expected[:, None] * mask, atol=2e-5)
    assert float(found.abs().max()) > 0.5 and json.dumps(expected.tolist())
