"""Whether the server lives. Answers anybody, and says no more than that."""

from typing import Any

from fastapi import APIRouter, Response

from backend.clock import now

router = APIRouter()


@router.get("/api/health")
async def health(response: Response) -> dict[str, Any]:
    """Say that the server answers."""
    # The app's start page asks hundreds of times a second: its browser's cache shall answer.
    response.headers["Cache-Control"] = "max-age=2"
    return {"status": "healthy", "timestamp": now()}
