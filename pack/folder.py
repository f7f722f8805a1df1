"""Folders, and small files, that are made whole or not at all."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` when the block ends well, and goes when it does not."""
    unfinished = folder.with_name(folder.name + ".new")
    _remove(unfinished)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
    except BaseException:
        _remove(unfinished)
        raise
    _remove(folder)
    unfinished.rename(folder)


def write_whole(path: Path, text: str) -> None:
    """Write a file that is read as it was or as it is now, whenever that is and whatever ends this program."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(text, encoding="utf-8", newline="\n")
    unfinished.replace(path)


def plain_mode(mode: int, *, is_folder: bool) -> int:
    """Return the mode with which all may read what its owner may, whatever the umask was when it was written."""
    return 0o755 if is_folder or mode & 0o100 else 0o644


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
