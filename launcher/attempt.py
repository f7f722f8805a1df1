"""The note a start leaves: a backend was begun.

The backend removes it once it listens. A later start that finds it, while nobody runs from the slot, knows that one
ended before it could.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from launcher.document import Node
from launcher.value import Value

if TYPE_CHECKING:
    from launcher.disk import Disk
    from launcher.home import Home
    from launcher.manifest import Manifest

LIMIT = 3  # starts in a row that end before they listen, and then no more


class Attempt(Value):
    """Process `pid` was to become the backend of `runtime`, the start number `count` in a row without success."""

    runtime: str
    count: int
    pid: int

    @classmethod
    def from_dict(cls, document: object) -> Attempt:
        """Read an attempt; raise DocumentError where it breaks the format."""
        node = Node(document)
        return cls(
            runtime=node.child("runtime").digest(),
            count=node.child("count").number(),
            pid=node.child("pid").number(),
        )


def read_attempt(home: Home, manifest: Manifest) -> Attempt | None:
    """Return what the last start of this runtime left, None where it left nothing that can be believed."""
    try:
        attempt = Attempt.from_dict(json.loads(home.attempt.read_bytes()))
    except (OSError, ValueError, RecursionError):
        # It only ever causes a closer look: a note that cannot be read is none.
        return None
    return attempt if attempt.runtime == manifest.runtime else None


def write_attempt(home: Home, attempt: Attempt, disk: Disk) -> None:
    """Leave the note; it need not outlive a power cut, which is no failure of the backend's."""
    disk.note(home.attempt, json.dumps(attempt.as_dict()).encode())


def withdraw_attempt(home: Home, disk: Disk) -> None:
    """Remove the note, where there is one."""
    with suppress(FileNotFoundError):
        disk.remove(home.attempt)
