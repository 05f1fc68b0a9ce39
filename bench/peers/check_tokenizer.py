"""Does transformers read a Tercet folder's tokenizer as Tercet does?

    cargo run --release --manifest-path bench/Cargo.toml -p engine-bench -- interchange DIR
    python bench/peers/check_tokenizer.py DIR

Compares ids and decoded text of every case in DIR/expected.jsonl, and what trainers downstream rely on.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def main(folder):
    from transformers import AutoTokenizer, __version__

    tokenizer = AutoTokenizer.from_pretrained(folder)
    faults, cases = [], 0
    for line in (pathlib.Path(folder) / "expected.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        cases += 1
        ids = tokenizer.encode(case["text"], add_special_tokens=False)
        if ids != case["ids"]:
            faults.append(f"ids of {case['text']!r}: theirs {ids}, ours {case['ids']}")
        decoded = tokenizer.decode(case["ids"], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if decoded != case["decoded"]:
            faults.append(f"decoding of {case['text']!r}: theirs {decoded!r}, ours {case['decoded']!r}")
    if len(tokenizer.encode("\n", add_special_tokens=False)) != 1:
        faults.append("a line break is not one token")
    if tokenizer.eos_token != "<|im_end|>" or tokenizer.pad_token != "<|endoftext|>":
        faults.append(f"end {tokenizer.eos_token!r} and padding {tokenizer.pad_token!r} are others")
    messages = [{"role": "user", "content": "total farm?"}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    if prompt != "<question> total farm? </question> <solution>":
        faults.append(f"the chat template gives {prompt!r}")
    for fault in faults:
        print(fault)
    print(f"transformers {__version__}: {cases} texts, {len(faults)} faults")
    return not faults


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1]) else 1)
