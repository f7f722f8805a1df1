"""What of an adapter or a model others may see: its files, without this machine's paths, which name its user."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.adapters.shelf import CONFIGURATION, RECORD
from backend.documents import read_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.adapters.shelf import Adapter

TEXTS = frozenset({".json", ".md"})  # where libraries write what a model and a dataset were called


def published(folder: Path) -> Iterator[tuple[str, bytes | Path]]:
    """Yield each file's place in the folder, and its content, or the file itself where nothing has to be left out."""
    private = {path for name in (CONFIGURATION, RECORD, "config.json") for path in _paths(read_object(folder / name))}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            whole = file.read_bytes() if private and file.suffix in TEXTS else b""
            shown = _without(whole, private)
            yield file.relative_to(folder).as_posix(), file if shown == whole else shown


def zipped(adapter: Adapter, folder: Path) -> Path:
    """Write a zip of what others may see of an adapter to a new file in `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=f"adapter-{adapter.id}-", suffix=".zip", delete=False) as file:
        # Weights do not get smaller, and the rest is small.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in published(Path(adapter.path)):
                if isinstance(content, bytes):
                    archive.writestr(f"{adapter.id}/{name}", content)
                else:
                    archive.write(content, f"{adapter.id}/{name}")
        return Path(file.name)


def _paths(value: Any) -> Iterator[str]:
    """Yield every full path in a document."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _paths(inner)
    elif isinstance(value, str) and Path(value).is_absolute() and Path(value).name:
        yield value


def _without(text: bytes, private: set[str]) -> bytes:
    for path in sorted(private, key=len, reverse=True):  # one may lie in another
        name = Path(path).name.encode()
        text = text.replace(path.encode(), name).replace(json.dumps(path)[1:-1].encode(), name)
    return text
