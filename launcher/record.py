"""Write the receipt last, withdraw it first: between the two nothing in the slot is believed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from launcher.receipt import Receipt
from launcher.resources import file_digest

if TYPE_CHECKING:
    from launcher.disk import Disk
    from launcher.home import Home
    from launcher.manifest import Index, Manifest
    from launcher.receipt import Extent


def record(home: Home, manifest: Manifest, index: Index, part: Extent, disk: Disk) -> None:
    """Hash what conda-unpack rewrote and write the receipt, after everything it speaks of has reached the disk."""
    slot = home.slot(manifest.slot_name)
    relocated = {entry.path: file_digest(slot / entry.path) for entry in index.entries if entry.relocated}
    write_receipt(
        home, manifest, Receipt(runtime=manifest.runtime, slot=str(slot), part=part, relocated=relocated), disk
    )


def write_receipt(home: Home, manifest: Manifest, receipt: Receipt, disk: Disk) -> None:
    """Write a receipt, after everything it speaks of has reached the disk."""
    disk.flush_all()
    disk.record(home.receipt(manifest.slot_name), json.dumps(receipt.to_dict(), indent=1).encode())


def withdraw(home: Home, slot_name: str, disk: Disk) -> None:
    """Remove a slot's receipt durably: whatever happens from here on, the next start looks at every entry."""
    path = home.receipt(slot_name)
    if path.exists():
        disk.remove(path)
        disk.flush_folder(path.parent)
