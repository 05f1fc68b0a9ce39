"""Problems are those of the program, in any order, slice, thread and process."""

import itertools
import json
import multiprocessing
import pickle

import pytest

import tercet
from conftest import REPOSITORY

OWN = """
name = "books"
[names]
count = "{kinds} in {place}"
total = "total number of books in {place}"
average = "average number of pages per {kind} in {place}"
grand = "total number of pages in {place}"
[phrases]
how_many = "How many {kinds} does {place} own?"
[[places]]
names = ["Elm Library", "Bay Library", "Hill Library", "Old Library", "New Library"]
[[kinds]]
names = ["novel", "atlas", "play", "guide", "diary"]
plurals = ["novels", "atlases", "plays", "guides", "diaries"]
"""


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["--op", "2-6", "-n", "50"], {"op": "2-6", "n": 50}),
        (
            ["--op", "4,9", "--context", "terse,zoo", "--mode", "forward,reverse", "--seed", "7", "-n", "9"],
            {"op": [9, 4], "context": ["terse", "zoo"], "mode": ["forward", "reverse"], "seed": 7, "n": 9},
        ),
        (
            ["--op", "7", "--split", "test", "--start", "5", "--set", "max_value=30", "--set", "forms.times=0.1"],
            {"op": 7, "split": "test", "start": 5, "world": {"max_value": 30, "forms": {"times": 0.1}}},
        ),
        (["--op", "3", "--split", "rl", "--by-text"], {"op": 3, "split": "rl", "by_text": True}),
    ],
)
def test_lines_are_the_programs(binary, options, asked):
    lines = binary("problems", *options).splitlines()
    problems = tercet.generate(**asked)
    assert [problem.record_json for problem in problems] == lines
    assert [problems[i].record_json for i in range(len(problems))] == lines
    assert [row["record"] for row in problems.rows()] == lines
    texts = binary("problems", *options, "--format", "text").splitlines()
    assert [problem.prompt + problem.response for problem in problems] == texts


def test_a_context_of_ones_own(binary, tmp_path):
    path = tmp_path / "books.toml"
    path.write_text(OWN)
    lines = binary("problems", "--op", "5", "--context-file", path).splitlines()
    for context in (tercet.Context.from_file(path), tercet.Context.from_toml(OWN)):
        problems = tercet.generate(op=5, context=context)
        assert [problem.record_json for problem in problems] == lines
        assert pickle.loads(pickle.dumps(problems)) == problems
    assert pickle.loads(pickle.dumps(context)) == context
    again = tercet.Context.from_dict({"name": "lib", **{key: value for key, value in TABLE.items() if key != "name"}})
    assert again.name == "lib" and tercet.generate(op=5, context=["zoo", again])[-1].context == "lib"


TABLE = {
    "name": "books",
    "names": {
        "count": "{kinds} in {place}",
        "total": "total number of books in {place}",
        "average": "average number of pages per {kind} in {place}",
        "grand": "total number of pages in {place}",
    },
    "phrases": {"how_many": "How many {kinds} does {place} own?"},
    "places": [{"names": ["Elm Library", "Bay Library", "Hill Library", "Old Library", "New Library"]}],
    "kinds": [{"names": ["novel", "atlas", "play", "guide", "diary"]}],
}


def test_slices_are_lazy_sequences():
    problems = tercet.generate(op="2-4", n=20)
    everything = list(problems)
    assert len(problems) == len(everything) == 60
    for part in (slice(5, 9), slice(None, None, 7), slice(None, None, -1), slice(50, 10, -3), slice(9, 2), slice(-4, None)):
        assert list(problems[part]) == everything[part], part
        assert list(problems[part][1:]) == everything[part][1:], part
        assert pickle.loads(pickle.dumps(problems[part])) == problems[part], part
    assert list(reversed(problems)) == everything[::-1] and list(reversed(problems[:0])) == []
    assert problems[-1] == everything[-1] and problems.__getitems__([3, -1]) == [everything[3], everything[-1]]
    for beyond in (60, -61):
        with pytest.raises(IndexError, match=f"there is no problem {beyond}: there are 60"):
            problems[beyond]
    with pytest.raises(TypeError, match="whole numbers or slices"):
        problems["3"]
    endless = tercet.generate(op=4, n=10**18)
    assert endless[10**17].index == 10**17 and next(iter(endless)).index == 0


def test_a_problem_is_frozen_and_survives_its_record_and_a_pickle():
    problem = tercet.generate(op=6, context="terse", mode="reverse", seed=3)[4]
    assert (problem.op, problem.context, problem.mode, problem.seed, problem.index) == (6, "terse", "reverse", 3, 4)
    assert problem.prompt.startswith("<question> ") and problem.prompt.endswith(" </question> <solution>")
    assert problem.response.endswith(f" </solution> <answer> {problem.answer} </answer>")
    assert problem.text == problem.prompt + problem.response
    for again in (
        tercet.Problem.from_record(problem.record_json),
        tercet.Problem.from_record(problem.record()),
        pickle.loads(pickle.dumps(problem)),
    ):
        assert again == problem and hash(again) == hash(problem) and again.record_json == problem.record_json
    assert problem.record() == json.loads(problem.record_json)
    assert all(isinstance(value, str | int) for value in problem.row().values())
    with pytest.raises(AttributeError):
        problem.answer = 7
    with pytest.raises(AttributeError):
        problem.note = "no"


def test_what_cannot_be_made_is_said_as_the_program_says_it(binary):
    for options, asked in [
        (["--op", "4", "--context", "moon"], {"op": 4, "context": "moon"}),
        (["--op", "60"], {"op": 60}),
        (["--op", "5-2"], {"op": "5-2"}),
        (["--op", "1", "--mode", "reverse"], {"op": 1, "mode": "reverse"}),
        (["--op", "4", "--context", "zoo,zoo"], {"op": 4, "context": ["zoo", "zoo"]}),
        (["--op", "4", "--set", "d=5"], {"op": 4, "world": {"d": 5}}),
        (["--op", "4", "--set", "max_valu=5"], {"op": 4, "world": {"max_valu": 5}}),
        (["--op", "14", "--set", "places=[1,1]", "--set", "kinds=[1,1]"], {"op": 14, "world": {"places": [1, 1], "kinds": (1, 1)}}),
    ]:
        with pytest.raises(ValueError) as raised:
            tercet.generate(**asked)
        with pytest.raises(Exception) as told:
            binary("problems", *options)
        sentence = told.value.stderr
        for wrong in (f"{str(raised.value)}", str(raised.value).split("; ")[0]):
            assert wrong.removeprefix("context ").removeprefix("--context ") in sentence, (asked, str(raised.value), sentence)
    for asked in (
        {},
        {"op": -1},
        {"op": []},
        {"op": 4, "n": 2**63},
        {"op": 4, "start": 2**64 - 1, "n": 2},
        {"op": 4, "mode": "sideways"},
        {"op": 4, "split": "exam"},
        {"op": 4, "by_text": True},
        {"op": 4, "cells": [tercet.Cell(4)]},
        {"cells": [tercet.Cell(4)], "mode": "forward"},
        {"cells": []},
    ):
        with pytest.raises(ValueError):
            tercet.generate(**asked)


def test_a_record_that_lies_is_refused():
    record = tercet.generate(op=4)[0].record()
    for change, sentence in [
        ({"answer": record["answer"] + 1}, "`answer` contradicts the graph"),
        ({"op": 5}, "`op` contradicts the graph"),
        ({"names": []}, "`names` contradicts the graph"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            tercet.Problem.from_record({**record, **change})
    for text in ("", "{}", "[1]", "nothing"):
        with pytest.raises(ValueError, match="this is no problem"):
            tercet.Problem.from_record(text)


def test_worlds_and_cells_come_from_dicts_text_and_files(tmp_path):
    world = tercet.World(max_value=20, distractors=0, places=[1, 3])
    assert tercet.World.from_dict(world.to_dict()) == world == tercet.World.from_toml(world.to_toml())
    path = tmp_path / "world.toml"
    path.write_text("max_value = 20\ndistractors = 0\nplaces = [1, 3]\n")
    assert tercet.World.from_file(path) == world == pickle.loads(pickle.dumps(world)) != tercet.World()
    assert repr(world) == "World(max_value=20, places=[1, 3], distractors=0.0)"
    with pytest.raises(ValueError, match="unknown field"):
        tercet.World(places_=3)
    cell = tercet.Cell(5, "terse", "reverse")
    assert cell == tercet.Cell.from_dict({"op": 5, "context": "terse", "mode": "reverse"})
    assert cell == tercet.Cell.from_toml('op = 5\ncontext = "terse"\nmode = "reverse"') == pickle.loads(pickle.dumps(cell))
    assert tercet.generate(cells=[cell, tercet.Cell(3)], n=2)[3].cell == tercet.Cell(3) and len({cell, cell}) == 1


def _ids(problems):
    return [problem.id for problem in problems]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_make_the_same(method):
    problems = tercet.generate(op="3-5", n=200)
    expected = _ids(problems)  # on all cores, so a forked child inherits threads that do not run in it
    with multiprocessing.get_context(method).Pool(2) as pool:
        parts = pool.map_async(_ids, [problems[:300], problems[300:]]).get(timeout=120)
    assert parts[0] + parts[1] == expected


def test_graphs_and_problems_are_shown():
    problem = tercet.generate(op=5)[0]
    assert problem.graph.svg().startswith("<svg") and problem.graph._repr_html_() == problem.graph.svg()
    assert json.loads(problem.graph.json) == problem.record()["graph"]
    assert problem.graph.names == problem.record()["names"] and "asked" in str(problem.graph)
    assert problem.graph.svg() in problem._repr_html_()


@pytest.mark.parametrize("mix", ["pre", "edge"])
def test_a_recipes_mix_is_the_programs(binary, tmp_path, mix):
    recipe = REPOSITORY / "recipes/quickstart.toml"
    lines = binary("problems", "--recipe", recipe, "--scale", "tiny", "--mix", mix, "--total", 300, "--seed", 5).splitlines()
    reading = tercet.mix(recipe, mix, scale="tiny", seed=5)
    assert [problem.record_json for problem in itertools.islice(reading, 300)] == lines
    assert next(reading).record_json not in lines
    assert tercet.write(itertools.islice(tercet.mix(recipe, mix, scale="tiny", seed=5), 300), tmp_path / "mix.jsonl") == 300
    assert (tmp_path / "mix.jsonl").read_text().splitlines() == lines
    with pytest.raises(ValueError, match="no stage is trained on a mix `none`; known are edge, mid, pre"):
        tercet.mix(recipe, "none")


def test_advantages_are_the_recipes():
    groups = [[1.0, 0.0, 0.0, 1.0], [0.5, 0.5], [0.0, 0.0, 3.0]]
    found = tercet.advantages(groups, "rloo")
    assert found[0] == pytest.approx([2 / 3, -2 / 3, -2 / 3, 2 / 3]) and found[1] == [0.0, 0.0]
    assert tercet.advantages(groups)[2] == pytest.approx([-1 / 3**0.5, -1 / 3**0.5, 2 / 3**0.5], rel=1e-5)
    assert tercet.advantages(groups, "grpo-no-std")[2] == pytest.approx([-1, -1, 2])
    with pytest.raises(ValueError, match="known are grpo, grpo-no-std, rloo"):
        tercet.advantages(groups, "ppo")
