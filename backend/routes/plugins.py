"""Connectors that people added: list them with their errors, and try them."""

from typing import Annotated, Any

from fastapi import Depends

from backend.routing import Router
from backend.services import Services, services

router = Router(prefix="/api/plugins")

Parts = Annotated[Services, Depends(services)]


@router.get("")
async def plugins(parts: Parts, *, refresh: bool = False) -> dict[str, Any]:
    """List connectors and why those with an error cannot be used; `refresh` looks again."""
    return {"folder": str(parts.plugins.folder), "plugins": await parts.plugins.all(again=refresh)}


@router.post("/{name}/check")
async def check(name: str, parts: Parts) -> dict[str, str]:
    """Have a connector try the service that it connects to, with its secrets."""
    return {"name": name, "reached": await parts.plugins.check(name)}
