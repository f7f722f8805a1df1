"""Typed reading of JSON documents, so that an error names its place: `parts[2].size: expected a number, found null`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from launcher.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
# Python reads no number of thousands of digits, and no version has one.
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})*")
_NAMES = {dict: "an object", list: "a list", str: "text", int: "a whole number", bool: "true or false"}


class DocumentError(ValueError):
    """A document breaks its format; the text says where and how."""


class Node(Value):
    """A JSON value and its place in the document."""

    value: object
    place: str = ""

    def refuse(self, reason: str) -> DocumentError:
        """Return the error that says `reason` of this place."""
        return DocumentError(f"{self.place or 'the document'}: {reason}")

    def child(self, key: str) -> Node:
        """Return the member `key` of this object, which must be there."""
        members = self._expect(dict)
        place = f"{self.place}.{key}" if self.place else key
        if key not in members:
            raise DocumentError(f"{place}: missing")
        return Node(members[key], place)

    def items(self) -> Iterator[Node]:
        """Yield the items of this list."""
        for number, value in enumerate(self._expect(list)):
            yield Node(value, f"{self.place}[{number}]")

    def rows(self, read: Callable[[object], T]) -> tuple[T, ...]:
        """Return what `read` makes of each item of this list; the reason of a ValueError that it raises gets a place.

        For tens of thousands of items: `items` makes a place for each of them, this for the one that is refused.
        """
        found: list[T] = []
        try:
            found.extend(map(read, self._expect(list)))  # keeps what came before an error
        except ValueError as error:
            raise DocumentError(f"{self.place}[{len(found)}]: {error}") from error
        return tuple(found)

    def members(self) -> Iterator[tuple[str, Node]]:
        """Yield the members of this object."""
        for key in self._expect(dict):
            if _HALF_CHARACTER.search(key):
                raise self.refuse(f"expected names that are text, found {key[:80]!r}")
            yield key, self.child(key)

    def text(self) -> str:
        """Return this text, which any text file and any environment can hold."""
        value = self.path_text()
        if not value.isascii() and _HALF_CHARACTER.search(value):
            raise self.refuse(f"expected text, found {value[:80]!r}")
        return value

    def path_text(self) -> str:
        """Return this text, with surrogates where it names a file of bytes that are no text."""
        return self._expect(str)

    def optional_text(self) -> str | None:
        """Return this text, or None for null."""
        return None if self.value is None else self.text()

    def number(self) -> int:
        """Return this whole number, zero or above."""
        value = self._expect(int)
        if value < 0:
            raise self.refuse(f"expected zero or above, found {value}")
        return value

    def truth(self) -> bool:
        """Return this true or false."""
        return self._expect(bool)

    def optional_number(self) -> int | None:
        """Return this whole number, or None for null."""
        return None if self.value is None else self.number()

    def optional_version(self) -> str | None:
        """Return these numbers with dots between them, or None for null."""
        value = self.optional_text()
        if value is not None and not _VERSION.fullmatch(value):
            raise self.refuse(f"expected a version, found {value[:80]!r}")
        return value

    def digest(self) -> str:
        """Return this sha256, 64 lower-case hexadecimal digits."""
        value = self.text()
        if not is_digest(value):
            raise self.refuse(f"expected a sha256, found {value[:80]!r}")
        return value

    def _expect(self, kind: type[T]) -> T:
        # bool is an int to Python, and no number to us.
        if not isinstance(self.value, kind) or (kind is int and isinstance(self.value, bool)):
            found = "null" if self.value is None else _NAMES.get(type(self.value), type(self.value).__name__)
            raise self.refuse(f"expected {_NAMES[kind]}, found {found}")
        return self.value


def is_digest(value: str) -> bool:
    """Whether `value` is a sha256 as we write it."""
    return len(value) == 64 and not value.strip("0123456789abcdef")
