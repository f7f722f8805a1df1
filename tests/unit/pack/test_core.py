"""What a program opened is recorded from within it, with the standard library alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pack.core import RECORD

# A program whose last act is to be on Windows, where two libraries are loaded.
ON_WINDOWS = r"""
import ctypes, sys
from types import SimpleNamespace

NAMES = {0x7FF800000000: "C:\\prefix\\python311.dll", 0x7FF900000000: "C:\\prefix\\Library\\bin\\libcrypto-3-x64.dll"}

def current_process():
    return -1

def enumerate_modules(process, modules, room, needed):
    assert process == -1 and room >= 8 * len(NAMES)
    for number, handle in enumerate(NAMES):
        modules[number] = handle
    needed._obj.value = 8 * len(NAMES)
    return 1

def name_of(module, buffer, room):
    buffer.value = NAMES[module]
    return len(buffer.value)

def load(name):
    assert name == "kernel32"
    return SimpleNamespace(
        GetCurrentProcess=current_process, K32EnumProcessModules=enumerate_modules, GetModuleFileNameW=name_of
    )

ctypes.WinDLL = load
sys.platform = "win32"
"""


def record(folder: Path, program: str) -> set[str]:
    """Return what a program of this text opened, run as conda-unpack is: without site-packages."""
    script, written = folder / "program", folder / "record.json"
    script.write_text(program, encoding="utf-8")
    command = [sys.executable, "-B", "-E", "-s", "-S", "-c", RECORD, str(written), str(script)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(json.loads(written.read_text(encoding="utf-8")))


def test_what_a_program_reads_and_imports_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "words").touch()
    (tmp_path / "beside.py").touch()
    opened = record(tmp_path, f"import beside\nopen({str(tmp_path / 'words')!r}).close()\n")
    assert {str(tmp_path / name) for name in ("program", "words", "beside.py")} <= opened


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux says of itself")
def test_what_linux_loaded_is_recorded(tmp_path: Path) -> None:
    assert any(Path(name).name.startswith("libc.so") for name in record(tmp_path, ""))


def test_what_windows_loaded_is_recorded(tmp_path: Path) -> None:
    loaded = {"C:\\prefix\\python311.dll", "C:\\prefix\\Library\\bin\\libcrypto-3-x64.dll"}
    assert loaded <= record(tmp_path, ON_WINDOWS)
