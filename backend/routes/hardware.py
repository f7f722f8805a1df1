"""What the machine offers for training."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from backend.services import Services, services
from backend.shapes import Hardware, answers

router = APIRouter()

PROFILE_SECONDS = 5


@router.get("/api/hardware", responses=answers(Hardware))
@router.get("/api/hardware/profile", responses=answers(Hardware))
def profile(response: Response, parts: Annotated[Services, Depends(services)]) -> dict[str, Any]:
    """Describe processors, memory, accelerators and the disk that holds the data folder."""
    response.headers["Cache-Control"] = f"max-age={PROFILE_SECONDS}"
    return parts.hardware.profile()
