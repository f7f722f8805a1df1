"""A lock, installed: the build prefix, of which every file belongs to a package."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING

import rattler
from rattler.exceptions import InstallerError, LinkError, TransactionError
from rattler.install import InstallerReporter

from pack.condapackage import EPOCH
from pack.errors import PrefixFailed
from pack.progress import Progress, silent
from pack.records import CACHE_TAG, FOLDER, HISTORY, records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pack.lock import Lock


def install(lock: Lock, prefix: Path, *, cache: Path, progress: Progress = silent) -> None:
    """Make `prefix` hold what `lock` says and nothing else; `cache` keeps the unpacked packages, and has to stay.

    A prefix that is so already is left as it is; any other is made anew. Raises PrefixFailed.
    """
    if installed(prefix) == wanted(lock) and not list(unmanaged(prefix)):
        return
    if prefix.exists():
        if not (prefix / FOLDER).is_dir() and any(prefix.iterdir()):
            raise PrefixFailed("it is no conda prefix, so it is not replaced", prefix)
        shutil.rmtree(prefix)
    try:
        asyncio.run(
            rattler.install(
                records=list(lock.records),
                target_prefix=prefix,
                cache_dir=cache,
                platform=rattler.Subdir(lock.platform),
                execute_link_scripts=False,
                reporter=_Reporter(progress),  # type: ignore[abstract]  # its methods do nothing, they are not missing
            )
        )
    except (InstallerError, LinkError, TransactionError) as error:
        raise PrefixFailed(f"the lock cannot be installed: {error}", prefix) from error
    history = prefix / HISTORY
    history.touch()  # conda-pack takes its time from here
    os.utime(history, (EPOCH.timestamp(), EPOCH.timestamp()))
    if strays := list(unmanaged(prefix)):
        raise PrefixFailed(f"{len(strays)} files belong to no package, {strays[0]} among them", prefix)


def wanted(lock: Lock) -> set[tuple[str, str]]:
    """Return file name and SHA-256 of each package that a lock names."""
    return {(record.file_name, record.sha256.hex() if record.sha256 else "") for record in lock.records}


def installed(prefix: Path) -> set[tuple[str, str]]:
    """Return file name and SHA-256 of each package that a prefix holds; nothing where there is no prefix."""
    return {(document["fn"], document.get("sha256", "")) for document in records(prefix)}


def unmanaged(prefix: Path) -> Iterator[str]:
    """Yield each file or link of a prefix that no package has brought, but for conda's own records."""
    managed = {path for document in records(prefix) for path in document["files"]}
    for folder, folders, files in os.walk(prefix):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118 - 25,000 files
        for name in (*files, *links):
            path = os.path.relpath(os.path.join(folder, name), prefix).replace(os.sep, "/")  # noqa: PTH118
            if path not in managed and path != CACHE_TAG and not path.startswith(FOLDER):
                yield path


class _Reporter(InstallerReporter):
    """Tells how many packages are in place; what it does not tell is left to the base class."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0
        self._total = 0

    def on_transaction_start(self, total_operations: int) -> None:
        """Note how many packages there are."""
        self._total = total_operations

    def on_transaction_operation_complete(self, operation: int) -> None:  # noqa: ARG002 - the library's signature
        """Say that one more is in place."""
        self._done += 1
        self._progress("install packages", self._done, self._total)
