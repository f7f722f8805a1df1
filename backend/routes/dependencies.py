"""Which of the engine's packages are installed, and in which version."""

import sys
from typing import NotRequired

from typing_extensions import TypedDict

from backend.clock import Time, now
from backend.hardware import installed_version
from backend.routing import Json, Router

router = Router(prefix="/api/dependencies")

PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "safetensors", "tokenizers", "huggingface_hub")
REMEDY = "Repair the installation: peft_engine --repair."


class Versions(TypedDict):
    """The version of Python and of each package; null where one is missing."""

    python: str
    packages: dict[str, str | None]
    all_installed: bool


class Check(TypedDict):
    """Whether a package is there, and what to do if not."""

    name: str
    required: bool
    installed: bool
    version: NotRequired[str]
    error: NotRequired[str]
    fix_instructions: NotRequired[str]


class Checks(TypedDict):
    """Every package, and what to do about those that are missing."""

    all_passed: bool
    checks: list[Check]
    recommendations: list[str]
    timestamp: Time


@router.get("")
async def dependencies() -> Json[Versions]:
    """Name the versions of Python and of each package; null where one is missing."""
    found = {name: installed_version(name) for name in PACKAGES}
    versions: Versions = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": found,
        "all_installed": None not in found.values(),
    }
    # The app's start page asks as often as for health: its browser's cache shall answer.
    return Json(versions, headers={"Cache-Control": "max-age=5"})


@router.get("/check")
def check() -> Checks:
    """Say of each package whether it is there, and what to do if not."""
    checks = [_checked(name, installed_version(name)) for name in PACKAGES]
    whole = all(entry["installed"] for entry in checks)
    return {
        "all_passed": whole,
        "checks": checks,
        "recommendations": [] if whole else [REMEDY],
        "timestamp": now(),
    }


def _checked(name: str, version: str | None) -> Check:
    if version is None:
        error = f"{name} is not installed"
        return {"name": name, "required": True, "installed": False, "error": error, "fix_instructions": REMEDY}
    return {"name": name, "required": True, "installed": True, "version": version}
