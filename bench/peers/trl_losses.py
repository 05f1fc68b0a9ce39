"""Losses and gradients of TRL's own `GRPOTrainer` on the responses of `crates/train/tests/grpo_reference.json`.

    python bench/peers/trl_losses.py > crates/train/tests/trl_reference.json

Needs trl 1.16. The trainer's method is called with a stand-in for the trainer, whose model gives the fixture's
log-probabilities, so no model is made.
"""

import collections
import json
import pathlib
import types

import torch
import trl
from trl.trainer.grpo_trainer import GRPOTrainer

REFERENCE = pathlib.Path(__file__).parents[2] / "crates/train/tests/grpo_reference.json"
MAX_COMPLETION = 1024

# Names are TRL's: loss type, importance sampling level, ε below and above, β.
CASES = [
    ("grpo", "token", 0.2, 0.2, 0.0),
    ("grpo", "token", 0.2, 0.28, 0.3),
    ("dapo", "token", 0.2, 0.28, 0.0),
    ("dapo", "token", 0.2, 0.2, 0.04),
    ("dr_grpo", "token", 0.2, 0.2, 0.0),
    ("grpo", "sequence", 0.1, 0.1, 0.0),
    # The bound itself, not its distance from 1.
    ("cispo", "token", 0.0, 1.28, 0.0),
]


def padded(rows: list[list[float]]) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row, dtype=torch.float64) for row in rows], batch_first=True)


def case(fixture: dict, loss_type: str, level: str, low: float, high: float, beta: float) -> dict:
    mask = padded([[1.0] * length for length in fixture["lengths"]])
    logps = padded(fixture["new_logprobs"]).requires_grad_()
    accelerator = types.SimpleNamespace(
        num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x, sync_gradients=True
    )
    trainer = types.SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logps, torch.zeros_like(logps), None),
        _metrics={"train": collections.defaultdict(list)},
        _entropy_bonus_enabled=False,
        accelerator=accelerator,
        args=types.SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        aux_loss_enabled=False,
        beta=beta,
        current_gradient_accumulation_steps=1,
        epsilon_high=high,
        epsilon_low=low,
        importance_sampling_level=level,
        loss_type=loss_type,
        max_completion_length=MAX_COMPLETION,
        model=types.SimpleNamespace(training=True),
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        use_vllm=False,
        vllm_importance_sampling_correction=False,
    )
    ids = torch.zeros(mask.shape, dtype=torch.long)
    inputs = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": torch.ones_like(ids[:, :1]),
        "completion_ids": ids,
        "completion_mask": mask,
        "advantages": torch.tensor(fixture["advantages"]["grpo_std"], dtype=torch.float64),
        "old_per_token_logps": padded(fixture["old_logprobs"]),
        "ref_per_token_logps": padded(fixture["ref_logprobs"]),
        "num_items_in_batch": mask.sum(),
    }
    loss = GRPOTrainer._compute_loss(trainer, None, inputs)
    loss.backward()
    grad = [row[:length] for row, length in zip(logps.grad.tolist(), fixture["lengths"], strict=True)]
    metrics = {name: values[0] for name, values in trainer._metrics["train"].items() if name.endswith(("kl", "_mean"))}
    named = {"loss_type": loss_type, "level": level, "epsilon_low": low, "epsilon_high": high, "beta": beta}
    return {**named, "loss": loss.item(), "metrics": metrics, "grad": grad}


def main() -> None:
    fixture = json.loads(REFERENCE.read_text())
    print(json.dumps({"trl": trl.__version__, "cases": [case(fixture, *named) for named in CASES]}))


if __name__ == "__main__":
    main()
