"""A wheel, laid out as a conda package lays its files out; the `installer` library knows how wheels say so."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import installer
from installer.destinations import SchemeDictionaryDestination
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import Scheme

from launcher.platforms import Platform
from pack.licenses import license_files
from pack.wheelfaults import faults_of

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from installer.records import RecordEntry
    from installer.scripts import ScriptSection

_SHELL_TRICK = b"""#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/python" "$0" "$@"
' '''
"""
"""The opening lines of a script that runs with the interpreter beside it, wherever that is.

A shell reads two commands here and never comes back from the first; Python reads one string. So console scripts hold
no prefix, work from folders of any length and with spaces in their names, and need no relocation.
"""

_WINDOWS_PYTHON = r"<launcher_dir>\..\python.exe"  # the launcher in front of the script knows this notation


def lay_out(wheel: Path, into: Path, *, platform: Platform | None, python: str) -> dict[str, Path]:
    """Write the wheel's files under `into` as a prefix of `platform` has them; return its licence files by name.

    Without a platform the files are laid out for conda's `noarch: python`. Raises WheelInvalid.
    """
    site = "site-packages" if platform is None else platform.site_packages(python)
    scripts = "python-scripts" if platform is None else platform.scripts
    destination = _Prefix(
        scheme_dict={
            "purelib": str(into / site),
            "platlib": str(into / site),
            "headers": str(into / "include" / f"python{python}" / wheel.name.partition("-")[0]),
            "scripts": str(into / scripts),
            "data": str(into),
        },
        interpreter=_WINDOWS_PYTHON,
        script_kind="win-amd64" if platform is Platform.WIN_64 else "posix",
    )
    into.mkdir(parents=True, exist_ok=True)
    with faults_of(wheel, "its files cannot be laid out"), WheelFile.open(wheel) as source:
        installer.install(source, destination, {"INSTALLER": b"conda\n"})
    return license_files(into / site)


@dataclass
class _Prefix(SchemeDictionaryDestination):
    """Where `installer` writes: as its own destination does, but scripts find their interpreter themselves."""

    def write_script(self, name: str, module: str, attr: str, section: ScriptSection) -> RecordEntry:
        script_name, content = Script(name, module, attr, section).generate(self.interpreter, self.script_kind)
        if self.script_kind == "posix":
            content = _SHELL_TRICK + content.partition(b"\n")[2]
        return self._write_program(script_name, content)

    def write_file(
        self,
        scheme: Scheme,
        path: str | os.PathLike[str],
        stream: BinaryIO,
        is_executable: bool,  # noqa: FBT001 - the library's signature
    ) -> RecordEntry:
        if scheme != "scripts":
            return self.write_to_fs(scheme, str(path), stream, is_executable)
        content = stream.read()
        if content.startswith(b"#!python") and self.script_kind == "posix":
            content = _SHELL_TRICK + content.partition(b"\n")[2]
        return self._write_program(str(path), content)

    def _write_program(self, name: str, content: bytes) -> RecordEntry:
        """Write a file that can be run."""
        return self.write_to_fs(Scheme("scripts"), name, io.BytesIO(content), is_executable=True)
