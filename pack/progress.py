"""How a long act says how far it is: whoever calls decides whether and where that shows."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives one step: `what` in words, and how many of how many are done."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take note of a step."""


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""
