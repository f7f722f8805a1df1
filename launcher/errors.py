"""Errors that a person will read: what is so, with names and numbers, and one thing to do about it.

EngineError
└── LauncherError            exit status 80–99
    ├── ArchiveMissing       archive-missing       80
    ├── ArchiveDamaged       archive-damaged       81
    ├── ManifestInvalid      manifest-invalid      82
    ├── ManifestTooNew       manifest-too-new      83
    ├── WrongPlatform        wrong-platform        84
    ├── DiskFull             disk-full             85
    ├── HomeNotWritable      home-not-writable     86
    ├── PathTooLong          path-too-long         87
    ├── Busy                 busy                  88
    ├── InstallDamaged       install-damaged       89
    ├── BlockedBySystem      blocked-by-system     90
    ├── RelocationFailed     relocation-failed     91
    └── BackendNotStarted    backend-not-started   92
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pathlib import Path

EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class EngineError(Exception):
    """Something a person can act on: `message` says what is so, `remedy` what to do, `path` where."""

    code: ClassVar[str]
    exit_status: ClassVar[int]

    def __init__(self, message: str, remedy: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.path = path


class LauncherError(EngineError):
    """An error of the launcher, exit status 80–99."""
