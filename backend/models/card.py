"""A base model as the app lists it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from backend.annotations import DEFAULTS_TOLD
from backend.estimates import MIB, PUBLISHED_BYTES

MILLION = 1e6


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of a model; None and empty where nobody said. `parameters` in millions, `size_mb` in MiB."""

    __pydantic_config__: ClassVar = DEFAULTS_TOLD

    model_id: str
    author: str
    model_name: str
    downloads: int = 0
    likes: int = 0
    tags: tuple[str, ...] = ()
    pipeline_tag: str | None = None
    library_name: str | None = None
    size_mb: float | None = None
    parameters: float | None = None
    architecture: str | None = None
    license: str | None = None
    path: str | None = None
    registry: str = "huggingface"

    @property
    def count(self) -> float | None:
        """How many parameters there are: as somebody counted them, else as many as its files have room for."""
        if self.parameters:
            return self.parameters * MILLION
        return self.size_mb * MIB / PUBLISHED_BYTES if self.size_mb else None

    def matches(self, query: str) -> bool:
        """Tell whether every word of a query is in the model's id, tags or architecture."""
        text = " ".join((self.model_id, *self.tags, self.architecture or "")).lower()
        return all(word in text for word in query.lower().split())
