"""JSON documents on disk, each in a file of its own that is there whole or not at all."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import threading
import uuid
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from backend.errors import DocumentUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Document = TypeVar("Document", bound="Mapping[str, Any]")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

log = logging.getLogger(__name__)


class Shelf(Generic[Document]):
    """A folder of documents of one kind, such as "conversation". Its methods may be called from any thread.

    Whatever is there is taken to have been put there: its shape is not looked at again.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._kind = kind
        self._changing = threading.Lock()

    def all(self) -> list[Document]:
        """Return every document, by name. One that something else has damaged is left out, and logged."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            document = read_object(path)
            if document is None:
                log.warning("%s is no JSON object: left out", path)
            else:
                found.append(cast("Document", document))
        return found

    def get(self, name: str) -> Document:
        """Return one document. Raises DocumentUnknown."""
        document = self.find(name)
        if document is None:
            raise DocumentUnknown(self._kind, name)
        return document

    def find(self, name: str) -> Document | None:
        """Return one document, or None if there is none of this name."""
        return cast("Document | None", read_object(self._path(name))) if NAME.fullmatch(name) else None

    def put(self, name: str, document: Document) -> None:
        """Write a document in place of the one of this name, if there is one. Raises DocumentUnknown of a bad name."""
        path = self._path(name)
        with self._changing:
            write_whole(path, document)

    def change(self, name: str, change: Callable[[Document | None], Document]) -> Document:
        """Write what `change` makes of a document (None: there is none yet), and return it."""
        path = self._path(name)
        with self._changing:
            document = change(cast("Document | None", read_object(path)))
            write_whole(path, document)
        return document

    def delete(self, name: str) -> None:
        """Remove a document. Raises DocumentUnknown."""
        try:
            self._path(name).unlink()
        except FileNotFoundError as error:
            raise DocumentUnknown(self._kind, name) from error

    def _path(self, name: str) -> Path:
        # A name comes from a client: it may not lead out of the folder.
        if not NAME.fullmatch(name):
            raise DocumentUnknown(self._kind, name)
        return self._folder / f"{name}.json"


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object that a file holds; None where it is missing, torn or no object."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def remove(folder: Path) -> None:
    """Remove a folder: it is there whole, or not at all."""
    leaving = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.leaving")
    folder.rename(leaving)
    shutil.rmtree(leaving)


def flush(folder: Path) -> None:
    """Have every file of a folder reach the disk, so that what says that it is whole cannot come there first."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())


def write_whole(path: Path, document: Any) -> None:
    """Replace a file by a document: whoever reads it, even after a power cut, finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    try:
        with new.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)  # gone by now, if all went well
