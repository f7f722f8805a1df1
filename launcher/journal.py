"""Which frames of the archive are in the slot already, so that an interrupted install does not read them again.

Nothing here is flushed. What a process wrote is there for all others however it ended, as long as the machine runs:
so a journal counts in the boot that it was written in, and after a power cut every entry is hashed instead.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from launcher.disk import Disk
    from launcher.home import Home
    from launcher.manifest import Manifest

# A number counts with both its brackets: what a full disk cut short never joins what comes behind it.
_FRAME = re.compile(rb"<(\d{1,9})>")


def read_journal(home: Home, manifest: Manifest, disk: Disk) -> frozenset[int]:
    """Return the numbers of the frames that are written, none where there is no journal that can be believed."""
    heading = _heading(home, manifest, disk)
    try:
        found, _, frames = home.journal(manifest.slot_name).read_bytes().partition(b"\n")
    except OSError:
        return frozenset()
    return frozenset(map(int, _FRAME.findall(frames))) if found == heading else frozenset()


def begin_journal(home: Home, manifest: Manifest, disk: Disk, frames: Iterable[int]) -> Callable[[int], None]:
    """Begin a journal in which `frames` are written; return what to call with each that is from now on."""
    path = home.journal(manifest.slot_name)
    heading = _heading(home, manifest, disk)
    if heading is None:
        end_journal(home, manifest.slot_name, disk)
        return lambda _: None
    new = path.with_name(path.name + ".new")
    disk.create(new, heading + b"\n" + b"".join(map(_line, sorted(frames))), 0o644)
    disk.replace(new, path)
    return lambda frame: disk.append(path, _line(frame))


def end_journal(home: Home, slot_name: str, disk: Disk) -> None:
    """Remove a slot's journal, where it has one."""
    with suppress(FileNotFoundError):
        disk.remove(home.journal(slot_name))


def _line(frame: int) -> bytes:
    return b"<%d>\n" % frame


def _heading(home: Home, manifest: Manifest, disk: Disk) -> bytes | None:
    """Return what a journal has to begin with; None where the system does not tell one boot from another.

    The index has a part in it, since two archives of one runtime may be cut into other frames.
    """
    boot = disk.boot()
    slot = str(home.slot(manifest.slot_name))
    facts = {"runtime": manifest.runtime, "index": manifest.index.sha256, "slot": slot, "boot": boot}
    return json.dumps(facts).encode() if boot is not None else None
