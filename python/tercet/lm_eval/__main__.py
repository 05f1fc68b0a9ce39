"""Prints the folder with the task."""

from tercet.lm_eval import folder

print(folder())
