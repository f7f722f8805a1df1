"""Training configurations that people keep, share and take over."""

import json
import uuid
from typing import Annotated, Any

from fastapi import Body, Depends, UploadFile
from pydantic import AfterValidator, BaseModel, Field
from typing_extensions import TypedDict

from backend.clock import now
from backend.configurations import Metadata, SavedConfiguration
from backend.errors import ConfigurationInvalid
from backend.routes.deleted import Deleted
from backend.routing import Json, Router
from backend.services import Services, services

router = Router(prefix="/api/configurations")

Parts = Annotated[Services, Depends(services)]
IMPORT_BYTES = 1_000_000


class Sought(BaseModel):
    """What to look for: configurations with every tag, and with the text in name or description."""

    tags: list[str] | None = None
    search_query: str | None = None


def _json_values(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of which every value can be written as JSON. Raises ValueError."""
    try:
        json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:  # 1e999, half of a character, or a nesting beyond Python's limits
        raise ValueError(f"it cannot be written as JSON: {error}") from error
    return document


class Configuration(BaseModel):
    """A configuration to keep. What is in it is its maker's business: nothing of it is checked before a training."""

    configuration: Annotated[dict[str, Any], AfterValidator(_json_values)]
    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=10_000)
    author: str | None = None
    tags: list[str] | None = None

    def saved(self) -> SavedConfiguration:
        """Return the form that is kept and exported."""
        time = now()
        metadata: Metadata = {
            "id": uuid.uuid4().hex[:12],
            "name": self.name,
            "description": self.description,
            "created_at": time,
            "modified_at": time,
            "author": self.author,
            "tags": self.tags or [],
        }
        return {"metadata": metadata, "configuration": self.configuration}


class Configurations(TypedDict):
    """What is kept of each configuration beside itself."""

    configurations: list[Metadata]


class FoundConfiguration(TypedDict):
    """One configuration."""

    data: SavedConfiguration


class KeptConfiguration(TypedDict):
    """A configuration, and under which id it is kept."""

    id: str
    data: SavedConfiguration


@router.post("/library/list")
def find(wanted: Sought, parts: Parts) -> Configurations:
    """List what is kept, by name."""
    found = [document["metadata"] for document in parts.configurations.all()]
    return {"configurations": sorted((one for one in found if _matches(one, wanted)), key=lambda one: one["name"])}


@router.post("/library/save")
def save(configuration: Configuration, parts: Parts) -> KeptConfiguration:
    """Keep a configuration."""
    return _keep(parts, configuration.saved())


@router.get("/library/{configuration_id}")
def get(configuration_id: str, parts: Parts) -> FoundConfiguration:
    """Return one configuration."""
    return {"data": parts.configurations.get(configuration_id)}


@router.delete("/library/{configuration_id}")
def delete(configuration_id: str, parts: Parts) -> Deleted:
    """Remove one configuration."""
    parts.configurations.delete(configuration_id)
    return {"id": configuration_id, "status": "deleted"}


@router.post("/export-file")
def export(configuration: Configuration) -> Json[SavedConfiguration]:
    """Return a configuration as a file that can be imported."""
    return Json(configuration.saved(), headers={"Content-Disposition": 'attachment; filename="configuration.json"'})


@router.post("/import")
def import_(document: Annotated[Any, Body()], parts: Parts) -> KeptConfiguration:
    """Keep a configuration that was exported."""
    return _keep(parts, _checked(document))


@router.post("/import-file")
async def import_file(file: UploadFile, parts: Parts) -> KeptConfiguration:
    """Keep a configuration from a file that was exported."""
    content = await file.read(IMPORT_BYTES + 1)
    if len(content) > IMPORT_BYTES:
        raise ConfigurationInvalid(f"the file is larger than {IMPORT_BYTES:,} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigurationInvalid(f"the file is not JSON: {error}") from error
    return _keep(parts, _checked(document))


def _keep(parts: Services, document: SavedConfiguration) -> KeptConfiguration:
    parts.configurations.put(document["metadata"]["id"], document)
    return {"id": document["metadata"]["id"], "data": document}


def _checked(document: Any) -> SavedConfiguration:
    """Return an exported configuration under an id of our own. Raises ConfigurationInvalid."""
    if not isinstance(document, dict):
        raise ConfigurationInvalid("it is no JSON object")
    metadata, configuration = document.get("metadata"), document.get("configuration")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise ConfigurationInvalid("it has no metadata with a name")
    if not isinstance(configuration, dict):
        raise ConfigurationInvalid("it has no configuration")
    try:
        _json_values(document)
    except ValueError as error:
        raise ConfigurationInvalid(str(error)) from error
    tags = metadata.get("tags")
    taken = Configuration.model_construct(
        configuration=configuration,
        name=metadata["name"][:200],
        description=str(metadata.get("description") or "")[:10_000],
        author=metadata["author"] if isinstance(metadata.get("author"), str) else None,
        tags=[tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else None,
    ).saved()
    if isinstance(results := metadata.get("training_results"), dict):
        taken["metadata"]["training_results"] = results
    if isinstance(requirements := metadata.get("hardware_requirements"), dict):
        taken["metadata"]["hardware_requirements"] = requirements
    return taken


def _matches(metadata: Metadata, wanted: Sought) -> bool:
    text = f"{metadata['name']} {metadata['description']}".lower()
    return set(wanted.tags or ()) <= set(metadata["tags"]) and (wanted.search_query or "").lower() in text
