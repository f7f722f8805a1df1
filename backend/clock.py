"""The time as everything here writes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class _DateTime:
    """Has the API's description say of a text that it is a time."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, described: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {**described(schema), "format": "date-time"}


Time = Annotated[str, _DateTime]  # in ISO 8601, with an offset


def now() -> Time:
    """Return this moment, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
