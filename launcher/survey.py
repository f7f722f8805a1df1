"""Look, never touch: what is there of the runtime, and which entries are not what the manifest says."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.disk import disk_errors
from launcher.errors import InstallDamaged, names_text
from launcher.manifest import Kind
from launcher.plan import Core, Damage, Damaged, DamageKind, Missing, Moved, Partial, Ready
from launcher.receipt import Extent, Receipt
from launcher.resources import file_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from launcher.home import Home
    from launcher.manifest import Entry, Manifest
    from launcher.plan import State
    from launcher.platforms import Platform


_TYPES = {Kind.FILE: stat.S_IFREG, Kind.LINK: stat.S_IFLNK, Kind.FOLDER: stat.S_IFDIR}
_BATCH = 64  # entries that a thread looks at before it asks for more: asking costs as much as one of them


def survey_quickly(home: Home, manifest: Manifest) -> State:
    """Return the state as far as a start can afford to look: receipt, place and interpreter.

    Raises HomeNotWritable where the system does not let us look.
    """
    slot = home.slot(manifest.slot_name)
    receipt = read_receipt(home, manifest)
    with disk_errors(home.root):
        if not slot.exists():
            return Missing()
        if receipt is None:
            return Partial()
        if receipt.slot != str(slot) and not _same_folder(Path(receipt.slot), slot):
            return Moved(receipt.slot)
        if (kind := _look_at_python(slot, manifest.platform)) is not None:
            return Damaged((Damage(manifest.platform.python, kind),))
    return Ready() if receipt.part is Extent.WHOLE else Core()


def _look_at_python(slot: Path, platform: Platform) -> DamageKind | None:
    """Return why the interpreter could not be started, as far as its mode tells."""
    try:
        mode = (slot / platform.python).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return DamageKind.MISSING
    return None if platform.is_windows or mode & 0o111 else DamageKind.WRONG_MODE


def survey_fully(
    home: Home,
    manifest: Manifest,
    entries: Sequence[Entry],
    progress: Callable[[int, int], None],
    part: Extent = Extent.WHOLE,
    written: frozenset[str] = frozenset(),
) -> State:
    """Return the state of a part after hashing its entries; `progress` is told the bytes done and the bytes in all.

    Where no receipt is, the entries `written` are not hashed if they are there in their kind, size and mode.
    Asked for the whole of a runtime whose core is there and sound, the answer is Core, with what is outstanding.
    """
    if part is Extent.CORE:
        entries = entries[: manifest.core]
    state = survey_quickly(home, manifest)
    if isinstance(state, Missing):
        return state
    receipt = read_receipt(home, manifest)
    relocated = receipt.relocated if receipt is not None else {}
    known = written if isinstance(state, Partial) else frozenset()
    damage = find_damage(home.slot(manifest.slot_name), entries, relocated, manifest.platform, progress, known)
    match state:
        case Partial():
            return Partial(damage)
        case Moved(recorded):
            return Moved(recorded, damage)
        case Core() if part is Extent.WHOLE and not _touches(damage, entries[: manifest.core]):
            return Core(damage)
        case _:
            return Damaged(damage) if damage else Ready()


def _touches(damage: Sequence[Damage], entries: Sequence[Entry]) -> bool:
    """Whether one of the entries is damaged."""
    return not {found.path for found in damage}.isdisjoint(entry.path for entry in entries)


def read_receipt(home: Home, manifest: Manifest) -> Receipt | None:
    """Return the receipt of this runtime, or None where there is none that can be believed.

    Receipts are written whole or not at all; one that cannot be read was harmed later, and so may have been its
    slot. Taking it as absent makes the next step look at every entry.
    """
    try:
        receipt = Receipt.from_dict(json.loads(home.receipt(manifest.slot_name).read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None
    return receipt if receipt.runtime == manifest.runtime else None


def _same_folder(recorded: Path, slot: Path) -> bool:
    """Whether two paths lead to one folder: a home reached through a link has not moved."""
    try:
        return recorded.samefile(slot)
    except OSError:
        return False


def find_damage(
    slot: Path,
    entries: Sequence[Entry],
    relocated: Mapping[str, str],
    platform: Platform,
    progress: Callable[[int, int], None],
    written: frozenset[str] = frozenset(),
) -> tuple[Damage, ...]:
    """Return what differs from the entries, in their order; `relocated` has the sha256 of those rewritten since.

    Those `written` are known to hold what they should, unless their kind, size or mode says otherwise.
    """
    from concurrent.futures import ThreadPoolExecutor

    total = sum(entry.size for entry in entries)
    done = 0
    damage = []
    batches = [entries[number : number + _BATCH] for number in range(0, len(entries), _BATCH)]

    def look(batch: Sequence[Entry]) -> list[DamageKind | None]:
        return [
            _look(slot, entry, relocated.get(entry.path), platform, written=entry.path in written) for entry in batch
        ]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch, kinds in zip(batches, pool.map(look, batches), strict=True):
            damage += [Damage(entry.path, kind) for entry, kind in zip(batch, kinds, strict=True) if kind is not None]
            done += sum(entry.size for entry in batch)
            progress(done, total)
    return tuple(damage)


def find_extra(slot: Path, entries: Sequence[Entry]) -> list[str]:
    """Return the files of the slot that are no entries: reported, and left alone."""
    known = {entry.path for entry in entries}
    extra, folders = [], [""]
    while folders:
        inside = folders.pop()
        try:
            found = os.scandir(f"{slot}/{inside}")
        except OSError:
            continue  # no folder, or closed to us: what that hides is damage, and told as such
        with found:
            for item in found:
                path = inside + item.name
                if item.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                elif path not in known:
                    extra.append(path)
    return sorted(extra)


def measure(slot: Path) -> int:
    """Return the bytes of all files in a slot, 0 where there is none."""
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(slot) for name in names)


def require_whole(home: Home, manifest: Manifest, state: State) -> None:
    """Raise InstallDamaged unless the state is Ready."""
    slot = home.slot(manifest.slot_name)
    match state:
        case Ready():
            return
        case Missing():
            raise InstallDamaged(slot, "nothing is installed")
        case Partial(damage):
            raise InstallDamaged(slot, f"the installation did not end, {_count(damage)}")
        case Core(damage):
            raise InstallDamaged(slot, f"only its core is there, {_count(damage)}")
        case Moved(recorded):
            raise InstallDamaged(slot, f"it was installed in {recorded} and moved")
        case Damaged(damage):
            raise InstallDamaged(slot, _count(damage))


def _count(damage: Sequence[Damage]) -> str:
    names = names_text([found.path for found in damage])
    return f"{len(damage)} entries are not as they should be: {names}" if damage else "every entry is sound"


def _look(slot: Path, entry: Entry, relocated: str | None, platform: Platform, *, written: bool) -> DamageKind | None:
    path = f"{slot}/{entry.path}"
    try:
        found = os.lstat(path)
        if stat.S_IFMT(found.st_mode) != _TYPES[entry.kind]:
            return DamageKind.WRONG_KIND
        if entry.kind is Kind.LINK:
            return None if str(Path(path).readlink()) == entry.target else DamageKind.WRONG_TARGET
        # Windows keeps no permission bits but one.
        if not platform.is_windows and stat.S_IMODE(found.st_mode) != entry.mode:
            return DamageKind.WRONG_MODE
        if entry.kind is Kind.FOLDER:
            return None
        if relocated is None and found.st_size != entry.size:
            return DamageKind.WRONG_SIZE
        return None if written or file_digest(path) == (relocated or entry.sha256) else DamageKind.CHANGED
    except (FileNotFoundError, NotADirectoryError):
        return DamageKind.MISSING
    except OSError:
        return DamageKind.UNREADABLE
