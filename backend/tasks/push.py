"""Put an adapter's or a model's folder on the hub, and tell how far it is."""

from __future__ import annotations

import io
import os
import threading
import time
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from backend.adapters.published import published
from backend.models.hubclient import understood
from backend.models.weights import PICKLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.tasks.results import Pushed

LEFT_OUT = [*PICKLES, "checkpoint-*/*"]  # what others should not have to trust
TOLD_SECONDS = 0.2


def push(*, folder: str, repository: str, private: bool, message: str, tell: Callable[..., None]) -> Pushed:
    """Make the repository if it is not there, and commit the folder's files, without this machine's paths.

    Return where they are; `tell` how many bytes are `done` of the `total`. Raises CannotWork.
    """
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # its transfers read files by themselves, and nobody could count
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    contents = [
        (name, content)
        for name, content in published(Path(folder))
        if not any(fnmatch(name, pattern) for pattern in LEFT_OUT)
    ]
    meter = Meter(sum(map(_size, (content for _, content in contents))), tell)
    with understood(repository), ExitStack() as open_files:
        made = api.create_repo(repository, private=private, exist_ok=True)
        # The client reads each file once before, to hash it.
        operations = [
            CommitOperationAdd(
                path_in_repo=name,
                path_or_fileobj=content
                if isinstance(content, bytes)
                else open_files.enter_context(Sent(content, meter)),
            )
            for name, content in contents
        ]
        meter.begin()
        commit = api.create_commit(made.repo_id, operations, commit_message=message)
    return {"repository": made.repo_id, "url": str(made), "commit": commit.oid, "private": private}


class Meter:
    """Counts what has been read to be sent, and tells of it now and then. The client sends files in several threads."""

    def __init__(self, total: int, tell: Callable[..., None]) -> None:
        self._total = total
        self._tell = tell
        self._reached: dict[str, int] = {}
        self._counting = threading.Lock()
        self._begun = False
        self._told = 0.0
        tell(done=0, total=total)

    def begin(self) -> None:
        """Count from now on."""
        self._begun = True

    def reach(self, name: str, position: int) -> None:
        """Take notice of how far a file has been read. What is sent again, after an error, does not count twice."""
        if not self._begun:
            return
        with self._counting:
            self._reached[name] = max(position, self._reached.get(name, 0))
            if (moment := time.monotonic()) - self._told >= TOLD_SECONDS:
                self._told = moment
                self._tell(done=sum(self._reached.values()), total=self._total)


class Sent(io.BufferedReader):
    """A file for the hub's client to read."""

    def __init__(self, path: Path, meter: Meter) -> None:
        super().__init__(io.FileIO(path))
        self._path = str(path)
        self._meter = meter

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes."""
        content = super().read(size)
        self._meter.reach(self._path, self.tell())
        return content


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
