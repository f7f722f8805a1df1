"""What of a model may run: the Python that it brings, and its weights where they are pickles."""

from pathlib import Path
from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel
from typing_extensions import TypedDict

from backend.errors import DocumentUnknown
from backend.models.local import snapshot
from backend.models.names import is_folder, model_name
from backend.models.trust import Brought, Consent, brought
from backend.routing import Router
from backend.services import Services, services

router = Router(prefix="/api/models/consents")

Parts = Annotated[Services, Depends(services)]


ModelName = Annotated[str, AfterValidator(model_name)]


class Consenting(BaseModel):
    """What may run of a model, in the revision that its user looked at."""

    model: ModelName
    revision: str
    code: bool = False
    pickle: bool = False


class Given(TypedDict):
    """What was consented to."""

    code: bool
    pickle: bool


class Consented(TypedDict):
    """What a model brings in `revision`, by the names of the files, and what of it may run."""

    model: str
    revision: str
    code: tuple[str, ...]
    pickles: tuple[str, ...]
    consent: Given


class Withdrawn(TypedDict):
    """Nothing of the model may run."""

    model: str
    status: Literal["withdrawn"]


@router.get("")
def consents(model: ModelName, parts: Parts) -> Consented:
    """Say what a model of this machine brings that could run, and what its user has consented to."""
    return _described(_brought(model, parts), parts)


@router.put("")
def consent(body: Consenting, parts: Parts) -> Consented:
    """Let a model's code or pickles run, as they are in this revision."""
    found = _brought(body.model, parts)
    parts.consents.grant(found, body.revision, Consent(code=body.code, pickle=body.pickle))
    return _described(found, parts)


@router.delete("")
def withdraw(model: Annotated[str, Query(min_length=1)], parts: Parts) -> Withdrawn:
    """Let nothing of a model run any more."""
    parts.consents.withdraw(model)
    return {"model": model, "status": "withdrawn"}


def _brought(model: str, parts: Services) -> Brought:
    folder = Path(model) if is_folder(model) else snapshot(parts.hub_cache, model)
    if folder is None or not (folder / "config.json").is_file():
        raise DocumentUnknown("model", model)
    return brought(model, folder)


def _described(found: Brought, parts: Services) -> Consented:
    given = parts.consents.of(found)
    return {
        "model": found.model,
        "revision": found.revision,
        "code": found.code,
        "pickles": found.pickles,
        "consent": {"code": given.code, "pickle": given.pickle},
    }
