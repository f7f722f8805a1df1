"""The adapters of one data folder: a folder each, with what it was trained on and how well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import TypedDict

from backend.clock import Time  # noqa: TC001 - whoever asks for the API's description reads the class
from backend.documents import NAME, read_object, remove
from backend.errors import DocumentUnknown

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = "adapter_config.json"
RECORD = "training.json"  # written by the worker that trained it
WEIGHTS = "adapter_model.safetensors"
MERGEABLE = frozenset({"LORA", "IA3"})


class Learnt(TypedDict, total=False):
    """How well a training went: its last losses, null where there was none, and how many steps and tokens it took."""

    steps: int
    tokens: int
    loss: float | None
    val_loss: float | None


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A finished adapter. `size` in bytes; `plan` and `metrics` are empty for one that was put here by hand.

    Adapters of one name are versions of each other, from 1 on. `plan` has the settings that the version which trained
    it knew, by the names that they have in a plan of today.
    """

    id: str
    name: str
    version: int
    path: str
    method: str
    base_model: str
    created_at: Time
    size: int
    mergeable: bool
    plan: dict[str, Any]
    metrics: Learnt


class Adapters:
    """Finds and removes adapters. Methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Adapter]:
        """Return every adapter, the newest first."""
        found = (describe(path) for path in self._folder.glob("*") if NAME.fullmatch(path.name))
        return sorted((one for one in found if one is not None), key=lambda one: one.created_at, reverse=True)

    def get(self, adapter_id: str) -> Adapter:
        """Return one adapter. Raises DocumentUnknown."""
        found = describe(self._folder / adapter_id) if NAME.fullmatch(adapter_id) else None
        if found is None:
            raise DocumentUnknown("adapter", adapter_id)
        return found

    def delete(self, adapter_id: str) -> None:
        """Remove one adapter. Raises DocumentUnknown."""
        remove(self._folder / self.get(adapter_id).id)


def describe(folder: Path) -> Adapter | None:
    """Return the adapter that a folder holds, or None if it holds none that is whole."""
    configuration = read_object(folder / CONFIGURATION)
    if configuration is None or not (folder / WEIGHTS).is_file():
        return None
    record = read_object(folder / RECORD) or {}
    plan, metrics = record.get("plan"), record.get("metrics")
    plan = plan if isinstance(plan, dict) else {}
    kind = str(configuration.get("peft_type", ""))
    written = datetime.fromtimestamp((folder / WEIGHTS).stat().st_mtime, UTC)
    return Adapter(
        id=folder.name,
        name=str(plan.get("name") or folder.name),
        version=version if isinstance(version := record.get("version"), int) else 1,
        path=str(folder),
        method=str(plan.get("method") or kind.lower().replace("_", "-")),
        base_model=str(configuration.get("base_model_name_or_path") or ""),
        created_at=written.isoformat(timespec="milliseconds"),
        size=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        mergeable=kind in MERGEABLE,
        plan=plan,
        metrics=cast("Learnt", metrics) if isinstance(metrics, dict) else {},
    )


def next_version(folder: Path, name: str) -> int:
    """Return the version of a new adapter of this name in the folder of adapters."""
    return 1 + max((one.version for one in Adapters(folder).all() if one.name == name), default=0)
