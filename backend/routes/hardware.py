"""What the machine offers for training."""

from typing import Annotated

from fastapi import Depends

from backend.hardware import Hardware
from backend.routing import Json, Router
from backend.services import Services, services

router = Router()

PROFILE_SECONDS = 5


@router.get("/api/hardware")
@router.get("/api/hardware/profile")
def profile(parts: Annotated[Services, Depends(services)]) -> Json[Hardware]:
    """Describe processors, memory, accelerators and the disk that holds the data folder."""
    return Json(parts.hardware.profile(), headers={"Cache-Control": f"max-age={PROFILE_SECONDS}"})
