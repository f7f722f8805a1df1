"""The machine's own ways: kernel locks, and becoming another program. The one place that asks which system this is."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from launcher.host.windows import Lock, become, end_with_stdin, spawn_behind
else:
    from launcher.host.posix import Lock, become, end_with_stdin, spawn_behind

__all__ = ["Lock", "become", "end_with_stdin", "spawn_behind"]
