"""The disk fills up while it unpacks: said as such, nothing believed, and finished once there is room."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from launcher.disk import Disk
from launcher.errors import DiskFull
from launcher.plan import Launch, Ready
from launcher.whole import make_surely_whole, make_whole
from tests.builders.disks import small_disk
from tests.builders.installed import scene
from tests.builders.launching import ask, tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders.installed import Packed

pytestmark = pytest.mark.root


class Optimist(Disk):
    """A disk that promises room, which others then take: the kernel's own ENOSPC comes in the middle."""

    def free(self, path: Path) -> int:  # noqa: ARG002
        return 10**15


@pytest.mark.parametrize("options", [*(f"size={kib}k" for kib in (8, 40, 100, 200, 300, 330)),
                                     *(f"nr_inodes={count}" for count in (6, 9, 14, 20, 26))])  # fmt: skip
def test_with_room_for(options: str, packed: Packed, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", options) as disk:
        home = disk / "home"
        with pytest.raises(DiskFull, match="there was no room to go on writing") as raised:
            make_whole(scene(packed.resources, home, Optimist()))
        assert raised.value.path == home
        assert not packed.receipt(home).exists()
        subprocess.run(["mount", "-o", "remount,size=10m,nr_inodes=1000", disk], check=True)
        make_whole(scene(packed.resources, home))
        assert make_surely_whole(scene(packed.resources, home)) == (Ready(), Launch())
        make_whole(scene(packed.resources, tmp_path / "fresh"))
        assert tree(packed.slot(home)).keys() == tree(packed.slot(tmp_path / "fresh")).keys()


def test_what_was_finished_is_not_written_again(packed: Packed, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=200k") as disk:
        with pytest.raises(DiskFull):
            make_whole(scene(packed.resources, disk / "home", Optimist()))
        kept = {path for path, (kind, *_) in tree(packed.slot(disk / "home")).items() if kind == "file"}
        before = {path: (packed.slot(disk / "home") / path).stat().st_ino for path in kept}
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        make_whole(scene(packed.resources, disk / "home"))
        after = {path: (packed.slot(disk / "home") / path).stat().st_ino for path in kept}
        assert sum(before[path] == after[path] for path in kept) >= len(kept) - 3, "but for the files cut short"


def test_a_start_needs_no_room(packed: Packed, tmp_path: Path) -> None:
    """The engine is installed, the disk is full of the user's own files: it starts."""
    with small_disk(tmp_path / "disk", "size=2m") as disk:
        home = disk / "home"
        make_whole(scene(packed.resources, home))
        assert ask_twice(packed, home) == ["listening", "listening"]
        fill = subprocess.run(
            ["dd", "if=/dev/zero", f"of={disk / 'filler'}", "bs=4096"], capture_output=True, text=True
        )
        assert "No space left" in fill.stderr
        assert ask_twice(packed, home) == ["listening", "listening"]


def ask_twice(packed: Packed, home: Path) -> list[str]:
    return [ask(packed.resources, home).events[-2]["event"] for _ in range(2)]
