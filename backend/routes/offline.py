"""Whether the hub can be reached. Nothing waits for it, since whatever is done here is done on this machine."""

from typing import Annotated

from fastapi import Depends
from typing_extensions import TypedDict

from backend.models.hub import HubStatus
from backend.routing import Router
from backend.services import Services, services

router = Router(prefix="/api/offline")

Parts = Annotated[Services, Depends(services)]


class Waiting(TypedDict):
    """How much waits for the network, is being sent, and was."""

    pending: int
    in_progress: int
    completed: int
    failed: int


class Syncing(TypedDict):
    """Whether something is being sent."""

    is_syncing: bool


@router.get("/network-status")
async def network_status(parts: Parts) -> HubStatus:
    """Say what the last question to the hub found; asks nothing itself."""
    return parts.hub.status()


@router.post("/check-connectivity")
async def check(parts: Parts) -> HubStatus:
    """Ask the hub now."""
    await parts.hub.check()
    return parts.hub.status()


@router.get("/queue/stats")
async def queue_stats() -> Waiting:
    """Count what waits for the network: nothing does, since whatever is done here is done on this machine."""
    return {"pending": 0, "in_progress": 0, "completed": 0, "failed": 0}


@router.get("/sync/status")
async def sync_status() -> Syncing:
    """Say whether something is being sent: nothing ever is."""
    return {"is_syncing": False}


@router.post("/sync")
async def sync(parts: Parts) -> HubStatus:
    """Ask the hub now; there is nothing to send."""
    return await check(parts)
