"""What is in the models' folder, merged models above all, for other programs and people: as GGUF, and on the hub."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends
from pydantic import BaseModel, Field

from backend.adapters.gguf import MODEL_CONVERTER, find_converter
from backend.documents import NAME
from backend.errors import DocumentUnknown, NameTaken
from backend.models.local import local_model
from backend.models.names import HUB_ID
from backend.routing import Router
from backend.services import Services, services
from backend.tasks.results import Converted, Pushed

router = Router(prefix="/api/models/local")

Parts = Annotated[Services, Depends(services)]


class ModelGguf(BaseModel):
    """What to call the folder, and whether it is for Ollama too."""

    name: str = Field(pattern=f"^{NAME.pattern}$")
    modelfile: bool = False


class Push(BaseModel):
    """Where to put a model or an adapter on the hub."""

    repository: str = Field(pattern=HUB_ID)
    private: bool = True


@router.post("/{name}/gguf")
async def gguf(name: str, body: ModelGguf, parts: Parts) -> Converted:
    """Write a model as GGUF, with a Modelfile for Ollama if that is wanted."""
    folder = await asyncio.to_thread(_folder, name, parts)
    material = {"model": str(folder), "modelfile": body.modelfile}
    return await converted("convert-model", MODEL_CONVERTER, body.name, parts, **material)


@router.post("/{name}/push")
async def push(name: str, body: Push, parts: Parts) -> Pushed:
    """Put a model on the hub, in a private repository unless asked otherwise; GET /api/pushes says how far it is."""
    folder = await asyncio.to_thread(_folder, name, parts)
    return await parts.pushes.push(folder, body.repository, f"Add {name}", private=body.private)


async def converted(task: str, converter: str, name: str, parts: Services, **material: Any) -> Converted:
    """Have a converter of llama.cpp write a new folder of exports. Raises ConverterMissing, NameTaken."""
    home = parts.settings.home or parts.settings.data_dir
    program = await asyncio.to_thread(find_converter, converter, os.environ, home)
    destination = parts.folders.exports / name
    if await asyncio.to_thread(destination.exists):
        raise NameTaken(str(destination))
    made: Converted = await parts.tasks.run(task, converter=str(program), destination=str(destination), **material)
    return made


def _folder(name: str, parts: Services) -> Path:
    """Return a model's folder, which a client names and which may not lie elsewhere. Raises DocumentUnknown."""
    folder = parts.folders.models / name
    if not NAME.fullmatch(name) or local_model(str(folder), parts.hub_cache) is None:
        raise DocumentUnknown("model", name)
    return folder
