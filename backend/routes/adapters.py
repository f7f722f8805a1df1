"""Finished adapters: list, describe, compare, merge, export, delete."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask
from typing_extensions import TypedDict

from backend.adapters.errors import AdapterNotMergeable
from backend.adapters.gguf import ADAPTER_CONVERTER
from backend.adapters.published import zipped
from backend.adapters.shelf import Adapter, Learnt
from backend.documents import NAME
from backend.errors import NameTaken
from backend.models.local import snapshot
from backend.models.names import is_folder
from backend.routes.deleted import Deleted
from backend.routes.exports import Push, converted
from backend.routing import ZIP, Router
from backend.services import Services, services
from backend.tasks.results import Converted, Merged, Pushed

router = Router(prefix="/api/adapters")

Parts = Annotated[Services, Depends(services)]


class Merge(BaseModel):
    """What to call the merged model, and whether it is for Ollama too."""

    name: str = Field(pattern=f"^{NAME.pattern}$")
    modelfile: bool = False


class Gguf(BaseModel):
    """What to call the folder, and the Ollama model, such as `llama3.2`, that the adapter is for."""

    name: str = Field(pattern=f"^{NAME.pattern}$")
    ollama_model: str | None = Field(default=None, pattern=r"^[\w./:-]{1,200}$")


class Adapters(TypedDict):
    """Every adapter, the newest first."""

    adapters: list[Adapter]


class ComparedAdapter(TypedDict):
    """One of the adapters that are compared: `settings` are those of its plan in which they differ."""

    id: str
    name: str
    version: int
    metrics: Learnt
    settings: dict[str, Any]


class Comparison(TypedDict):
    """The adapters, in the order of the question."""

    adapters: list[ComparedAdapter]


@router.get("")
def adapters(parts: Parts) -> Adapters:
    """List the adapters, the newest first."""
    return {"adapters": parts.adapters.all()}


@router.get("/compare")
def compare(ids: Annotated[list[str], Query(min_length=1)], parts: Parts) -> Comparison:
    """Show how adapters were trained where they differ, and how well each learnt."""
    found = [parts.adapters.get(adapter_id) for adapter_id in ids]
    settings = sorted({name for adapter in found for name in adapter.plan})
    differing = [name for name in settings if any(one.plan.get(name) != found[0].plan.get(name) for one in found)]
    return {
        "adapters": [
            {
                "id": one.id,
                "name": one.name,
                "version": one.version,
                "metrics": one.metrics,
                "settings": {name: one.plan.get(name) for name in differing},
            }
            for one in found
        ]
    }


@router.get("/{adapter_id}")
def adapter(adapter_id: str, parts: Parts) -> Adapter:
    """Describe one adapter."""
    return parts.adapters.get(adapter_id)


@router.delete("/{adapter_id}")
def delete(adapter_id: str, parts: Parts) -> Deleted:
    """Remove one adapter."""
    parts.adapters.delete(adapter_id)
    return {"id": adapter_id, "status": "deleted"}


@router.post("/{adapter_id}/merge")
async def merge(adapter_id: str, body: Merge, parts: Parts) -> Merged:
    """Work an adapter into its base model's weights, as a new model beside the others."""
    found = await asyncio.to_thread(parts.adapters.get, adapter_id)
    if not found.mergeable:
        raise AdapterNotMergeable(adapter_id, found.method)
    destination = parts.folders.models / body.name
    if await asyncio.to_thread(destination.exists):
        raise NameTaken(str(destination))
    await asyncio.to_thread(parts.folders.models.mkdir, parents=True, exist_ok=True)
    merged: Merged = await parts.tasks.run(
        "merge",
        base=found.base_model,
        adapter=found.path,
        destination=str(destination),
        modelfile=body.modelfile,
    )
    return merged


@router.post("/{adapter_id}/gguf")
async def gguf(adapter_id: str, body: Gguf, parts: Parts) -> Converted:
    """Write an adapter as GGUF, with a Modelfile for Ollama if it is said on which of its models."""
    found = await asyncio.to_thread(parts.adapters.get, adapter_id)
    if not found.mergeable:
        raise AdapterNotMergeable(adapter_id, found.method)
    base = found.base_model if is_folder(found.base_model) else snapshot(parts.hub_cache, found.base_model)
    material = {"adapter": found.path, "base": str(base or found.base_model), "modelfile": body.ollama_model}
    return await converted("convert-adapter", ADAPTER_CONVERTER, body.name, parts, **material)


@router.post("/{adapter_id}/push")
async def push(adapter_id: str, body: Push, parts: Parts) -> Pushed:
    """Put an adapter on the hub, in a private repository unless asked otherwise; GET /api/pushes says how far it is."""
    found = await asyncio.to_thread(parts.adapters.get, adapter_id)
    return await parts.pushes.push(Path(found.path), body.repository, f"Add {found.name}", private=body.private)


@router.get("/{adapter_id}/export", response_class=FileResponse, responses=ZIP)
def export(adapter_id: str, parts: Parts) -> FileResponse:
    """Give an adapter's folder as a zip, which every tool of the field reads."""
    found = parts.adapters.get(adapter_id)
    path = zipped(found, parts.folders.reports)
    return FileResponse(
        path,
        media_type="application/zip",
        filename=f"{adapter_id}.zip",
        background=BackgroundTask(path.unlink),
    )
