"""Training configurations as they are kept and exported."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from backend.clock import Time


class Metadata(TypedDict):
    """What a configuration is called, and what its maker says of it."""

    id: str
    name: str
    description: str
    created_at: Time
    modified_at: Time
    author: str | None
    tags: list[str]
    training_results: NotRequired[dict[str, Any]]
    hardware_requirements: NotRequired[dict[str, Any]]


class SavedConfiguration(TypedDict):
    """A configuration; what is in it is its maker's business."""

    metadata: Metadata
    configuration: dict[str, Any]
