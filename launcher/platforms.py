"""The platforms we ship for, as values: what differs between them is a property, never a test of `sys.platform`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from launcher.errors import WrongPlatform

if TYPE_CHECKING:
    from pathlib import PurePath


class Platform(StrEnum):
    """A platform by conda's name for it (its *subdir*)."""

    LINUX_64 = "linux-64"
    LINUX_AARCH64 = "linux-aarch64"
    OSX_64 = "osx-64"
    OSX_ARM64 = "osx-arm64"
    WIN_64 = "win-64"

    @classmethod
    def current(cls) -> Platform:
        """Return the platform this interpreter runs on; raise WrongPlatform where we ship nothing."""
        system = {"linux": "linux", "darwin": "osx", "win32": "win"}.get(sys.platform, sys.platform)
        machine = _machine().lower()
        if machine in {"x86_64", "amd64"}:
            machine = "64"
        elif machine in {"aarch64", "arm64"}:
            machine = "arm64" if system == "osx" else "aarch64"
        try:
            return cls(f"{system}-{machine}")
        except ValueError as error:
            raise WrongPlatform(None, ", ".join(cls), f"{system}-{machine}") from error

    def system_versions(self) -> dict[str, str]:
        """Return the version of what programs are linked against here: glibc, or macOS. A musl system has neither."""
        if self.is_macos:
            import platform

            return {"macOS": platform.mac_ver()[0]}
        name, _, version = ("" if self.is_windows else _c_library()).partition(" ")
        return {name: version} if name == "glibc" else {}

    @property
    def is_windows(self) -> bool:
        """Whether paths, programs and processes are Windows'."""
        return self is Platform.WIN_64

    @property
    def is_macos(self) -> bool:
        """Whether this is a Mac."""
        return self in {Platform.OSX_64, Platform.OSX_ARM64}

    @property
    def program(self) -> str:
        """File name of the launcher."""
        return "peft_engine.exe" if self.is_windows else "peft_engine"

    @property
    def scripts(self) -> str:
        """Folder of a prefix that holds console scripts."""
        return "Scripts" if self.is_windows else "bin"

    @property
    def python(self) -> str:
        """The interpreter's place inside a prefix."""
        return "python.exe" if self.is_windows else "bin/python"

    @property
    def path_type(self) -> type[PurePath]:
        """The class of this platform's paths."""
        return PureWindowsPath if self.is_windows else PurePosixPath

    def site_packages(self, python: str) -> str:
        """Return the folder of a prefix that holds packages for the Python version `python` ("3.11")."""
        return "Lib/site-packages" if self.is_windows else f"lib/python{python}/site-packages"


# What the module platform would say: it would take 2 ms of each start.


def _machine() -> str:
    if sys.platform == "win32":
        import platform

        name = platform.machine()
    else:
        name = os.uname().machine
    return name


def _c_library() -> str:
    if sys.platform != "win32":
        with suppress(ValueError, OSError):  # musl's has no such name
            return os.confstr("CS_GNU_LIBC_VERSION") or ""
    return ""
