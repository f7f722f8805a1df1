"""The models that this machine holds: in the hub's cache, and in the models' folder of the data folder.

Only headers and configurations are read, without the libraries that wrote them: a model of many gigabytes is
described in milliseconds.
"""

from __future__ import annotations

import json
import logging
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.documents import read_object
from backend.estimates import MIB
from backend.models.card import MILLION, ModelCard
from backend.models.errors import ModelMissing
from backend.models.names import is_folder
from backend.models.weights import PICKLED, SAFE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADER_LIMIT = 100 * MIB  # safetensors' own limit of a header

log = logging.getLogger(__name__)


def hub_cache(environment: Mapping[str, str], user: Path) -> Path:
    """Return the folder in which huggingface_hub keeps what it downloads, by the rules that it documents."""
    if cache := environment.get("HF_HUB_CACHE"):
        return user.joinpath(cache)
    if home := environment.get("HF_HOME"):
        return user.joinpath(home, "hub")
    return user.joinpath(environment.get("XDG_CACHE_HOME") or ".cache", "huggingface", "hub")


def local_models(folder: Path, cache: Path) -> list[ModelCard]:
    """Return the models of a folder of models, then those of the hub's cache, each by name."""
    found = [_card(path, path.name, str(path)) for path in sorted(_folders(folder))]
    for kept in sorted(_folders(cache)):
        kind, *names = kept.name.split("--")
        fetched = _snapshot(kept)
        if kind == "models" and names and fetched is not None:
            found.append(_card(fetched, "/".join(names), "/".join(names)))
    return [card for card in found if card is not None]


def repository(cache: Path, model_id: str) -> Path:
    """Return where the hub's cache keeps a model, whether it is there or not."""
    return cache / "--".join(("models", *model_id.split("/")))


def snapshot(cache: Path, model_id: str) -> Path | None:
    """Return the folder of a model in the hub's cache, named by its commit; None if it was not fetched."""
    return _snapshot(repository(cache, model_id))


def require_file(folder: str, name: str) -> None:
    """Raise ModelMissing unless there is a folder that holds such a file."""
    if not Path(folder).is_dir():
        raise ModelMissing(folder, "there is no such folder")
    if not Path(folder, name).is_file():
        raise ModelMissing(folder, f"the folder holds no {name}")


def local_model(model: str, cache: Path) -> ModelCard | None:
    """Return a model of this machine, by a folder or a hub id, or None if it is not here, or not whole."""
    folder = Path(model) if is_folder(model) else snapshot(cache, model)
    return None if folder is None else _card(folder, model, model)


def describe(path: Path, name: str, model_id: str) -> ModelCard | None:
    """Return the card of a model's folder, or None if it holds no model with its weights."""
    configuration = read_object(path / "config.json")
    safe = _files(path, SAFE)
    weights = safe or _files(path, PICKLED)
    # A link that leads nowhere is what an interrupted fetch or a cleaned cache leaves.
    if configuration is None or not weights or not all(map(Path.is_file, weights)) or not _is_whole(path):
        return None
    architectures = configuration.get("architectures")
    author, _, short = name.rpartition("/")
    return ModelCard(
        model_id=model_id,
        author=author or "local",
        model_name=short,
        tags=("local",) if safe else ("local", "pickle"),
        pipeline_tag="text-generation",
        library_name="transformers",
        size_mb=round(sum(file.stat().st_size for file in weights) / MIB, 3),
        parameters=round(sum(map(_count, safe)) / MILLION, 6) if safe else None,
        architecture=str(architectures[0]) if isinstance(architectures, list) and architectures else None,
        path=str(path),
    )


def _card(path: Path, name: str, model_id: str) -> ModelCard | None:
    """Describe a model; one that the system does not let us read, or that is just leaving, hides no other."""
    try:
        return describe(path, name, model_id)
    except OSError as error:
        log.warning("the model %s is left out: %s", name, error)
        return None


def _files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def _folders(parent: Path) -> Iterator[Path]:
    try:
        yield from (path for path in parent.iterdir() if path.is_dir())
    except OSError:  # it is not there, or not ours
        return


def _snapshot(repository: Path) -> Path | None:
    """Return the folder of the revision that `main` names, or else of any that was fetched."""
    main = repository / "refs" / "main"
    if main.is_file():
        named = repository / "snapshots" / main.read_text(encoding="utf-8", errors="replace").strip()
        if named.is_dir():
            return named
    return next(iter(sorted(_folders(repository / "snapshots"))), None)


def _is_whole(path: Path) -> bool:
    """Tell whether every file is there that the index of weights in several files names."""
    index = (read_object(path / "model.safetensors.index.json") or {}).get("weight_map")
    return not isinstance(index, dict) or all((path / str(name)).is_file() for name in index.values())


def _count(weights: Path) -> int:
    """Return how many numbers a safetensors file holds, which its header says; 0 if it is none."""
    with weights.open("rb") as file:
        start = file.read(8)
        if len(start) < 8 or (length := struct.unpack("<Q", start)[0]) > HEADER_LIMIT:
            return 0
        try:
            header: Any = json.loads(file.read(length))
            return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError):  # whatever a header that is none has
            return 0
