"""Base models: those of this machine, and those that the hub offers."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from backend.errors import DocumentUnknown
from backend.models.card import ModelCard
from backend.models.local import local_models
from backend.services import Services, services

router = APIRouter(prefix="/api/models")

Parts = Annotated[Services, Depends(services)]
LIMIT = 20


class Search(BaseModel):
    """What to look for."""

    query: str | None = Field(default="", max_length=500)
    task: str | None = "text-generation"
    limit: int | None = Field(default=LIMIT, ge=1, le=100)


@router.get("/popular/text-generation")
async def popular(parts: Parts, limit: Annotated[int, Query(ge=1, le=100)] = LIMIT) -> dict[str, Any]:
    """List this machine's models and those that most people fetch; offline, this machine's alone."""
    return await asyncio.to_thread(_find, parts, "", limit)


@router.post("/search")
async def search(wanted: Search, parts: Parts) -> dict[str, Any]:
    """List models of this machine and of the hub that match; offline, this machine's alone."""
    return await asyncio.to_thread(_find, parts, wanted.query or "", wanted.limit or LIMIT)


@router.get("/local")
def local(parts: Parts) -> dict[str, Any]:
    """List the models of this machine."""
    return {"models": [card.to_dict() for card in _local(parts)]}


@router.get("/cache")
def cache(parts: Parts) -> dict[str, Any]:
    """List the models that were fetched from the hub."""
    fetched = (card for card in _local(parts) if not Path(card.model_id).is_absolute())
    return {
        "cached_models": [
            {
                "model_id": card.model_id,
                "registry": card.registry,
                "cached_at": None,
                "expires_at": None,
                "metadata": {"model_name": card.model_name, "author": card.author},
            }
            for card in fetched
        ]
    }


@router.get("/{model_id:path}")
async def model(model_id: str, parts: Parts) -> dict[str, Any]:
    """Return one model, of this machine or of the hub."""
    found = await asyncio.to_thread(_find, parts, model_id, 100)
    for card in found["models"]:
        if card["model_id"] == model_id:
            return dict(card)
    raise DocumentUnknown("model", model_id)


def _find(parts: Services, query: str, limit: int) -> dict[str, Any]:
    here = [card for card in _local(parts) if card.matches(query)]
    there = parts.hub.search(query, limit)
    known = {card.model_id for card in here}
    models = [*here, *(card for card in there or () if card.model_id not in known)]
    return {"models": [card.to_dict() for card in models[:limit]], "online": there is not None}


def _local(parts: Services) -> list[ModelCard]:
    return local_models(parts.folders.models, parts.hub_cache)
