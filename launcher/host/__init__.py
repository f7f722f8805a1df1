"""The machine's own ways: kernel locks, and becoming another program. The one place that asks which system this is."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from launcher.host.windows import Lock, become, spawn_behind, stdin_ended
else:
    from launcher.host.posix import Lock, become, spawn_behind, stdin_ended

__all__ = ["Lock", "become", "spawn_behind", "stdin_ended"]
