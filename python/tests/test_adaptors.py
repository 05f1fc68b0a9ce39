"""Each adaptor is a few lines over one function: its rewards are `tercet.reward`'s."""

import asyncio
import json

import pytest

import tercet
import tercet.reasoning_gym
import tercet.trl
import tercet.verl

PROBLEMS = list(tercet.generate(op=5, context="terse", n=6))
# A correct response, one without its first step, and a wrong answer.
TEXTS = [
    text
    for problem in PROBLEMS
    for text in (
        problem.response,
        ". ".join(problem.response.split(". ")[1:]),
        problem.response.replace(f"> {problem.answer} <", f"> {problem.answer + 1} <"),
    )
]
OF = [problem for problem in PROBLEMS for _ in range(3)]
RECORDS = [problem.record_json for problem in OF]
KINDS = [{"kind": "strict"}, {"kind": "outcome", "policy": "strict"}, {"kind": "blend", "alpha": 0.3}]


def expected(**kind):
    return [tercet.reward(problem, text, **kind).reward for problem, text in zip(OF, TEXTS)]


@pytest.mark.parametrize("kind", KINDS)
def test_trl(kind):
    end = 2
    reward = tercet.trl.reward(end=end, **kind)
    assert reward.__name__ == f"tercet_{kind['kind']}" and len(set(expected(**kind))) > 1
    prompts, whole = [problem.prompt for problem in OF], [[5, end]] * len(TEXTS)
    assert reward(prompts=prompts, completions=TEXTS, completion_ids=whole, record=RECORDS, op=[5] * 18) == expected(**kind)
    chats = [[{"role": "assistant", "content": text}] for text in TEXTS]
    assert reward(prompts=prompts, completions=chats, completion_ids=whole, record=RECORDS) == expected(**kind)
    for cut in ([5], []):
        assert reward(prompts=prompts, completions=TEXTS, completion_ids=[cut] * 18, record=RECORDS) == [0.0] * 18


def test_trl_says_what_is_missing():
    reward = tercet.trl.reward(kind="strict", end=[2, 3])
    with pytest.raises(ValueError, match="no column `record`"):
        reward(prompts=["p"], completions=["c"], completion_ids=[[2]])
    for end in (None, "<|im_end|>"):
        with pytest.raises(ValueError, match="`end` is the id"):
            tercet.trl.reward(kind="strict", end=end)


@pytest.mark.parametrize("kind", KINDS)
def test_reasoning_gym(kind):
    data = tercet.reasoning_gym.Dataset(tercet.generate(op=5, context="terse", n=6), **kind)
    assert len(data) == data.size == 6 and list(data)[4] == data[4]
    entries = [data[i] for i in range(6) for _ in range(3)]
    assert [data.score_answer(text, entry) for text, entry in zip(TEXTS, entries)] == expected(**kind)
    assert all(data.score_answer(entry["answer"], entry) == 1.0 for entry in data)
    assert data.score_answer(None, data[0]) == 0.0 and json.dumps(entries)


class Tensor(list):
    """As much of a tensor as the manager uses."""

    shape = property(lambda self: (len(self),))

    def __getitem__(self, index):
        part = super().__getitem__(index)
        return Tensor(part) if isinstance(index, slice) else part

    def sum(self):
        return sum(self)

    def tolist(self):
        return list(self)


class Batch(list):
    """As much of verl's DataProto as the manager uses."""

    def __getitem__(self, index):
        part = super().__getitem__(index)
        return Batch(part) if isinstance(index, slice) else part


class Item:
    def __init__(self, record, ids, width=4):
        pad = width - len(ids)
        self.batch = {"responses": Tensor(ids + [0] * pad), "attention_mask": Tensor([1] * (3 + len(ids)) + [0] * pad)}
        self.non_tensor_batch = {"data_source": "tercet", "reward_model": {"ground_truth": record}}


class Tokenizer:
    eos_token_id = 2

    def __init__(self, text):
        self.text = text

    def decode(self, ids, skip_special_tokens):
        assert skip_special_tokens and 0 not in ids
        return self.text


@pytest.mark.parametrize("kind", KINDS)
def test_verl(kind):
    scores = [tercet.verl.compute_score("tercet", text, record, {}, **kind) for text, record in zip(TEXTS, RECORDS)]
    assert [score["score"] for score in scores] == expected(**kind)
    assert set(scores[0]) == {"score", "outcome", "process", "verified", "format"}

    def managed(ids):
        found = []
        for text, record in zip(TEXTS, RECORDS):
            manager = tercet.verl.RewardManager(None, Tokenizer(text), lambda **call: tercet.verl.compute_score(**call, **kind))
            found.append(asyncio.run(manager.run_single(Batch([Item(record, [7, 2]), Item(record, ids)]))))
        return found

    assert [result["reward_score"] for result in managed([5, 6, 2])] == expected(**kind)
    assert {result["reward_score"] for result in managed([5, 6])} == {0.0}
    assert managed([5, 6, 2])[0]["reward_extra_info"] == scores[0]
