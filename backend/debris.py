"""What deeds leave behind that were cut off: half of an upload, a model on its way out, a zip that nobody took."""

from __future__ import annotations

import logging
import shutil
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.folders import Folders

AT_WORK = timedelta(days=1)  # in which whoever made it, another backend too, may still be at it

log = logging.getLogger(__name__)


def sweep(folders: Folders, hub_cache: Path, moment: datetime) -> None:
    """Remove what nobody can be at work with any more. What cannot be removed stays until the next start."""
    for path in debris(folders, hub_cache):
        try:
            age = moment - datetime.fromtimestamp(path.lstat().st_mtime, moment.tzinfo)
            if path.suffix != ".leaving" and age < AT_WORK:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            log.warning("%s is of no use, and cannot be removed: %s", path, error)
        else:
            log.info("removed %s, which was cut off", path)


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
