"""Errors of the build: exit status 40–59, the same shape as the launcher's."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from launcher.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class PackError(EngineError):
    """An error of the build, exit status 40–59."""


class SystemRefused(EngineError):
    """The system refused pack a file, a folder or a program: no room, no permission, not there."""

    code, exit_status = "system-refused", 74  # sysexits.h has it for input and output; 40 to 59 are all taken

    def __init__(self, error: OSError) -> None:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        super().__init__(
            f"{where}{error.strerror or error}",
            "Free some room on that disk, and run the same command again: what was finished is used again."
            if error.errno in {errno.ENOSPC, errno.EDQUOT}
            else "See to it that pack may have what is named here, and run the same command again; "
            "--traceback shows what it was about to do.",
        )


class SpecInvalid(PackError):
    """environment.yml, or another file or variable that says what to build, is not in the form that we read."""

    code = "spec-invalid"
    exit_status = 40

    def __init__(self, problem: str, line: int | None = None, path: Path | None = None) -> None:
        where = path.name if path else "environment.yml"
        at = f"{where}, line {line}" if line is not None else where
        super().__init__(f"{at}: {problem}", f"Correct {at}, then run the same command again.", path)
        self.line = line


class PackageUnknown(PackError):
    """No channel that was asked has packages of these names; each stands with its line of environment.yml, if any."""

    code = "package-unknown"
    exit_status = 41

    def __init__(self, lines: Mapping[str, int | None], channels: Sequence[str]) -> None:
        wanted = [f"{name} (environment.yml, line {line})" if line else name for name, line in lines.items()]
        super().__init__(
            f"No channel has a package named {' or '.join(wanted)}; asked: {', '.join(channels)}.",
            f"Check the spelling of {', '.join(lines)}, or name a channel that has it.",
        )
        self.names = tuple(lines)


class ChannelUnreachable(PackError):
    """A channel gave no list of packages."""

    code = "channel-unreachable"
    exit_status = 42

    def __init__(self, channels: Sequence[str], reason: str) -> None:
        super().__init__(
            f"Cannot read the list of packages of {', '.join(channels)}: {reason}",
            "Check the channel's address and this machine's network, "
            "or build from Python wheels alone: --channel local.",
        )


class SpecUnsolvable(PackError):
    """The packages exist, but no choice of them fits together."""

    code = "spec-unsolvable"
    exit_status = 43

    def __init__(self, platform: str, accelerator: str, reason: str) -> None:
        super().__init__(
            f"No set of packages satisfies environment.yml for {platform} with {accelerator}:\n{reason}",
            "Change one of the pins named above in environment.yml.",
        )


class LockStale(PackError):
    """There is no lock to use, or it is not a lock of the environment.yml at hand."""

    code = "lock-stale"
    exit_status = 44

    def __init__(self, problem: str, path: Path) -> None:
        super().__init__(f"{path}: {problem}", "Write the lock anew: python -m pack lock.", path)


class WheelsUnavailable(PackError):
    """pip found no set of wheels for what was asked."""

    code = "wheels-unavailable"
    exit_status = 45

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(
            f"pip finds no wheels for environment.yml: {reason}",
            remedy or "Check pip's settings (pip config list) and the pins that pip names.",
        )


class WheelInvalid(PackError):
    """A wheel cannot become a conda package."""

    code = "wheel-invalid"
    exit_status = 46

    def __init__(self, problem: str, path: Path) -> None:
        super().__init__(f"{path.name}: {problem}", f"Delete {path} and build the channel again.", path)


class WrongAccelerator(PackError):
    """A torch of another accelerator than the one asked for."""

    code = "wrong-accelerator"
    exit_status = 47

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)


class InterpreterUnsupported(PackError):
    """A Python that no package can be made of here."""

    code = "interpreter-unsupported"
    exit_status = 48

    def __init__(self, problem: str, path: Path) -> None:
        super().__init__(
            f"No conda package can be made of {path}: {problem}",
            "Run pack with Python 3.11 from pyenv, from a standalone build or from Debian, on linux-64; "
            "or take python from conda-forge.",
            path,
        )


class PrefixFailed(PackError):
    """A lock could not be installed as a build prefix."""

    code = "prefix-failed"
    exit_status = 49

    def __init__(self, problem: str, path: Path) -> None:
        super().__init__(f"{path}: {problem}", f"Delete {path} and run the same command again.", path)


class PrefixNotPackable(PackError):
    """conda-pack refuses the build prefix; `reason` is its own word."""

    code, exit_status = "prefix-not-packable", 50

    def __init__(self, prefix: Path, reason: str) -> None:
        super().__init__(
            f"The prefix {prefix} cannot be packed: {reason.strip()}",
            "Build the prefix again with python -m pack prefix; never install into it by hand.",
            prefix,
        )


class UnmanagedFiles(PackError):
    """The build prefix holds files that no package brought."""

    code, exit_status = "unmanaged-files", 51

    def __init__(self, prefix: Path, paths: Sequence[str]) -> None:
        more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
        super().__init__(
            f"{prefix} holds {len(paths)} files that belong to no package: {', '.join(paths[:5])}{more}.",
            "Add the package that should bring them to environment.yml, and build the prefix again.",
            prefix,
        )


class MachinePathFound(PackError):
    """A file to be archived holds a path of the machine that builds."""

    code, exit_status = "machine-path-found", 52

    def __init__(self, entry: str, machine_path: str) -> None:
        super().__init__(
            f"{entry} holds the path {machine_path}, which exists on this machine alone.",
            "Mend the package that brings the file: such a path needs a placeholder, or to be left out.",
        )


class ProgramFailed(PackError):
    """A program of the build ended with an error, `output` being its last words; or (status None) is not there."""

    code, exit_status = "program-failed", 53

    def __init__(self, what: str, status: int | None, output: str, remedy: str | None = None) -> None:
        ended = "is not on this machine" if status is None else f"ended with status {status}"
        super().__init__(
            f"{what} {ended}:\n{output.strip()[-3000:]}",
            remedy or "Read its output above; nox -s doctor shows whether the tools it needs are there.",
        )


class VerificationFailed(PackError):
    """The staged resources do not do what they should; `failures` names each check with what was found."""

    code, exit_status = "verification-failed", 54

    def __init__(self, folder: Path, failures: Sequence[str]) -> None:
        super().__init__(
            f"{len(failures)} checks of {folder} failed: " + "; ".join(failures),
            "Read verify.json beside the resources; do not ship them.",
            folder,
        )


class PlatformNotBuildable(PackError):
    """A platform was asked for that cannot be built for on the machine at hand."""

    code, exit_status = "platform-not-buildable", 55

    def __init__(self, platform: str, here: str, runner: str) -> None:
        super().__init__(
            f"A runtime for {platform} cannot be built on {here}.",
            f"Build it on {runner}: conda-pack and PyInstaller work for the platform they run on.",
        )


class NotBuilt(PackError):
    """An act needs what an earlier one leaves."""

    code, exit_status = "not-built", 56

    def __init__(self, path: Path, act: str) -> None:
        super().__init__(f"{path} is not there yet.", f"Run python -m pack {act} first.", path)


class UnsafeEntries(PackError):
    """The environment holds what no launcher would write; `reason` names the first entry."""

    code, exit_status = "unsafe-entries", 57

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The environment cannot be shipped: {reason}.", "Leave out, or mend, the package that brings this entry."
        )


class SourceChanged(PackError):
    """A file of the build prefix changed, or went, while it was packed."""

    code, exit_status = "source-changed", 58

    def __init__(self, entry: str, change: str) -> None:
        super().__init__(
            f"{entry} did not hold still while it was packed: {change}.",
            "Let nothing else work in the build folder, and run the same command again.",
        )


class PlaceholderLeft(PackError):
    """A file holds the build prefix or a placeholder, and nothing would rewrite it where it is installed."""

    code, exit_status = "placeholder-left", 59

    def __init__(self, entry: str, placeholder: str) -> None:
        shown = placeholder if len(placeholder) <= 80 else f"{placeholder[:77]}..."
        super().__init__(
            f"{entry} holds {shown}, and nothing rewrites it where the runtime is installed.",
            "Mend the package that brings the file: its info/paths.json has to declare the placeholder.",
        )
