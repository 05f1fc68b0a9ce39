"""What the task's YAML names."""

from tercet.lm_eval import load, process_results

__all__ = ["load", "process_results"]
