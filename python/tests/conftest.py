"""What tests share: the binary to compare with, and a run of a tiny recipe."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import interop
import tercet

REPOSITORY = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--table", action="store_true", help="print the rows of docs/interop.md")


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("--table"):
        outcomes = {}
        for outcome in ("passed", "skipped", "error", "failed"):
            for report in terminalreporter.stats.get(outcome, []):
                outcomes[report.nodeid] = "failed" if outcome == "error" else outcome
        terminalreporter.write_line("| program | version | check | result |\n|---|---|---|---|")
        for row in interop.rows(outcomes):
            terminalreporter.write_line(row)


def pytest_configure(config):
    # CI names the binary that cargo built. Elsewhere the release build of the checkout will do, or the wheel's own.
    named = os.environ.get("TERCET_BINARY")
    built = REPOSITORY / "target/release/tercet"
    config.binary = named or (str(built) if built.is_file() else shutil.which("tercet"))


@pytest.fixture(scope="session")
def binary(request):
    """Calls the program that cargo built: `binary("problems", "--op", 2)` returns its stdout."""

    def call(*args, **options):
        command = [request.config.binary, *map(str, args)]
        return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout

    return call


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A finished run of the quick recipe at its tiny scale."""
    recipe = REPOSITORY / "recipes/quickstart.toml"
    return tercet.run(recipe, scale="tiny", out=tmp_path_factory.mktemp("run") / "tiny", progress=False)


@pytest.fixture(scope="session")
def checkpoint(tiny):
    """The model of its last stage, a Hugging Face directory."""
    stages = sorted((tiny.folder / "stages").glob("rl-*/checkpoints/step-*"))
    return stages[-1]
