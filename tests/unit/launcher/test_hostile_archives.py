"""Whatever an archive's index and frames say, nothing is written outside the slot, and memory stays bounded."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from launcher.errors import ArchiveDamaged, ManifestInvalid
from launcher.manifest import FRAME_LIMIT, Index
from launcher.platforms import Platform
from launcher.room import room_of
from launcher.whole import make_whole
from tests.builders.installed import Packed, scene
from tests.builders.launching import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIGEST = "0" * 64
Document = dict[str, Any]


def rewrite_index(resources: Path, change: Callable[[Document], object]) -> None:
    """Change the index and make the manifest vouch for it."""
    path = resources / "index.json.zst"
    document = json.loads(zstandard.decompress(path.read_bytes()))
    change(document)
    replace_index(resources, json.dumps(document).encode())


def replace_index(resources: Path, content: bytes) -> None:
    write_index(resources, zstandard.compress(content))


def write_index(resources: Path, packed: bytes) -> None:
    path, manifest = resources / "index.json.zst", resources / "manifest.json"
    path.write_bytes(packed)
    header = json.loads(manifest.read_bytes())
    header["index"].update(size=len(packed), sha256=hashlib.sha256(packed).hexdigest())
    manifest.write_text(json.dumps(header))


def file(path: str, size: int = 4, frame: int = 0, offset: int = 0) -> list[object]:
    return [path, "file", 0o644, size, DIGEST, "", False, frame, offset]


def link(path: str, target: str) -> list[object]:
    return [path, "link", 0o644, 0, "", target, False, 0, 0]


def entries(*rows: list[object]) -> Callable[[Document], object]:
    return lambda document: document["entries"].extend(rows)


HOSTILE: dict[str, tuple[Callable[[Document], object], str]] = {
    "an absolute path": (entries(file("/etc/cron.d/evil")), "not a plain relative path"),
    "a path upwards": (entries(file("lib/../../../evil")), "not a plain relative path"),
    "a path of a dot": (entries(file("./evil")), "not a plain relative path"),
    "an empty path": (entries(file("")), "not a plain relative path"),
    "a path with an empty name": (entries(file("lib//evil")), "not a plain relative path"),
    "a path of bytes that are no text": (entries(file("evil\udce9")), "no text"),
    "a path with a NUL": (entries(file("evil\0")), "no text"),
    "a path of a drive's kind": (entries(file("..\\evil")), "backslash"),
    "a link to an absolute path": (entries(link("evil", "/etc")), "leads out"),
    "a link upwards": (entries(link("lib/evil", "../../outside")), "leads out"),
    "a link upwards behind a name": (entries(link("evil", "lib/../../outside")), "leads out"),
    "a link of bytes that are no text": (entries(link("evil", "\udce9")), "leads out"),
    "a link, then a file through it": (
        entries(link("evil", "lib"), file("evil/through")),
        "is a file or link, and other entries lie below it",
    ),
    "a file, then a link to go through": (
        entries(file("evil/through"), link("evil", "lib")),
        "is a file or link, and other entries lie below it",
    ),
    "an entry twice": (entries(file("lib/empty")), "comes twice"),
    "a mode with setuid": (lambda d: d["entries"][0].__setitem__(2, 0o4755), "a mode of"),
    "a mode open to all": (lambda d: d["entries"][0].__setitem__(2, 0o777), "a mode of"),
    "a kind of its own": (lambda d: d["entries"][0].__setitem__(1, "device"), "unknown kind 'device'"),
    "a size beyond the archive": (entries(file("evil", size=10**15)), "reach beyond the last frame"),
    "a negative size": (entries(file("evil", size=-1)), "zero or above"),
    "a negative frame": (entries(file("evil", frame=-1)), "zero or above"),
    "a frame that is not there": (entries(file("evil", frame=10**9)), "reach beyond the last frame"),
    "a frame of gigabytes": (lambda d: d["frames"][0].__setitem__(2, FRAME_LIMIT + 1), "more than"),
    "a frame that packs gigabytes": (lambda d: d["frames"][0].__setitem__(1, 2**31), "packed bytes, more than"),
    "frames with a gap": (lambda d: d["frames"][1].__setitem__(0, 10**6), "begins at 1000000"),
    "frames beyond the parts": (lambda d: d["frames"].append([0, 0, 0, DIGEST]), "begins at 0"),
    "a frame of no digest": (lambda d: d["frames"][0].__setitem__(3, "0"), "expected [offset, size, length, sha256]"),
    "a link with bytes": (entries(["evil", "link", 0o644, 4, DIGEST, "lib", False, 0, 0]), "a link has a target"),
    "a file with a target": (entries(["evil", "file", 0o644, 4, DIGEST, "lib", False, 0, 0]), "no target"),
    "a row too short": (lambda d: d["entries"][0].pop(), "entries[0]: expected [path, kind"),
    "no entries": (lambda d: d.pop("entries"), "entries: missing"),
    "no list of frames": (lambda d: d.update(frames=7), "frames: expected a list"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_index_is_refused_for(case: str, harmed: Path, home: Path, tmp_path: Path) -> None:
    change, words = HOSTILE[case]
    rewrite_index(harmed, change)
    before = tree(tmp_path)
    with pytest.raises(ManifestInvalid) as raised:
        make_whole(scene(harmed, home))
    assert words in raised.value.message
    assert not list((home / "rt").iterdir())
    assert {path for path in tree(tmp_path).keys() - before.keys() if not path.startswith(home.name)} == set()


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[1, 2", b"\xff\xfe", b"[" * 100_000, b"1" * 5_000, b'{"frames": [NaN], "entries": []}'],
    ids=["empty", "null", "cut", "no text", "too deep", "too long a number", "not a number"],
)
def test_an_index_is_refused_that_is(content: bytes, harmed: Path, home: Path) -> None:
    replace_index(harmed, content)
    with pytest.raises(ManifestInvalid, match=r"index\.json\.zst cannot be used"):
        make_whole(scene(harmed, home))


def test_an_index_that_says_it_unpacks_to_terabytes_takes_no_memory(harmed: Path, home: Path) -> None:
    # A zstd frame header of 8 bytes' content size (RFC 8878, 3.1.1.1): no byte of it has to exist.
    write_index(harmed, b"\x28\xb5\x2f\xfd" + b"\xe0" + (2**42).to_bytes(8, "little") + b"\x01\x00\x00")
    with pytest.raises(ManifestInvalid, match="unpacks to 4398046511104 bytes"):
        make_whole(scene(harmed, home))


def test_an_index_that_is_no_zstd_is_refused(harmed: Path, home: Path) -> None:
    write_index(harmed, b"not packed at all")
    with pytest.raises(ManifestInvalid):
        make_whole(scene(harmed, home))


class TestAFrameThatIsNotWhatTheIndexSays:
    @pytest.mark.parametrize(
        ("frame", "words"),
        [
            (zstandard.compress(bytes(50_000_000)), "and is 50000000"),
            (zstandard.compress(b""), "and is 0"),
            (b"\x28\xb5\x2f\xfd" + b"\xe0" + (2**42).to_bytes(8, "little") + b"\x01\x00\x00", "and is 4398046511104"),
            (zstandard.ZstdCompressor(write_content_size=False).compress(bytes(10_000)), "and is -1"),
            (b"not packed at all", "a zstd frame"),
            (b"", "a zstd frame"),
        ],
        ids=["unpacks to more", "unpacks to less", "claims terabytes", "claims nothing", "is no zstd", "is nothing"],
    )
    def test_writes_nothing_of_it(self, frame: bytes, words: str, harmed: Path, home: Path) -> None:
        size = self.put(harmed, frame)
        with pytest.raises(ArchiveDamaged) as raised:
            make_whole(scene(harmed, home))
        assert words in raised.value.message
        assert size not in {path.stat().st_size for path in home.rglob("*") if path.is_file()}

    def test_ends_before_it_says(self, harmed: Path, home: Path) -> None:
        whole = zstandard.compress(bytes(range(256)) * 4)
        self.put(harmed, whole[: len(whole) // 2], length=1024)
        with pytest.raises(ArchiveDamaged):
            make_whole(scene(harmed, home))

    def put(self, resources: Path, packed: bytes, length: int | None = None) -> int:
        """Make `packed` the one frame of the archive, vouched for by its sha256; return the one file's size."""
        for part in resources.glob("runtime.tar.zst*"):
            part.unlink()
        (resources / "runtime.tar.zst").write_bytes(packed)
        digest = hashlib.sha256(packed).hexdigest()
        header = json.loads((resources / "manifest.json").read_bytes())
        header["parts"] = [{"name": "runtime.tar.zst", "size": len(packed), "sha256": digest}]
        size = length or 1000
        header |= {"entries": 1, "core": 1, "longestPath": len("evil"), "disk": room_of(size)}
        (resources / "manifest.json").write_text(json.dumps(header))
        rewrite_index(
            resources,
            lambda document: document.update(
                frames=[[0, len(packed), size, digest]], entries=[file("evil", size=size)]
            ),
        )
        return size


def index(platform: Platform, *paths: str) -> Index:
    return Index.from_dict({"frames": [], "entries": [file(path, size=0) for path in paths]}, platform)


class TestPathsArePlatforms:
    @pytest.mark.parametrize("platform", [Platform.WIN_64, Platform.OSX_ARM64, Platform.OSX_64])
    def test_names_that_differ_by_case_are_one_name(self, platform: Platform) -> None:
        with pytest.raises(ValueError, match=f"comes twice, as {platform} tells names apart"):
            index(platform, "Lib/A.py", "lib/a.py")

    def test_names_that_differ_by_case_are_two_on_linux(self) -> None:
        assert len(index(Platform.LINUX_64, "Lib/A.py", "lib/a.py").entries) == 2

    def test_names_that_differ_by_how_an_accent_is_written_are_one_name_on_macos(self) -> None:
        with pytest.raises(ValueError, match="comes twice"):
            index(Platform.OSX_ARM64, "caf\u00e9", "cafe\u0301")

    @pytest.mark.parametrize(
        "path", ["con", "lib/NUL.txt", "aux .py", "com1", "lpt9.x", "COM².log", "a:b", "a?", "trailing.", "trailing ",
                 "CONIN$", "x<y", 'q"q', "a|b", "star*"]
    )  # fmt: skip
    def test_names_that_windows_gives_another_meaning_are_refused(self, path: str) -> None:
        with pytest.raises(ValueError, match="cannot be written on Windows"):
            index(Platform.WIN_64, path)
        assert index(Platform.LINUX_64, path).entries

    def test_links_are_refused_on_windows(self) -> None:
        with pytest.raises(ValueError, match="which Windows lets few users make"):
            Index.from_dict({"frames": [], "entries": [link("a", "b")]}, Platform.WIN_64)


def test_no_archive_can_make_the_launcher_follow_a_link_that_is_there_already(
    packed: Packed, home: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    packed.slot(home).mkdir(parents=True)
    for name in ("bin", "lib", "share", "etc", "conda-meta"):
        (packed.slot(home) / name).symlink_to(outside)
    make_whole(scene(packed.resources, home))
    assert not list(outside.iterdir())
