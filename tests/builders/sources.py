"""Sources without a prefix, the archive they make, and trees to compare what comes out of it."""

from __future__ import annotations

import stat
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from launcher.disk import Disk
from launcher.manifest import Floor, Index, Kind, Manifest, Part
from launcher.platforms import Platform
from launcher.resources import Resources
from launcher.restore import restore
from pack.progress import silent
from pack.source import Source
from pack.write import write_archive

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Tree = dict[str, tuple[str, int, bytes | str]]  # path → kind, mode, and bytes or link target
NOTHING = Part(name="none", size=0, sha256="0" * 64)
SMALL_MANIFEST = Manifest(
    runtime="0" * 64, version="1", platform=Platform.LINUX_64, accelerator="cpu", created_at="2026-01-01T00:00:00Z",
    channel="test", lock="0" * 64, packages={}, environment={}, floor=Floor(), placeholder=None, longest_path=0,
    disk=0, entries=0, core=0, parts=(NOTHING,), index=NOTHING,
)  # fmt: skip


def file(path: str, content: bytes = b"", package: str = "a", **more: Any) -> Source:
    return Source(path=path, package=package, kind=Kind.FILE, content=content, **more)


def link(path: str, target: str, package: str = "a") -> Source:
    return Source(path=path, package=package, kind=Kind.LINK, target=target)


def folder(path: str, package: str = "a") -> Source:
    return Source(path=path, package=package, kind=Kind.FOLDER, mode=0o755)


def pack_sources(place: Path, sources: Sequence[Source], **options: Any) -> tuple[Resources, Index]:
    """Write the sources as an archive into `place`; return what the launcher needs to restore them."""
    place.mkdir(parents=True, exist_ok=True)
    options = {"machine_paths": [], "progress": silent, "level": 1, **options}
    written = write_archive(sources, place, **options)
    manifest = SMALL_MANIFEST.but(parts=written.parts, entries=len(written.index.entries))
    # Through the reader's own door: what the launcher would refuse, no test may accept.
    return Resources(place, b"", manifest), Index.from_dict(written.index.to_dict(), Platform.LINUX_64)


def restored(resources: Resources, index: Index, slot: Path) -> Tree:
    """Restore everything as the launcher does; return the tree."""
    restore(resources, index, index.entries, slot, Disk(), lambda _done, _total: None)
    return tree_of(slot)


def untarred(resources: Resources, slot: Path) -> Tree:
    """Join the parts and unpack them with what any machine has; return the tree."""
    slot.mkdir(parents=True)
    parts = " ".join(f"'{resources.folder / part.name}'" for part in resources.manifest.parts)
    command = f"cat {parts} | tar --zstd -xf - -C '{slot}'"
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True)
    return tree_of(slot)


def tree_of(place: Path) -> Tree:
    """Return everything below a folder; folders only where they are empty."""
    found: Tree = {}
    for path in place.rglob("*"):
        name, mode = path.relative_to(place).as_posix(), stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink():
            found[name] = (Kind.LINK, 0, str(path.readlink()))
        elif path.is_file():
            found[name] = (Kind.FILE, mode, path.read_bytes())
        elif not any(path.iterdir()):
            found[name] = (Kind.FOLDER, mode, b"")
    return found


def expected(sources: Iterable[Source]) -> Tree:
    """Return the tree that sources make."""
    paths = [source.path for source in sources]
    found: Tree = {}
    for source in sources:
        if source.kind is Kind.FILE:
            found[source.path] = (source.kind, source.mode, source.read())
        elif source.kind is Kind.LINK:
            found[source.path] = (source.kind, 0, source.target)
        elif not any(path.startswith(f"{source.path}/") for path in paths):
            found[source.path] = (source.kind, source.mode, b"")
    return found


def on_disk(source: Source, place: Path) -> Source:
    """Return the same source with its bytes in a file."""
    place.write_bytes(source.read())
    return replace(source, content=None, at=place)
