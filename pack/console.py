"""What the programs of the build print goes to any console, and through any pipe."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def show_any_text() -> None:
    """Let stdout and stderr write what their encoding lacks as escapes: that is no reason for a build to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class ProgressLines:
    """Shows how far work is, on stderr: one line that grows on a terminal, a line for each tenth of it elsewhere."""

    def __init__(self) -> None:
        self._shown: tuple[str, int] | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show a step, where there is more to show than after the one before."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{what}: {done} of {total}", end="\n" if done >= total else "", file=sys.stderr, flush=True)
            return
        tenth = (what, 10 * done // total if total else 10)
        if tenth != self._shown:
            self._shown = tenth
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)
