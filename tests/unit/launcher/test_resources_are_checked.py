"""What is wrong with the resources is said by name, and nothing is installed from them."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from launcher.__main__ import main
from launcher.errors import ManifestInvalid
from launcher.manifest import FRAME_LIMIT, INDEX_LIMIT, SCHEMA
from launcher.platforms import Platform
from launcher.resources import Resources
from tests.builders.launching import ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.builders.installed import Packed


def edit(resources: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = resources / "manifest.json"
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def remove(*paths: Path) -> None:
    for path in paths:
        path.unlink()


def make_folder_of(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("arguments", [[], ["--status"]], ids=["start", "status"])
def test_a_computer_for_which_no_engine_is_built_is_named(
    arguments: list[str],
    packed: Packed,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(machine="riscv64"))
    assert main(["--json", "--resources", str(packed.resources), "--home", str(home), *arguments], {}) == 84
    failed = json.loads(capsys.readouterr().out)
    assert failed["code"] == "wrong-platform"
    assert failed["message"].endswith("this computer is linux-riscv64.")


HARM: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "the whole archive is missing": (
        lambda r: remove(*r.glob("runtime.tar.zst*")),
        "archive-missing",
        "runtime.tar.zst.001 is missing from",
    ),
    "one part is missing": (
        lambda r: (r / "runtime.tar.zst.003").unlink(),
        "archive-missing",
        "runtime.tar.zst.003 is missing from",
    ),
    "one part is cut short": (
        lambda r: (r / "runtime.tar.zst.002").write_bytes((r / "runtime.tar.zst.002").read_bytes()[:99_000]),
        "archive-damaged",
        "its size should be 100000 bytes and is 99000 bytes",
    ),
    "one byte of a part is changed": (
        lambda r: flip(r / "runtime.tar.zst.002", 50_000),
        "archive-damaged",
        "the sha256 of the frame at byte",
    ),
    "the index is missing": (
        lambda r: (r / "index.json.zst").unlink(),
        "archive-missing",
        "index.json.zst is missing from",
    ),
    "one byte of the index is changed": (
        lambda r: flip(r / "index.json.zst", 40),
        "archive-damaged",
        "its sha256 should be",
    ),
    "the index is cut short": (
        lambda r: (r / "index.json.zst").write_bytes(b""),
        "archive-damaged",
        "and is 0 bytes",
    ),
    "a part is a folder": (
        lambda r: make_folder_of(r / "runtime.tar.zst.001"),
        "archive-damaged",
        "its size should be",
    ),
    "the manifest is missing": (
        lambda r: (r / "manifest.json").unlink(),
        "manifest-invalid",
        "there is no such file",
    ),
    "the manifest is no JSON": (
        lambda r: (r / "manifest.json").write_text("{ cut"),
        "manifest-invalid",
        "line 1 column",
    ),
    "the manifest is no text": (
        lambda r: (r / "manifest.json").write_bytes(b"\xff\xfe\xff"),
        "manifest-invalid",
        "manifest.json cannot be used",
    ),
    "the manifest is nested beyond reason": (
        lambda r: (r / "manifest.json").write_text("[" * 200_000),
        "manifest-invalid",
        "manifest.json cannot be used",
    ),
    "the manifest lacks a member": (
        lambda r: edit(r, lambda d: d.pop("parts")),
        "manifest-invalid",
        "parts: missing",
    ),
    "the manifest has a member of another type": (
        lambda r: edit(r, lambda d: d["parts"][2].update(size="big")),
        "manifest-invalid",
        "parts[2].size: expected a whole number, found text",
    ),
    "the manifest names a part outside": (
        lambda r: edit(r, lambda d: d["parts"][0].update(name="../secret")),
        "manifest-invalid",
        "parts[0].name: expected a file name, found '../secret'",
    ),
    "the manifest is of a newer schema": (
        lambda r: edit(r, lambda d: d.update(schema=SCHEMA + 1)),
        "manifest-too-new",
        f"has schema {SCHEMA + 1}; this program reads schemas up to {SCHEMA}",
    ),
    "the manifest is for another platform": (
        lambda r: edit(r, lambda d: d.update(platform="win-64")),
        "wrong-platform",
        "built for win-64; this computer is",
    ),
    "the manifest is for no platform": (
        lambda r: edit(r, lambda d: d.update(platform="amiga-68k")),
        "manifest-invalid",
        "platform: unknown platform 'amiga-68k'",
    ),
    "the manifest asks for a newer system": (
        lambda r: edit(r, lambda d: d["floor"].update(glibc="99.1")),
        "system-too-old",
        "needs glibc 99.1 or newer; this computer has",
    ),
    "the manifest's floor is no version": (
        lambda r: edit(r, lambda d: d["floor"].update(glibc="new")),
        "manifest-invalid",
        "floor.glibc: expected a version, found 'new'",
    ),
    "a part of the archive is not in the manifest": (
        lambda r: edit(r, lambda d: d["parts"].pop()),
        "manifest-invalid",
        "the archive's parts",
    ),
}


# Feature: python-backend-bundling, Property 10: specific error messages
@pytest.mark.parametrize("harm", HARM)
def test_says_what_is_wrong_and_installs_nothing_when(harm: str, harmed: Path, packed: Packed, home: Path) -> None:
    act, code, words = HARM[harm]
    act(harmed)
    answer = ask(harmed, home, "--install")
    failed = answer.last("failed")
    assert failed["code"] == code
    assert words in failed["message"]
    assert failed["remedy"].endswith(".")
    assert 80 <= answer.status <= 99
    assert not packed.receipt(home).exists()
    assert "relocate" not in {event.get("name") for event in answer.events}, "nothing of it runs"
    assert "Traceback" not in answer.talk


def test_an_archive_that_may_not_be_read_is_not_taken_for_a_home_that_may_not_be_written(
    harmed: Path, home: Path
) -> None:
    (harmed / "runtime.tar.zst.002").chmod(0)
    answer = ask(harmed, home, "--install")
    assert answer.code == "archive-unreadable"
    assert "runtime.tar.zst.002 cannot be read: Permission denied" in answer.last("failed")["message"]


def test_a_launcher_installs_from_the_manifest_alone_that_it_was_frozen_for(packed: Packed) -> None:
    resources = Resources.open(packed.resources, Platform.current())
    with pytest.raises(ManifestInvalid, match="this launcher was made for"):
        resources.check_manifest("0" * 64)


def test_the_manifest_that_is_checked_is_the_one_that_was_read(harmed: Path) -> None:
    digest = hashlib.sha256((harmed / "manifest.json").read_bytes()).hexdigest()
    resources = Resources.open(harmed, Platform.current())
    edit(harmed, lambda document: document.update(version="evil"))
    resources.check_manifest(digest)
    with pytest.raises(ManifestInvalid):
        Resources.open(harmed, Platform.current()).check_manifest(digest)


def test_status_answers_whatever_is_wrong_with_the_resources(harmed: Path, home: Path) -> None:
    (harmed / "manifest.json").write_text("nothing")
    answer = ask(harmed, home, "--status")
    assert answer.status == 0
    assert answer.last("result")["problem"]["code"] == "manifest-invalid"


def test_limits_bound_the_memory_that_an_archive_can_take() -> None:
    assert FRAME_LIMIT <= 32 * 1024 * 1024
    assert INDEX_LIMIT <= 256 * 1024 * 1024
