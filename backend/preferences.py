"""The user's settings: every category with its defaults, and what each may be."""

# ruff: noqa: N815 - the names are the app's, and are what the documents hold

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.engine import read_object


class Category(BaseModel):
    """A group of settings; a name that is not among them is refused."""

    model_config = ConfigDict(extra="forbid")


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

    model_config = ConfigDict(extra="forbid")

    appearance: Appearance = Field(default_factory=Appearance)
    notifications: Notifications = Field(default_factory=Notifications)
    providers: Providers = Field(default_factory=Providers)
    dataRetention: DataRetention = Field(default_factory=DataRetention)
    training: Training = Field(default_factory=Training)
    advanced: Advanced = Field(default_factory=Advanced)


def read(path: Path) -> Preferences:
    """Return what is kept; the defaults where nothing is, or where a later version's settings are."""
    try:
        return Preferences.model_validate(read_object(path) or {})
    except ValidationError:
        return Preferences()


def merged(current: Preferences, category: str, values: dict[str, Any]) -> Preferences:
    """Return the preferences with some values of one category changed. Raises pydantic's ValidationError."""
    document = current.model_dump()
    document[category] = {**document.get(category, {}), **values}
    return Preferences.model_validate(document)
