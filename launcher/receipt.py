"""The receipt: this slot holds this runtime, at this path, whole. Written last; without it nothing is installed."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from launcher.document import Node

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """`slot` is the path conda-unpack wrote into the runtime; `relocated` has the sha256 of each entry it rewrote."""

    runtime: str
    slot: str
    relocated: Mapping[str, str]

    @classmethod
    def from_dict(cls, document: object) -> Receipt:
        """Read a receipt; raise DocumentError where it breaks the format."""
        node = Node(document)
        if (schema := node.child("schema").number()) != SCHEMA:
            raise node.child("schema").refuse(f"expected {SCHEMA}, found {schema}")
        relocated = {path: digest.digest() for path, digest in node.child("relocated").members()}
        return cls(
            runtime=node.child("runtime").digest(),
            slot=node.child("slot").text(),
            relocated=MappingProxyType(relocated),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads."""
        return {
            "schema": SCHEMA,
            "runtime": self.runtime,
            "slot": self.slot,
            "relocated": dict(sorted(self.relocated.items())),
        }
