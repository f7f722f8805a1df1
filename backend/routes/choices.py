"""What the wizard offers: profiles, methods, and defaults for a training."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response

from backend.defaults import situation, smart_defaults
from backend.errors import DocumentUnknown, RequestInvalid
from backend.methods import METHODS
from backend.profiles import PROFILES, find
from backend.services import Services, services

router = APIRouter(prefix="/api")


@router.get("/profiles")
async def profiles() -> dict[str, Any]:
    """List the starting points."""
    return {"profiles": [profile.to_dict() for profile in PROFILES]}


@router.get("/profiles/{profile_id}")
async def profile(profile_id: str) -> dict[str, Any]:
    """Return one starting point."""
    found = find(profile_id)
    if found is None:
        raise DocumentUnknown("profile", profile_id)
    return found.to_dict()


@router.get("/peft/algorithms")
async def algorithms() -> dict[str, Any]:
    """List the methods of fine-tuning."""
    return {"algorithms": [method.to_dict() for method in METHODS]}


@router.post("/config/smart-defaults", response_model=dict[str, Any])
async def defaults(request: Request, parts: Annotated[Services, Depends(services)]) -> Response | dict[str, Any]:
    """Return hyper-parameters for a model, a dataset and a machine; whatever is unknown may be left out or null.

    The page that asks does so again as soon as it has its answer, and ends this only at one that is no JSON: hence
    status 429, as plain text, for the same question within a moment.
    """
    question = await request.body()
    try:
        body = json.loads(question or b"{}")
    except (ValueError, RecursionError) as error:
        raise RequestInvalid([{"place": "body", "reason": f"this is not JSON: {error}"}]) from error
    if parts.repeats.is_repeat(question):
        return PlainTextResponse("This was answered a moment ago.", 429)
    return smart_defaults(situation(body if isinstance(body, dict) else {}))
