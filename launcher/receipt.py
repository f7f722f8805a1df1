"""The receipt: this slot holds this runtime, or its core, at this path. Written last: without it nothing counts."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from launcher.document import Node
from launcher.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1


class Extent(StrEnum):
    """How much of a runtime: what the backend's server process needs, or all of it."""

    CORE = "core"
    WHOLE = "whole"


class Receipt(Value, kw_only=True):
    """`slot` is the path conda-unpack wrote into the runtime; `relocated` has the sha256 of each entry it rewrote."""

    runtime: str
    slot: str
    part: Extent
    relocated: Mapping[str, str]

    @classmethod
    def from_dict(cls, document: object) -> Receipt:
        """Read a receipt; raise DocumentError where it breaks the format."""
        node = Node(document)
        if (schema := node.child("schema").number()) != SCHEMA:
            raise node.child("schema").refuse(f"expected {SCHEMA}, found {schema}")
        part = node.child("part")
        if part.text() not in list(Extent):
            raise part.refuse(f"expected core or whole, found {part.value!r}")
        relocated = {path: digest.digest() for path, digest in node.child("relocated").members()}
        return cls(
            runtime=node.child("runtime").digest(),
            slot=node.child("slot").text(),
            part=Extent(part.text()),
            relocated=MappingProxyType(relocated),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads."""
        return {
            "schema": SCHEMA,
            "runtime": self.runtime,
            "slot": self.slot,
            "part": str(self.part),
            "relocated": dict(sorted(self.relocated.items())),
        }
