"""Errors that a person will read: what is so, with names and numbers, and one thing to do about it.

EngineError
├── WrongCommandLine         wrong-command-line    2
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
    ├── BackendNotStarted    backend-not-started   92
    ├── ArchiveUnreadable    archive-unreadable    93
    ├── HomeWithoutLocks     home-without-locks    94
    ├── PathNotText          path-not-text         95
    ├── SystemTooOld         system-too-old        96
    ├── HomeMissing          home-missing          97
    └── PlaceUnusable        place-unusable        98
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXIT_BUG = 70
EXIT_INTERRUPTED = 130
_NAMED = 3  # of many names, those that a message has


class EngineError(Exception):
    """Something a person can act on: `message` says what is so, `remedy` what to do, `path` where.

    `needed` has the entries of the runtime that cannot be had, all of them; the message names the first.
    """

    code: ClassVar[str]
    exit_status: ClassVar[int]
    needed: Sequence[str] = ()

    def __init__(self, message: str, remedy: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.path = path


class WrongCommandLine(EngineError):
    """The command line cannot be understood; `usage` is what a person is told of it."""

    code, exit_status = "wrong-command-line", 2

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(f"The command line cannot be understood: {message}.", "See peft_engine --help.")
        self.usage = usage


class LauncherError(EngineError):
    """An error of the launcher, exit status 80–99."""


class ArchiveMissing(LauncherError):
    """The archive's index, or some of its parts, are not in the resources; `needed` has what would come from these."""

    code, exit_status = "archive-missing", 80

    def __init__(self, path: Path, more: int = 0, needed: Sequence[str] = ()) -> None:
        parts = f", and {more} more of its parts" if more else ""
        entries = f"; needed from there: {names_text(needed)}" if needed else ""
        super().__init__(
            f"{path.name} is missing from {path.parent}{parts}{entries}.",
            "Reinstall PEFT Studio: its installation is incomplete.",
            path,
        )
        self.needed = needed


class ArchiveDamaged(LauncherError):
    """The archive is not what the manifest says: `found` against `expected`, of `what`."""

    code, exit_status = "archive-damaged", 81

    def __init__(self, path: Path, what: str, expected: object, found: object) -> None:
        super().__init__(
            f"{path.name} is damaged: {what} should be {expected} and is {found}.",
            "Reinstall PEFT Studio, or copy the file again from a sound installation.",
            path,
        )


class ArchiveUnreadable(LauncherError):
    """The system does not let us read a file of the resources; `reason` is its own word."""

    code, exit_status = "archive-unreadable", 93

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} cannot be read: {reason}.",
            "Give your user the right to read it, or reinstall PEFT Studio.",
            path,
        )


class ManifestInvalid(LauncherError):
    """The manifest is missing, is no JSON, or breaks its own format at the place `where` names."""

    code, exit_status = "manifest-invalid", 82

    def __init__(self, path: Path, where: str) -> None:
        super().__init__(
            f"{path.name} cannot be used: {where}.",
            "Reinstall PEFT Studio: its installation is damaged.",
            path,
        )


class ManifestTooNew(LauncherError):
    """The manifest's schema is newer than this program reads."""

    code, exit_status = "manifest-too-new", 83

    def __init__(self, path: Path, found: int, supported: int) -> None:
        super().__init__(
            f"{path.name} has schema {found}; this program reads schemas up to {supported}.",
            "Update PEFT Studio: this launcher is older than the engine beside it.",
            path,
        )


class WrongPlatform(LauncherError):
    """The resources hold a runtime for another platform; without a `path`, none is built for this computer at all."""

    code, exit_status = "wrong-platform", 84

    def __init__(self, path: Path | None, found: str, here: str) -> None:
        super().__init__(
            f"This engine was built for {found}; this computer is {here}.",
            "Use a computer that is one of these." if path is None else f"Download PEFT Studio for {here}.",
            path,
        )


class SystemTooOld(LauncherError):
    """The system is older than the runtime or this program needs; `found` is None where it has no `what` at all."""

    code, exit_status = "system-too-old", 96

    def __init__(self, path: Path, what: str, need: str, found: str | None) -> None:
        super().__init__(
            f"This engine needs {what} {need} or newer; this computer has {found or 'none'}.",
            f"Update the system to one with {what} {need}, or use an older release of PEFT Studio.",
            path,
        )


class DiskFull(LauncherError):
    """The home's disk has too little room, or the user's share of it has; `need` and `free` in bytes.

    `need` is unknown once writing began; `quota` says that only the user's share is used up; `others` are the bytes of
    engines of other versions.
    """

    code, exit_status = "disk-full", 85

    def __init__(self, path: Path, free: int, need: int | None = None, *, quota: bool = False, others: int = 0) -> None:
        short = f"{bytes_text(need)} are needed" if need is not None else "there was no room to go on writing"
        left = "your share of it is used up" if quota else f"{bytes_text(free)} are free"
        remedy = f"Free at least {bytes_text(need - free)} there" if need is not None else "Free some room there"
        if others:
            remedy += f" (peft_engine --remove --others frees {bytes_text(others)}, of other versions)"
        super().__init__(
            f"The disk of {path} is too full: {short}, {left}.",
            f"{remedy}, or choose a folder on another disk with --home, and start again: finished work is kept.",
            path,
        )


class HomeWithoutLocks(LauncherError):
    """The home's file system keeps no locks; `reason` is the system's own word."""

    code, exit_status = "home-without-locks", 94

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The file system of {path} keeps no locks: {reason}.",
            "Choose a folder on a disk of this computer with --home.",
            path,
        )


class HomeNotWritable(LauncherError):
    """The home, or something in it, cannot be written; `reason` is the system's own word, `number` its errno."""

    code, exit_status = "home-not-writable", 86

    def __init__(self, path: Path, reason: str, number: int | None = None) -> None:
        mend = _MENDS.get(number, "Give your user the right to write there")
        super().__init__(f"{path} cannot be written: {reason}.", f"{mend}, or choose another folder with --home.", path)


class HomeMissing(LauncherError):
    """The home was moved, and is not where `note` says; it is on a disk that is not connected, for all we know."""

    code, exit_status = "home-missing", 97

    def __init__(self, path: Path, note: Path) -> None:
        super().__init__(
            f"{path}, where your work and the engine were moved to, is not there.",
            f"Connect the disk that holds it and start again; should it be gone for good, remove {note} to begin anew.",
            path,
        )


class PlaceUnusable(LauncherError):
    """A folder or file that the command line names cannot be used for what was asked; `reason` says why."""

    code, exit_status = "place-unusable", 98

    def __init__(self, path: Path, reason: str, instead: str) -> None:
        super().__init__(f"{path} cannot be used: {reason}.", f"Name {instead}.", path)


class PathTooLong(LauncherError):
    """The home's path is too long for what has to be written below it or into it; lengths in bytes."""

    code, exit_status = "path-too-long", 87

    def __init__(self, path: Path, length: int, limit: int) -> None:
        super().__init__(
            f"{path} is too long: {length} characters where the engine can take {limit}.",
            f"Choose a folder whose path is at least {length - limit} characters shorter with --home.",
            path,
        )


class PathNotText(LauncherError):
    """The home's path holds bytes that are no text, and it has to be written into text files."""

    code, exit_status = "path-not-text", 95

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{str(path)!r} holds characters that are no text, and the engine's own files have to name it.",
            "Choose a folder with a plain name with --home.",
            path,
        )


class Busy(LauncherError):
    """A backend runs from the slot that would be changed."""

    code, exit_status = "busy", 88

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"The engine is running ({holder}) and uses the files that would be changed.",
            "Quit PEFT Studio, then try again.",
            path,
        )
        self.pid = pid


class InstallDamaged(LauncherError):
    """The installed runtime is not as its manifest says; `what` says how."""

    code, exit_status = "install-damaged", 89

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"The engine in {path} is not whole: {what}.", "Run peft_engine --repair.", path)


class BlockedBySystem(LauncherError):
    """The system refused to start a program of the runtime."""

    code, exit_status = "blocked-by-system", 90

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The system refused to start {path}: {reason}.",
            "Allow the program in your security software, or choose a home on a disk that may hold programs.",
            path,
        )


class RelocationFailed(LauncherError):
    """conda-unpack ended with an error; `status` is its exit status, `output` its last words."""

    code, exit_status = "relocation-failed", 91

    def __init__(self, path: Path, status: int, output: str) -> None:
        super().__init__(
            f"conda-unpack ended with status {status}: {output or 'it said nothing'}",
            "Run peft_engine --repair; if it fails again, send the log to support.",
            path,
        )


class BackendNotStarted(LauncherError):
    """The backend was started `count` times in a row and ended each time before it listened; `path` is its log."""

    code, exit_status = "backend-not-started", 92

    def __init__(self, path: Path, count: int) -> None:
        super().__init__(
            f"The backend ended {count} times in a row before it answered, and every file of it is sound.",
            f"Restart the computer and try again; if it fails again, send {path} to support.",
            path,
        )


def names_text(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def bytes_text(count: int) -> str:
    """Return a number of bytes as people read it."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.{2 if unit == 'GB' else 1}f} {unit}"
    return f"{count} bytes"


_IN_THE_WAY = "Move away what stands in its place"
_IN_USE = "Close the program that uses it (a virus scanner, a backup) and start again"
# What mends a place that cannot be written, by the system's reason, where that is not a matter of rights.
_MENDS: dict[int | None, str] = {
    errno.EROFS: "Make the disk writable",
    errno.EIO: "Have the disk checked, since it fails",
    errno.EBUSY: _IN_USE,
    errno.ETXTBSY: _IN_USE,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EISDIR: _IN_THE_WAY,
    errno.ENOTEMPTY: _IN_THE_WAY,
    errno.ELOOP: "Remove the links that lead in a circle",
    errno.ENAMETOOLONG: "Shorten the names of the folders",
    errno.EINVAL: "Give the folder a plain name",
    errno.ENOTSUP: "Give the disk a file system that keeps both",
    errno.EFBIG: "Raise the limit on the size of files",
    errno.ENOENT: "Start again, since something removed it meanwhile",
}
