"""The room that is asked for before the first byte is enough to the last one, and no more than a repair needs."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from launcher.errors import DiskFull
from launcher.plan import Launch, Ready
from launcher.whole import make_startable, make_surely_whole, make_whole
from tests.builders.disks import ext4_disk, leave_free, small_disk
from tests.builders.installed import Packed, scene
from tests.builders.launching import ask, packages, tree
from tests.builders.prefix import SITE, Package
from tests.builders.runtime import make_resources

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root
BALLAST = "lib/ballast.bin"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """A runtime of many small files, each in a folder of its own."""
    files: dict[str, str | bytes] = {f"{SITE}/f{number}/x.py": "" for number in range(200)}
    return Packed(*make_resources(tmp_path_factory.mktemp("many"), [*packages(), Package("many", "1", files)]))


def test_an_install_is_refused_before_the_first_byte_or_comes_to_its_end(folders: Packed, tmp_path: Path) -> None:
    ended = []
    with ext4_disk(tmp_path / "disk") as disk:
        for number in range(0, 2_400_000, 200_000):
            home = disk / f"home {number}"
            home.mkdir()
            leave_free(disk, folders.manifest.disk + number)
            try:
                make_startable(scene(folders.resources, home))
                make_whole(scene(folders.resources, home))
            except DiskFull:
                assert not folders.slot(home).exists()
                ended.append(False)
            else:
                ended.append(True)
            subprocess.run(["rm", "-r", home], check=True)
    assert set(ended) == {False, True}
    assert ended == sorted(ended)


def test_a_repair_takes_the_room_of_what_it_replaces(packed: Packed, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=2m") as disk:
        home = disk / "home"
        make_whole(scene(packed.resources, home))
        whole = tree(packed.slot(home))
        ballast = packed.slot(home) / BALLAST
        ballast.write_bytes(bytes(ballast.stat().st_size))
        leave_free(disk, 100_000)
        make_surely_whole(scene(packed.resources, home))
        assert tree(packed.slot(home)) == whole
        assert make_surely_whole(scene(packed.resources, home)) == (Ready(), Launch())


@pytest.mark.parametrize("hold", ["another name", "nothing but a hole"])
def test_a_file_whose_removal_frees_nothing_makes_no_room(hold: str, packed: Packed, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=2m") as disk:
        home = disk / "home"
        make_whole(scene(packed.resources, home))
        ballast = packed.slot(home) / BALLAST
        size = ballast.stat().st_size
        if hold == "another name":
            ballast.write_bytes(bytes(size))
            (disk / "name").hardlink_to(ballast)
        else:
            os.truncate(ballast, 0)
            os.truncate(ballast, size)
        leave_free(disk, 100_000)
        with pytest.raises(DiskFull, match="are needed"):
            make_surely_whole(scene(packed.resources, home))
        assert ballast.stat().st_size == size, "what cannot be mended must not be made worse"
        assert packed.receipt(home).exists()


def test_an_update_finds_its_room_beside_the_engine_before_it_or_says_what_that_takes(
    packed: Packed, tmp_path: Path
) -> None:
    newer = Packed(*make_resources(tmp_path, packages("2.0"), version="2.0"))
    with small_disk(tmp_path / "disk", "size=800k") as disk:
        home = disk / "home"
        assert ask(packed.resources, home, "--install").status == 0
        answer = ask(newer.resources, home, "--install")
        assert answer.code == "disk-full"
        taken = sum(path.lstat().st_size for path in packed.slot(home).rglob("*") if not path.is_dir())
        freed = f"(peft_engine --remove --others frees {taken / 1000:.1f} kB, of other versions)"
        assert freed in answer.last("failed")["remedy"]
        assert ask(packed.resources, home, "--verify").status == 0, "the engine before it is still there"
        assert ask(newer.resources, home, "--remove", "--others").status == 0
        assert ask(newer.resources, home, "--install").status == 0
