"""Whether the server lives. Answers anybody, and says no more than that."""

from typing import Literal

from typing_extensions import TypedDict

from backend.clock import Time, now
from backend.routing import Json, Router

router = Router()


class Health(TypedDict):
    """That the server answers, and when it did."""

    status: Literal["healthy"]
    timestamp: Time


@router.get("/api/health")
async def health() -> Json[Health]:
    """Say that the server answers."""
    # The app's start page asks hundreds of times a second: its browser's cache shall answer.
    return Json({"status": "healthy", "timestamp": now()}, headers={"Cache-Control": "max-age=2"})
