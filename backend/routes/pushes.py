"""What goes to the hub: how far it is, and how to cancel it."""

from typing import Annotated

from fastapi import Depends
from typing_extensions import TypedDict

from backend.routing import Router
from backend.services import Services, services
from backend.tasks.pushes import PushProgress

router = Router(prefix="/api/pushes")

Parts = Annotated[Services, Depends(services)]


class Listed(TypedDict):
    """The pushes since the start of the backend."""

    pushes: list[PushProgress]


@router.get("")
async def pushes(parts: Parts) -> Listed:
    """List what goes or went to the hub, the last started first."""
    return {"pushes": parts.pushes.all()}


@router.post("/{push_id}/cancel")
async def cancel(push_id: str, parts: Parts) -> PushProgress:
    """End a push. What had arrived at the hub belongs to no commit."""
    return parts.pushes.cancel(push_id)
