"""Presets: hyper-parameters that people keep under a name. The app shows `detail` of an error, so it is a text here."""

import uuid
from collections.abc import Callable
from typing import Annotated, Any, cast

from fastapi import Body, Depends
from pydantic import ValidationError
from typing_extensions import TypedDict

from backend.clock import now
from backend.documents import NAME
from backend.errors import DocumentUnknown, NameTaken, PresetInvalid
from backend.presets import KeptPreset, Preset
from backend.routes.deleted import Deleted
from backend.routing import Json, Router
from backend.services import Services, services

router = Router(prefix="/api/presets")

Parts = Annotated[Services, Depends(services)]
OWN = ("id", "created_at", "updated_at")
EXPORT_VERSION = 1


class Presets(TypedDict):
    """Presets by their names."""

    presets: list[KeptPreset]


class OnePreset(TypedDict):
    """A preset as it is kept."""

    preset: KeptPreset


class ExportedPreset(TypedDict):
    """A preset as a file that can be imported."""

    version: int
    preset: KeptPreset


@router.get("")
def presets(parts: Parts, search: str = "", tags: str = "") -> Presets:
    """List the presets that have every one of the comma-separated tags, and the text in name or description."""
    wanted = {tag for tag in tags.split(",") if tag}
    found = [one for one in parts.presets.all() if wanted <= set(one["tags"]) and _says(one, search)]
    return {"presets": sorted(found, key=lambda one: one["name"])}


@router.get("/{preset_id}")
def preset(preset_id: str, parts: Parts) -> KeptPreset:
    """Return one preset."""
    return parts.presets.get(preset_id)


@router.post("/save")
def save(body: Annotated[dict[str, Any], Body()], parts: Parts) -> OnePreset:
    """Keep a preset: under its id, in place of the one that has it, or under a new one."""
    return {"preset": _keep(parts, _id_of(body), lambda _: body)}


@router.patch("/{preset_id}")
def change(preset_id: str, updates: Annotated[dict[str, Any], Body(embed=True)], parts: Parts) -> OnePreset:
    """Change some fields of a preset."""

    def updated(known: KeptPreset | None) -> dict[str, Any]:
        if known is None:
            raise DocumentUnknown("preset", preset_id)
        return {**known, **updates}

    return {"preset": _keep(parts, preset_id, updated)}


@router.delete("/{preset_id}")
def delete(preset_id: str, parts: Parts) -> Deleted:
    """Remove a preset."""
    parts.presets.delete(preset_id)
    return {"id": preset_id, "status": "deleted"}


@router.get("/{preset_id}/export")
def export(preset_id: str, parts: Parts) -> Json[ExportedPreset]:
    """Return a preset as a file that can be imported."""
    document: ExportedPreset = {"version": EXPORT_VERSION, "preset": parts.presets.get(preset_id)}
    return Json(document, headers={"Content-Disposition": 'attachment; filename="preset.json"'})


@router.post("/import")
def import_(
    import_data: Annotated[dict[str, Any], Body()], parts: Parts, new_id: Annotated[str | None, Body()] = None
) -> OnePreset:
    """Keep a preset that was exported, under `new_id` or a new one: none that is there is overwritten."""
    fields = import_data.get("preset", import_data)
    if not isinstance(fields, dict):
        raise PresetInvalid("preset: it is no JSON object")
    preset_id = _id_of({"id": new_id})

    def added(known: KeptPreset | None) -> dict[str, Any]:
        if known is not None:
            raise NameTaken(f"The preset {preset_id}")
        return fields

    return {"preset": _keep(parts, preset_id, added)}


def _keep(parts: Services, preset_id: str, fields: Callable[[KeptPreset | None], dict[str, Any]]) -> KeptPreset:
    """Check what `fields` makes of a preset, None: of a new one, and write it. Raises PresetInvalid."""

    def written(known: KeptPreset | None) -> KeptPreset:
        checked, time = _checked(fields(known)), now()
        began = time if known is None else known["created_at"]
        document = {"id": preset_id, **checked.model_dump(), "created_at": began, "updated_at": time}
        return cast("KeptPreset", document)

    return parts.presets.change(preset_id, written)


def _checked(fields: dict[str, Any]) -> Preset:
    try:
        return Preset.model_validate({name: value for name, value in fields.items() if name not in OWN})
    except ValidationError as error:
        first = error.errors()[0]
        raise PresetInvalid(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _id_of(fields: dict[str, Any]) -> str:
    """Return the id that a preset asks for, or a new one. Raises PresetInvalid."""
    wanted = fields.get("id") or uuid.uuid4().hex[:12]
    if not isinstance(wanted, str) or not NAME.fullmatch(wanted):
        raise PresetInvalid("id: letters, digits, dots, dashes and underscores, 100 at most")
    return wanted


def _says(one: KeptPreset, text: str) -> bool:
    return text.lower() in f"{one['name']} {one['description']}".lower()
