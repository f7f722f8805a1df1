"""What the machine offers for training."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from backend.services import Services, services

router = APIRouter()

PROFILE_SECONDS = 5


@router.get("/api/hardware")
@router.get("/api/hardware/profile")
def profile(response: Response, parts: Annotated[Services, Depends(services)]) -> dict[str, Any]:
    """Describe processors, memory, accelerators and the disk that holds the data folder."""
    response.headers["Cache-Control"] = f"max-age={PROFILE_SECONDS}"
    return parts.hardware.profile()
