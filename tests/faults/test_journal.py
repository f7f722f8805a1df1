"""What an interrupted install wrote is not read again while the machine runs, and not believed after it went down."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from launcher.disk import Disk
from launcher.home import Home
from launcher.journal import begin_journal, read_journal
from launcher.manifest import Kind
from launcher.plan import Damaged, Launch, Ready, damage_of
from launcher.receipt import Extent
from launcher.restore import own_frames, written_entries
from launcher.whole import make_startable, make_surely_whole, make_whole
from tests.builders.installed import DAMAGE_TO_FILES, Packed, scene
from tests.builders.launching import ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from launcher.manifest import Entry


class EndedError(BaseException):
    """The launcher was killed."""


class Ending(Disk):
    """A disk whose launcher is killed once so many frames are in the journal."""

    def __init__(self, frames: int) -> None:
        self._left = frames

    def append(self, path: Path, content: bytes) -> None:
        if self._left == 0:
            raise EndedError
        self._left -= 1
        super().append(path, content)


class Booted(Disk):
    """A disk of a machine that was started at another time, or does not say when."""

    def __init__(self, boot: str | None) -> None:
        self._boot = boot

    def boot(self) -> str | None:
        return self._boot


def journal(packed: Packed, home: Path) -> Path:
    return home / "receipts" / f"{packed.manifest.slot_name}.journal"


def frames_written(packed: Packed, home: Path) -> frozenset[int]:
    return read_journal(Home(home), packed.manifest, Disk())


def known(packed: Packed, home: Path) -> list[Entry]:
    """Return the files with bytes that the journal vouches for."""
    index = scene(packed.resources, home).read_index()
    paths = written_entries(index, frames_written(packed, home))
    return [entry for entry in index.entries if entry.path in paths and entry.size and entry.kind is Kind.FILE]


@pytest.fixture
def cut(packed: Packed, home: Path) -> Path:
    """A home whose install was killed with some frames written and some not."""
    with pytest.raises(EndedError):
        make_whole(scene(packed.resources, home, Ending(3)))
    assert len(frames_written(packed, home)) == 3
    assert known(packed, home)
    return home


def alter(packed: Packed, home: Path) -> Path:
    """Change a file that the journal vouches for so that only its hash tells."""
    path = packed.slot(home) / known(packed, home)[0].path
    DAMAGE_TO_FILES["changed"][0](path)
    return path


def test_neither_frames_nor_files_are_read_again(packed: Packed, cut: Path, harmed: Path) -> None:
    index = scene(packed.resources, cut).read_index()
    spoil(harmed, [index.frames[number].offset for number in frames_written(packed, cut)])
    altered = alter(packed, cut).read_bytes()
    path = packed.slot(cut) / known(packed, cut)[0].path
    make_whole(scene(harmed, cut))
    assert path.read_bytes() == altered, "it was read, and found changed"
    assert not journal(packed, cut).exists()
    state, _ = make_surely_whole(scene(packed.resources, cut))
    assert [found.path for found in damage_of(state)] == [path.relative_to(packed.slot(cut)).as_posix()]


def spoil(resources: Path, offsets: list[int]) -> None:
    """Change a byte of the archive at each offset."""
    parts = sorted(resources.glob("runtime.tar.zst*"))
    whole = bytearray(b"".join(part.read_bytes() for part in parts))
    for offset in offsets:
        whole[offset] ^= 1
    for part in parts:
        size = part.stat().st_size
        part.write_bytes(whole[:size])
        del whole[:size]


def test_a_repair_believes_no_journal(packed: Packed, cut: Path) -> None:
    path = alter(packed, cut)
    state, _ = make_surely_whole(scene(packed.resources, cut))
    assert path.relative_to(packed.slot(cut)).as_posix() in {found.path for found in damage_of(state)}
    assert make_surely_whole(scene(packed.resources, cut)) == (Ready(), Launch())


@pytest.mark.parametrize("boot", ["another", None], ids=["was started again", "does not say when it started"])
def test_nothing_is_believed_once_the_machine(boot: str | None, packed: Packed, cut: Path) -> None:
    alter(packed, cut)
    make_whole(scene(packed.resources, cut, Booted(boot)))
    assert make_surely_whole(scene(packed.resources, cut)) == (Ready(), Launch())


def test_no_journal_is_kept_where_the_machine_does_not_say_when_it_started(packed: Packed, home: Path) -> None:
    with pytest.raises(EndedError):
        make_whole(scene(packed.resources, home, KilledAtTheEnd(None)))
    assert not journal(packed, home).exists()


class KilledAtTheEnd(Booted):
    """A disk whose launcher is killed when the receipt would get its name."""

    def replace(self, path: Path, target: Path) -> None:
        if target.suffix == ".json":
            raise EndedError
        super().replace(path, target)


OTHERS: dict[str, Callable[[dict[str, str]], object]] = {
    "runtime": lambda heading: heading.update(runtime="1" * 64),
    "archive of the same runtime": lambda heading: heading.update(index="1" * 64),
    "slot": lambda heading: heading.update(slot="/elsewhere/rt/01234567"),
    "boot": lambda heading: heading.update(boot="00000000-0000-0000-0000-000000000000"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_journal_is_not_believed_of_another(name: str, packed: Packed, cut: Path) -> None:
    alter(packed, cut)
    heading, _, frames = journal(packed, cut).read_text().partition("\n")
    facts = json.loads(heading)
    OTHERS[name](facts)
    journal(packed, cut).write_text(json.dumps(facts) + "\n" + frames)
    assert not frames_written(packed, cut)
    make_whole(scene(packed.resources, cut))
    assert make_surely_whole(scene(packed.resources, cut)) == (Ready(), Launch())


def test_a_moved_home_takes_no_journal_along(packed: Packed, cut: Path, tmp_path: Path) -> None:
    alter(packed, cut)
    moved = cut.rename(tmp_path / "elsewhere")
    make_whole(scene(packed.resources, moved))
    assert make_surely_whole(scene(packed.resources, moved)) == (Ready(), Launch())


@pytest.mark.parametrize(
    ("content", "frames"),
    [
        (b"<1>\n<2>\n", {1, 2}),
        (b"<1>\n<2", {1}),
        (b"<1>\n<2<3>\n", {1, 3}),
        (b"<1>\n2>\n", {1}),
        (b"<1>\n\0\0\0\0", {1}),
        (b"<" + b"9" * 5000 + b">", set()),
        (b"", set()),
    ],
    ids=["whole", "cut", "cut, then gone on", "begun in the middle", "holes", "no frame's number", "nothing"],
)
def test_lines_count_that_are_whole(content: bytes, frames: set[int], packed: Packed, cut: Path) -> None:
    heading = journal(packed, cut).read_bytes().partition(b"\n")[0]
    journal(packed, cut).write_bytes(heading + b"\n" + content)
    assert frames_written(packed, cut) == frames
    for end in range(len(heading)):
        journal(packed, cut).write_bytes(heading[:end])
        assert not frames_written(packed, cut)


def test_a_journal_that_cannot_be_read_counts_for_nothing(packed: Packed, cut: Path) -> None:
    journal(packed, cut).unlink()
    journal(packed, cut).mkdir()
    make_whole(scene(packed.resources, cut))
    assert make_surely_whole(scene(packed.resources, cut)) == (Ready(), Launch())


@pytest.mark.parametrize("damage", [name for name in DAMAGE_TO_FILES if name != "changed"])
def test_what_a_look_from_outside_tells_is_mended_whatever_the_journal_says(
    damage: str, packed: Packed, cut: Path
) -> None:
    for entry in known(packed, cut):
        DAMAGE_TO_FILES[damage][0](packed.slot(cut) / entry.path)
    make_whole(scene(packed.resources, cut))
    assert make_surely_whole(scene(packed.resources, cut)) == (Ready(), Launch())


def test_what_conda_unpack_rewrites_is_never_believed(packed: Packed, home: Path) -> None:
    index = scene(packed.resources, home).read_index()
    every = frozenset(range(len(index.frames)))
    relocated = {entry.path for entry in index.entries if entry.relocated}
    assert relocated
    assert written_entries(index, every) == {entry.path for entry in index.entries} - relocated


def test_the_rest_of_a_runtime_goes_on_where_it_was_cut(packed: Packed, home: Path, harmed: Path) -> None:
    make_startable(scene(packed.resources, home))
    with pytest.raises(EndedError):
        make_whole(scene(packed.resources, home, KilledAtTheEnd(Disk().boot())))
    assert {entry.path for entry in known(packed, home)} >= {"lib/ballast.bin"}
    for part in harmed.glob("runtime.tar.zst*"):
        part.write_bytes(bytes(part.stat().st_size))
    make_whole(scene(harmed, home))  # it reads no frame: there is none left
    assert make_surely_whole(scene(packed.resources, home)) == (Ready(), Launch())
    assert json.loads(packed.receipt(home).read_bytes())["part"] == Extent.WHOLE


def test_a_frame_that_the_core_shares_with_the_rest_is_not_believed(packed: Packed, home: Path) -> None:
    """Its line would be written once the core's bytes of it are."""
    index = scene(packed.resources, home).read_index()
    files = [entry for entry in index.entries if entry.size]
    shared = next(one.frame for one, following in pairwise(files) if one.frame == following.frame)
    inside = [entry for entry in files if entry.frame == shared]
    assert shared in own_frames(index, inside)
    assert shared not in own_frames(index, inside[:1])


def test_a_journal_lists_what_was_found_sound_before(packed: Packed, home: Path) -> None:
    before: frozenset[int] = frozenset()
    while not packed.receipt(home).exists():
        with suppress(EndedError):
            make_whole(scene(packed.resources, home, Ending(1)))
            break
        assert before < frames_written(packed, home)
        before = frames_written(packed, home)
    assert before


def test_removing_takes_the_journal_away(packed: Packed, cut: Path) -> None:
    assert ask(packed.resources, cut, "--remove").status == 0
    assert not journal(packed, cut).exists()


def test_a_journal_is_begun_anew_by_whoever_writes(packed: Packed, cut: Path) -> None:
    begin_journal(Home(cut), packed.manifest, Disk(), [7])
    assert frames_written(packed, cut) == {7}
    begin_journal(Home(cut), packed.manifest, Booted(None), [7])
    assert not journal(packed, cut).exists()


def test_a_harmed_core_is_looked_at_in_full_whatever_was_journalled(packed: Packed, cut: Path) -> None:
    make_whole(scene(packed.resources, cut))
    (packed.slot(cut) / "bin/python3.11").unlink()
    begin_journal(Home(cut), packed.manifest, Disk(), range(100))
    DAMAGE_TO_FILES["changed"][0](packed.slot(cut) / "lib/ballast.bin")
    make_whole(scene(packed.resources, cut))
    state, _ = make_surely_whole(scene(packed.resources, cut))
    assert not isinstance(state, Damaged)
