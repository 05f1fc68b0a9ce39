"""Checks that this environment makes of the problems what Tercet made of them: token ids and rewards. Prints the difference and
fails where it does not."""

import json
import sys
from pathlib import Path

from transformers import AutoTokenizer

import tercet

FOLDER = Path(__file__).resolve().parent
REWARD = {{ reward_call }}
"""The reward of the recipe; none where nothing is rewarded."""
MESSAGES = {{ messages }}
"""Whether the trainer gets messages and applies the chat template."""


def different(what, found, wanted):
    """An error with the first difference."""
    at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
    sys.exit(f"error: {what}: at {at} there is {found[at : at + 8]}, and Tercet has {wanted[at : at + 8]}")


def main():
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / "checkpoint")
    number = 0
    for line in (FOLDER / "conformance.jsonl").read_text().splitlines():
        example = json.loads(line)
        found = tokenizer(example["prompt"])["input_ids"]
        if found != example["prompt_ids"]:
            different("the ids of a prompt", found, example["prompt_ids"])
        found = [*tokenizer(example["response"])["input_ids"], tokenizer.eos_token_id]
        if found != example["response_ids"]:
            different("the ids of a response", found, example["response_ids"])
        if MESSAGES:
            found = tokenizer.apply_chat_template(example["messages"], add_generation_prompt=True, return_dict=False)
            if found != example["prompt_ids"]:
                different("the ids of a question under the chat template", found, example["prompt_ids"])
        problem = tercet.Problem.from_record(example["record"])
        for response in example["responses"]:
            reward = tercet.reward(problem, response["text"], **REWARD).reward
            if reward != response["reward"]:
                sys.exit(f"error: the reward of {response['text']!r} is {reward}, and Tercet gave {response['reward']}")
        number += 1
    print(f"ids and rewards of {number} problems are Tercet's")


if __name__ == "__main__":
    main()
