"""The room that entries take on a disk, in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.manifest import Entry

BLOCK = 4096  # bytes; what ext4, APFS and NTFS give a file at least


def room(entries: Iterable[Entry]) -> int:
    """Return the bytes that entries take on a disk: content in whole blocks, and an inode each."""
    return sum(room_of(entry.size) for entry in entries)


def room_of(size: int) -> int:
    """Return the bytes that a file of `size` bytes takes on a disk."""
    return -(-size // BLOCK) * BLOCK + BLOCK // 8
