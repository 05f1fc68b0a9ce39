"""Prints the table of docs/interop.md: each check of another program, with the version that is installed here.

    python python/tests/interop.py

Programs that are not installed in this environment are left out.
"""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CHECKS = [
    ("tercet", "the wheel: 10,008 verdicts under three policies equal the binary's", "test_judge.py"),
    ("tercet", "lines of problems equal `tercet problems`'; slices, pickles, forks", "test_problems.py"),
    ("tercet", "a run equals `tercet run`'s; Ctrl-C saves, the same call resumes", "test_runs.py"),
    ("tercet", "eight threads at once, the lock released, no growth over a million calls", "test_threads.py"),
    ("mypy", "`--strict` and `stubtest`", "test_typing.py"),
    ("nbclient", "the notebook runs", "test_documents.py::test_the_notebook"),
    ("trl", "ten steps of `GRPOTrainer` on a CPU from our checkpoint, rewards equal", "test_trl.py"),
    ("verl", "`compute_score`; the reward manager sees that a response was cut", "test_adaptors_for_real.py::test_verl"),
    ("verifiers", "the taskset loads and rewards", "test_adaptors_for_real.py::test_verifiers"),
    ("reasoning-gym", "a data set scores its own answers", "test_adaptors_for_real.py::test_reasoning_gym"),
    ("lm_eval", "the task scores a checkpoint as the judge does", "test_adaptors_for_real.py::test_lm_eval"),
    ("datasets", "rows by generator and by parquet", "test_data.py::test_datasets"),
    ("pandas", "rows by parquet, results as frames", "test_data.py::test_pandas_and_polars"),
    ("polars", "rows by parquet and by JSON lines, results as frames", "test_data.py::test_pandas_and_polars"),
    ("duckdb", "rows by parquet", "test_data.py::test_duckdb"),
    ("torch", "`DataLoader`, with and without workers", "test_data.py::test_a_data_loader_of_torch"),
]


def main():
    folder = Path(__file__).parent
    print("| program | version | check | result |")
    print("|---|---|---|---|")
    failed = False
    for program, check, test in CHECKS:
        try:
            installed = version(program)
        except PackageNotFoundError:
            continue
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / test)]
        done = subprocess.run(command, cwd=folder.parents[1], capture_output=True, text=True)
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()
        failed |= done.returncode != 0
        print(f"| {program} | {installed} | {check} | {last.split(' in ')[0]} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
