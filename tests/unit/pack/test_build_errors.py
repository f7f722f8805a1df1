"""What can be wrong with a builder or a build: each has its message, its one thing to do, and its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launcher.platforms import Platform
from pack import pipeline
from pack.__main__ import main
from pack.pipeline import Act
from tests.builders.repodata import write_conda_forge
from tests.builders.staged import make_bench, packages

if TYPE_CHECKING:
    from pack.progress import Progress
    from pack.workspace import Workspace

ROOT = Path(__file__).parents[3]
# sys.version_info is all that pack asks an interpreter for: what follows is what an older one would run.
OLDER = "import runpy, sys; sys.version_info = (3, 10, 14, 'final', 0); runpy.run_module('pack', run_name='__main__')"


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment}
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the tools of the others are their systems' own")
def test_a_tool_that_is_not_there_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    refused = run("-m", "pack", "stub", "--channel", "local", PATH=str(tmp_path))
    assert refused.returncode == 53
    assert refused.stderr == (
        "error: objdump is not on this machine:\n"
        "PyInstaller, and the interpreter's package, read programs with it.\n"
        "  Get it (apt-get install binutils), and run the same again.\n"
        "  [program-failed]\n"
    )


def test_an_older_python_is_told_which_one_is_needed_before_it_reads_a_line_of_ours() -> None:
    refused = run("-c", OLDER)
    assert refused.returncode == 48
    assert refused.stderr.startswith("error: pack needs Python 3.11 or later, and this is 3.10 (")
    assert "Install Python 3.11" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_packages_that_no_channel_has_are_all_listed_each_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("backend", "launcher"):
        (project / name).symlink_to(ROOT / name)
    for name in ("pyproject.toml", "LICENSE"):
        (project / name).symlink_to(ROOT / name)
    (project / "environment.yml").write_text(
        "name: small\nchannels: [conda-forge]\ndependencies:\n"
        "  - python=3.11\n  - psutill=7.2.2\n  - fastapi=0.138.2\n  - pefft=0.19.1\n"
    )
    channel = write_conda_forge(tmp_path / "forge").as_uri()
    assert main(["lock", "--project", str(project), "--channel", channel]) == 41
    said = capsys.readouterr().err
    assert (
        "No channel has a package named psutill (environment.yml, line 5) or pefft (environment.yml, line 7); " in said
    )
    assert "Check the spelling of psutill, pefft, or name a channel that has it." in said


def test_a_verification_that_fails_names_what_was_found_and_what_was_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = make_bench(tmp_path, packages(version="0.1"))
    place = bench.project / "dist" / Platform.current()
    place.mkdir(parents=True)
    bench.resources.rename(place / "resources")
    (bench.project / "environment.yml").write_bytes((ROOT / "environment.yml").read_bytes())
    built = bench.project / "build" / f"{Platform.current()}-cpu"
    built.mkdir(parents=True)
    (built / "pruned.txt").touch()

    def nothing(_: Workspace, __: Progress) -> None:
        """The acts before it left what is there."""

    verify = pipeline._DEEDS[Act.VERIFY]
    monkeypatch.setattr(pipeline, "_DEEDS", {act: verify if act is Act.VERIFY else nothing for act in Act})
    assert main(["verify", "--project", str(bench.project), "--channel", "local", "--accelerator", "cpu"]) == 54
    said = capsys.readouterr().err
    assert "1 checks of " in said
    assert "all of these at once: version of fastapi: 0.1, promised 0.138.2" in said
    assert "Read verify.json beside the resources; do not ship them." in said
    assert not (place / "release").exists()
