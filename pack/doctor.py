"""`python -m pack.doctor`: is this machine able to build and test? What is missing, and how to get it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pack import LEAST_PYTHON
from pack.console import show_any_text

if TYPE_CHECKING:
    from collections.abc import Callable

# Bytes, by du -sh build dist .nox electron-resources: a CPU build and its tests leave under 5 GB; of a CUDA build,
# which is what pip gives on Linux by itself, build/ alone has 14 GB and dist/ 2.5 GB.
ROOM = 6_000_000_000
CUDA_ROOM = 20_000_000_000


@dataclass(frozen=True, slots=True)
class Need:
    """A program that something here runs: what for, and how to get it on Debian."""

    program: str
    purpose: str
    remedy: str
    systems: tuple[str, ...] = ("linux", "darwin", "win32")
    builds: bool = True
    """Whether an engine cannot be built without it; the others are for tests."""


NEEDS = (
    Need(
        "objdump",
        "PyInstaller, and the interpreter's package, read programs with it",
        "apt-get install binutils",
        ("linux",),
    ),
    Need("strip", "debug sections are left out with it", "apt-get install binutils", ("linux", "darwin")),
    Need("ldd", "the libraries that the interpreter needs are found with it", "apt-get install libc-bin", ("linux",)),
    Need("npm", "the Electron part is built and tested with it", "install Node.js 20 or later", builds=False),
    Need("chromium", "the pages are tested in it", "apt-get install chromium", ("linux",), builds=False),
    Need(
        "gnome-keyring-daemon",
        "secrets are kept in it by a test",
        "apt-get install gnome-keyring dbus",
        ("linux",),
        builds=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked for, what was found, and what to do where that is not enough (empty where it is)."""

    name: str
    found: str
    remedy: str


def examine(
    system: str, python: tuple[int, int], find: Callable[[str], str | None], free: int, found_at: str
) -> list[Finding]:
    """Return the findings for a machine: its `sys.platform`, Python, programs, and `free` bytes at `found_at`."""
    wanted = ".".join(map(str, LEAST_PYTHON))
    findings = [
        Finding(
            "Python", ".".join(map(str, python)), "" if python >= LEAST_PYTHON else f"install Python {wanted} or later"
        )
    ]
    for need in NEEDS:
        if system in need.systems:
            path = find(need.program)
            findings.append(Finding(need.program, path or "missing", "" if path else f"{need.remedy}: {need.purpose}"))
    short = f"free {(ROOM - free) / 1e9:.0f} GB there" if free < ROOM else ""
    tight = f", room for CPU torch; CUDA torch takes {CUDA_ROOM / 1e9:.0f} GB" if ROOM <= free < CUDA_ROOM else ""
    findings.append(Finding("disk", f"{free / 1e9:.0f} GB free at {found_at}{tight}", short))
    return findings


def missing_tools(system: str, find: Callable[[str], str | None]) -> list[Need]:
    """Return the programs without which nothing is built on a machine with this `sys.platform`."""
    return [need for need in NEEDS if need.builds and system in need.systems and find(need.program) is None]


def main() -> int:
    """Print the findings of this machine; return how many of them need something done, at most 1."""
    here = Path.cwd()
    findings = examine(sys.platform, sys.version_info[:2], shutil.which, shutil.disk_usage(here).free, str(here))
    width = max(len(finding.name) for finding in findings)
    lacking = sum(1 for finding in findings if finding.remedy)
    for finding in findings:
        print(f"{'ok  ' if not finding.remedy else 'need'}  {finding.name:<{width}}  {finding.found}")
        if finding.remedy:
            print(f"      {'':<{width}}  → {finding.remedy}")
    print(f"{lacking} of these to see to." if lacking else "This machine can build and test.")
    return min(lacking, 1)


if __name__ == "__main__":
    show_any_text()
    sys.exit(main())
