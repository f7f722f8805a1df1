"""Which of the engine's packages are installed, and in which version."""

import sys
from typing import Any

from fastapi import APIRouter, Response

from backend.clock import now
from backend.hardware import installed_version

router = APIRouter(prefix="/api/dependencies")

PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "safetensors", "tokenizers", "huggingface_hub")
REMEDY = "Repair the installation: peft_engine --repair."


@router.get("")
async def dependencies(response: Response) -> dict[str, Any]:
    """Name the versions of Python and of each package; null where one is missing."""
    # The app's start page asks as often as for health: its browser's cache shall answer.
    response.headers["Cache-Control"] = "max-age=5"
    found = {name: installed_version(name) for name in PACKAGES}
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": found,
        "all_installed": None not in found.values(),
    }


@router.get("/check")
def check() -> dict[str, Any]:
    """Say of each package whether it is there, and what to do if not."""
    checks = [
        {"name": name, "required": True, "installed": version is not None}
        | ({"version": version} if version else {"error": f"{name} is not installed", "fix_instructions": REMEDY})
        for name, version in ((name, installed_version(name)) for name in PACKAGES)
    ]
    whole = all(entry["installed"] for entry in checks)
    return {
        "all_passed": whole,
        "checks": checks,
        "recommendations": [] if whole else [REMEDY],
        "timestamp": now(),
    }
