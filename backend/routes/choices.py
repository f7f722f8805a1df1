"""What the wizard offers: profiles, methods, and defaults for a training."""

import json
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import PlainTextResponse, Response
from typing_extensions import TypedDict

from backend.defaults import SmartDefaults, situation, smart_defaults
from backend.errors import DocumentUnknown, RequestInvalid
from backend.methods import METHODS, DescribedMethod
from backend.profiles import PROFILES, DescribedProfile, find
from backend.routing import Router
from backend.services import Services, services

router = Router(prefix="/api")

NUMBERS = (
    *("gpu_memory_mb", "cpu_cores", "ram_gb", "compute_capability", "model_size_mb", "num_parameters", "num_samples"),
    *("max_seq_length", "avg_sequence_length", "max_sequence_length", "target_effective_batch_size"),
)
TEXTS = ("architecture", "algorithm", "quantization")
# Described and not checked: an error in one field would blank the window of the app that sends it.
SITUATION = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        **{name: {"type": ["number", "null"]} for name in NUMBERS},
                        **{name: {"type": ["string", "null"]} for name in TEXTS},
                    },
                }
            }
        }
    }
}
REPEATED: dict[int | str, dict[str, Any]] = {
    429: {"description": "Answered a moment ago", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


class Profiles(TypedDict):
    """The starting points."""

    profiles: list[DescribedProfile]


class Methods(TypedDict):
    """The methods of fine-tuning."""

    algorithms: list[DescribedMethod]


@router.get("/profiles")
async def profiles() -> Profiles:
    """List the starting points."""
    return {"profiles": [profile.to_dict() for profile in PROFILES]}


@router.get("/profiles/{profile_id}")
async def profile(profile_id: str) -> DescribedProfile:
    """Return one starting point."""
    found = find(profile_id)
    if found is None:
        raise DocumentUnknown("profile", profile_id)
    return found.to_dict()


@router.get("/peft/algorithms")
async def algorithms() -> Methods:
    """List the methods of fine-tuning."""
    return {"algorithms": [method.to_dict() for method in METHODS]}


@router.post(
    "/config/smart-defaults",
    openapi_extra=SITUATION,
    responses=REPEATED,
)
async def defaults(request: Request, parts: Annotated[Services, Depends(services)]) -> SmartDefaults | Response:
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
