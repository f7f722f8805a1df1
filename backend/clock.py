"""The time as everything here writes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from backend.annotations import DateTime

Time = Annotated[str, DateTime]  # in ISO 8601, with its offset


def now() -> Time:
    """Return this moment in ISO 8601, in milliseconds and with its offset."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
