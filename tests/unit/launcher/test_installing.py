"""What is installed is what the archive holds, whoever installs it and however their shell is set up."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from launcher.disk import Disk
from launcher.errors import DiskFull, HomeNotWritable
from launcher.manifest import Kind
from launcher.whole import make_whole
from tests.builders.installed import scene
from tests.builders.launching import ask, packages, tree, untar
from tests.builders.runtime import make_resources

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from launcher.disk import AnyPath
    from tests.builders.installed import Packed


def entries_of(packed: Packed, home: Path) -> dict[str, bool]:
    return {entry.path: entry.relocated for entry in scene(packed.resources, home).read_index().entries}


# Feature: python-backend-bundling, Property 6: resource access and executable bit
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_the_tree_is_what_tar_makes_of_the_archive_but_for_relocated_entries(
    umask: int, packed: Packed, home: Path, tmp_path: Path
) -> None:
    assert ask(packed.resources, home, "--install", umask=umask).status == 0
    mine, theirs = tree(packed.slot(home)), tree(untar(packed.resources, tmp_path / "tar"))
    relocated = {path for path, again in entries_of(packed, home).items() if again}
    assert relocated
    assert mine.keys() == theirs.keys()
    for path, what in theirs.items():
        kind, mode, content = mine[path]
        if what[0] == "folder" and path not in entries_of(packed, home):
            assert (kind, mode) == ("folder", 0o755), "tar gives folders without an entry the umask's mode"
        elif path in relocated:
            assert (kind, mode) == what[:2], path
            assert content != what[2], path
        else:
            assert (kind, mode, content) == what, path
    assert ask(packed.resources, home, "--verify").status == 0


def test_a_file_over_many_frames_and_parts_is_put_together(tmp_path: Path) -> None:
    resources, manifest = make_resources(tmp_path, packages(ballast=40_000_000), part_size=7_000_001)
    at_work = scene(resources, tmp_path / "home")
    make_whole(at_work)
    ballast = next(entry for entry in at_work.read_index().entries if entry.path == "lib/ballast.bin")
    assert ballast.size == 40_000_000
    assert len(manifest.parts) > 4
    assert ask(resources, tmp_path / "home", "--verify").status == 0


def test_a_second_install_does_nothing_and_says_where_it_is(packed: Packed, installed: Path) -> None:
    answer = ask(packed.resources, installed, "--install")
    assert [event["event"] for event in answer.events] == ["result"]
    assert answer.last("result")["slot"] == str(packed.slot(installed))


def test_steps_are_told_with_their_amounts_and_end_complete(packed: Packed, home: Path) -> None:
    answer = ask(packed.resources, home, "--install")
    steps = {event["name"]: event for event in answer.events if event["event"] == "step"}
    assert list(steps) == ["unpack", "relocate", "record"]
    assert steps["unpack"]["unit"] == "bytes"
    assert steps["unpack"]["total"] == sum(part.size for part in packed.manifest.parts) - last_frame(packed, home)
    assert all(step["done"] == step["total"] for step in steps.values())


def last_frame(packed: Packed, home: Path) -> int:
    """How a tar ends lies in a frame of its own, which holds no entry."""
    return scene(packed.resources, home).read_index().frames[-1].size


class Reluctant(Disk):
    """A disk with the room that it is told to have."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.writes = 0

    def free(self, path: Path) -> int:  # noqa: ARG002
        return self.room

    def create(self, path: AnyPath, content: bytes | memoryview, mode: int) -> None:
        self.writes += 1
        super().create(path, content, mode)


def test_too_little_room_is_known_before_the_first_byte(packed: Packed, home: Path) -> None:
    disk = Reluctant(packed.manifest.disk - 1)
    with pytest.raises(DiskFull, match=r"kB are needed, .* kB are free"):
        make_whole(scene(packed.resources, home, disk))
    assert disk.writes == 0
    disk = Reluctant(2 * packed.manifest.disk)  # how little more is enough, tests/faults/test_room.py asks real disks
    make_whole(scene(packed.resources, home, disk))
    assert disk.writes > 0


def test_no_receipt_is_written_where_a_file_did_not_reach_the_disk(packed: Packed, home: Path) -> None:
    class Failing(Disk):
        def flush_all(self, root: Path, files: Iterable[Path]) -> None:
            assert [path.is_relative_to(root) and path.is_file() for path in files].count(True) > 10
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(HomeNotWritable, match="Input/output error") as raised:
        make_whole(scene(packed.resources, home, Failing()))
    assert raised.value.remedy.startswith("Have the disk checked")
    assert not packed.receipt(home).exists()


def test_a_large_file_begins_to_reach_the_disk_as_soon_as_it_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("os.posix_fadvise", lambda descriptor, *_: asked.append(os.fstat(descriptor).st_size))
    home.mkdir()
    Disk().create(home / "small", bytes(1000), 0o644)
    Disk().create(home / "large", bytes(300_000), 0o644)
    Disk().write_at(home / "small", bytes(400_000), 1000)
    assert asked == [300_000, 401_000]


def test_where_the_file_system_cannot_be_flushed_each_file_is(
    packed: Packed, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS and Windows."""
    flushed: list[int] = []
    monkeypatch.setattr("launcher.host.posix._SYNC", "/nonexistent/sync")
    monkeypatch.setattr("os.fsync", lambda descriptor: flushed.append(os.fstat(descriptor).st_size))
    make_whole(scene(packed.resources, home))
    files = [entry for entry in scene(packed.resources, home).read_index().entries if entry.kind is Kind.FILE]
    assert len(flushed) == len(files) + 2, "each file, the receipt, and its folder"
