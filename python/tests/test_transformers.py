"""transformers, of version 4.57 or 5, reads our checkpoints with the same ids and the same logits."""

import gzip
import json

import pytest

import tercet
from conftest import REPOSITORY
from test_judge import perturbed

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

END = "<|im_end|>"


@pytest.fixture(scope="module")
def tokenizer(checkpoint):
    return transformers.AutoTokenizer.from_pretrained(checkpoint)


def texts():
    """10,000 texts: prompts, responses and spoiled responses of every context and mode."""
    import random

    rng = random.Random(5)
    problems = tercet.generate(op="2-6", context=["zoo", "school", "festival", "terse"], mode=["forward", "reverse"], n=63)
    found = []
    for problem in problems:
        found += [problem.prompt, problem.response, problem.text, perturbed(problem.response, rng)]
    return found[:10_000]


def ids_of_the_program(binary, checkpoint, some):
    """The program splits them all at once: the end token between two texts keeps them apart."""
    lines = binary("tokenizer", "inspect", checkpoint, END.join(some)).splitlines()
    return [int(line.split("\t", 1)[0]) for line in lines]


def test_ids_are_equal_on_10_000_texts(binary, checkpoint, tokenizer):
    all_texts = texts()
    assert len(all_texts) == 10_000
    while all_texts:
        # An argument of a command has room for 128 KB.
        some, size = [], 0
        while all_texts and size < 60_000:
            size += len(all_texts[-1].encode())
            some.append(all_texts.pop())
        theirs = [tokenizer(text, add_special_tokens=True)["input_ids"] for text in some]
        joined = [id for ids in theirs for id in (*ids, tokenizer.eos_token_id)][:-1]
        assert joined == ids_of_the_program(binary, checkpoint, some)
        for text, ids in zip(some[:5], theirs):
            assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_chat_template_gives_the_training_ids(binary, checkpoint, tokenizer):
    for problem in tercet.generate(op="2-5", context=["zoo", "terse"], mode=["forward", "reverse"], n=5):
        question = problem.prompt.removeprefix("<question> ").removesuffix(" </question> <solution>")
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": problem.response}]
        for chat, whole in [(messages, problem.text + END), (messages[:1], problem.prompt)]:
            found = tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False)
            assert found == ids_of_the_program(binary, checkpoint, [whole])


def test_the_context_is_the_models(checkpoint, tokenizer):
    config = json.loads((checkpoint / "config.json").read_text())
    assert tokenizer.model_max_length == config["max_position_embeddings"] == 384


@pytest.mark.parametrize("name", ["qwen2_tied_gqa", "qwen2_untied_mha"])
def test_logits_are_those_that_the_engine_is_tested_with(name):
    folder = REPOSITORY / "crates/engine/tests/fixtures" / name
    expected = safetensors.load_file(folder / "forward.safetensors")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits = model(expected["input_ids"]).logits
    assert (logits.double() - expected["logits"]).abs().max() < 1e-4


def test_a_checkpoint_finds_solutions_as_likely_as_the_engine(checkpoint, tokenizer):
    stage = checkpoint.parents[1]
    with gzip.open(stage / "evals/main.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    lines = (stage.parents[1] / "data/suites/main.jsonl").read_text().splitlines()
    problems = [tercet.Problem.from_record(line) for line in lines]
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    assert len(rows) == len(problems) > 10
    for row in rows:
        problem = problems[row["problem"]]
        prompt = tokenizer(problem.prompt)["input_ids"]
        response = [*tokenizer(problem.response)["input_ids"], tokenizer.eos_token_id]
        with torch.no_grad():
            logprobs = model(torch.tensor([prompt + response])).logits[0].log_softmax(-1)
        picked = logprobs[len(prompt) - 1 : -1].gather(1, torch.tensor(response)[:, None])
        assert -float(picked.mean()) == pytest.approx(row["gold_nll"], abs=1e-4)
