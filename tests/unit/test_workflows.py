"""The workflows: lists of nox sessions, for the builds that noxfile.py names, with no more rights than they need."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
NOXFILE = ast.parse((ROOT / "noxfile.py").read_bytes())
SESSIONS = {node.name for node in NOXFILE.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
BUILDS: dict[str, tuple[str, ...]] = next(
    ast.literal_eval(node.value)
    for node in NOXFILE.body
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BUILDS"
)
TAG = "v" + tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
WORKFLOWS = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}


def jobs(workflow: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(WORKFLOWS[workflow])["jobs"]
    return found


def steps(workflow: str) -> list[dict[str, Any]]:
    return [step for job in jobs(workflow).values() for step in job.get("steps", ())]


def rows(workflow: str, job: str, *keys: str) -> list[tuple[str, ...]]:
    """Return what the matrix of a job holds under these keys."""
    return [tuple(row[key] for key in keys) for row in jobs(workflow)[job]["strategy"]["matrix"]["include"]]


def test_there_is_one_for_each_thing_that_happens() -> None:
    assert WORKFLOWS.keys() == {"checks", "archives", "locks", "release"}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_whatever_it_runs_is_a_session_or_makes_the_runner_fit_for_one(workflow: str) -> None:
    for step in steps(workflow):
        if "run" in step and not step["run"].startswith(("python -m pip install nox==", "sudo ")):
            words = step["run"].removeprefix("nox -s ").partition(" -- ")[0].split()
            assert step["run"].startswith("nox -s ")
            assert {word.strip('"').partition("(")[0] for word in words} <= SESSIONS


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_action_is_named_by_its_whole_digest_and_says_its_version(workflow: str) -> None:
    for line in WORKFLOWS[workflow].splitlines():
        if "uses:" in line and "uses: ./" not in line:
            assert re.search(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_job_has_the_rights_that_it_names_and_no_credentials_left_over(workflow: str) -> None:
    assert yaml.safe_load(WORKFLOWS[workflow])["permissions"] == {}
    for job in jobs(workflow).values():
        writes = {right for right, how in job["permissions"].items() if how == "write"}
        assert writes <= {"contents", "pull-requests"} or writes == {"id-token", "attestations"}
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_locks_are_proposed_though_one_platform_cannot_be_solved() -> None:
    assert jobs("locks")["solve"]["strategy"]["fail-fast"] is False
    assert jobs("locks")["propose"]["if"] == "${{ !cancelled() }}"  # by default: where all succeeded


def test_the_tests_build_from_the_torch_for_which_their_runner_has_room() -> None:
    (tests,) = [step for step in steps("checks") if step.get("run", "").split()[-1:] == ["tests"]]
    assert tests["env"]["PIP_EXTRA_INDEX_URL"] == "https://download.pytorch.org/whl/cpu"


def test_one_action_has_one_digest_everywhere() -> None:
    pinned = {use for text in WORKFLOWS.values() for use in re.findall(r"uses: ([\w.-]+/[\w.-]+@\w+)", text)}
    assert len({use.partition("@")[0] for use in pinned}) == len(pinned)


def test_the_archives_are_those_that_are_released_each_on_a_runner_of_its_own_kind() -> None:
    builds = [(platform, accelerator) for platform, kinds in BUILDS.items() for accelerator in kinds]
    assert rows("archives", "build", "platform", "accelerator") == builds
    assert rows("release", "attest", "platform", "accelerator") == builds
    assert [platform for (platform,) in rows("locks", "solve", "platform")] == list(BUILDS)
    runners = {row[0]: row[1] for row in rows("archives", "build", "platform", "runner")}
    assert {row[0]: row[1] for row in rows("locks", "solve", "platform", "runner")} == runners
    kinds = {"linux-64": "ubuntu", "linux-aarch64": "ubuntu.*-arm", "osx-64": "macos.*-intel", "osx-arm64": "macos"}
    assert all(re.match(kinds.get(platform, "windows"), runner) for platform, runner in runners.items())


def test_an_archive_of_a_release_is_solved_for_by_nobody_and_ends_in_verify() -> None:
    (build,) = [step["run"] for step in steps("archives") if "--accelerator" in step.get("run", "")]
    assert build.startswith('nox -s "release($PLATFORM)" -- --locked ')


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of a repository with a noxfile, gh and python there noting what they are asked for, in `asked`."""
    clone, origin, programs = tmp_path / "clone", tmp_path / "origin", tmp_path / "programs"
    (clone / "pack" / "locks").mkdir(parents=True)
    for name in ("noxfile.py", "pyproject.toml"):
        shutil.copy(ROOT / name, clone)
    programs.mkdir()
    for name in ("gh", "python"):
        (programs / name).write_text(f"#!/bin/sh\necho \"$*\" >> '{tmp_path}/asked'\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    git(tmp_path, "init", "--bare", "--quiet", str(origin))
    git(clone, "init", "--quiet", "--initial-branch", "main")
    git(clone, "remote", "add", "origin", str(origin))
    git(clone, "add", ".")
    git(clone, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "begin")
    return clone


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def run_nox(folder: Path, session: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a session there, with the programs that are there."""
    command = [sys.executable, "-m", "nox", "--no-venv", "--no-install", "--session", session, "--", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def nox(folder: Path, session: str, *words: str) -> list[str]:
    """Run a session there, and return what its programs were asked for."""
    ran = run_nox(folder, session, *words)
    assert ran.returncode == 0, ran.stderr
    asked = folder.parent / "asked"
    return asked.read_text().splitlines() if asked.exists() else []


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for gh")
def test_new_locks_are_proposed_and_old_ones_are_not(clone: Path) -> None:
    assert nox(clone, "propose") == []
    (clone / "pack" / "locks" / "linux-64-cuda.lock").write_text("version: 7\n")
    assert nox(clone, "propose")[-1] == "pr create --fill --head locks"
    assert git(clone, "show", "--name-only", "--format=%an", "origin/locks").split() == [
        "github-actions[bot]", "pack/locks/linux-64-cuda.lock",
    ]  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for gh")
def test_a_release_is_a_draft_of_its_tag_with_every_file(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_REF_NAME", TAG)
    (clone / "dist" / "page").mkdir(parents=True)
    for name in ("engine.tar", "engine.sha256"):
        (clone / "dist" / "page" / name).touch()
    assert nox(clone, "publish") == [
        f"release create {TAG} --draft --verify-tag --title {TAG} dist/page/engine.sha256 dist/page/engine.tar"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for gh")
def test_a_tag_of_another_version_is_no_release(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_REF_NAME", "v99.0")
    (clone / "dist" / "page").mkdir(parents=True)
    refused = run_nox(clone, "publish")
    assert refused.returncode == 1
    assert f"the tag is v99.0, and pyproject.toml has version {TAG[1:]}" in refused.stderr
    assert not (clone.parent / "asked").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for python")
@pytest.mark.parametrize("named", [["--accelerator=cpu"], ["--accelerator", "cpu"]])
def test_a_lock_is_solved_for_the_accelerator_that_is_named_or_for_each(clone: Path, named: list[str]) -> None:
    lock = "-m pack lock --platform linux-64"
    assert nox(clone, "lock(linux-64)", *named) == [f"{lock} {' '.join(named)}"]
    each = [f"{lock} --accelerator {accelerator}" for accelerator in BUILDS["linux-64"]]
    assert nox(clone, "lock(linux-64)")[1:] == each
