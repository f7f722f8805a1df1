"""Our backend as a wheel, so that it becomes a conda package the way everything else does."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from pack.errors import SpecInvalid
from pack.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BACKEND = "peft-studio-backend"


def write_backend_wheel(project: Path, folder: Path) -> Path:
    """Write the wheel of `project`'s backend/ folder into `folder`, and return its path.

    pyproject.toml gives the version, and its dependency group "backend" what the server needs.
    Raises SpecInvalid.
    """
    version, metadata = read_toml(project / "pyproject.toml", _metadata)
    stem = f"{BACKEND.replace('-', '_')}-{version}"
    contents = {path.relative_to(project).as_posix(): path.read_bytes() for path in _sources(project)}
    contents |= {
        f"{stem}.dist-info/METADATA": "\n".join([*metadata, ""]).encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: pack\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/licenses/LICENSE": (project / "LICENSE").read_bytes(),
    }
    record = "".join(f"{name},{_record_hash(content)},{len(content)}\n" for name, content in contents.items())
    contents[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n".encode()
    target = folder / f"{stem}-py3-none-any.whl"
    with ZipFile(target, "w", ZIP_STORED) as archive:
        for name, content in contents.items():
            entry = ZipInfo(name)  # without a date of its own: the same sources make the same wheel
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return target


def _metadata(pyproject: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the version, and the lines of METADATA."""
    version = pyproject["project"]["version"]
    needs = pyproject["dependency-groups"]["backend"]
    return version, [
        "Metadata-Version: 2.4",
        f"Name: {BACKEND}",
        f"Version: {version}",
        "Summary: The backend of PEFT Studio",
        f"License-Expression: {pyproject['project']['license']}",
        f"Requires-Python: {pyproject['project']['requires-python']}",
        *(f"Requires-Dist: {need}" for need in needs),
    ]


def _sources(project: Path) -> list[Path]:
    """Return the backend's files, in the order of their names, without what Python leaves beside them."""
    sources = [path for path in (project / "backend").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    if not sources:
        raise SpecInvalid(f"there is no backend in {project / 'backend'}", path=project / "backend")
    return sorted(sources)


def _record_hash(content: bytes) -> str:
    """Return a file's hash as RECORD has it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
