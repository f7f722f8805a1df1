"""What is checked out is the same bytes on every system: builds are made of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("LICENSE", "backend/__main__.py", "pack/prune.toml", "electron-resources/build/icon.ico")
# As Windows' git is set up by its installer, and on GitHub's runners.
WINDOWS = ("-c", "core.autocrlf=true")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *WINDOWS, "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, check=True)


@pytest.mark.parametrize("name", FILES)
def test_windows_gets_the_bytes_that_every_system_gets(name: str, tmp_path: Path) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    (origin / name).parent.mkdir(parents=True)
    shutil.copy(ROOT / ".gitattributes", origin)
    shutil.copy(ROOT / name, origin / name)
    git(origin, "init", "--quiet")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "--message", "begin")
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    assert (clone / name).read_bytes() == (ROOT / name).read_bytes()
