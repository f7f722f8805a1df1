"""Downloads from the hub: a worker each, and a record that outlives worker and backend."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, NotRequired, cast

from typing_extensions import TypedDict

from backend import host
from backend.background import in_background
from backend.clock import Time, now
from backend.errors import EngineArriving, TaskFailed
from backend.problem import Problem
from backend.redaction import without_secrets
from backend.workers import spawn

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backend.documents import Shelf

KIND = "download"
TAIL_BYTES = 2048
ENDED: Problem = {
    "code": "download-interrupted",
    "message": "The download was ended",
    "remedy": "Start it again.",
    "detail": None,
}

log = logging.getLogger(__name__)


class DownloadState(StrEnum):
    """How a download is. `interrupted`: its worker or the backend was killed; it goes on when it is resumed."""

    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class FileDownload(TypedDict):
    """A file of a model, in bytes; `remaining` in seconds, null while that cannot be known."""

    name: str
    size: int
    done: int
    total: NotRequired[int]
    remaining: NotRequired[float | None]


class Asked(TypedDict):
    """What is to be fetched. `commit` is what `revision` named when it was planned; null: it was not yet."""

    id: str
    model_id: str
    revision: str
    pickle: bool
    commit: str | None
    created_at: Time


class Download(Asked):
    """A download: bytes, `rate` in bytes a second, `remaining` in seconds, null while that cannot be known.

    `path`, the model's folder, is there when it has completed.
    """

    ended_at: Time | None
    state: DownloadState
    error: Problem | None
    files: list[FileDownload]
    total: int
    done: int
    rate: float
    remaining: float | None
    path: NotRequired[str]


@dataclass(eq=False)
class Fetching:
    """A download at work. `record` is what its clients see; `planned` is done when it is known what there is to do."""

    record: Download
    process: Process
    planned: asyncio.Future[None]
    cancelled: bool = False
    reader: asyncio.Task[None] = field(init=False)


class Downloads:
    """Starts, follows, cancels and resumes. Any number run at once; of one model in one revision, one."""

    def __init__(self, shelf: Shelf[Download], cache: Path, engine_is_whole: Callable[[], bool]) -> None:
        self._shelf = shelf
        self._cache = cache
        self._engine_is_whole = engine_is_whole
        self._running: dict[str, Fetching] = {}
        self._starting = asyncio.Lock()
        self._followers: set[asyncio.Queue[Download]] = set()

    async def start(self, model_id: str, revision: str, *, pickle: bool) -> Download:
        """Start a download, or return the one that runs, as soon as it is known what there is to fetch.

        Raises EngineArriving, and TaskFailed where the hub does not give the model, or the disk has no room for it.
        """
        return await self._start(
            {
                "id": uuid.uuid4().hex[:12],
                "model_id": model_id,
                "revision": revision,
                "pickle": pickle,
                "commit": None,
                "created_at": now(),
            }
        )

    async def resume(self, download_id: str) -> Download:
        """Go on with a download where it ended, in its commit. Raises as `start`, and DocumentUnknown."""
        record = await asyncio.to_thread(self._shelf.get, download_id)
        return record if record["state"] == DownloadState.COMPLETED else await self._start(record)

    async def cancel(self, download_id: str) -> Download:
        """End a download at once; what has arrived is kept for `resume`. Raises DocumentUnknown."""
        fetching = self._running.get(download_id)
        if fetching is not None:
            fetching.cancelled = True
            host.kill_group(fetching.process.pid)
            await fetching.reader
        return await self.get(download_id)

    async def delete(self, download_id: str) -> None:
        """Forget a download, and end it first if it runs. What it fetched stays. Raises DocumentUnknown."""
        await self.cancel(download_id)
        await asyncio.to_thread(self._shelf.delete, download_id)

    async def all(self) -> list[Download]:
        """Return every download, the last started first."""
        kept = await asyncio.to_thread(self._shelf.all)
        return sorted((self._current(one) for one in kept), key=lambda one: str(one["created_at"]), reverse=True)

    async def get(self, download_id: str) -> Download:
        """Return one download. Raises DocumentUnknown."""
        return self._current(await asyncio.to_thread(self._shelf.get, download_id))

    def fetches(self, model_id: str) -> bool:
        """Tell whether a model is being fetched."""
        return any(one.record["model_id"] == model_id for one in self._running.values())

    @contextmanager
    def follow(self) -> Iterator[asyncio.Queue[Download]]:
        """Give a queue of records, one whenever a download has moved on."""
        arriving: asyncio.Queue[Download] = asyncio.Queue()
        self._followers.add(arriving)
        try:
            yield arriving
        finally:
            self._followers.discard(arriving)

    async def close(self) -> None:
        """End every download; they can be resumed."""
        for fetching in list(self._running.values()):
            host.kill_group(fetching.process.pid)
            await fetching.reader

    def _current(self, kept: Download) -> Download:
        fetching = self._running.get(kept["id"])
        if fetching is not None:
            return fetching.record
        if kept["state"] == DownloadState.RUNNING:  # of a backend that was killed
            return kept | {"state": DownloadState.INTERRUPTED, "rate": 0.0, "remaining": None}
        return kept

    async def _start(self, asked: Asked) -> Download:
        if not self._engine_is_whole():
            raise EngineArriving
        async with self._starting:
            for running in self._running.values():
                if all(running.record[name] == asked[name] for name in ("model_id", "revision")):
                    return running.record
            fetching = await self._spawn(asked)
        await asyncio.shield(fetching.planned)
        return fetching.record

    async def _spawn(self, asked: Asked) -> Fetching:
        request = {name: asked[name] for name in ("model_id", "revision", "commit", "pickle")}
        output = tempfile.TemporaryFile()  # noqa: SIM115 - the reader closes it
        process = await spawn("backend.models.fetch", json.dumps(request | {"cache": str(self._cache)}), log=output)
        begun = {"state": DownloadState.RUNNING, "error": None, "ended_at": None}
        record = cast("Download", {**asked, **begun})  # what is missing, the worker's plan tells, before it is shown
        fetching = Fetching(record, process, asyncio.get_running_loop().create_future())
        self._running[record["id"]] = fetching
        fetching.reader = in_background(self._read(fetching, output), f"the download of {record['model_id']}")
        return fetching

    async def _read(self, fetching: Fetching, output: IO[bytes]) -> None:
        assert fetching.process.stdout is not None
        state, error = DownloadState.INTERRUPTED, None
        with output:
            async for line in fetching.process.stdout:
                told = json.loads(line)
                event = told.pop("event")
                if event == "failed":
                    state, error = DownloadState.FAILED, told["error"]
                elif event == "fetched":
                    state = DownloadState.COMPLETED
                    fetching.record = fetching.record | {"path": told["path"], "remaining": 0.0}
                elif event == "planned":
                    fetching.record = fetching.record | told | {"rate": 0.0, "remaining": None}
                    if (error := await self._kept(fetching.record)) is not None:
                        state = DownloadState.FAILED
                        host.kill_group(fetching.process.pid)
                        break
                    fetching.planned.set_result(None)
                    self._tell(fetching.record)
                else:
                    fetching.record = _moved(fetching.record, told)
                    self._tell(fetching.record)
            status = await fetching.process.wait()
            if state is DownloadState.INTERRUPTED and not fetching.cancelled and not host.was_killed(status):
                state, error = DownloadState.FAILED, _unexplained(status, output)
        await self._end(fetching, DownloadState.CANCELLED if fetching.cancelled else state, error)

    async def _end(self, fetching: Fetching, state: DownloadState, error: Problem | None) -> None:
        record = fetching.record | {"state": state, "error": error, "rate": 0.0, "ended_at": now()}
        fetching.record = record
        if fetching.planned.done() or self._shelf.find(record["id"]) is not None:
            # Where there is no room to say how it ended, it is found interrupted, and can be resumed.
            unkept = await self._kept(record)
            error = error or unkept
        del self._running[record["id"]]
        self._tell(record)
        if error is not None:
            log.warning("the download of %s failed: %s", record["model_id"], error["message"])
        if not fetching.planned.done():
            failed = error or ENDED
            fetching.planned.set_exception(TaskFailed(**failed))

    async def _kept(self, record: Download) -> Problem | None:
        """Write a record to the disk; return why the disk does not take it, or None."""
        try:
            await asyncio.to_thread(self._shelf.put, record["id"], record)
        except OSError as error:
            return _not_kept(error)
        return None

    def _tell(self, record: Download) -> None:
        for arriving in self._followers:
            arriving.put_nowait(record)


def _moved(record: Download, told: Any) -> Download:
    """Return a record after a file has moved on; the files' list is kept by name."""
    moved = told.pop("file")
    files = [one | (moved if one["name"] == moved["name"] else {}) for one in record["files"]]
    after: Download = record | told | {"files": files}
    return after


def _not_kept(error: OSError) -> Problem:
    return {
        "code": "download-not-kept",
        "message": f"What there is to know of the download cannot be written: {error}",
        "remedy": "Make room on this disk, or let your user write there, and start the download again.",
        "detail": None,
    }


def _unexplained(status: int, output: IO[bytes]) -> Problem:
    output.seek(0)
    lines = without_secrets(output.read()[-TAIL_BYTES:].decode("utf-8", errors="replace")).splitlines()
    return {
        "code": "download-ended",
        "message": f"The download's process ended with status {status}: {lines[-1] if lines else 'it said nothing'}",
        "remedy": "Resume the download; report it if it ends again.",
        "detail": lines,
    }
