"""The archive of the real runtime, read with nothing but what any machine has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
import zstandard

from launcher.resources import Resources
from pack.checks import backend_imports
from pack.elf import elf_files, least_glibc
from tests.builders.backend import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from launcher.manifest import Manifest

pytestmark = pytest.mark.runtime

CHUNK = 16 * 1024 * 1024


def unpacked(resources: Path, manifest: Manifest) -> Iterator[bytes]:
    """Yield the archive's bytes as a plain zstd reader gives them."""
    command = ["cat", *(str(resources / part.name) for part in manifest.parts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as joined:
        assert joined.stdout is not None
        reader = zstandard.ZstdDecompressor().stream_reader(joined.stdout, read_across_frames=True)
        while chunk := reader.read(CHUNK):
            yield chunk


def test_no_path_of_the_building_machine_is_inside(resources: Path, manifest: Manifest) -> None:
    # A system's own interpreter lives in /usr, which is nobody's secret and no machine's own.
    places = [str(REPOSITORY), *([] if sys.base_prefix == "/usr" else [sys.base_prefix])]
    needles = [place.encode() for place in places]
    tail, found = b"", set()
    for chunk in unpacked(resources, manifest):
        text = tail + chunk
        found |= {needle for needle in needles if needle in text}
        tail = chunk[-max(map(len, needles)) :]
    assert found == set()


def test_no_path_of_the_building_machine_is_beside_it(resources: Path) -> None:
    place = b"/nowhere" if sys.base_prefix == "/usr" else sys.base_prefix.encode()
    files = [path for path in resources.rglob("*") if path.is_file() and not path.name.startswith("runtime.tar")]
    assert [path.name for path in files if place in path.read_bytes() or bytes(REPOSITORY) in path.read_bytes()] == []


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_no_part_of_the_stub_needs_a_newer_glibc_than_the_manifest_says(resources: Path, manifest: Manifest) -> None:
    needed = least_glibc(elf_files(resources))
    assert manifest.floor.glibc is not None
    assert [int(number) for number in needed.split(".")] <= [int(number) for number in manifest.floor.glibc.split(".")]


def test_any_tar_lists_every_entry(resources: Path, manifest: Manifest) -> None:
    from launcher.platforms import Platform

    index = Resources.open(resources, Platform.current()).read_index()
    parts = " ".join(f"'{resources / part.name}'" for part in manifest.parts)
    listed = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"cat {parts} | tar --zstd --quoting-style=literal -tf -"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert sorted(line.rstrip("/") for line in listed.stdout.splitlines()) == sorted(e.path for e in index.entries)


# Feature: python-backend-bundling, Property 1: every module that the backend imports, on any branch, is inside.
def test_every_package_that_the_backend_imports_is_inside(manifest: Manifest, slot: Path) -> None:
    site = slot / manifest.platform.site_packages(manifest.packages["python"].rpartition(".")[0])
    stdlib = sys.stdlib_module_names
    wanted = {re.split("[.:]", name)[0] for name in backend_imports(REPOSITORY / "backend")} - stdlib
    assert {"torch", "transformers", "peft", "fastapi", "uvicorn"} <= wanted
    assert {name for name in wanted if not list(site.glob(f"{name}")) + list(site.glob(f"{name}.*"))} == set()


@pytest.mark.skipif("SOURCE_DATE_EPOCH" in os.environ, reason="whoever builds says what time it is")
@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="sources without a history have no date")
def test_the_engine_is_as_old_as_a_commit_and_not_as_its_build(manifest: Manifest) -> None:
    history = subprocess.run(
        ["git", "-C", str(REPOSITORY), "log", "--format=%ct"], capture_output=True, text=True, check=True
    )
    commits = {int(time) for time in history.stdout.split()}
    assert datetime.fromisoformat(manifest.created_at).timestamp() in commits
