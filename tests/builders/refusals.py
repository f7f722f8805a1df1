"""A system that refuses to open files and folders, at any one of them: where Python itself asks, whoever opens."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_OPENING = {"open", "os.listdir", "os.scandir"}
_refusing: list[Refusal] = []  # one, or none


class Refusal:
    """Opening number `first` below one of the places is refused, with `for_ever` all from there on."""

    def __init__(self, places: Sequence[Path], first: int, *, for_ever: bool) -> None:
        self.refused: list[str] = []
        self._places = tuple(map(str, places))
        self._numbers = count(1)
        self._first = first
        self._for_ever = for_ever

    def hear(self, path: object) -> None:
        """Raise PermissionError where the system is to refuse."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        name = os.fsdecode(path)
        if name.startswith(self._places):
            number = next(self._numbers)
            if number == self._first or (self._for_ever and number > self._first):
                self.refused.append(name)
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _refusing and event in _OPENING:
        _refusing[0].hear(arguments[0])


@cache
def _listen() -> None:
    sys.addaudithook(_hear)  # which nothing takes away again


@contextmanager
def refusing(places: Sequence[Path], first: int, *, for_ever: bool) -> Iterator[Refusal]:
    """Refuse to open what lies below the places, as this process asks for it."""
    _listen()
    _refusing.append(Refusal(places, first, for_ever=for_ever))
    try:
        yield _refusing[0]
    finally:
        _refusing.clear()
