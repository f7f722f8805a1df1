"""Whether a machine can build: what is missing is named, with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from pack.doctor import CUDA_ROOM, ROOM, Finding, examine, missing_tools

ROOT = Path(__file__).parents[3]


def findings(**machine: object) -> list[Finding]:
    facts: dict[str, object] = {
        "system": "linux",
        "python": (3, 11),
        "find": lambda program: f"/usr/bin/{program}",
        "free": ROOM,
        "found_at": "/",
    }
    return examine(**(facts | machine))  # type: ignore[arg-type]


def remedies(**machine: object) -> dict[str, str]:
    return {finding.name: finding.remedy for finding in findings(**machine) if finding.remedy}


def test_a_machine_that_has_all_needs_nothing() -> None:
    assert remedies() == {}


def test_an_old_python_is_named_with_the_one_that_is_needed() -> None:
    assert remedies(python=(3, 9)) == {"Python": "install Python 3.11 or later"}


def test_a_missing_program_comes_with_the_way_to_get_it() -> None:
    found = remedies(find=lambda program: None if program == "objdump" else program)
    assert list(found) == ["objdump"]
    assert found["objdump"].startswith("apt-get install binutils: ")


def test_a_full_disk_is_told_by_how_much() -> None:
    assert remedies(free=ROOM - 3_000_000_000) == {"disk": "free 3 GB there"}


def test_room_for_one_kind_of_torch_alone_is_told_and_is_enough() -> None:
    assert remedies(free=CUDA_ROOM - 1) == {}
    assert findings(free=8_000_000_000)[-1].found == "8 GB free at /, room for CPU torch; CUDA torch takes 20 GB"
    assert findings(free=CUDA_ROOM)[-1].found == "20 GB free at /"


def test_windows_is_asked_for_nothing_that_only_linux_has() -> None:
    assert list(remedies(system="win32", find=lambda _: None)) == ["npm"]


def test_every_package_that_a_build_uses_is_pinned() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    for name in ("pack", "backend", "lint", "workflows"):
        assert all("==" in line for line in groups[name]), name


def test_it_runs_on_this_machine_and_says_what_it_found() -> None:
    run = subprocess.run([sys.executable, "-m", "pack.doctor"], capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == {0: "This machine can build and test."}.get(
        run.returncode, f"{run.stdout.count('need  ')} of these to see to."
    )
    assert run.stdout.startswith("ok    Python")


def test_a_console_that_lacks_a_sign_is_told_all_the_same() -> None:
    environment = {**os.environ, "PATH": "/nonexistent", "PYTHONIOENCODING": "cp1252"}
    run = subprocess.run([sys.executable, "-m", "pack.doctor"], env=environment, cwd=ROOT, capture_output=True)
    assert run.returncode == 1, run.stderr
    assert b"\\u2192 install Node.js" in run.stdout


def test_what_only_tests_need_stops_no_build() -> None:
    assert [need.program for need in missing_tools("linux", lambda _: None)] == ["objdump", "strip", "ldd"]
    assert missing_tools("win32", lambda _: None) == []
