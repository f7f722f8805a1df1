"""Every place of a JSON document, and the document with another value there."""

from __future__ import annotations

import copy
from typing import Any


def places(document: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the way to every value of a document."""
    found = [path]
    members = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in members:
        found += places(value, (*path, key))
    return found


def replaced(document: object, path: tuple[str | int, ...], value: object) -> object:
    if not path:
        return value
    whole: Any = copy.deepcopy(document)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return whole
