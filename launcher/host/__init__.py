"""The machine's own ways: kernel locks, and becoming another program. The one place that asks which system this is."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from launcher.host.windows import (
        Lock,
        become,
        begin_to_keep,
        boot_identity,
        cuda_driver,
        end_with_stdin,
        file_system,
        flush_file_system,
        flush_to_the_medium,
        long_paths,
        spawn_behind,
    )
else:
    from launcher.host.posix import (
        Lock,
        become,
        begin_to_keep,
        boot_identity,
        cuda_driver,
        end_with_stdin,
        file_system,
        flush_file_system,
        flush_to_the_medium,
        long_paths,
        spawn_behind,
    )

__all__ = [
    "Lock",
    "become",
    "begin_to_keep",
    "boot_identity",
    "cuda_driver",
    "end_with_stdin",
    "file_system",
    "flush_file_system",
    "flush_to_the_medium",
    "long_paths",
    "spawn_behind",
]
