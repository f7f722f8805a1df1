"""Write the receipt last, withdraw it first: between the two nothing in the slot is believed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from launcher.journal import end_journal
from launcher.manifest import Kind
from launcher.receipt import Extent, Receipt
from launcher.resources import file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.disk import Disk
    from launcher.home import Home
    from launcher.manifest import Entry, Index, Manifest


def record(home: Home, manifest: Manifest, index: Index, part: Extent, disk: Disk) -> None:
    """Hash what conda-unpack rewrote and write the receipt, after everything it speaks of has reached the disk."""
    slot = home.slot(manifest.slot_name)
    relocated = {entry.path: file_digest(slot / entry.path) for entry in index.entries if entry.relocated}
    receipt = Receipt(runtime=manifest.runtime, slot=str(slot), part=part, relocated=relocated)
    entries = index.entries[: manifest.core] if part is Extent.CORE else index.entries
    write_receipt(home, manifest, receipt, entries, disk)


def write_receipt(home: Home, manifest: Manifest, receipt: Receipt, entries: Iterable[Entry], disk: Disk) -> None:
    """Write a receipt, after the `entries` it speaks of have reached the disk."""
    slot = home.slot(manifest.slot_name)
    disk.flush_all(slot, (slot / entry.path for entry in entries if entry.kind is Kind.FILE))
    disk.record(home.receipt(manifest.slot_name), json.dumps(receipt.to_dict(), indent=1).encode())


def withdraw(home: Home, slot_name: str, disk: Disk) -> None:
    """Remove a slot's receipt durably, and its journal: whatever happens now, the next start looks at every entry."""
    end_journal(home, slot_name, disk)
    path = home.receipt(slot_name)
    if path.exists():
        disk.remove(path)
        disk.flush_folder(path.parent)
