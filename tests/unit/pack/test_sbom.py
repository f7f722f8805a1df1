"""The list of what is inside."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from pack.licenses import write_licenses
from pack.sbom import write_sbom
from pack.tools import tools
from tests.builders.sources import SMALL_MANIFEST

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def packages(tmp_path: Path) -> list[dict[str, Any]]:
    """Records of a package from a channel with a licence, and of one made from a wheel without."""
    forge, wheel = tmp_path / "pkgs" / "forge", tmp_path / "pkgs" / "wheel"
    (forge / "info" / "licenses" / "deep").mkdir(parents=True)
    (forge / "info" / "licenses" / "LICENSE").write_text("do as you like")
    (forge / "info" / "licenses" / "deep" / "NOTICE").write_text("thanks")
    (wheel / "info").mkdir(parents=True)
    extra = {"wheel": "b-2-py3-none-any.whl", "sha256": "2" * 64}
    pages = {"home": "https://b.example", "dev_url": "https://b.example/sources"}
    (wheel / "info" / "about.json").write_text(json.dumps({**pages, "extra": extra}))
    (forge / "info" / "about.json").write_text(json.dumps({"dev_url": ["https://a.example/1", "https://a.example/2"]}))
    return [
        {
            "name": "a", "version": "1", "build": "h0_0", "subdir": "noarch", "license": "MIT OR Apache-2.0",
            "sha256": "1" * 64, "url": "https://me:secret@forge.example/t/token/noarch/a-1-h0_0.conda",
            "depends": ["b >=1", "__glibc >=2.17"], "link": {"source": str(forge)},
        },
        {
            "name": "b", "version": "2", "build": "0", "subdir": "linux-64", "license": "a licence of its own",
            "sha256": "3" * 64, "url": "file:///somewhere/b.conda", "depends": [], "link": {"source": str(wheel)},
        },
    ]  # fmt: skip


def written(folder: Path, packages: list[dict[str, Any]]) -> dict[str, Any]:
    write_sbom(folder, SMALL_MANIFEST, packages)
    document: dict[str, Any] = json.loads((folder / "sbom.json").read_text())
    return document


def remarks(component: dict[str, Any]) -> dict[str, str]:
    return {row["name"].rpartition(":")[2]: row["value"] for row in component["properties"]}


def test_each_package_is_there_with_version_licence_address_and_hash(tmp_path: Path, packages: list[Any]) -> None:
    a, b = written(tmp_path, packages)["components"]
    assert (a["name"], a["version"], a["purl"]) == (
        "a", "1", "pkg:conda/a@1?build=h0_0&channel=test&subdir=noarch",
    )  # fmt: skip
    assert a["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert a["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert a["externalReferences"] == [
        {"type": "distribution", "url": "https://forge.example/noarch/a-1-h0_0.conda"},
        {"type": "vcs", "url": "https://a.example/1"},
        {"type": "vcs", "url": "https://a.example/2"},
    ]
    assert b["purl"] == "pkg:conda/b@2?build=0&channel=local&subdir=linux-64"  # no channel of others has it
    assert b["licenses"] == [{"license": {"name": "a licence of its own"}}]
    assert b["externalReferences"] == [
        {"type": "vcs", "url": "https://b.example/sources"},
        {"type": "website", "url": "https://b.example"},
    ]


def test_a_package_made_from_a_wheel_names_it_wherever_it_was_fetched_from(tmp_path: Path, packages: list[Any]) -> None:
    a, b = written(tmp_path, packages)["components"]
    assert "pedigree" not in a
    assert b["pedigree"]["ancestors"] == [
        {
            "type": "library", "name": "b", "version": "2", "purl": "pkg:pypi/b@2?file_name=b-2-py3-none-any.whl",
            "hashes": [{"alg": "SHA-256", "content": "2" * 64}],
        }
    ]  # fmt: skip


def test_where_a_licence_s_text_is_and_that_there_is_none_is_said_plainly(tmp_path: Path, packages: list[Any]) -> None:
    packages[1]["license"] = None
    a, b = written(tmp_path, packages)["components"]
    assert remarks(a) == {"license-files": "licenses/a-1"}
    assert "licenses" not in b
    assert (remarks(b)["license"], remarks(b)["license-files"]) == ("the package names none", "the package has none")


def test_who_needs_whom_is_told_of_packages_that_are_inside(tmp_path: Path, packages: list[Any]) -> None:
    document = written(tmp_path, packages)
    needs = {row["ref"]: row.get("dependsOn", []) for row in document["dependencies"]}
    a, b = (component["bom-ref"] for component in document["components"])
    assert needs == {a: [b], b: [], document["metadata"]["component"]["bom-ref"]: [a, b]}


def test_what_the_launcher_is_made_with_is_there_beside_the_packages(tmp_path: Path, packages: list[Any]) -> None:
    write_sbom(tmp_path, SMALL_MANIFEST, packages, tools())
    write_licenses(tmp_path, [], tools())
    text = (tmp_path / "sbom.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found = {component["name"]: component for component in json.loads(text)["components"]}
    assert found.keys() == {"a", "b", "pyinstaller", "zstandard"}
    assert found["zstandard"]["purl"] == f"pkg:pypi/zstandard@{version('zstandard')}"
    assert found["zstandard"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert "special exception" in found["pyinstaller"]["licenses"][0]["license"]["name"]
    for name, file in (("pyinstaller", "COPYING.txt"), ("zstandard", "LICENSE")):
        assert (tmp_path / remarks(found[name])["license-files"] / file).stat().st_size > 1000


def test_the_document_is_what_the_format_asks_for(tmp_path: Path, packages: list[Any]) -> None:
    write_sbom(tmp_path, SMALL_MANIFEST, packages)
    text = (tmp_path / "sbom.json").read_text()
    assert json.loads(text)["specVersion"] == SchemaVersion.V1_6.to_version()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_same_runtime_gives_the_same_bytes_and_another_another_name(tmp_path: Path, packages: list[Any]) -> None:
    first = written(tmp_path, packages)
    assert written(tmp_path, packages[::-1]) == first
    write_sbom(tmp_path, SMALL_MANIFEST.but(runtime="1" * 64), packages)
    assert json.loads((tmp_path / "sbom.json").read_text())["serialNumber"] != first["serialNumber"]
