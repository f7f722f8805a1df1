"""The files of a release page: what they join to, what vouches for them, and what is refused."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from launcher.manifest import MANIFEST_NAME
from pack.errors import NotBuilt, VerificationFailed
from pack.progress import silent
from pack.release import write_release
from tests.builders.runtime import make_resources

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder with resources, the report that they passed, and no release yet."""
    resources, manifest = make_resources(tmp_path)
    (resources / "peft_engine").write_text("#!/bin/sh\n")
    (resources / "peft_engine").chmod(0o755)
    (resources / "link").symlink_to("peft_engine")
    note(tmp_path, runtime=manifest.runtime)
    return tmp_path


def note(built: Path, *, failed: int = 0, runtime: str | None = None, refusal: str = "") -> None:
    """Leave the report of a verification, of the resources' own runtime unless another is given."""
    runtime = runtime or json.loads((built / "resources" / MANIFEST_NAME).read_text())["runtime"]
    places = [{"place": "no network", "checks": [], "refusal": refusal}]
    (built / "verify.json").write_text(json.dumps({"failed": failed, "runtime": runtime, "places": places}))


def release(built: Path, folder: Path | None = None, part_size: int = 150_000) -> Path:
    place = folder or built / "release"
    write_release(
        built / "resources", built / "verify.json", place, name="engine-1.0", part_size=part_size, progress=silent
    )
    return place


def tree(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    return {
        path.relative_to(folder).as_posix(): (0, str(path.readlink()))
        if path.is_symlink()
        else (path.stat().st_mode & 0o777, path.read_bytes() if path.is_file() else "")
        for path in folder.rglob("*")
    }


def test_the_parts_join_to_a_tar_of_the_resources(built: Path, tmp_path: Path) -> None:
    page = release(built)
    parts = sorted(page.glob("engine-1.0.tar*"))
    assert len(parts) > 1
    assert all(part.stat().st_size <= 150_000 for part in parts)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    subprocess.run(f"cat '{page}'/engine-1.0.tar* | tar -x -C '{unpacked}'", shell=True, check=True)
    assert tree(unpacked / "resources") == tree(built / "resources")


def test_the_checksums_are_of_every_other_file_as_sha256sum_reads_them(built: Path) -> None:
    page = release(built)
    names = {path.name for path in page.iterdir()}
    assert {"engine-1.0.sbom.json", "engine-1.0.verify.json", "engine-1.0.sha256"} < names
    checked = subprocess.run(
        ["sha256sum", "--check", "engine-1.0.sha256"], cwd=page, capture_output=True, text=True, check=True
    )
    assert {line.partition(":")[0] for line in checked.stdout.splitlines()} == names - {"engine-1.0.sha256"}


def test_the_same_resources_make_the_same_release(built: Path, tmp_path: Path) -> None:
    for path in (built / "resources").iterdir():
        if not path.is_symlink():
            path.touch()
    assert tree(release(built, tmp_path / "one")) == tree(release(built, tmp_path / "other"))


def test_nothing_that_did_not_pass_is_released(built: Path) -> None:
    note(built, failed=2)
    with pytest.raises(VerificationFailed, match=r"verify\.json: 2 failed"):
        release(built)
    note(built, runtime="0" * 64)
    with pytest.raises(VerificationFailed, match="of runtime 0000"):
        release(built)
    (built / "verify.json").unlink()
    with pytest.raises(NotBuilt, match=r"verify\.json is not there yet"):
        release(built)
    assert not (built / "release").exists()


@pytest.mark.parametrize(("platform", "is_released"), [("linux-64", False), ("linux-aarch64", False), ("win-64", True)])
def test_nothing_is_released_for_linux_that_was_not_tried_in_every_place(
    platform: str, is_released: bool, built: Path
) -> None:
    path = built / "resources" / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"platform": platform}))
    note(built, refusal="This machine does not let us make a namespace.")
    if is_released:
        assert release(built).exists()
    else:
        with pytest.raises(VerificationFailed, match="no network: This machine does not let us"):
            release(built)
