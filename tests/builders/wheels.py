"""Small real wheels: zip files with METADATA, WHEEL and RECORD, as any build backend writes them."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING
from zipfile import ZipFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def build_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    extras: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    scripts: Mapping[str, str] | None = None,
    connectors: Mapping[str, str] | None = None,
    tag: str = "py3-none-any",
    metadata: Sequence[str] = (),
) -> Path:
    """Write a wheel into `folder` and return its path.

    `scripts` maps console scripts to entry points, `connectors` the backend's connectors; `files` maps paths inside the
    wheel to their text, those under `{stem}.data/` included, for which "{data}" stands.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    module = name.replace("-", "_")
    contents = dict(
        files or {f"{module}/__init__.py": f"__version__ = {version!r}\n\n\ndef main():\n    print('ran')\n"}
    )
    contents = {path.replace("{data}", f"{stem}.data"): text for path, text in contents.items()}
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *metadata]
    lines += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {need}" for need in requires]
    info = f"{stem}.dist-info"
    contents[f"{info}/METADATA"] = "\n".join([*lines, "", ""])
    pure = "true" if tag.endswith("-any") else "false"
    contents[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"
    groups = {"console_scripts": scripts, "peft_studio.connectors": connectors}
    if points := {group: named for group, named in groups.items() if named}:
        lines = [line for group, named in points.items() for line in (f"[{group}]", *map(" = ".join, named.items()))]
        contents[f"{info}/entry_points.txt"] = "\n".join([*lines, ""])
    record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{stem}-{tag}.whl"
    with ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def build_torch(
    folder: Path,
    cuda: str | None,
    *,
    local: str | None = None,
    requires: Sequence[str] = (),
    tag: str = "cp311-cp311-manylinux_2_28_x86_64",
) -> Path:
    """Write a wheel that names itself torch 2.13.0, for `cuda` ("13.2") or, with None, for the processor alone."""
    version = f"2.13.0+{local}" if local else "2.13.0"
    body = f"from typing import Optional\n\n__version__ = {version!r}\ncuda: Optional[str] = {cuda!r}\n"
    return build_wheel(
        folder,
        "torch",
        version,
        files={"torch/__init__.py": "from .version import __version__\n", "torch/version.py": body},
        requires=requires,
        tag=tag,
    )


def build_project(folder: Path) -> Path:
    """Write a checkout with the smallest backend, and return its folder."""
    (folder / "backend").mkdir(parents=True)
    (folder / "backend" / "__init__.py").write_text('"""The backend."""\n')
    (folder / "backend" / "words.json").write_text('{"a": 1}\n')
    (folder / "LICENSE").write_text("MIT\n")
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "peft-studio-engine"\nversion = "1.2.3"\nlicense = "MIT"\nrequires-python = ">=3.11"\n'
        '[dependency-groups]\nbackend = ["alpha==1.0"]\n'
    )
    return folder


def _digest(text: str) -> str:
    """Return a hash as RECORD writes it."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
