"""The table of docs/interop.md: `pytest --table` prints a row for each check that ran, with the versions that are installed."""

from importlib.metadata import PackageNotFoundError, version

# Program, what is checked, and the tests that check it: beginnings of their names.
CHECKS = [
    ("tercet", "10,008 verdicts under three policies equal the binary's; explanations and rewards, too", "test_judge.py"),
    ("tercet", "lines of problems and of mixes equal `tercet problems`'; slices, pickles, forks", "test_problems.py"),
    ("tercet", "the command is the program, also under Ctrl-C", "test_program.py"),
    ("tercet", "a run equals `tercet run`'s; Ctrl-C saves, the same call resumes; frames", "test_runs.py"),
    ("tercet", "eight threads at once, the lock released, no growth over a million calls", "test_threads.py"),
    ("tercet", "files of `tercet.write` equal the program's to the byte", "test_data.py::test_files_are"),
    ("tercet", "the guide's code runs", "test_documents.py::test_the_guide"),
    ("mypy", "`--strict` and `stubtest`", "test_typing.py"),
    ("nbclient", "the notebook runs", "test_documents.py::test_the_notebook"),
    ("transformers", "ids equal on 10,000 texts", "test_transformers.py::test_ids"),
    ("transformers", "the chat template gives the training ids; the context is the model's", ("test_transformers.py::test_the_chat", "test_transformers.py::test_the_context")),
    ("transformers", "logits within 1e-4; solutions are as likely as the engine finds them", ("test_transformers.py::test_logits", "test_transformers.py::test_a_checkpoint")),
    ("trl", "ten steps of `GRPOTrainer` on a CPU, plain and chat, rewards equal", "test_trl.py::test_ten"),
    ("trl", "what it saves opens in `tercet sample`", "test_trl.py::test_what_it_saves"),
    ("trl", "takes the folder of `tercet export trl`, which checks itself, and trains two steps", ("test_trl.py::test_its_parser", "test_trl.py::test_the_hand_over")),
    ("datasets", "reads every format; rows by generator", ("test_data.py::test_datasets", "test_data.py::test_every_format")),
    ("pandas", "reads every format; results as frames", ("test_data.py::test_pandas", "test_data.py::test_every_format")),
    ("polars", "reads every format; results as frames", ("test_data.py::test_pandas", "test_data.py::test_every_format")),
    ("duckdb", "reads every format", ("test_data.py::test_duckdb", "test_data.py::test_every_format")),
    ("torch", "`DataLoader`, with and without workers", "test_data.py::test_a_data_loader"),
    ("verifiers", "the taskset loads and rewards", "test_verifiers.py"),
    ("reasoning-gym", "a data set has what theirs have and scores answers", "test_reasoning_gym.py"),
    ("lm_eval", "the task scores a checkpoint as the judge and `tercet eval` do", "test_lm_eval.py"),
    ("verl", "its data set gives the prompt ids of training", "test_verl.py::test_the_data_set"),
    ("verl", "Hydra and its own validation take the folder of `tercet export verl`", ("test_verl.py::test_hydra", "test_verl.py::test_the_check")),
    ("verl", "its reward loop calls our manager, with the policy; a cut response earns 0", "test_verl.py::test_its_reward"),
    ("verl", "its advantages (GRPO, Dr. GRPO, RLOO) equal ours", "test_verl.py::test_its_advantages"),
    ("llamafactory", "its parser takes the folder of `tercet export llama-factory`", "test_llama_factory.py::test_its_parser"),
    ("llamafactory", "its data, for pre-training and SFT, are our ids, and no document is cut", "test_llama_factory.py::test_its_data"),
    ("llamafactory", "two steps of pre-training and of SFT", "test_llama_factory.py::test_two"),
]


def rows(outcomes):
    """The rows of the checks that ran; `outcomes` has the outcome of each test by its name."""
    for program, check, tests in CHECKS:
        beginnings = (tests,) if isinstance(tests, str) else tests
        found = [outcome for name, outcome in outcomes.items() if any(f"/{begin}" in name for begin in beginnings)]
        try:
            installed = version(program)
        except PackageNotFoundError:
            continue
        if found:
            counts = [f"{found.count(outcome)} {outcome}" for outcome in ("passed", "failed", "skipped") if outcome in found]
            yield f"| {program} | {installed} | {check} | {', '.join(counts)} |"
