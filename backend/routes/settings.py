"""The user's settings: read, changed by category, reset, exported and imported."""

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import Body, Depends
from pydantic import ValidationError
from typing_extensions import TypedDict

from backend import preferences
from backend.errors import SettingsInvalid
from backend.logs import log_from
from backend.preferences import Preferences, merged
from backend.routing import Router
from backend.services import Services, services

router = Router(prefix="/api/settings")

Parts = Annotated[Services, Depends(services)]


class Settings(TypedDict):
    """Every setting, as it is now."""

    success: Literal[True]
    settings: Preferences


class ExportedSettings(TypedDict):
    """Every setting, as a JSON text that can be imported."""

    success: Literal[True]
    settings_json: str


@router.get("")
def read(parts: Parts) -> Settings:
    """Return every setting."""
    return _answer(preferences.read(parts.folders.settings))


@router.put("/category")
def change(category: Annotated[str, Body()], values: Annotated[dict[str, Any], Body()], parts: Parts) -> Settings:
    """Change some settings of one category."""
    return _keep(parts, lambda kept: merged(kept, category, values))


@router.post("/reset")
def reset(parts: Parts, category: str | None = None) -> Settings:
    """Return one category, or every one, to its defaults."""
    if category is None:
        return _keep(parts, lambda _: Preferences())
    if category not in Preferences.model_fields:
        raise SettingsInvalid(f"there is no category {category!r}")
    return _keep(parts, lambda kept: kept.model_copy(update={category: getattr(Preferences(), category)}))


@router.get("/export/json")
def export(parts: Parts) -> ExportedSettings:
    """Return every setting as a JSON text, to be kept in a file."""
    return {
        "success": True,
        "settings_json": json.dumps(preferences.read(parts.folders.settings).model_dump(), indent=2),
    }


@router.post("/import")
def import_(settings_json: Annotated[str, Body(embed=True)], parts: Parts) -> Settings:
    """Take over what was exported; settings that it leaves out return to their defaults."""
    return _keep(parts, lambda _: Preferences.model_validate_json(settings_json))


def _keep(parts: Services, changed: Callable[[Preferences], Preferences]) -> Settings:
    try:
        kept = preferences.change(parts.folders.settings, changed)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsInvalid(f"{'.'.join(map(str, first['loc'])) or 'settings'}: {first['msg']}") from error
    log_from(kept.advanced.logLevel)
    return _answer(kept)


def _answer(kept: Preferences) -> Settings:
    return {"success": True, "settings": kept}
