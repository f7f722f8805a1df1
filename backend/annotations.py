"""What our data types tell the API's description beside the types of their fields. Nothing of it needs pydantic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# As __pydantic_config__ of a class: fields that have a default are answered as well, so that clients may rely on them.
DEFAULTS_TOLD = {"json_schema_serialization_defaults_required": True}


class DateTime:
    """Says of a text that it is a time."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, described: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Return the description of the text, and that it is one of a time."""
        return {**described(schema), "format": "date-time"}
