"""One .conda file, written: rattler-build assembles it, and we add what it leaves out.

A .conda file is a stored zip of two archives (conda's package format, version 2): `pkg-*.tar.zst` with the files and
`info-*.tar.zst` with what is known of them. rattler-build records no prefix placeholder of ours and no source, so the
second archive is written again with both.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal
from zipfile import ZIP_STORED, ZipFile

import zstandard
from rattler_build.package_assembler import assemble_package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Change = Callable[[dict[str, Any]], dict[str, Any]]
    """What becomes of a JSON document."""

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
"""The time in every package that we write: what is built twice is the same twice."""

# Where conda-pack, and conda before index.json said so, look for a package's kind: conda's package metadata, version 1.
_LINK = {"noarch": {"type": "python"}, "package_metadata_version": 1}


@dataclass(frozen=True)
class CondaPackage:
    """What a package says of itself. `subdir` is a platform's name, or "noarch"."""

    name: str
    version: str
    build: str
    subdir: str
    depends: tuple[str, ...] = ()
    license: str | None = None
    summary: str | None = None
    homepage: str | None = None
    repository: str | None = None
    source: Mapping[str, str] = field(default_factory=dict)
    """Where the files came from: written to info/about.json as `extra`."""

    @property
    def file_name(self) -> str:
        """The package's file name in its channel."""
        return f"{self.name}-{self.version}-{self.build}.conda"

    @property
    def noarch(self) -> Literal["python"] | None:
        """The word of conda for a package that every platform lays out by itself."""
        return "python" if self.subdir == "noarch" else None


def write_package(
    package: CondaPackage,
    *,
    files: Path,
    channel: Path,
    license_files: Mapping[str, Path] | None = None,
    placeholder: str | None = None,
) -> Path:
    """Write `package` with everything under `files` into `channel`, and return its path.

    `license_files` are files by their names in info/licenses, folders among them. Text files that hold `placeholder`
    are recorded, so that whoever installs the package puts its prefix there. The file appears under its name when it
    is whole.
    """
    target = channel / package.subdir / package.file_name
    building = target.parent / f".{package.name}"
    building.mkdir(parents=True, exist_ok=True)
    written = assemble_package(
        name=package.name,
        version=package.version,
        build_string=package.build,
        target_platform=package.subdir,
        output_dir=building,
        files_dir=files,
        depends=package.depends,
        license=package.license,
        summary=package.summary,
        homepage=package.homepage,
        noarch=package.noarch,
        timestamp=EPOCH,
        compression_level=1,  # the archive compresses everything again; here only the disk would gain
        detect_prefix=False,
    ).path
    changes: dict[str, Change] = {
        "info/paths.json": lambda paths: _with_placeholder(paths, files, placeholder) if placeholder else paths,
        "info/about.json": lambda about: {**about, **_sources(package)},
    }
    if package.noarch:
        changes["info/link.json"] = lambda _: _LINK
    licenses = {f"info/licenses/{name}": path.read_bytes() for name, path in (license_files or {}).items()}
    _amend(written, changes, licenses)
    written.replace(target)
    building.rmdir()
    return target


def _sources(package: CondaPackage) -> dict[str, Any]:
    """Return what about.json has to say of where a package comes from; `dev_url` is conda's word for the sources."""
    place = {"dev_url": package.repository} if package.repository else {}
    return {**place, "extra": dict(package.source)}


def _with_placeholder(paths: dict[str, Any], files: Path, placeholder: str) -> dict[str, Any]:
    """Return paths.json with `placeholder` recorded for each regular file that holds it."""
    for entry in paths["paths"]:
        if entry["path_type"] == "hardlink" and placeholder.encode() in (files / entry["_path"]).read_bytes():
            entry |= {"prefix_placeholder": placeholder, "file_mode": "text"}
    return paths


def _amend(path: Path, changes: Mapping[str, Change], added: Mapping[str, bytes]) -> None:
    """Write a .conda file again with JSON documents of its info archive changed, and files added to it."""
    amended = path.with_suffix(".amended")
    with ZipFile(path) as before, ZipFile(amended, "w", ZIP_STORED) as after:
        for info in before.infolist():
            if info.filename.startswith("info-"):
                after.writestr(copy(info), _amend_zst(before.read(info), changes, added))
            else:  # hundreds of MB: not all of it in memory
                with before.open(info) as source, after.open(copy(info), "w") as target:
                    shutil.copyfileobj(source, target)
    amended.replace(path)


def _amend_zst(content: bytes, changes: Mapping[str, Change], added: Mapping[str, bytes]) -> bytes:
    """Return a compressed tar archive with JSON documents changed and files added."""
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    return zstandard.ZstdCompressor(level=9).compress(_amend_tar(plain, changes, added))


def _amend_tar(content: bytes, changes: Mapping[str, Change], added: Mapping[str, bytes]) -> bytes:
    """Return a tar archive with the JSON documents named in `changes` changed, files added, and all else as it was.

    A document that the archive does not have starts out empty: rattler-build leaves out what holds nothing.
    """
    output = BytesIO()
    absent = dict(changes)
    with (
        tarfile.open(fileobj=BytesIO(content)) as before,
        tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as after,
    ):
        for member in before:
            body = before.extractfile(member)
            data = body.read() if body else b""
            if change := absent.pop(member.name, None):
                data = _document(change(json.loads(data)))
                member.size = len(data)
            after.addfile(member, BytesIO(data))
        new = {name: _document(change({})) for name, change in absent.items()}
        for name, data in sorted({**new, **added}.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), int(EPOCH.timestamp())
            after.addfile(member, BytesIO(data))
    return output.getvalue()


def _document(content: dict[str, Any]) -> bytes:
    """Return a JSON document as packages hold it."""
    return json.dumps(content, indent=2, sort_keys=True).encode()
