"""A tokenizer of another maker, as the paper's published models bring it, with ids to compare with.

    tercet problems --op 2-8 --context zoo -n 40 | python bench/peers/foreign_tokenizer.py crates/tokens/tests/fixtures/foreign

Byte-level BPE with its specials in front, five more at the end, two pre-tokenisers, and their pattern's slip: built
from raw strings with doubled backslashes, so that `\\\\p{L}` means a backslash, a `p` and `{L}`. The ids come from the
`tokenizers` package, whose regular expressions are Oniguruma's; the crate that Tercet builds on has another engine.
"""

import json
import pathlib
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

PATTERN = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+(?:\\.\\p{N}+)?| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
)
SPECIALS = [
    "[UNK]", "[PAD]", "[BOS]", "[EOS]",
    "<question>", "</question>", "<solution>", "</solution>", "<answer>", "</answer>",
]  # fmt: skip
ODD = ["", " ", "Maple's  4.5; -3, so\n\n", "{\\p} LN", "ἀ πᾶς 😀", "<answer> 84 </answer>[EOS]", "p" * 99]


def text(row):
    steps, answer = row["solution"].rsplit("Answer:", 1)
    problem = f"{row['problem'].strip()} {row['question'].strip()}"
    solution = f"{steps.strip()} </solution> <answer> {answer.strip().rstrip('.')} </answer>[EOS]"
    return f"<question> {problem} </question> <solution> {solution}"


def main(folder):
    texts = [text(json.loads(line)) for line in sys.stdin]
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=SPECIALS, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(f"<special_token_{i}>", special=True) for i in range(5)])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=False) + "\n", encoding="utf-8")
    config = {"eos_token": "[EOS]", "pad_token": {"content": "[PAD]"}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")
    with (folder / "expected.jsonl").open("w", encoding="utf-8") as file:
        for case in ODD + texts[:: len(texts) // 12]:
            ids = tokenizer.encode(case, add_special_tokens=False).ids
            file.write(json.dumps({"text": case, "ids": ids}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
