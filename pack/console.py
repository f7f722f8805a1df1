"""What the programs of the build print goes to any console, and through any pipe."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def show_any_text() -> None:
    """Let stdout and stderr write what their encoding lacks as escapes: that is no reason for a build to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
