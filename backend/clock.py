"""The time as everything here writes it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return this moment in ISO 8601, in milliseconds and with its offset."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
