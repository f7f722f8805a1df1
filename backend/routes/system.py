"""The process itself: what it is, and how to end it."""

import os
import platform
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Depends
from typing_extensions import TypedDict

from backend.hardware import installed_version
from backend.routing import Router
from backend.services import Services, services
from backend.version import version

router = Router()

ENGINE_PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets")


class System(TypedDict):
    """The system, the interpreter and the engine's packages; null where one is not installed."""

    platform: str
    platform_version: str
    arch: str
    python_version: str
    version: str
    pid: int
    data_dir: str
    packages: dict[str, str | None]


class Stopping(TypedDict):
    """The server ends when its running job has saved a checkpoint."""

    status: Literal["stopping"]


@router.get("/api/system/info")
def system_info(parts: Annotated[Services, Depends(services)]) -> System:
    """Describe the system, the interpreter and the engine's packages; null where one is not installed."""
    return describe(parts.settings.data_dir)


@router.post("/api/shutdown")
async def shutdown(parts: Annotated[Services, Depends(services)]) -> Stopping:
    """Answer, then end gracefully: a running job saves a checkpoint first."""
    parts.stop()
    return {"status": "stopping"}


def describe(data_dir: Path) -> System:
    """Return what a person would ask first about this process."""
    return {
        "platform": platform.system(),
        "platform_version": platform.release(),
        "arch": platform.machine(),
        "python_version": platform.python_version(),
        "version": version(),
        "pid": os.getpid(),
        "data_dir": str(data_dir),
        "packages": {name: installed_version(name) for name in ENGINE_PACKAGES},
    }
