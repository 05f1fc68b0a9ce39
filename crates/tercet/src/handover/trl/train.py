"""GRPO with TRL: the stage `{{ stage }}` of the recipe `{{ recipe }}`. Arguments are fields of GRPOConfig; they win over config.yaml."""

import os
import sys
from pathlib import Path

from datasets import Dataset
from transformers import AutoTokenizer
from trl import GRPOConfig, GRPOTrainer, TrlParser

import tercet.trl

FOLDER = Path(__file__).resolve().parent
PROMPTS, SAMPLES, MINI_BATCHES = {{ prompts }}, {{ samples }}, {{ mini_batches }}
REWARD = {{ reward_call }}


def config(arguments):
    """The configuration, with the batch divided among the processes. A step has PROMPTS x SAMPLES responses, in MINI_BATCHES
    optimizer steps."""
    defaults = ["--config", str(FOLDER / "config.yaml"), "--output_dir", str(FOLDER / "checkpoints")]
    (args,) = TrlParser(GRPOConfig).parse_args_and_config([*defaults, *batch(arguments), *arguments])
    return args


def batch(arguments):
    """How many responses each process takes at once, 8 or what the arguments say, and how often."""
    name = "--per_device_train_batch_size"
    each = int(arguments[arguments.index(name) + 1]) if name in arguments else 8
    processes = int(os.environ.get("WORLD_SIZE", 1))
    steps, left = divmod(PROMPTS * SAMPLES // MINI_BATCHES, each * processes)
    if left or not steps:
        sys.exit(f"error: {PROMPTS * SAMPLES // MINI_BATCHES} responses of an optimizer step are not {processes} x {each} a few times")
    return [
        *([] if name in arguments else [name, str(each)]),
        "--gradient_accumulation_steps",
        str(steps),
        "--steps_per_generation",
        str(steps * MINI_BATCHES),
    ]


def main():
    args = config(sys.argv[1:])
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / "checkpoint")
    trainer = GRPOTrainer(
        model=str(FOLDER / "checkpoint"),
        train_dataset=Dataset.from_parquet(str(FOLDER / "train.parquet")),
        reward_funcs=tercet.trl.reward(**REWARD, end=tokenizer),
        args=args,
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
