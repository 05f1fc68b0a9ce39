"""The reward of the recipe `{{ recipe }}`: `{{ reward }}` under the policy `{{ policy }}`. `config.yaml` passes both on."""

from tercet.verl import RewardManager, compute_score

__all__ = ["RewardManager", "compute_score"]
