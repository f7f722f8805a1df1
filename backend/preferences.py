"""The user's settings: every category with its defaults, and what each may be."""

# ruff: noqa: N815 - the names are the app's, and are what the documents hold

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.documents import read_object, write_whole

# Whatever has a default is answered as well, so that clients may rely on it.
SETTINGS = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Category(BaseModel):
    """A group of settings; a name that is not among them is refused."""

    model_config = SETTINGS


class Appearance(Category):
    """How the app looks."""

    theme: Literal["dark", "light", "auto"] = "dark"
    accentColor: Literal["blue", "purple", "green", "orange"] = "blue"
    fontSize: Literal["small", "medium", "large"] = "medium"
    compactMode: bool = False


class Notifications(Category):
    """What the app tells about."""

    enabled: bool = True
    trainingComplete: bool = True
    trainingFailed: bool = True
    deploymentReady: bool = True
    systemUpdates: bool = True
    soundEnabled: bool = True
    desktopNotifications: bool = True


class Providers(Category):
    """Where things are done by default."""

    defaultCompute: Literal["local", "runpod", "lambda", "vastai"] = "local"
    defaultRegistry: Literal["huggingface", "civitai", "ollama"] = "huggingface"
    defaultTracker: str | None = None
    autoSelectCheapest: bool = False
    preferredRegion: Literal["us-east", "us-west", "eu-west", "ap-southeast"] = "us-east"


class DataRetention(Category):
    """For how long things are kept: days; the most that uploads may take in MB, before unused ones go."""

    keepLogs: int = Field(default=30, ge=0)
    keepCheckpoints: int = Field(default=90, ge=0)
    keepFailedRuns: int = Field(default=7, ge=0)
    autoCleanup: bool = False
    maxCacheSize: int = Field(default=10_240, ge=0)


class Training(Category):
    """How trainings behave."""

    autoSaveCheckpoints: bool = True
    checkpointInterval: int = Field(default=500, ge=1)
    enableTelemetry: bool = False
    autoResume: bool = False


class Advanced(Category):
    """For those who look behind."""

    enableDebugMode: bool = False
    logLevel: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    maxConcurrentRuns: int = Field(default=1, ge=1)
    enableExperimentalFeatures: bool = False


class Preferences(BaseModel):
    """Every category."""

    model_config = SETTINGS

    appearance: Appearance = Field(default_factory=Appearance)
    notifications: Notifications = Field(default_factory=Notifications)
    providers: Providers = Field(default_factory=Providers)
    dataRetention: DataRetention = Field(default_factory=DataRetention)
    training: Training = Field(default_factory=Training)
    advanced: Advanced = Field(default_factory=Advanced)


_changing = threading.Lock()


def read(path: Path) -> Preferences:
    """Return what is kept; the default of each setting that is not, or that a later version wrote in its own way."""
    return _understood(read_object(path) or {})


def change(path: Path, changed: Callable[[Preferences], Preferences]) -> Preferences:
    """Keep what `changed` makes of the preferences, and return it; what a later version wrote besides, stays."""
    with _changing:
        document = read_object(path)
        if document is None and path.exists():
            path.replace(path.with_name(f"{path.name}.unreadable"))  # somebody's work, if no JSON
        before = _understood(document or {})
        after = changed(before)
        write_whole(path, _written(document or {}, before.model_dump(), after.model_dump()))
    return after


def merged(current: Preferences, category: str, values: dict[str, Any]) -> Preferences:
    """Return the preferences with some values of one category changed. Raises pydantic's ValidationError."""
    document = current.model_dump()
    document[category] = {**document.get(category, {}), **values}
    return Preferences.model_validate(document)


def _understood(document: dict[str, Any]) -> Preferences:
    categories = {}
    for name, field in Preferences.model_fields.items():
        given, kind = document.get(name), field.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, Category)
        categories[name] = _category(kind, given if isinstance(given, dict) else {})
    return Preferences.model_validate(categories)


def _category(kind: type[Category], given: dict[str, Any]) -> Category:
    known = {name: value for name, value in given.items() if name in kind.model_fields}
    try:
        return kind.model_validate(known)
    except ValidationError as error:
        wrong = {problem["loc"][0] for problem in error.errors()}
        return kind.model_validate({name: value for name, value in known.items() if name not in wrong})


def _written(document: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return a document with what has changed, and with what it did not say yet; the rest of it as it was."""
    written = dict(document)
    for category, values in after.items():
        kept = document.get(category)
        kept = kept if isinstance(kept, dict) else {}
        said = {name: value for name, value in values.items() if name not in kept or value != before[category][name]}
        written[category] = kept | said
    return written
