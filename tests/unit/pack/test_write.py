"""The archive: a plain .tar.zst to any tool, an indexed store to ours."""

from __future__ import annotations

import hashlib
import os
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import zstandard

from launcher.manifest import Kind
from pack.archive import runtime_id
from pack.errors import MachinePathFound, PlaceholderLeft, SourceChanged
from pack.folder import replaced
from pack.progress import silent
from pack.source import Search, Source
from pack.write import FRAME_SIZE, compression, threads_for, write_archive
from tests.builders.sources import expected, file, folder, link, on_disk, pack_sources, restored, untarred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SMALL = 4096  # bytes of a frame, so that little sources make many


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


LONG = "/".join(["a long name that no plain tar header holds"] * 6)
SOURCES = [
    file("bin/tool", b"#!/bin/sh\n", mode=0o755),
    file("empty"),
    file("é 日本/ space.txt", "text é".encode()),
    file(f"{LONG}/file", b"deep"),
    file("large", noise(5 * SMALL + 7)),
    file("one block", bytes(512)),
    folder("an empty folder"),
    link("lib/link", "../bin/tool"),
    link("dangling", "nowhere " + "x" * 120),
    file("of another package", noise(1000, 1), package="b"),
]


@pytest.mark.parametrize("part_size", [700, 1000, SMALL, 10**9])
def test_any_tool_and_the_launcher_unpack_what_was_packed(tmp_path: Path, part_size: int) -> None:
    resources, index = pack_sources(tmp_path / "a", SOURCES, part_size=part_size, frame_size=SMALL)
    assert all(part.size <= part_size for part in resources.manifest.parts)
    assert untarred(resources, tmp_path / "tar") == expected(SOURCES)
    assert restored(resources, index, tmp_path / "slot") == expected(SOURCES)


def test_one_part_has_a_plain_name_and_several_have_numbers(tmp_path: Path) -> None:
    one, _ = pack_sources(tmp_path / "one", SOURCES)
    assert [part.name for part in one.manifest.parts] == ["runtime.tar.zst"]
    several, _ = pack_sources(tmp_path / "several", SOURCES, part_size=9000)
    assert [part.name for part in several.manifest.parts][:2] == ["runtime.tar.zst.001", "runtime.tar.zst.002"]
    for resources in (one, several):
        for part in resources.manifest.parts:
            content = (resources.folder / part.name).read_bytes()
            assert (part.size, part.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_each_frame_unpacks_by_itself_and_is_what_the_index_says(tmp_path: Path) -> None:
    resources, index = pack_sources(tmp_path, SOURCES, frame_size=SMALL)
    content = (tmp_path / "runtime.tar.zst").read_bytes()
    for frame in index.frames:
        packed = content[frame.offset : frame.offset + frame.size]
        assert hashlib.sha256(packed).hexdigest() == frame.sha256
        assert len(zstandard.ZstdDecompressor().decompress(packed)) == frame.length <= SMALL
    assert resources.manifest.parts[0].size == sum(frame.size for frame in index.frames)


def test_a_small_file_lies_in_one_frame_and_a_large_one_in_frames_of_its_own(tmp_path: Path) -> None:
    sources = [file("a", b"a"), file("b large", noise(3 * SMALL)), file("c", b"c"), file("d", b"d")]
    _, index = pack_sources(tmp_path, sources, frame_size=SMALL)
    frame_of = {entry.path: entry.frame for entry in index.entries}
    assert frame_of["a"] < frame_of["b large"]
    assert frame_of["c"] == frame_of["d"] == frame_of["b large"] + 4
    assert sum(frame.length for frame in index.frames[frame_of["b large"] : frame_of["c"]]) == 3 * SMALL + 512


def test_the_files_of_a_package_lie_together(tmp_path: Path) -> None:
    sources = [file(f"{number}", noise(900, number), package=f"p{number % 3}") for number in range(30)]
    _, index = pack_sources(tmp_path, sources, frame_size=SMALL)
    package_of = {source.path: source.package for source in sources}
    packages_in: dict[int, set[str]] = {}
    for entry in index.entries:
        packages_in.setdefault(entry.frame, set()).add(package_of[entry.path])
    assert all(len(packages) == 1 for packages in packages_in.values())


def test_a_changed_package_leaves_the_frames_of_the_others_as_they_were(tmp_path: Path) -> None:
    sources = [file(f"{package}/{n}", noise(2000, n), package=package) for package in "abc" for n in range(9)]
    changed = [replace(s, content=b"changed") if s.path == "b/4" else s for s in sources] + [file("b/new", package="b")]
    _, before = pack_sources(tmp_path / "before", sources, frame_size=SMALL)
    _, after = pack_sources(tmp_path / "after", changed, frame_size=SMALL)
    digests = {frame.sha256 for frame in after.frames}
    package_of = {entry.frame: entry.path[0] for entry in before.entries}
    gone = {package_of[n] for n, frame in enumerate(before.frames) if frame.sha256 not in digests}
    assert gone == {"b"}


def test_frames_do_not_depend_on_the_order_of_the_sources(tmp_path: Path) -> None:
    _, one = pack_sources(tmp_path / "one", SOURCES, frame_size=SMALL)
    _, other = pack_sources(tmp_path / "other", SOURCES[::-1], frame_size=SMALL)
    assert one == other


def test_the_runtime_is_the_same_whatever_the_frames_the_parts_and_the_level(tmp_path: Path) -> None:
    _, one = pack_sources(tmp_path / "one", SOURCES, frame_size=SMALL, level=1)
    _, other = pack_sources(tmp_path / "other", SOURCES, frame_size=3 * SMALL, level=9, part_size=5000)
    assert one.frames != other.frames
    assert runtime_id(one.entries) == runtime_id(other.entries)


@pytest.mark.parametrize("change", [{"path": "x"}, {"mode": 0o755}, {"sha256": "1" * 64}, {"relocated": True}])
def test_the_runtime_is_another_where_an_entry_is(tmp_path: Path, change: dict[str, object]) -> None:
    _, index = pack_sources(tmp_path, [file("a", b"x")])
    assert runtime_id(index.entries) != runtime_id(entry._replace(**change) for entry in index.entries)  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [0, 1, 4 * 1024 * 1024 - 5, 4 * 1024 * 1024 - 1, 4 * 1024 * 1024])
def test_a_path_of_this_machine_is_found_across_the_borders_of_chunks(tmp_path: Path, before: int) -> None:
    source = on_disk(file("lib/leak.so", bytes(before) + b"/build/here" + b"\0tail"), tmp_path / "leak")
    with pytest.raises(MachinePathFound, match=r"lib/leak\.so holds the path /build/here,"):
        pack_sources(tmp_path / "archive", [source], machine_paths=[b"/build/here"])


def test_what_a_source_forbids_is_found_and_named(tmp_path: Path) -> None:
    with pytest.raises(PlaceholderLeft, match="etc/conf holds /placeholder,"):
        pack_sources(tmp_path, [file("etc/conf", b"root = /placeholder", forbidden=(b"/placeholder",))])


def test_how_far_an_archive_is_goes_by_bytes_within_a_large_file_too(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    sources = [file(name, bytes(size)) for name, size in (("a", 10), ("b", 3_000_000), ("c", 1_500_000))]
    pack_sources(tmp_path, sources, frame_size=2**20, progress=lambda _, done, total: told.append((done, total)))
    # "a" has a frame that "b" does not fit into; the last frame is how a tar ends.
    assert told == [(0, 5), (0, 5), (1, 5), (2, 5), (3, 5), (4, 5), (4, 5), (4, 5), (5, 5)]


def test_a_search_finds_what_comes_in_pieces_of_any_size() -> None:
    for size in range(1, 9):
        search = Search((b"needle", b"never"))
        text = b"hay needle hay"
        found = [search.find(text[start : start + size]) for start in range(0, len(text), size)]
        assert [needle for needle in found if needle][:1] == [b"needle"]
    assert Search(()).find(b"anything") is None


class Moving(Source):
    """A source whose file is another one by the time its bytes are read."""

    __slots__ = ()

    def chunks(self) -> Iterator[bytes]:
        assert self.at is not None
        self.at.write_bytes(self.at.read_bytes()[:-1] if self.package == "shrinks" else self.at.read_bytes() + b"more")
        yield from super().chunks()


@pytest.mark.parametrize(("how", "now"), [("shrinks", "now has 1999"), ("grows", "now has more")])
def test_a_file_that_changes_while_it_is_packed_fails_by_name(tmp_path: Path, how: str, now: str) -> None:
    place = tmp_path / "file"
    place.write_bytes(noise(2000))
    moving = Moving(path="lib/moving", package=how, kind=Kind.FILE, at=place)
    with pytest.raises(SourceChanged, match=rf"lib/moving did not hold still .* it had 2000 bytes, and {now}"):
        pack_sources(tmp_path / "archive", [moving])


def test_a_file_that_goes_while_it_is_packed_fails_by_name(tmp_path: Path) -> None:
    gone = Source(path="lib/gone", package="a", kind=Kind.FILE, at=tmp_path / "gone")
    with pytest.raises(SourceChanged, match=r"lib/gone .* it has gone"):
        pack_sources(tmp_path / "archive", [gone])


def test_a_folder_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "out"
    with replaced(place) as unfinished:
        (unfinished / "first").touch()
    gone = Source(path="b", package="a", kind=Kind.FILE, at=tmp_path / "gone")
    with pytest.raises(SourceChanged), replaced(place) as unfinished:
        write_archive([file("a", noise(9000)), gone], unfinished, machine_paths=[], progress=silent, part_size=1000)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in place.iterdir()] == ["first"]


def test_the_order_of_work_never_shows_however_many_threads_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [file(f"{number}", noise(1500, number)) for number in range(60)]
    found = set()
    for cores in (1, 2, 16):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        resources, _ = pack_sources(tmp_path / f"{cores}", sources, frame_size=SMALL)
        found.add(resources.manifest.parts[0].sha256)
    assert len(found) == 1


@pytest.mark.parametrize("level", [1, 3, 9, 15, 18, 19])
def test_threads_are_as_many_as_cores_or_as_fit_into_the_memory(level: int) -> None:
    assert threads_for(level, FRAME_SIZE, 1) == 1
    assert threads_for(level, FRAME_SIZE, 2) == 2
    context = compression(level, FRAME_SIZE, FRAME_SIZE)
    threads = threads_for(level, FRAME_SIZE, 256)
    assert threads * (context.estimated_compression_context_size() + 2 * FRAME_SIZE) < 288 * 1024 * 1024


class IdlePool:
    """Threads that never get to run: work is done when its result is asked for. Knows the most bytes that waited."""

    most = 0

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._waiting = 0

    def submit(self, work: Callable[[bytes], bytes], content: bytes) -> IdlePool.Result:
        self._waiting += len(content)
        IdlePool.most = max(IdlePool.most, self._waiting)
        return IdlePool.Result(self, work, content)

    def shutdown(self, *, cancel_futures: bool) -> None:
        assert cancel_futures

    class Result:
        def __init__(self, pool: IdlePool, work: Callable[[bytes], bytes], content: bytes) -> None:
            self._pool, self._work, self._content = pool, work, content

        def result(self) -> bytes:
            self._pool._waiting -= len(self._content)
            return self._work(self._content)


def test_however_large_a_file_and_slow_the_cores_no_more_waits_than_a_frame_for_each_and_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pack.write.ThreadPoolExecutor", IdlePool)
    monkeypatch.setattr(IdlePool, "most", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    sources = [file("large", bytes(100 * SMALL)), *(file(f"{number}", bytes(99), f"p{number}") for number in range(50))]
    pack_sources(tmp_path, sources, frame_size=SMALL)
    assert IdlePool.most == (8 + 2) * SMALL


def test_what_comes_first_lies_in_frames_of_its_own(tmp_path: Path) -> None:
    sources = [file(f"{package}/{n}", noise(900, n), package=package) for package in "ab" for n in range(4)]
    core = frozenset({"b/1", "b/2"})
    _, index = pack_sources(tmp_path, sources, frame_size=SMALL, core=core)
    assert {entry.path for entry in index.entries[: len(core)]} == core
    of_core = {entry.frame for entry in index.entries[: len(core)]}
    assert of_core.isdisjoint(entry.frame for entry in index.entries[len(core) :])
