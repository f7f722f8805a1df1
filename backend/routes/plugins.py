"""Connectors that people added: list them with their errors, and try them."""

from typing import Annotated

from fastapi import Depends
from typing_extensions import TypedDict

from backend.plugins.plugins import Plugin
from backend.routing import Router
from backend.services import Services, services

router = Router(prefix="/api/plugins")

Parts = Annotated[Services, Depends(services)]


class Plugins(TypedDict):
    """Every connector, and the folder where people put theirs."""

    folder: str
    plugins: list[Plugin]


class Reached(TypedDict):
    """What a connector says that it reached."""

    name: str
    reached: str


@router.get("")
async def plugins(parts: Parts, *, refresh: bool = False) -> Plugins:
    """List connectors and why those with an error cannot be used; `refresh` looks again."""
    return {"folder": str(parts.plugins.folder), "plugins": await parts.plugins.all(again=refresh)}


@router.post("/{name}/check")
async def check(name: str, parts: Parts) -> Reached:
    """Have a connector try the service that it connects to, with its secrets."""
    return {"name": name, "reached": await parts.plugins.check(name)}
