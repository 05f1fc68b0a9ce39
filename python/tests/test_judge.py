"""Verdicts and rewards are those of the program; offsets are characters."""

import json
import random

import pytest

import tercet

CELLS = [tercet.Cell(op, context, mode) for op in (2, 5, 9) for context in ("zoo", "terse") for mode in ("forward", "reverse")]


def perturbed(response, rng):
    """The response with one to three edits of a kind that sampling makes."""
    for _ in range(rng.randint(1, 3)):
        at, steps = rng.randrange(len(response) + 1), response.split(". ")
        edits = [
            lambda: response[:at],
            lambda: response[:at] + rng.choice("0123456789abxyz=+*.;<> é😀\n\u00a0") + response[at:],
            lambda: response[: max(0, at - 1)] + response[at:],
            lambda: ". ".join(steps[:1] + steps),
            lambda: ". ".join(rng.sample(steps, len(steps))),
            lambda: ". ".join(steps[: len(steps) // 2] + steps[len(steps) // 2 + 1 :]),
            lambda: response.replace(str(rng.randint(1, 9)), str(rng.randint(1, 9)), 1),
            lambda: response + rng.choice([" <answer> 3 </answer>", " Answer: 4.", " 😀", "."]),
        ]
        response = rng.choice(edits)()
    return response


@pytest.fixture(scope="module")
def responses():
    """10,008 responses to 2,502 problems: a correct one and three that are perturbed."""
    rng, problems = random.Random(20), list(tercet.generate(cells=CELLS, n=209))[:2502]
    return [
        (problem, text)
        for problem in problems
        for text in [problem.response, *(perturbed(problem.response, rng) for _ in range(3))]
    ]


def in_characters(verdict, text):
    """The program's verdict with byte offsets turned into characters, by Python's own decoder."""
    data = text.encode()

    def convert(value):
        if isinstance(value, dict) and value.keys() == {"start", "end"}:
            return {end: len(data[:at].decode()) for end, at in value.items()}
        if isinstance(value, dict):
            return {key: convert(inner) for key, inner in value.items()}
        return [convert(inner) for inner in value] if isinstance(value, list) else value

    return convert(verdict)


@pytest.mark.parametrize("policy", ["paper", "reference", "strict"])
def test_verdicts_are_the_programs(binary, responses, tmp_path, policy):
    problems, answers = tmp_path / "problems.jsonl", tmp_path / "answers.jsonl"
    unique = {problem.id: problem for problem, _ in responses}
    problems.write_text("".join(problem.record_json + "\n" for problem in unique.values()))
    lines = [{"id": problem.id, "text": text, "cut": i % 7 == 3} for i, (problem, text) in enumerate(responses)]
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = binary("verify", "--problems", problems, "--responses", answers, "--policy", policy, "--full").splitlines()
    cut = [line["cut"] for line in lines]
    verdicts = tercet.verify_many([problem for problem, _ in responses], [text for _, text in responses], policy=policy, cut=cut)
    assert len(told) == len(verdicts) == 10008
    right = 0
    for line, verdict, (problem, text), was_cut in zip(told, verdicts, responses, cut):
        line = json.loads(line)
        assert json.loads(verdict.json) == in_characters(line["verdict"], text)
        assert (verdict.verified, verdict.correct, verdict.process, verdict.answer) == (
            line["verified"], line["answer_right"], line["process_acc"], line["answer"],
        )
        first = verdict.first_fault
        assert (first and first.kind) == line["first_fault"] and verdict.cut == was_cut
        assert verdict.json == tercet.verify(problem, text, policy=policy, cut=was_cut).json
        right += verdict.verified
    assert 2000 < right < 7000, "perturbations that change everything or nothing test nothing"


def test_explanations_are_the_programs(binary, responses, tmp_path):
    problems, answers = tmp_path / "problems.jsonl", tmp_path / "answers.jsonl"
    some = responses[1:400:7]
    problems.write_text("".join(sorted({problem.record_json + "\n" for problem, _ in some})))
    answers.write_text("".join(json.dumps({"id": problem.id, "text": text}) + "\n" for problem, text in some))
    told = binary("verify", "--problems", problems, "--responses", answers, "--explain", "all")
    ours = "".join(f"{problem.id}\n{tercet.explain(problem, text)}\n" for problem, text in some)
    assert ours == told
    problem, text = some[0]
    assert str(tercet.verify(problem, text)) == tercet.explain(problem, text)


def test_offsets_count_characters():
    problem = tercet.generate(op=4, context="terse", seed=2)[0]
    response = "😀é. " + problem.response.strip().replace("=", "= ", 1)
    wrong = response.replace(f"<answer> {problem.answer} ", f"<answer> {problem.answer + 1} ")
    verdict = tercet.verify(problem, wrong)
    assert wrong[verdict.answer_fault.start : verdict.answer_fault.end].strip() == str(problem.answer + 1)
    assert verdict.first_fault.kind == "wrong-answer" and verdict.first_fault.meaning == "the answer is wrong"
    steps = [wrong[step.start : step.end] for step in verdict.steps]
    assert all(step.strip() and step.strip() in problem.response.replace("=", "= ", 1) for step in steps[1:])
    assert steps[0].endswith(problem.response.split(".")[0].strip().replace("=", "= ", 1) + "."), steps[0]


def test_a_lone_surrogate_is_one_character():
    problem = tercet.generate(op=3)[0]
    verdict = tercet.verify(problem, "\ud800\udfff" + problem.response)
    steps = [("\ud800\udfff" + problem.response)[step.start : step.end] for step in verdict.steps]
    assert verdict.verified and steps == [step.text for step in map(lambda s: type("S", (), {"text": s}), steps)]
    assert all(step.startswith("Define ") for step in steps)
    for text in ("\ud800", "\udcff" * 9, "\0", "", " ", "<answer>", "<" * 100000, "a" * 10**6, "(" * 9999):
        assert not tercet.verify(problem, text).verified and tercet.verify(problem, text)._repr_html_()


def test_a_cut_response_is_a_failure_whatever_it_says():
    problem = tercet.generate(op=5)[3]
    whole, cut = (tercet.verify(problem, problem.response, cut=cut) for cut in (False, True))
    assert whole.verified and whole.correct and whole.process == 1 and whole.first_fault is None
    assert not cut.verified and not cut.correct and cut.answer is None and cut.cut and not cut.truncated
    assert tercet.reward(problem, problem.response, kind="blend", alpha=0.5, cut=True).reward == 0


def test_rewards_weigh_answer_and_process():
    problem = tercet.generate(op=5, context="terse", seed=5)[0]
    steps = problem.response.split(". ")
    half = ". ".join(steps[1:])
    verdict = tercet.verify(problem, half)
    assert verdict.correct and not verdict.verified and 0 < verdict.process < 1
    rewards = {
        (kind, alpha): float(tercet.reward(problem, half, kind=kind, alpha=alpha))
        for kind, alpha in [("outcome", None), ("strict", None), ("blend", 0.2), ("blend", 1.0), ("reference", 0.2)]
    }
    assert rewards["outcome", None] == 1 and rewards["strict", None] == 0 and rewards["blend", 1.0] == 1
    assert rewards["blend", 0.2] == pytest.approx(0.2 + 0.8 * verdict.process)
    parts = tercet.reward(problem, half, kind="outcome")
    assert (parts.outcome, parts.process, parts.verified, parts.format) == (1, verdict.process, 0, 1)
    assert tercet.reward(problem, problem.response, kind="strict", policy="strict").reward == 1
    for wrong, sentence in [
        ({"kind": "blend"}, "needs `alpha`"),
        ({"kind": "blend", "alpha": 2}, "from 0 to 1"),
        ({"kind": "blend", "alpha": float("nan")}, "from 0 to 1"),
        ({"kind": "outcome", "alpha": 0.5}, "has no `alpha`"),
        ({"kind": "kindness"}, "known are outcome, blend, strict, reference"),
        ({"kind": "strict", "policy": "lenient"}, "known are paper, reference, strict"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            tercet.reward(problem, half, **wrong)


def test_many_responses_to_one_problem_or_to_a_sequence():
    problems = tercet.generate(op="2-4", n=10)
    texts = [problem.response for problem in problems]
    assert all(verdict.verified for verdict in tercet.verify_many(problems, texts))
    assert [verdict.verified for verdict in tercet.verify_many(problems[5], texts)] == [i == 5 for i in range(30)]
    assert tercet.verify_many([], []) == []
    assert not any(verdict.verified for verdict in tercet.verify_many(problems, texts, cut=True))
    for problems_, texts_, cut in [(problems, texts[1:], None), (list(problems), texts[1:], None), (problems, texts, [True])]:
        with pytest.raises(ValueError, match="there are"):
            tercet.verify_many(problems_, texts_, cut=cut)
    with pytest.raises(TypeError, match="of the type Problem, not str"):
        tercet.verify_many(texts, texts)
    with pytest.raises(TypeError):
        tercet.verify_many(problems, [None] * 30)


def test_quantities_say_what_became_of_each():
    problem = tercet.generate(op=6, context="zoo", seed=7, n=50)[41]
    wrong = tercet.verify(problem, problem.response.replace("4 + 3 = 7", "4 + 3 = 8"), policy="strict")
    assert not wrong.verified and not wrong.arithmetic_sound
    names = [quantity.name for quantity in wrong.quantities]
    assert names == problem.graph.names[: len(names)] and any(not quantity.value_correct for quantity in wrong.quantities)
    assert any(step.fault and step.fault.kind == "wrong-arithmetic" for step in wrong.steps)
    assert "not verified" in wrong._repr_html_() and "wrong-arithmetic" in wrong._repr_html_()
    assert repr(wrong).startswith("Verdict(not verified under 'strict', process ")
