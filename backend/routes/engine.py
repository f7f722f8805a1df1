"""How much of the runtime is there, for the bar that shows the rest arriving."""

from typing import Annotated

from fastapi import Depends

from backend.engine import Engine
from backend.routing import Router
from backend.services import Services, services

router = Router()


@router.get("/api/engine")
def engine(parts: Annotated[Services, Depends(services)]) -> Engine:
    """Say which part of the runtime is there; training and inference wait for the whole."""
    return parts.engine.engine()
