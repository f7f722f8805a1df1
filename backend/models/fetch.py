"""One download from the hub, in a process of its own: `python -m backend.models.fetch REQUEST PARENT`.

REQUEST is a JSON object with model_id, revision, commit (null: the revision's own), cache and pickle. The hub's own
client finds, authorizes, transfers and lays out; what this adds is that a transfer goes on where a process was killed,
and that every file is hashed. It tells JSON lines on what was stdout: `planned` once, `progress` now and then, and at
the end `fetched` or `failed`.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import BackendError
from backend.models.hubclient import understood
from backend.models.local import repository
from backend.models.weights import PICKLED, SAFE
from backend.working import CannotWork, begin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Tell = Callable[..., None]

TEXTS = ("*.json", "*.txt", "*.model", "*.jinja", "*.py", "*.md", "LICENSE*")
MAKE_ROOM = "Delete a model that you no longer need (DELETE /api/models/cache/ID), or make room on this disk."
ATTEMPTS = 5  # at one file, without a byte gained in between
PAUSE_SECONDS = 1.0
TOLD_SECONDS = 0.2
PIECE_BYTES = 1024 * 1024  # what a kill may cost; the client's own pieces are ten times that
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
GIT_HASH_LENGTH = 40  # of a small file; a large one is named by its sha256


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a model. `size` in bytes; `etag` is its hash, and its name in the cache."""

    name: str
    size: int
    etag: str


class Meter:
    """Counts what has arrived, and tells of it. Rates in bytes a second since this process began to fetch."""

    def __init__(self, files: Iterable[File], done: int, tell: Tell) -> None:
        self.total = sum(file.size for file in files)
        self.done = done
        self._had = done
        self._began = time.monotonic()
        self._told = 0.0
        self._tell = tell

    def move(self, file: File, position: int, count: int, *, always: bool = False) -> None:
        """Take notice that `count` more bytes have come (fewer: were thrown away); the file has `position` now."""
        self.done += count
        moment = time.monotonic()
        if not always and moment - self._told < TOLD_SECONDS:
            return
        self._told = moment
        rate = max(0.0, (self.done - self._had) / max(moment - self._began, 1e-3))
        self._tell(
            "progress",
            file={
                "name": file.name,
                "done": position,
                "total": file.size,
                "remaining": _left(file.size, position, rate),
            },
            done=self.done,
            rate=rate,
            remaining=_left(self.total, self.done, rate),
        )


class Partial:
    """A file that arrives, for the hub's client to write to: every byte is counted, and kept if this process dies."""

    def __init__(self, path: Path, file: File, meter: Meter) -> None:
        self._stream = path.open("ab", buffering=0)
        self._file = file
        self._meter = meter

    def write(self, content: bytes) -> int:
        """Append."""
        self._stream.write(content)
        self._meter.move(self._file, self._stream.tell(), len(content))
        return len(content)

    def tell(self) -> int:
        """Return how many bytes there are."""
        return self._stream.tell()

    def seek(self, position: int) -> int:
        """Go to the start, before `truncate`: the client found that the server cannot go on in the middle."""
        self._meter.move(self._file, position, position - self._stream.tell())
        return self._stream.seek(position)

    def truncate(self) -> int:
        """Forget what lies behind."""
        return self._stream.truncate()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def main(arguments: list[str]) -> int:
    """Fetch what REQUEST says; return the exit status."""
    request, parent = json.loads(arguments[0]), int(arguments[1])
    stream = begin(parent)
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # its transfers cannot go on where a process was killed

    def tell(event: str, **facts: Any) -> None:
        print(json.dumps({"event": event, **facts}), file=stream, flush=True)

    try:
        fetch(**request | {"cache": Path(request["cache"])}, tell=tell)
    except BackendError as error:
        tell("failed", error=error.to_dict())
        return 1
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        tell("failed", error=_disk_filled(request["cache"]).to_dict())
        return 1
    return 0


def fetch(*, model_id: str, revision: str, commit: str | None, cache: Path, pickle: bool, tell: Tell) -> None:
    """Bring a model of one commit, None: the one that `revision` names now, into the cache. Raises CannotWork."""
    from huggingface_hub import HfApi, constants, hf_hub_download, hf_hub_url
    from huggingface_hub.file_download import get_hf_file_metadata

    constants.DOWNLOAD_CHUNK_SIZE = PIECE_BYTES
    with understood(model_id):
        known = HfApi().model_info(model_id, revision=commit or revision, files_metadata=True)
        commit = str(known.sha)
        files = wanted([_file(one) for one in known.siblings or ()], pickle=pickle)
        if not files:
            raise _nothing(model_id, [str(one.rfilename) for one in known.siblings or ()])
        # Anybody may read what a gated model is; whether its files are given, only asking for one shows.
        get_hf_file_metadata(hf_hub_url(model_id, files[0].name, revision=commit))
        home = repository(cache, model_id)
        blobs = home / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        had = sum(_had(blobs, file) for file in files)
        meter = Meter(files, had, tell)
        _require_room(cache, meter.total - had)
        listed = [{"name": file.name, "size": file.size, "done": _had(blobs, file)} for file in files]
        tell("planned", commit=commit, files=listed, total=meter.total, done=had)
        for file in files:
            if not (blobs / file.etag).exists():
                _bring(hf_hub_url(model_id, file.name, revision=commit), file, blobs, meter)
            # Finds the file there, and lays the snapshot out as this system can: with links, or with copies.
            hf_hub_download(model_id, file.name, revision=commit, cache_dir=cache)
            meter.move(file, file.size, 0, always=True)
    reference = home / "refs" / revision
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(commit, encoding="utf-8")  # at last: who finds it finds a model that is whole
    tell("fetched", commit=commit, path=str(home / "snapshots" / commit))


def wanted(files: list[File], *, pickle: bool) -> list[File]:
    """Return what a training needs of a model: one format of its weights, and its small files; small ones first."""
    top = [file for file in files if "/" not in file.name]
    weights = [file for file in top if _matches(file, SAFE)]
    if not weights and pickle:
        weights = [file for file in top if _matches(file, PICKLED)]
    return (
        sorted((file for file in top if _matches(file, TEXTS)), key=lambda file: file.size) + weights if weights else []
    )


def _bring(url: str, file: File, blobs: Path, meter: Meter) -> None:
    """Transfer a file, going on where an earlier process was cut off. Raises CannotWork (download-damaged)."""
    partial = blobs / f"{file.etag}.partial"
    for _ in range(2):
        _transfer(url, partial, file, meter)
        if _hash(partial, file) == file.etag:
            partial.rename(blobs / file.etag)
            return
        partial.unlink()
        meter.move(file, 0, -file.size)
    raise CannotWork(
        "download-damaged",
        f"{file.name} has arrived twice, and each time with another hash than the hub names",
        "Try again later; if it stays so, a proxy on the way changes files: ask whoever runs the network.",
    )


def _transfer(url: str, partial: Path, file: File, meter: Meter) -> None:
    from httpx import TransportError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    failures, reached = 0, _size(partial)
    if reached > file.size:  # the size of no part of it
        partial.unlink()
    while True:
        arriving = Partial(partial, file, meter)
        try:
            http_get(url, arriving, resume_size=arriving.tell(), headers=build_hf_headers(), expected_size=file.size)
        except (TransportError, OSError) as error:
            if not isinstance(error, TransportError) and "Consistency check" not in str(error):
                raise
            failures = 0 if arriving.tell() > reached else failures + 1
            reached = arriving.tell()
            if reached >= file.size:
                return  # whole, or too long: its hash will tell
            if failures == ATTEMPTS:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
        finally:
            arriving.close()


def _hash(path: Path, file: File) -> str:
    if len(file.etag) == GIT_HASH_LENGTH:
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    else:
        digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _file(one: Any) -> File:
    return File(name=one.rfilename, size=one.size or 0, etag=one.lfs.sha256 if one.lfs else one.blob_id)


def _had(blobs: Path, file: File) -> int:
    if (blobs / file.etag).exists():
        return file.size
    return min(file.size, _size(blobs / f"{file.etag}.partial"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _left(total: int, done: int, rate: float) -> float | None:
    return round((total - done) / rate, 1) if rate else None


def _matches(file: File, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(file.name, pattern) for pattern in patterns)


def _disk_filled(cache: str) -> CannotWork:
    return CannotWork(
        "disk-full",
        f"The disk of {cache} has filled up; what has arrived is kept",
        f"{MAKE_ROOM} Then resume the download.",
    )


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CannotWork(
            "disk-full",
            f"The model needs {needed:,} more bytes in {folder}, and {free:,} are free",
            MAKE_ROOM,
        )


def _nothing(model_id: str, names: list[str]) -> CannotWork:
    if any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in PICKLED):
        return CannotWork(
            "pickle-not-trusted",
            f"The weights of {model_id} are pickles, which can run anything when they are read",
            "Choose a model with safetensors; or, if you trust its maker, download it with pickle set to true.",
        )
    return CannotWork(
        "model-without-weights",
        f"{model_id} has no weights that transformers could load",
        "Choose the repository of the model itself; one of GGUF files, say, cannot be trained.",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
