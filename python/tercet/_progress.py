"""Progress of a run: a bar of tqdm where it is installed, lines on stderr otherwise."""

from __future__ import annotations

import sys
from typing import Any


class Silent:
    """Shows nothing."""

    def begins(self, what: str, total: int, unit: str, done: int) -> None:
        """Work of a known amount begins."""

    def done(self, done: int, remark: str) -> None:
        """So much of it is done."""

    def line(self, line: str) -> None:
        """A line for the reader."""

    def close(self) -> None:
        """The run is over."""


class Lines(Silent):
    """Prints a line for each finished thing."""

    def line(self, line: str) -> None:
        print(line, file=sys.stderr)


class Bars(Silent):
    """One bar at a time, and a line for each finished thing."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bar: Any = None

    def begins(self, what: str, total: int, unit: str, done: int) -> None:
        self.close()
        if total > 0:
            self._bar = self._tqdm(desc=what, total=total, unit=f" {unit}", initial=done, leave=False)

    def done(self, done: int, remark: str) -> None:
        if self._bar is not None:
            if remark:
                self._bar.set_postfix_str(remark, refresh=False)
            self._bar.update(done - self._bar.n)

    def line(self, line: str) -> None:
        self._tqdm.write(line, file=sys.stderr)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def listener(progress: bool) -> Silent:
    """Who listens to a run."""
    if not progress:
        return Silent()
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return Lines()
    return Bars(tqdm)
