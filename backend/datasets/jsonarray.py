"""The elements of a JSON array, one by one.

A file of gigabytes is never in memory whole. Nor is it parsed in one breath, in which no other thread of this process
would get its turn.
"""

from __future__ import annotations

import codecs
import json
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE_BYTES = 1024 * 1024
MOST_CHARACTERS = 16 * 1024 * 1024  # of one element
LOOKAHEAD = 3  # a number may go on behind the end of the window: 1 by e+5
SPACE = " \t\r\n"
OTHERS = '{"-0123456789tfn'  # what values begin with that are no arrays


class ArrayBroken(Exception):
    """A place of the file, such as "line 3", is not what an array has there."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class NotUtf8(ArrayBroken):
    """The file is no text in UTF-8."""


class NotAnArray(ArrayBroken):
    """The file holds something else."""


def elements(path: Path) -> Iterator[Any]:
    """Yield what a file's array holds. Raises ArrayBroken, where that shows: after what lies before it."""
    decoder = json.JSONDecoder()
    with path.open("rb") as file:
        window = _Window(file)
        if (first := window.next()) and first in OTHERS:
            raise NotAnArray("the whole file", "it is not an array of rows")
        window.take("[", "Expecting value")
        if window.next() == "]":
            window.at += 1
        else:
            while True:
                yield window.element(decoder)
                if window.next() == "]":
                    window.at += 1
                    break
                window.take(",", "Expecting ',' delimiter")
        if window.next():
            raise window.broken("Extra data", window.at)


class _Window:
    """The part of a file that is in memory; `at` is how far of it was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.at = 0
        self._text = ""
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._bytes = 0
        self._line = 1  # where the window begins
        self._column = 1
        self._ended = False

    def next(self) -> str:
        """Go to the next character that is no space, and return it; "" at the end."""
        while True:
            while self.at < len(self._text) and self._text[self.at] in SPACE:
                self.at += 1
            if self.at < len(self._text):
                return self._text[self.at]
            if not self._read():
                return ""

    def take(self, character: str, otherwise: str) -> None:
        """Read on behind the next character, which has to be this one."""
        if self.next() != character:
            raise self.broken(otherwise, self.at)
        self.at += 1

    def element(self, decoder: json.JSONDecoder) -> Any:
        """Read the next value."""
        self.next()
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self.at)
                if len(self._text) - end >= LOOKAHEAD or not self._read():
                    self.at = end
                    return value
            except json.JSONDecodeError as error:
                if len(self._text) - self.at > MOST_CHARACTERS:
                    reason = f"the row is longer than {MOST_CHARACTERS:,} characters"
                    raise ArrayBroken(f"line {self._place(self.at)[0]}", reason) from error
                if not self._read():
                    raise self.broken(error.msg, error.pos) from error
            except (ValueError, RecursionError) as error:  # a number or a nesting beyond Python's limits
                line, _ = self._place(self.at)
                raise ArrayBroken(f"line {line}", f"not JSON that can be read: {error}") from error

    def broken(self, reason: str, position: int) -> ArrayBroken:
        """Return the error of a position in the window."""
        line, column = self._place(position)
        return ArrayBroken(f"line {line}", f"not JSON: {reason} at column {column}")

    def _read(self) -> bool:
        """Move the window on by as much again as there is ahead; leave it where the file has ended, and say so."""
        text = ""
        while not text and not self._ended:
            piece = self._file.read(max(PIECE_BYTES, len(self._text) - self.at))
            self._bytes += len(piece)
            self._ended = not piece
            try:
                text = self._decoder.decode(piece, self._ended)
            except UnicodeDecodeError as error:
                first = self._bytes - len(error.object) + error.start + 1
                raise NotUtf8("the whole file", f"byte {first} is not UTF-8") from error
        if text:
            self._line, self._column = self._place(self.at)
            self._text, self.at = self._text[self.at :] + text, 0
        return bool(text)

    def _place(self, position: int) -> tuple[int, int]:
        """Return line and column of a position in the window."""
        lines = self._text.count("\n", 0, position)
        begun = self._text.rfind("\n", 0, position)
        column = position - begun if lines else self._column + position
        return self._line + lines, column
