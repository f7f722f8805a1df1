"""The models that are loaded, by the names that clients call them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict

from backend.adapters.shelf import WEIGHTS
from backend.clock import Time, now
from backend.errors import EngineArriving
from backend.inference.errors import ModelNotLoaded
from backend.inference.process import LOG_NAME, LoadedModel
from backend.models.local import require_file
from backend.models.names import is_folder

if TYPE_CHECKING:
    from collections.abc import Callable

UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")

log = logging.getLogger(__name__)


class Loaded(TypedDict):
    """A model that was loaded from `base_model`, in a process of its own; `model_id` is what to call it by.

    `memory_usage_mb` is what its weights take, in MiB, on `device`.
    """

    model_id: str
    base_model: str
    adapter_path: str | None
    use_case: str | None
    loaded_at: Time
    status: Literal["loaded", "unloaded"]
    memory_usage_mb: float
    device: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A loaded model under its alias, which is safe in a URL."""

    alias: str
    base: str
    adapter: str
    use_case: str | None
    loaded_at: str
    model: LoadedModel

    def to_dict(self) -> Loaded:
        """Return the entry as the app reads it."""
        return {
            "model_id": self.alias,
            "base_model": self.base,
            "adapter_path": self.adapter or None,
            "use_case": self.use_case,
            "loaded_at": self.loaded_at,
            "status": "loaded",
            "memory_usage_mb": self.model.memory_mb,
            "device": self.model.device,
            "pid": self.model.pid,
        }


class Models:
    """Loads, finds and unloads. One load at a time: two models that load together need twice the memory at once."""

    def __init__(self, engine_is_whole: Callable[[], bool], log_dir: Path) -> None:
        self._engine_is_whole = engine_is_whole
        self._log = log_dir / LOG_NAME
        self._loading = asyncio.Lock()
        self._entries: dict[str, Entry] = {}

    async def load(self, base: str, adapter: str, use_case: str | None) -> Entry:
        """Load a model of a folder or a hub id, with an adapter's folder or "". Raises EngineArriving, TaskFailed."""
        if not self._engine_is_whole():
            raise EngineArriving
        alias = _alias(base, adapter)
        async with self._loading:
            if alias not in self._living():
                with self._log.open("ab") as output:
                    model = await LoadedModel.start(base, adapter, output)
                self._entries[alias] = Entry(
                    alias=alias, base=base, adapter=adapter, use_case=use_case, loaded_at=now(), model=model
                )
            return self._entries[alias]

    def loaded(self) -> list[Entry]:
        """Return the models that can answer, the first loaded first."""
        return list(self._living().values())

    def get(self, name: str) -> Entry:
        """Return a model by its alias, or by what it was loaded from. Raises ModelNotLoaded."""
        entries = self._living()
        if name in entries:
            return entries[name]
        for entry in entries.values():
            if name == entry.base:
                return entry
        raise ModelNotLoaded(name)

    def answer_to(self, name: str, words: str) -> str | None:
        """Return what a model answered last to these words; None if it is not loaded, or was not asked them lately."""
        try:
            return self.get(name).model.answer_to(words)
        except ModelNotLoaded:
            return None

    async def unload(self, name: str) -> Entry:
        """End a model's process. Raises ModelNotLoaded."""
        entry = self.get(name)
        del self._entries[entry.alias]
        await entry.model.close()
        return entry

    async def close(self) -> None:
        """Unload everything."""
        for entry in list(self._entries.values()):
            await entry.model.close()
        self._entries.clear()

    def _living(self) -> dict[str, Entry]:
        for alias, entry in list(self._entries.items()):
            if not entry.model.lives:
                log.error("the process of the model %s has ended", alias)
                del self._entries[alias]
        return self._entries


def require_folders(base: str, adapter: str) -> None:
    """Raise ModelMissing unless the folders are there that a model would be loaded from; "": no adapter."""
    if is_folder(base):
        require_file(base, "config.json")
    if adapter:
        require_file(adapter, WEIGHTS)  # those of other formats are pickles, which can run whatever they like


def _alias(base: str, adapter: str) -> str:
    """Return a name that is safe in a URL, and no other model's."""
    name = UNSAFE.sub("-", "+".join(Path(part).name for part in (base, adapter) if part)).strip("-.")
    return f"{name}-{hashlib.sha256(f'{base}|{adapter}'.encode()).hexdigest()[:6]}"
