"""The archive act: the same bytes from the same packages anywhere, and nothing for packages that are not safe."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import conda_pack.core
import pytest

from launcher.platforms import Platform
from launcher.resources import Resources
from pack.archive import build_archive, machine_folders
from pack.errors import MachinePathFound, SourceChanged, SpecInvalid, UnsafeEntries
from pack.progress import silent
from tests.builders.prefix import Package, make_prefix, small_packages
from tests.builders.runtime import BUILT, small_core

if TYPE_CHECKING:
    from launcher.manifest import Manifest


def build(root: Path, packages: list[Package] | None = None, **options: Any) -> Manifest:
    """Make a prefix under `root` and archive it into `root/archive`."""
    prefix = make_prefix(root, packages or small_packages())
    return archive(root, prefix, **options)


def archive(root: Path, prefix: Path, **options: Any) -> Manifest:
    wanted = {
        "platform": Platform.current(), "accelerator": "cpu", "channel": "test", "lock": "0" * 64, "version": "1.0",
        "created_at": BUILT,
        "cache": root / "bytecode", "machine_folders": [root],
        "leave_out": list,
        "find_core": small_core, "progress": silent, "level": 1, **options,
    }  # fmt: skip
    return build_archive(prefix, root / "archive", **wanted)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("umask")
def test_two_builds_in_two_folders_at_two_times_under_two_umasks_are_byte_identical(
    tmp_path: Path,
) -> None:
    os.umask(0o022)
    build(tmp_path / "one")
    os.umask(0o077)
    other = tmp_path / "another folder, with a longer name"
    prefix = make_prefix(other, small_packages())
    for path in other.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
            os.utime(path, (1, 1))
    for path in prefix.glob("conda-meta/*.json"):
        record = json.loads(path.read_text())
        record["files"].reverse()
        record["paths_data"]["paths"].reverse()
        path.write_text(json.dumps(record | {"timestamp": 1, "link": {"source": record["link"]["source"], "type": 3}}))
    archive(other, prefix)
    assert contents(tmp_path / "one" / "archive") == contents(other / "archive")


def test_the_time_of_the_build_is_in_the_documents_and_nowhere_else(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    first = archive(tmp_path, prefix)
    before = contents(tmp_path / "archive")
    second = archive(tmp_path, prefix, created_at=BUILT + timedelta(seconds=1))
    after = contents(tmp_path / "archive")
    assert (first.created_at, second.created_at) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z")
    assert {name for name in before if before[name] != after[name]} == {"manifest.json", "sbom.json"}


def test_the_header_is_what_the_launcher_reads_and_small(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    resources = Resources.open(tmp_path / "archive", Platform.current())
    assert resources.manifest == manifest
    assert len(resources.document) < 16 * 1024
    assert not resources.problems_of_parts()
    index = resources.read_index()
    assert len(index.entries) == manifest.entries
    assert manifest.longest_path == max(len(entry.path) for entry in index.entries)
    assert manifest.packages == {"python": "3.11.0"}


def test_the_header_stays_small_with_a_hundred_parts(tmp_path: Path) -> None:
    build(tmp_path, small_packages(ballast=99_000), part_size=1000)
    document = (tmp_path / "archive" / "manifest.json").read_bytes()
    assert len(json.loads(document)["parts"]) >= 100
    assert len(document) < 16 * 1024


@pytest.mark.parametrize(
    ("part_size", "problem"), [(500, "name [0-9]+ parts of 500 bytes"), (50, "more than 999 parts")]
)
def test_parts_too_small_for_the_header_or_for_their_numbers_are_refused(
    tmp_path: Path, part_size: int, problem: str
) -> None:
    with pytest.raises(SpecInvalid, match=rf"^--part-size: .*{problem}.*; it has to be larger"):
        build(tmp_path, small_packages(ballast=99_000), part_size=part_size)
    assert not list(tmp_path.glob("archive*"))


def test_a_channel_in_the_header_names_no_secret(tmp_path: Path) -> None:
    assert build(tmp_path, channel="https://me:pw@host/t/tk/forge").channel == "https://host/forge"


HOSTILE: dict[str, tuple[Package, Platform, str]] = {
    "line feed": (Package("x", "1", {"lib/a\nb": "x"}), Platform.LINUX_64, r"'lib/a\\nb'"),
    "backslash": (Package("x", "1", {"lib/a\\b": "x"}), Platform.LINUX_64, r"'lib/a\\\\b'"),
    "link out": (Package("x", "1", {}, links={"lib/out": "../../etc"}), Platform.LINUX_64, "'lib/out' is a link that"),
    "absolute link": (Package("x", "1", {}, links={"lib/abs": "/etc"}), Platform.LINUX_64, "'lib/abs' is a link that"),
    "twins": (Package("x", "1", {"lib/Name": "x", "lib/name": "y"}), Platform.OSX_ARM64, "'lib/name' comes twice"),
    "composed twins": (Package("x", "1", {"\u00e9": "x", "e\u0301": "y"}), Platform.OSX_64, "comes twice"),
    "device": (Package("x", "1", {"lib/aux.py": "x"}), Platform.WIN_64, "'lib/aux.py' cannot be written on Windows"),
    "trailing dot": (Package("x", "1", {"lib/a.": "x"}), Platform.WIN_64, "'lib/a.' cannot be written on Windows"),
}


@pytest.mark.parametrize(("package", "platform", "named"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_package_is_refused_by_name_and_leaves_nothing(
    tmp_path: Path, package: Package, platform: Platform, named: str
) -> None:
    # Windows and macOS have neither the links nor the interpreter of the small prefix.
    prefix = make_prefix(tmp_path, [package])
    with pytest.raises(UnsafeEntries, match=named):
        archive(tmp_path, prefix, platform=platform)
    assert not list(tmp_path.glob("archive*"))


@pytest.mark.parametrize("path", ["../outside", "/etc/absolute", "lib/../../outside", "lib/./same"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    prefix = make_prefix(tmp_path, [Package("x", "1", {"lib/innocent": "x"})])
    for document in (tmp_path / "pkgs/x-1-0/info/paths.json", prefix / "conda-meta/x-1-0.json"):
        document.write_text(document.read_text().replace("lib/innocent", path))
    for place in (tmp_path / "outside", tmp_path / "pkgs" / "outside", tmp_path / "pkgs/x-1-0/lib/same"):
        place.parent.mkdir(exist_ok=True)
        place.write_text("x")
    with pytest.raises(Exception, match=path.rpartition("/")[2]) as caught:
        archive(tmp_path, prefix)
    assert getattr(caught.value, "code", None) in {"unsafe-entries", "prefix-not-packable", "unmanaged-files"}
    assert not list(tmp_path.glob("archive*"))


def test_a_file_that_vanishes_while_packing_leaves_the_archive_of_before(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    archive(tmp_path, prefix)
    before = contents(tmp_path / "archive")

    def vanish(what: str, *_: int) -> None:
        if what.startswith("archive") and (tmp_path / "pkgs").exists():
            shutil.rmtree(tmp_path / "pkgs")

    with pytest.raises(SourceChanged, match="it has gone"):
        archive(tmp_path, prefix, progress=vanish, version="2.0")
    assert contents(tmp_path / "archive") == before
    assert not (tmp_path / "archive.new").exists()


def test_a_file_that_is_rewritten_in_its_size_while_packing_fails_by_name(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    (ballast,) = (tmp_path / "pkgs").rglob("ballast.bin")

    def rewrite(what: str, done: int, total: int) -> None:
        if (what, done) == ("collect", total):
            ballast.write_bytes(bytes(ballast.stat().st_size))

    with pytest.raises(SourceChanged, match=r"lib/ballast\.bin .* its bytes are not those that its package brought"):
        archive(tmp_path, prefix, progress=rewrite)


def test_a_file_that_vanishes_while_it_is_looked_for_fails_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    add = conda_pack.core.Packer.add

    def vanish(packer: conda_pack.core.Packer, file: conda_pack.core.File) -> None:
        if file.target == "lib/ballast.bin":
            Path(file.source).unlink()
        add(packer, file)

    monkeypatch.setattr("conda_pack.core.Packer.add", vanish)
    with pytest.raises(SourceChanged, match=r"lib/ballast\.bin .* it has gone"):
        archive(tmp_path, prefix)


def test_a_path_of_this_machine_is_refused_by_name(tmp_path: Path) -> None:
    leak = Package("leak", "1.0", {"etc/leak.conf": f"here = {tmp_path}/secret\n"})
    with pytest.raises(MachinePathFound, match=r"^etc/leak\.conf holds the path"):
        build(tmp_path, [*small_packages(), leak])
    assert not list(tmp_path.glob("archive*"))


def test_the_folders_of_this_machine_are_the_build_and_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    build_folder = Path(tempfile.gettempdir(), "build")
    monkeypatch.setattr("sys.base_prefix", "/opt/python")
    assert machine_folders(build_folder) == [build_folder, Path("/opt/python")]
    monkeypatch.setattr("sys.base_prefix", "/usr")
    assert machine_folders(build_folder) == [build_folder]


def test_the_floor_is_no_lower_than_what_the_stub_asks_for(tmp_path: Path) -> None:
    assert build(tmp_path / "a", stub_needs=["__glibc >=2.99"]).floor.glibc == "2.99"
    assert build(tmp_path / "b", stub_needs=["__glibc >=2.5"]).floor.glibc == "2.17"


@pytest.mark.parametrize(("accelerator", "driver"), [("cuda", "525"), ("cpu", None)])
def test_a_driver_is_asked_for_where_the_accelerator_needs_one(
    accelerator: str, driver: str | None, tmp_path: Path
) -> None:
    manifest = build(tmp_path, stub_needs=["__cuda >=12.9"], accelerator=accelerator)
    assert manifest.floor.cuda_driver == driver
