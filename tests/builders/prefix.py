"""A small conda environment on disk, as an installer leaves it: package cache, prefix and records, all real files.

Its interpreter is a script that runs this test's own Python with the prefix's site-packages, so that conda-pack's
conda-unpack and a small backend run in it as they would in the real one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PLACEHOLDER = "/placehold" * 20
PYTHON = "3.11"
SITE = f"lib/python{PYTHON}/site-packages"
# What a test can ask the small backend: it says who, where and with what it runs, then ends.
BACKEND = """
import json, os, sys
if os.path.exists(os.environ["PEFT_STUDIO_ATTEMPT"]):
    os.unlink(os.environ["PEFT_STUDIO_ATTEMPT"])
print(json.dumps({"argv": sys.argv[1:], "pid": os.getpid(), "environment": dict(os.environ), "path": sys.path,
                  "config": open(os.path.join(os.environ["CONDA_PREFIX"], "etc/engine.conf")).read()}))
"""


@dataclass(frozen=True)
class Package:
    """A package to be: its text or bytes by path, those that hold the placeholder, and links."""

    name: str
    version: str
    files: dict[str, str | bytes]
    programs: frozenset[str] = frozenset()
    links: dict[str, str] = field(default_factory=dict)


def interpreter() -> str:
    if sys.platform == "win32":
        pytest.skip("the interpreter of a small prefix is a shell script")
    site = f'"$(dirname "$0")/../{SITE}"'
    # PYTHONSAFEPATH is the launcher's to set; PYTHONPATH stands in for a site-packages of the script's own.
    return f'#!/bin/sh\nPYTHONPATH={site} exec "{sys.executable}" "$@"\n'


def small_packages(version: str = "1.0", ballast: int = 300_000) -> list[Package]:
    """Return a python, a backend and a library with `ballast` bytes that do not compress."""
    noise = b"".join(hashlib.sha256(f"{version}{n}".encode()).digest() for n in range(ballast // 32 + 1))[:ballast]
    return [
        Package("python", f"{PYTHON}.0", {"bin/python3.11": interpreter()}, frozenset({"bin/python3.11"}),
                {"bin/python": "python3.11"}),
        Package("peft-studio-backend", version, {
            f"{SITE}/backend/__init__.py": "",
            f"{SITE}/backend/__main__.py": BACKEND,
            "etc/engine.conf": f"root = {PLACEHOLDER}/share\n",
        }),
        Package("ballast", "2.0", {
            "lib/ballast.bin": noise,
            "lib/empty": b"",
            "share/é space/日本.txt": "text\n",
            "bin/tool": f"#!{PLACEHOLDER}/bin/python\nprint('tool')\n",
        }, frozenset({"bin/tool"}), {"lib/ballast.so": "ballast.bin", "share/up": "../lib/empty"}),
    ]  # fmt: skip


def make_prefix(root: Path, packages: list[Package]) -> Path:
    """Write the packages into a cache and install them, as a solver's installer does; return the prefix."""
    prefix = root / "prefix"
    (prefix / "conda-meta").mkdir(parents=True)
    (prefix / "conda-meta" / "history").write_text("==> made on some machine <==\n")
    for package in packages:
        cached = root / "pkgs" / f"{package.name}-{package.version}-0"
        rows = []
        for path, text in package.files.items():
            content = text.encode() if isinstance(text, str) else text
            for place in (cached / path, prefix / path):
                place.parent.mkdir(parents=True, exist_ok=True)
                shown = (
                    content
                    if place.is_relative_to(cached)
                    else content.replace(PLACEHOLDER.encode(), str(prefix).encode())
                )
                place.write_bytes(shown)
                place.chmod(0o755 if path in package.programs else 0o644)
            row = {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(content).hexdigest(),
                   "size_in_bytes": len(content)}  # fmt: skip
            if PLACEHOLDER.encode() in content:
                row |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "text"}
            rows.append(row)
        for path, target in package.links.items():
            for place in (cached / path, prefix / path):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(target)
            rows.append({"_path": path, "path_type": "softlink", "sha256": None, "size_in_bytes": 0})
        (cached / "info").mkdir(parents=True)
        (cached / "info" / "paths.json").write_text(json.dumps({"paths": rows, "paths_version": 1}))
        record = {
            "name": package.name, "version": package.version, "build": "0", "build_number": 0, "subdir": "linux-64",
            "fn": f"{cached.name}.conda", "channel": f"file://{root}", "url": f"file://{root}/{cached.name}.conda",
            "depends": ["__glibc >=2.17,<3.0.a0"] if package.name == "python" else [],
            "files": [row["_path"] for row in rows], "paths_data": {"paths": rows, "paths_version": 1},
            "extracted_package_dir": str(cached), "link": {"source": str(cached), "type": 1},
        }  # fmt: skip
        (prefix / "conda-meta" / f"{cached.name}.json").write_text(json.dumps(record))
    return prefix


def remake(root: Path, packages: list[Package]) -> Path:
    """Make a prefix anew where an older one may lie."""
    shutil.rmtree(root, ignore_errors=True)
    return make_prefix(root, packages)
