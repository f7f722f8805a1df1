"""Base models: those of this machine, and those that the hub offers."""

import asyncio
import re
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from backend.compatibility import Compatibility, compatibility
from backend.documents import remove
from backend.errors import DocumentUnknown
from backend.hardware import device_of, gpu_of
from backend.models.card import ModelCard
from backend.models.errors import ModelInUse, ModelMissing, ModelNotFound, ModelSizeUnknown
from backend.models.local import local_model, local_models, repository
from backend.models.names import is_folder, model_name
from backend.routing import Router
from backend.services import Services, services

router = Router(prefix="/api/models")

Parts = Annotated[Services, Depends(services)]
LIMIT = 20
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,250}")


class Search(BaseModel):
    """What to look for."""

    query: str | None = Field(default="", max_length=500)
    task: str | None = "text-generation"
    limit: int | None = Field(default=LIMIT, ge=1, le=100)


class LocalModels(TypedDict):
    """Models of this machine."""

    models: list[ModelCard]


class FoundModels(TypedDict):
    """Models of this machine, and of the hub if that is `online`."""

    models: list[ModelCard]
    online: bool


class Naming(TypedDict):
    """What a model is called, and by whom it is."""

    model_name: str
    author: str


class FetchedModel(TypedDict):
    """A model that was fetched from the hub, in its commit `revision`; `size_mb` in MiB. What is kept never expires."""

    model_id: str
    registry: str
    cached_at: None
    expires_at: None
    revision: str
    size_mb: float | None
    metadata: Naming


class FetchedModels(TypedDict):
    """Every model that was fetched from the hub."""

    cached_models: list[FetchedModel]


class DeletedModels(TypedDict):
    """The models that were removed."""

    deleted: list[str]


@router.get("/popular/text-generation")
async def popular(parts: Parts, limit: Annotated[int, Query(ge=1, le=100)] = LIMIT) -> FoundModels:
    """List this machine's models and those that most people fetch; offline, this machine's alone."""
    return await _find(parts, "", limit)


@router.post("/search")
async def search(wanted: Search, parts: Parts) -> FoundModels:
    """List models of this machine and of the hub that match; offline, this machine's alone."""
    return await _find(parts, wanted.query or "", wanted.limit or LIMIT)


@router.get("/local")
def local(parts: Parts) -> LocalModels:
    """List the models of this machine."""
    return {"models": _local(parts)}


@router.get("/cache")
def cache(parts: Parts) -> FetchedModels:
    """List the models that were fetched from the hub."""
    fetched = (card for card in _local(parts) if not Path(card.model_id).is_absolute())
    return {
        "cached_models": [
            {
                "model_id": card.model_id,
                "registry": card.registry,
                "cached_at": None,
                "expires_at": None,
                "revision": Path(card.path or "").name,
                "size_mb": card.size_mb,
                "metadata": {"model_name": card.model_name, "author": card.author},
            }
            for card in fetched
        ]
    }


@router.delete("/cache")
async def empty_cache(parts: Parts) -> DeletedModels:
    """Remove every model that was fetched from the hub, if none of them is in use."""
    fetched = [one["model_id"] for one in (await asyncio.to_thread(cache, parts))["cached_models"]]
    for model_id in fetched:
        await _require_unused(model_id, parts)
    for model_id in fetched:
        await asyncio.to_thread(remove, repository(parts.hub_cache, model_id))
    return {"deleted": fetched}


@router.delete("/cache/{model_id:path}")
async def delete_cached(model_id: str, parts: Parts) -> DeletedModels:
    """Remove a model that was fetched from the hub, and what a cancelled download left of it."""
    return await _delete(model_id, parts.hub_cache, repository(parts.hub_cache, model_id).name, parts)


@router.delete("/local/{name}")
async def delete_local(name: str, parts: Parts) -> DeletedModels:
    """Remove a model from the folder of models."""
    return await _delete(str(parts.folders.models / name), parts.folders.models, name, parts)


class Candidate(BaseModel):
    """A model, by folder or hub id, and GiB of GPU memory; None: what this machine has free."""

    model_config = ConfigDict(allow_inf_nan=False)

    model_id: Annotated[str, AfterValidator(model_name)]
    gpu_memory_gb: float | None = Field(default=None, gt=0, le=1e6)


@router.post("/compatibility")
async def compatible(candidate: Candidate, parts: Parts) -> Compatibility:
    """Say whether a model of this machine or of the hub can be trained, by which methods, and what to change."""
    card = await asyncio.to_thread(local_model, candidate.model_id, parts.hub_cache)
    if card is None:
        card = await _published(candidate.model_id, parts)
    if card.count is None:
        raise ModelSizeUnknown(candidate.model_id)
    machine = await asyncio.to_thread(parts.hardware.profile)
    device = device_of(machine) if candidate.gpu_memory_gb is None else gpu_of(machine, candidate.gpu_memory_gb)
    return compatibility(candidate.model_id, card.count, device)


@router.get("/{model_id:path}")
async def model(model_id: str, parts: Parts) -> ModelCard:
    """Return one model, of this machine or of the hub."""
    found = await _find(parts, model_id, 100)
    for card in found["models"]:
        if card.model_id == model_id:
            return card
    raise DocumentUnknown("model", model_id)


async def _delete(model: str, parent: Path, name: str, parts: Services) -> DeletedModels:
    """Remove a model's folder, which is named by a client and may not lie elsewhere, nor be the parent itself."""
    folder = parent / name
    if not FOLDER.fullmatch(name) or not await asyncio.to_thread(folder.is_dir):
        raise DocumentUnknown("model", model)
    await _require_unused(model, parts)
    await asyncio.to_thread(remove, folder)
    return {"deleted": [model]}


async def _require_unused(model: str, parts: Services) -> None:
    """Raise ModelInUse while a job that has not completed, a loaded model or a download works with a model."""
    for job in await parts.queue.jobs():
        if job.state.needs_material and job.plan.model == model:
            raise ModelInUse(model, f"job {job.id}, which is {job.state}, trains on it")
    if any(entry.base == model for entry in parts.inference.loaded()):
        raise ModelInUse(model, "it is loaded")
    if parts.downloads.fetches(model):
        raise ModelInUse(model, "it is being downloaded")


async def _find(parts: Services, query: str, limit: int) -> FoundModels:
    here = [card for card in await asyncio.to_thread(_local, parts) if card.matches(query)]
    there = await parts.hub.search(query, limit)
    known = {card.model_id for card in here}
    models = [*here, *(card for card in there or () if card.model_id not in known)]
    return {"models": models[:limit], "online": there is not None}


async def _published(model: str, parts: Services) -> ModelCard:
    """Return what the hub says of a model that is not here. Raises ModelMissing, ModelNotFound."""
    if is_folder(model):
        raise ModelMissing(model, "there is no such folder, or in it no config.json, or no weights that are whole")
    found = await parts.hub.model(model)
    if not found:
        raise ModelNotFound(model, online=found is not None)
    return found[0]


def _local(parts: Services) -> list[ModelCard]:
    return local_models(parts.folders.models, parts.hub_cache)
