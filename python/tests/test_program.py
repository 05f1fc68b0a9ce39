"""The command of the wheel is the program."""

import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

COMMAND = [str(Path(sysconfig.get_path("scripts")) / "tercet")]


def call(*args, command=COMMAND):
    return subprocess.run([*command, *args], capture_output=True, text=True)


@pytest.mark.parametrize("command", [COMMAND, [sys.executable, "-m", "tercet"]])
def test_it_says_what_the_binary_says(binary, command):
    args = ["show", "--op", "4", "--context", "zoo"]
    ours = call(*args, command=command)
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, binary(*args), "")
    assert call("--version", command=command).stdout == binary("--version")
    wrong = call("problems", "--op", "99", command=command)
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: no problem of op 99")
    assert call("verify", "--responses", "/no/such/file", command=command).returncode == 1
    assert call("nonsense", command=command).returncode == 2


def test_ctrl_c_ends_it_at_once():
    process = subprocess.Popen([*COMMAND, "problems", "-n", "1000000000"], stdout=subprocess.DEVNULL)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == -signal.SIGINT


def test_a_reader_that_goes_is_no_error():
    process = subprocess.Popen([*COMMAND, "problems", "-n", "100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=60)) == (b"", 0)


def test_a_signal_that_is_ignored_stays_ignored():
    code = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *COMMAND, "problems", "-n", "1000000000"], stdout=subprocess.DEVNULL
    )
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
