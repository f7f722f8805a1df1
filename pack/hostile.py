"""A place as unkind as users' machines are, and programs that run in it.

The home has a long name of several words and scripts, the environment is full of traps, HOME is not set, and where
the system lets us, there is no network and the resources cannot be written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What shells, conda and other apps leave behind, each deadly to an interpreter that heeds it.
TRAPS = {
    "PYTHONHOME": "/nonexistent",
    "PYTHONPATH": "/nonexistent",
    "PYTHONDONTWRITEBYTECODE": "1",
    "CONDA_PREFIX": "/nonexistent",
    "LD_LIBRARY_PATH": "/nonexistent",
    "DYLD_LIBRARY_PATH": "/nonexistent",
    "VIRTUAL_ENV": "/nonexistent",
    "PATH": "/nonexistent",
}
LONG = 200  # characters of a home's path; Windows' limit of 260 leaves no room for it beside torch's longest path
_NAME = "a b é 日本"
_SECONDS = 900  # what no program here takes, so that only one that hangs is killed
# Arguments: the folder not to be written, then a command. A mount of its own ends with the command.
_CUT_OFF = '{mount} --bind "$0" "$0" && {mount} -o remount,bind,ro "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ended: its exit status, None where it did not start or had to be killed, and what it said."""

    status: int | None
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        """What it said last, to people."""
        lines = (self.errors or self.output).strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@dataclass(frozen=True, slots=True)
class Place:
    """A home that did not exist before, and the words to put `before` a command that has to be cut off."""

    home: Path
    before: tuple[str, ...]

    def run(self, command: Sequence[str | Path], question: str = "") -> Ran:
        """Run a command here, with `question` on its stdin."""
        words = [*self.before, *map(str, command)]
        try:
            run = subprocess.run(
                words,
                env=TRAPS,
                input=question,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except OSError as error:
            return Ran(None, "", f"{words[0]}: {error.strerror or error}")
        except subprocess.TimeoutExpired:
            return Ran(None, "", f"it did not end within {_SECONDS} seconds, and was killed")
        return Ran(run.returncode, run.stdout, run.stderr)


def hostile_place(scratch: Path, resources: Path) -> tuple[Place, str]:
    """Return a place under `scratch` for a launcher in `resources`, and how unkind this machine let us make it."""
    home = scratch / _NAME
    if sys.platform != "win32":
        home /= "x" * max(1, LONG - len(str(home)) - 1)
    before = cut_off(resources.parent)
    if not before:
        return Place(home, ()), "With a network: this system has no namespaces."
    tried = Place(home, before).run(["/bin/sh", "-c", ":"])
    if tried.status != 0:
        return Place(home, ()), f"With a network: this machine does not let us make a namespace ({tried.last_words})."
    return Place(home, before), "Without a network, and with read-only resources."


def cut_off(folder: Path) -> tuple[str, ...]:
    """Return the words before a command that has to run without a network and with `folder` read-only.

    Empty where the system has no namespaces (https://man7.org/linux/man-pages/man1/unshare.1.html).
    """
    unshare, mount = shutil.which("unshare"), shutil.which("mount")
    if not sys.platform.startswith("linux") or unshare is None or mount is None:
        return ()
    become_root = () if os.geteuid() == 0 else ("--map-root-user",)
    script = _CUT_OFF.format(mount=mount)
    return (unshare, *become_root, "--net", "--mount", "/bin/sh", "-c", script, str(folder))
