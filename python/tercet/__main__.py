"""The command `tercet`: the same program, compiled in."""

import signal
import sys

from tercet._lib import program


def main() -> None:
    """Runs the program with the arguments of this process and ends it with the program's exit code."""
    # Python's own handler only notes Ctrl-C for later, and there is no later. A signal that is ignored stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(program(["tercet", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
