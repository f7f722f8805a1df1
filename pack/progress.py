"""How a long act says how far it is: whoever calls decides whether and where that shows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Progress(Protocol):
    """Receives one step: `what` in words, and how many of how many are done."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take note of a step."""


@contextmanager
def one_step(progress: Progress, what: str) -> Iterator[None]:
    """Say that work which is not counted begins, and that it ended well."""
    progress(what, 0, 1)
    yield
    progress(what, 1, 1)


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""
