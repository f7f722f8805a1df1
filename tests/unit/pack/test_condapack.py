"""What conda-pack says an environment consists of: what is refused, what is left of this machine, what is relocated."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from launcher.manifest import Kind
from pack.condapack import collect, shortest_placeholder
from pack.errors import PlaceholderLeft, PrefixNotPackable, SourceChanged, UnmanagedFiles, UnsafeEntries
from pack.progress import silent
from pack.records import channel_of, plain_record, public_address, public_name
from pack.write import write_archive
from tests.builders.prefix import PLACEHOLDER, SITE, Package, make_prefix, small_packages

if TYPE_CHECKING:
    from pathlib import Path

    from pack.source import Source

CHANNEL = "the channel"


def collected(prefix: Path) -> dict[str, Source]:
    return {source.path: source for source in collect(prefix, CHANNEL)}


def with_files(files: dict[str, str | bytes], programs: frozenset[str] = frozenset()) -> list[Package]:
    return [*small_packages(), Package("extra", "1.0", files, programs)]


def change_rows(root: Path, package: str, change: dict[str, Any]) -> None:
    """Give every path of a package's info/paths.json other members; None takes one away."""
    path = root / "pkgs" / package / "info" / "paths.json"
    document = json.loads(path.read_text())
    for row in document["paths"]:
        row.update(change)
        for member in [name for name, value in change.items() if value is None]:
            del row[member]
    path.write_text(json.dumps(document))


def archive(root: Path, prefix: Path) -> None:
    (root / "archive").mkdir()
    write_archive(collect(prefix, CHANNEL), root / "archive", machine_paths=[], progress=silent)


def test_a_package_that_is_gone_from_the_cache_is_refused_by_name(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    shutil.rmtree(tmp_path / "pkgs" / "ballast-2.0-0")
    with pytest.raises(PrefixNotPackable, match=r"ballast"):
        collect(prefix, CHANNEL)


def test_a_managed_file_that_is_gone_from_the_prefix_is_refused_by_name(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    (prefix / "lib/ballast.bin").unlink()
    with pytest.raises(PrefixNotPackable, match=r"lib/ballast\.bin"):
        collect(prefix, CHANNEL)


def test_what_is_no_prefix_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PrefixNotPackable, match="empty"):
        collect(tmp_path / "empty", CHANNEL)


def test_files_that_no_package_brought_are_refused_by_name(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    for number in range(7):
        (prefix / f"by-hand-{number}").write_text("x")
    with pytest.raises(UnmanagedFiles) as caught:
        collect(prefix, CHANNEL)
    assert "holds 7 files" in caught.value.message
    assert "by-hand-0, by-hand-1, by-hand-2, by-hand-3, by-hand-4 and 2 more" in caught.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="no pipe has a place in a folder there")
@pytest.mark.parametrize("path", ["lib/ballast.bin", "bin/tool"])
def test_a_pipe_in_the_place_of_a_file_is_refused_by_name_and_never_waited_for(tmp_path: Path, path: str) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    for place in (prefix / path, tmp_path / "pkgs/ballast-2.0-0" / path):
        place.unlink()
        os.mkfifo(place)
    with pytest.raises(UnsafeEntries, match=f"'{path}' is neither a file nor a link nor a folder"):
        collect(prefix, CHANNEL)


@pytest.mark.parametrize("path", ["lib/ballast.bin", "lib/empty", "bin/tool"])
@pytest.mark.parametrize("instead", ["folder", "link"])
def test_what_a_package_brought_as_a_file_and_is_none_is_refused_by_name(
    tmp_path: Path, path: str, instead: str
) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    place = tmp_path / "pkgs/ballast-2.0-0" / path
    place.unlink()
    if instead == "link":
        place.symlink_to("elsewhere")
    else:
        place.mkdir()
    with pytest.raises(SourceChanged, match=f"{path} .* its package brought a file, and it is none"):
        collect(prefix, CHANNEL)


def test_the_mark_of_a_cache_is_left_out(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    (prefix / "conda-meta" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    assert "conda-meta/CACHEDIR.TAG" not in collected(prefix)


def test_content_comes_from_the_package_whatever_happened_to_it_in_the_prefix(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    original = (prefix / "lib/ballast.bin").read_bytes()
    (prefix / "lib/ballast.bin").write_bytes(b"patched by hand")
    assert collected(prefix)["lib/ballast.bin"].read() == original


def test_a_record_says_nothing_of_this_machine(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    meta = prefix / "conda-meta" / "ballast-2.0-0.json"
    record = json.loads(meta.read_text())
    record |= {"timestamp": 1790000000000, "requested_spec": "ballast", "requested_specs": ["ballast"]}
    record["files"].reverse()
    for row in record["paths_data"]["paths"]:
        row["sha256_in_prefix"] = "0" * 64
    meta.write_text(json.dumps(record))
    found = collected(prefix)["conda-meta/ballast-2.0-0.json"].read()
    plain = json.loads(found)
    assert os.fsencode(tmp_path) not in found
    assert plain["channel"] == "local"
    assert plain["url"] == "local/linux-64/ballast-2.0-0.conda"
    assert plain["files"] == sorted(plain["files"])
    assert not {"timestamp", "requested_spec", "requested_specs", "link", "extracted_package_dir"} & set(plain)
    assert not any("sha256_in_prefix" in row for row in plain["paths_data"]["paths"])


def test_the_history_of_the_prefix_stays_here(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    assert b"some machine" not in collected(prefix)["conda-meta/history"].read()


def test_a_record_keeps_the_public_address_of_its_package() -> None:
    record = {"url": "https://conda.anaconda.org/conda-forge/noarch/a-1-0.conda", "files": []}
    assert json.loads(plain_record(record, "conda-forge"))["url"] == record["url"]


@pytest.mark.parametrize(
    ("channel", "address", "named"),
    [
        ("conda-forge", "https://me:pw@host/t/tk/forge/noarch/a-1-0.conda", "conda-forge"),
        ("conda-forge", "file:///home/me/build/channel-additions/noarch/a-1-0.conda", "local"),
        ("http://host:80/forge", "http://host:80/forge/noarch/a-1-0.conda", "http://host:80/forge"),
        ("http://host:80/forge/", "http://host:80/forge/noarch/a-1-0.conda", "http://host:80/forge/"),
        ("http://host:80/forge", "file:///home/me/build/channel-additions/noarch/a-1-0.conda", "local"),
        ("local", "file:///home/me/build/channel/noarch/a-1-0.conda", "local"),
    ],
)
def test_a_package_that_was_made_here_is_said_to_come_from_no_channel_of_others(
    channel: str, address: str, named: str
) -> None:
    record = {"url": address, "subdir": "noarch", "fn": "a-1-0.conda", "files": []}
    plain = json.loads(plain_record(record, channel))
    assert plain["channel"] == channel_of(record, channel) == named
    assert "/me" not in plain["url"]


@pytest.mark.parametrize("channel", ["/home/me/chan", "./chan", "~/chan", "file:///home/me/chan", "C:\\me\\chan"])
def test_a_channel_in_a_folder_has_no_name_that_says_where(channel: str) -> None:
    assert public_name(channel) == "local"
    assert public_name("conda-forge") == "conda-forge"
    assert public_name("https://me:secret@host/t/tk/forge") == "https://host/forge"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("https://user:secret@host/channel", "https://host/channel"),
        ("https://host:8443/t/tk-secret/channel/linux-64/a.conda", "https://host:8443/channel/linux-64/a.conda"),
        ("https://host/channel?key=secret", "https://host/channel"),
        ("conda-forge", "conda-forge"),
        ("local", "local"),
    ],
)
def test_no_secret_of_a_channel_travels(address: str, public: str) -> None:
    assert public_address(address) == public


def test_only_files_that_hold_their_placeholder_are_relocated(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"etc/holds": f"{PLACEHOLDER}/x", "etc/plain": "nothing to see"}
    prefix = make_prefix(tmp_path, with_files(files))
    change_rows(tmp_path, "extra-1.0-0", {"prefix_placeholder": PLACEHOLDER, "file_mode": "text"})
    found = collected(prefix)
    assert found["etc/holds"].relocated
    assert not found["etc/plain"].relocated
    assert "etc/holds" in found["bin/conda-unpack"].read().decode()
    assert "etc/plain" not in found["bin/conda-unpack"].read().decode()


def test_the_interpreter_is_never_relocated_and_may_hold_its_placeholder(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, with_files({"bin/python3.11-config": f"prefix={PLACEHOLDER}\n"}))
    found = collected(prefix)
    assert not found["bin/python3.11-config"].relocated
    assert "python3.11-config" not in found["bin/conda-unpack"].read().decode()
    archive(tmp_path, prefix)


def test_a_script_gets_a_portable_shebang_and_needs_no_relocation(tmp_path: Path) -> None:
    tool = collected(make_prefix(tmp_path, small_packages()))["bin/tool"]
    assert tool.read() == b"#!/usr/bin/env python\nprint('tool')\n"
    assert tool.mode == 0o755
    assert not tool.relocated


def test_a_script_that_names_its_prefix_elsewhere_too_is_relocated(tmp_path: Path) -> None:
    script = f"#!{PLACEHOLDER}/bin/python\nprint('{PLACEHOLDER}/share')\n"
    tool = collected(make_prefix(tmp_path, with_files({"bin/tool2": script}, frozenset({"bin/tool2"}))))["bin/tool2"]
    assert tool.relocated


def test_a_script_that_an_installer_made_holds_a_stand_in_for_the_prefix(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, small_packages())
    # What rattler and conda write for a noarch entry point, where the prefix has a space or is long.
    trick = f"#!/bin/sh\n'''exec' \"{prefix}/bin/python\" \"$0\" \"$@\"\n' '''\nprint('made')\n"
    (prefix / "bin/made").write_text(trick)
    (prefix / "bin/made").chmod(0o755)
    meta = prefix / "conda-meta" / "ballast-2.0-0.json"
    record = json.loads(meta.read_text())
    meta.write_text(json.dumps(record | {"files": [*record["files"], "bin/made"]}))
    cached = tmp_path / "pkgs" / "ballast-2.0-0" / "info" / "link.json"
    cached.write_text(json.dumps({"noarch": {"type": "python", "entry_points": ["made = made:main"]}}))
    found = collected(prefix)
    assert found["bin/made"].relocated
    assert os.fsencode(prefix) not in found["bin/made"].read() + found["bin/conda-unpack"].read()

    slot = tmp_path / "slot"
    for source in found.values():
        (slot / source.path).parent.mkdir(parents=True, exist_ok=True)
        if source.kind is Kind.FILE:
            (slot / source.path).write_bytes(source.read())
    subprocess.run([sys.executable, "-B", "-E", "-s", "-S", slot / "bin/conda-unpack"], check=True, capture_output=True)
    assert (slot / "bin/made").read_text() == trick.replace(str(prefix), str(slot))


@pytest.mark.parametrize("text", [f"undeclared = {PLACEHOLDER}/x", b"\x00\xff binary" + PLACEHOLDER.encode() + b"\0"])
def test_a_placeholder_that_nothing_will_rewrite_is_refused_by_name(tmp_path: Path, text: str | bytes) -> None:
    prefix = make_prefix(tmp_path, with_files({"etc/declared": PLACEHOLDER, "lib/undeclared": text}))
    path = tmp_path / "pkgs" / "extra-1.0-0" / "info" / "paths.json"
    document = json.loads(path.read_text())
    for row in document["paths"]:
        if row["_path"] == "lib/undeclared":
            del row["prefix_placeholder"], row["file_mode"]
    path.write_text(json.dumps(document))
    with pytest.raises(PlaceholderLeft, match=r"^lib/undeclared holds /placehold/"):
        archive(tmp_path, prefix)


def test_the_build_prefix_in_a_file_that_nothing_will_rewrite_is_refused_by_name(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, with_files({"lib/leak.so": b"\x7fELF" + os.fsencode(tmp_path / "prefix" / "lib")}))
    with pytest.raises(PlaceholderLeft, match=r"^lib/leak\.so holds "):
        archive(tmp_path, prefix)


def test_the_shortest_placeholder_counts_binaries_alone(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, with_files({"lib/a.so": b"\x00" + PLACEHOLDER.encode() + b"\0"}))
    assert shortest_placeholder(prefix, collect(prefix, CHANNEL)) is None
    change_rows(tmp_path, "extra-1.0-0", {"prefix_placeholder": PLACEHOLDER, "file_mode": "binary"})
    meta = prefix / "conda-meta" / "extra-1.0-0.json"
    record = json.loads(meta.read_text())
    record["paths_data"] = json.loads((tmp_path / "pkgs" / "extra-1.0-0" / "info" / "paths.json").read_text())
    meta.write_text(json.dumps(record))
    assert shortest_placeholder(prefix, collect(prefix, CHANNEL)) == len(PLACEHOLDER)


def test_a_relocated_python_source_stays_python_in_a_folder_with_quotes(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, with_files({f"{SITE}/sysconf.py": f"ROOT = '{PLACEHOLDER}/x'\n"}))
    source = collected(prefix)[f"{SITE}/sysconf.py"]
    assert source.relocated
    moved = source.read().replace(PLACEHOLDER.encode(), b"/home/O'Brien")
    scope: dict[str, str] = {}
    exec(moved, scope)
    assert scope["ROOT"] == "/home/O'Brien/x"
