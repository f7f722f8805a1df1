"""Presets: hyper-parameters that people keep under a name. The app shows `detail` of an error, so it is a text here."""

import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import Body, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.clock import now
from backend.documents import NAME
from backend.errors import DocumentUnknown, NameTaken, PresetInvalid
from backend.routing import Router
from backend.services import Services, services
from backend.training.plan import MethodName

router = Router(prefix="/api/presets")

Parts = Annotated[Services, Depends(services)]
OWN = ("id", "created_at", "updated_at")
EXPORT_VERSION = 1


class Preset(BaseModel):
    """What a preset may say; the app reads zeros and missing numbers as its own defaults."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=10_000)
    tags: list[str] = Field(default_factory=list, max_length=50)
    model_name: str = ""
    model_path: str = ""
    dataset_id: str = ""
    dataset_path: str = ""
    peft_method: MethodName = "lora"
    lora_r: int = Field(default=16, ge=0, le=1024)
    lora_alpha: int = Field(default=32, ge=0)
    lora_dropout: float = Field(default=0.05, ge=0, lt=1)
    target_modules: list[str] = Field(default_factory=list)
    learning_rate: float = Field(default=2e-4, ge=0, le=1)
    batch_size: int = Field(default=4, ge=0)
    gradient_accumulation: int = Field(default=1, ge=0)
    epochs: float = Field(default=3, ge=0)
    max_steps: int | None = Field(default=0, ge=-1)
    warmup_steps: int = Field(default=0, ge=0)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    scheduler: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: float = Field(default=0, ge=0)
    max_grad_norm: float = Field(default=1, ge=0)
    precision: Literal["fp32", "fp16", "bf16"] = "bf16"
    quantization: Literal["8bit", "4bit"] | None = None
    save_steps: int = Field(default=500, ge=0)
    save_total: int = Field(default=3, ge=0)
    eval_steps: int = Field(default=500, ge=0)
    eval_strategy: Literal["steps", "epoch"] = "steps"


@router.get("")
def presets(parts: Parts, search: str = "", tags: str = "") -> dict[str, Any]:
    """List the presets that have every one of the comma-separated tags, and the text in name or description."""
    wanted = {tag for tag in tags.split(",") if tag}
    found = [one for one in parts.presets.all() if wanted <= set(one["tags"]) and _says(one, search)]
    return {"presets": sorted(found, key=lambda one: str(one["name"]))}


@router.get("/{preset_id}")
def preset(preset_id: str, parts: Parts) -> dict[str, Any]:
    """Return one preset."""
    return parts.presets.get(preset_id)


@router.post("/save")
def save(body: Annotated[dict[str, Any], Body()], parts: Parts) -> dict[str, Any]:
    """Keep a preset: under its id, in place of the one that has it, or under a new one."""
    return {"preset": _keep(parts, _id_of(body), lambda _: body)}


@router.patch("/{preset_id}")
def change(preset_id: str, updates: Annotated[dict[str, Any], Body(embed=True)], parts: Parts) -> dict[str, Any]:
    """Change some fields of a preset."""

    def updated(known: dict[str, Any] | None) -> dict[str, Any]:
        if known is None:
            raise DocumentUnknown("preset", preset_id)
        return known | updates

    return {"preset": _keep(parts, preset_id, updated)}


@router.delete("/{preset_id}")
def delete(preset_id: str, parts: Parts) -> dict[str, str]:
    """Remove a preset."""
    parts.presets.delete(preset_id)
    return {"id": preset_id, "status": "deleted"}


@router.get("/{preset_id}/export")
def export(preset_id: str, parts: Parts) -> JSONResponse:
    """Return a preset as a file that can be imported."""
    document = {"version": EXPORT_VERSION, "preset": parts.presets.get(preset_id)}
    return JSONResponse(document, headers={"Content-Disposition": 'attachment; filename="preset.json"'})


@router.post("/import")
def import_(
    import_data: Annotated[dict[str, Any], Body()], parts: Parts, new_id: Annotated[str | None, Body()] = None
) -> dict[str, Any]:
    """Keep a preset that was exported, under `new_id` or a new one: none that is there is overwritten."""
    fields = import_data.get("preset", import_data)
    if not isinstance(fields, dict):
        raise PresetInvalid("preset: it is no JSON object")
    preset_id = _id_of({"id": new_id})

    def added(known: dict[str, Any] | None) -> dict[str, Any]:
        if known is not None:
            raise NameTaken(f"The preset {preset_id}")
        return fields

    return {"preset": _keep(parts, preset_id, added)}


def _keep(parts: Services, preset_id: str, fields: Callable[[dict[str, Any] | None], dict[str, Any]]) -> dict[str, Any]:
    """Check what `fields` makes of a preset, None: of a new one, and write it. Raises PresetInvalid."""

    def written(known: dict[str, Any] | None) -> dict[str, Any]:
        checked, time = _checked(fields(known)), now()
        began = time if known is None else known["created_at"]
        return {"id": preset_id, **checked.model_dump(), "created_at": began, "updated_at": time}

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


def _says(one: dict[str, Any], text: str) -> bool:
    return text.lower() in f"{one['name']} {one['description']}".lower()
