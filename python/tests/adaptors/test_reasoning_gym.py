"""A data set of reasoning-gym's shape scores its own answers."""

import tercet
from reasoning_gym.dataset import ProceduralDataset
from tercet.reasoning_gym import Dataset

PROBLEMS = tercet.generate(op="2-4", context="terse", n=4)


def test_it_has_what_their_data_sets_have():
    theirs = {name for name in vars(ProceduralDataset) if not name.startswith("_")} - {"category"}
    assert theirs <= set(dir(Dataset(PROBLEMS)))


def test_it_scores_its_own_answers_and_others():
    data = Dataset(PROBLEMS)
    assert [data.score_answer(entry["answer"], entry) for entry in data] == [1.0] * len(PROBLEMS)
    assert [data.score_answer("42", entry) for entry in data] == [0.0] * len(PROBLEMS)
    assert set(data[0]) == {"question", "answer", "metadata"}
