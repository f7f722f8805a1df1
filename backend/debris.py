"""What deeds leave behind that were cut off: half of an upload, a model on its way out, a zip that nobody took."""

from __future__ import annotations

import logging
import re
import shutil
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.folders import Folders

AT_WORK = timedelta(days=1)  # in which whoever made it, another backend too, may still be at it
MADE_BY = re.compile(r"\.(\d{1,9})\.partial$")  # the process whose work it is (tasks/arriving.py)

log = logging.getLogger(__name__)


def sweep(folders: Folders, hub_cache: Path, moment: datetime) -> None:
    """Remove what nobody can be at work with any more. What cannot be removed stays until the next start."""
    for path in debris(folders, hub_cache):
        try:
            age = moment - datetime.fromtimestamp(path.lstat().st_mtime, moment.tzinfo)
            if not _is_nobodys(path) and age < AT_WORK:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            log.warning("%s is of no use, and cannot be removed: %s", path, error)
        else:
            log.info("removed %s, which was cut off", path)


def _is_nobodys(path: Path) -> bool:
    """Tell whether it is known that nobody is at work with it, however young it is."""
    if path.suffix == ".leaving":
        return True
    maker = MADE_BY.search(path.name)
    return maker is not None and not _lives(int(maker[1]))


def _lives(pid: int) -> bool:
    try:
        # One that was killed keeps its id until its parent takes notice, which init does in its own time.
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # somebody else's, who may have made this
        return True


def debris(folders: Folders, hub_cache: Path) -> Iterator[Path]:
    """Return what bears the name of something unfinished, whatever its age."""
    for folder in (folders.models, hub_cache, folders.datasets, folders.adapters, folders.exports):
        yield from folder.glob(".*.leaving")  # removed, but not to the end
    yield from folders.datasets.glob("*.arriving")
    for folder in (folders.models, folders.exports):
        yield from folder.glob(".*.partial")
    for folder in (folders.root, folders.configurations, folders.presets, folders.conversations, folders.downloads):
        yield from folder.glob("*.json.*.new")
    yield from folders.reports.glob("adapter-*.zip")  # a client that went away did not take it
