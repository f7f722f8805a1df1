"""What a model would have this machine run, and what its user has consented to.

A model may bring Python of its own, and weights as pickles, which can run anything when they are read. Neither is
touched without a consent, which holds for one model in one revision. Its folder says what it brings; nothing of it is
imported or unpickled here.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backend.clock import now
from backend.documents import read_object, write_whole
from backend.models.errors import RevisionChanged
from backend.models.weights import PICKLES

if TYPE_CHECKING:
    from pathlib import Path

CONSENTS_VARIABLE = "PEFT_STUDIO_CONSENTS"  # tells workers where the consents are
NAMES_CODE = ("config.json", "tokenizer_config.json")


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What a model's folder brings in `revision`: the commit of a hub's snapshot, else a digest of these files.

    `code` and `pickles` are names of files; `code` is empty where nothing names the Python that lies there.
    """

    model: str
    revision: str
    code: tuple[str, ...]
    pickles: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What may run of one model."""

    code: bool = False
    pickle: bool = False


def brought(model: str, folder: Path) -> Brought:
    """Return what the folder of a model brings; `model` is what its user calls it."""
    configurations = [read_object(folder / name) or {} for name in NAMES_CODE]
    code = sorted(folder.glob("*.py")) if any("auto_map" in found for found in configurations) else []
    pickles = sorted(path for pattern in PICKLES for path in folder.glob(pattern))
    in_cache = folder.parent.name == "snapshots"
    return Brought(
        model=model,
        revision=folder.name if in_cache else _digest([folder / name for name in NAMES_CODE], code, pickles),
        code=tuple(path.name for path in code),
        pickles=tuple(path.name for path in pickles),
    )


def borrows_code(folder: Path) -> bool:
    """Tell whether a model's configuration names code of another repository, which nobody has looked at here."""
    maps = [(read_object(folder / name) or {}).get("auto_map") for name in NAMES_CODE]
    return "--" in str(maps)


class Consents:
    """What was consented to, in one file. Reads it each time: the server writes it, workers read it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changing = threading.Lock()

    def of(self, found: Brought) -> Consent:
        """Return what may run of a model as it is now: nothing, if it was another revision that was looked at."""
        kept = self.all().get(found.model)
        if not isinstance(kept, dict) or kept.get("revision") != found.revision:
            return Consent()
        return Consent(code=kept.get("code") is True, pickle=kept.get("pickle") is True)

    def all(self) -> dict[str, Any]:
        """Return every consent by its model."""
        return read_object(self._path) or {}

    def grant(self, found: Brought, revision: str, consent: Consent) -> None:
        """Keep what may run of a model, as its user saw it in `revision`. Raises RevisionChanged."""
        if revision != found.revision:
            raise RevisionChanged(found.model, revision, found.revision)
        granted = {**asdict(consent), "revision": revision, "granted_at": now()}
        with self._changing:
            write_whole(self._path, self.all() | {found.model: granted})

    def withdraw(self, model: str) -> None:
        """Forget what was consented to."""
        with self._changing:
            write_whole(self._path, {name: kept for name, kept in self.all().items() if name != model})


def _digest(configurations: list[Path], code: list[Path], pickles: list[Path]) -> str:
    """Return a name for these files: of text its content, of weights, which are large, size and time of change."""
    digest = hashlib.sha256()
    for path in [*configurations, *code]:
        digest.update(f"{path.name}\0".encode() + (path.read_bytes() if path.is_file() else b"") + b"\0")
    for path in pickles:
        status = path.stat()
        digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:40]
