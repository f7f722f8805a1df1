"""A plain start becomes the backend: the same process, an environment of its own, nothing read that is not needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.builders.launching import ask, command, running, wait_for
from tests.builders.runtime import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders.installed import Packed

FOREIGN = {
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "PYTHONSTARTUP": "/nowhere/startup.py",
    "PYTHONUTF8": "0",
    "PYTHONDEVMODE": "",
    "CONDA_PREFIX": "/opt/conda",
    "CONDA_DEFAULT_ENV": "base",
    "_CE_CONDA": "1",
    "VIRTUAL_ENV": "/some/venv",
    "LD_LIBRARY_PATH": "/nowhere/lib",
    "LD_LIBRARY_PATH_ORIG": "/nowhere/lib",
    "_MEIPASS2": "/tmp/_MEI123",
    "_PYI_APPLICATION_HOME_DIR": "/tmp/_MEI123",
}


def test_the_first_start_installs_and_becomes_the_backend_under_the_same_pid(packed: Packed, home: Path) -> None:
    with running(packed.resources, home) as launcher:
        listening = wait_for(launcher, "listening")
        assert listening["pid"] == launcher.pid
        assert listening["config"] == f"root = {packed.slot(home)}/share\n"
        assert launcher.stdin is not None
        launcher.stdin.close()
        assert launcher.wait(60) == 0


def test_whoever_ends_the_launcher_ends_the_backend(packed: Packed, installed: Path) -> None:
    with running(packed.resources, installed) as launcher:
        wait_for(launcher, "listening")
        launcher.terminate()
        assert launcher.wait(60) == -15


def test_a_later_start_reads_neither_the_archive_nor_its_index(packed: Packed, installed: Path, tmp_path: Path) -> None:
    alone = tmp_path / "nothing but the manifest"
    alone.mkdir()
    shutil.copy(packed.resources / "manifest.json", alone)
    answer = ask(alone, installed)
    assert answer.status == 0
    assert [event["event"] for event in answer.events] == ["starting", "listening", "ended"]


def test_an_interpreter_that_may_not_be_run_is_mended_first(packed: Packed, installed: Path) -> None:
    (packed.slot(installed) / "bin/python3.11").chmod(0o644)
    answer = ask(packed.resources, installed)
    assert answer.states == ["damaged"]
    assert answer.last("listening")


def test_a_later_start_imports_nothing_that_only_an_install_needs(packed: Packed, installed: Path) -> None:
    log = subprocess.run(
        command(packed.resources, installed),
        cwd=ROOT,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    # The backend's own environment has no PYTHON* left: what is listed here was imported by the launcher.
    imported = {line.rpartition("|")[2].strip() for line in log.stderr.splitlines() if line.startswith("import time:")}
    assert "launcher.start" in imported
    assert not imported & {"zstandard", "hashlib", "_hashlib", "tarfile", "subprocess", "ctypes", "concurrent.futures",
                           "launcher.restore", "launcher.relocate", "socket", "ssl", "dataclasses",
                           "inspect", "platform"}  # fmt: skip


def test_what_the_parent_set_for_another_python_has_no_effect(packed: Packed, installed: Path) -> None:
    plain = ask(packed.resources, installed).last("listening")
    # The launcher is itself a Python here, started with -I to get through; frozen it ignores these variables.
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from launcher.__main__ import run; run()"
    run = subprocess.run(
        [sys.executable, "-I", "-c", script, *command(packed.resources, installed)[-5:]],
        env={**os.environ, **FOREIGN, "KEPT": "yes"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    listening = json.loads(run.stdout.splitlines()[-2])
    assert listening["path"] == plain["path"]
    assert listening["environment"]["KEPT"] == "yes"
    for name, value in FOREIGN.items():
        assert listening["environment"].get(name) != value
    assert listening["environment"]["CONDA_PREFIX"] == str(packed.slot(installed))


def test_the_backend_gets_its_arguments_and_the_folder_for_the_users_work(packed: Packed, installed: Path) -> None:
    default = ask(packed.resources, installed, "--", "--port", "8001").last("listening")["argv"]
    assert default == ["--data-dir", str(installed / "data"), "--json", "--port", "8001"]
    chosen = ask(packed.resources, installed, "--", "--data-dir=/elsewhere").last("listening")["argv"]
    assert chosen == ["--json", "--data-dir=/elsewhere"]


def test_until_eof_is_handed_on(packed: Packed, installed: Path) -> None:
    with running(packed.resources, installed, "--until-eof") as launcher:
        assert "--until-eof" in wait_for(launcher, "listening")["argv"]


@pytest.mark.parametrize("arguments", [[], ["--until-eof"]])
def test_the_backend_reads_all_of_standard_input(arguments: list[str], packed: Packed, home: Path) -> None:
    with running(packed.resources, home, *arguments) as launcher:
        assert launcher.stdin is not None
        launcher.stdin.write("written before it was installed")
        launcher.stdin.flush()
        wait_for(launcher, "listening")
        launcher.stdin.close()
        assert wait_for(launcher, "ended")["read"] == "written before it was installed"


def test_a_missing_interpreter_is_restored_by_a_plain_start(packed: Packed, installed: Path) -> None:
    (packed.slot(installed) / "bin/python3.11").unlink()
    answer = ask(packed.resources, installed)
    assert answer.status == 0
    assert answer.states == ["damaged"]


def test_a_program_that_the_system_refuses_to_start_is_named(packed: Packed, installed: Path) -> None:
    (packed.slot(installed) / "bin/python3.11").write_bytes(b"of another kind of computer")
    answer = ask(packed.resources, installed)
    assert answer.code == "blocked-by-system"
    assert "bin/python: Exec format error" in answer.last("failed")["message"]


class TestABackendThatEndsBeforeItListens:
    def test_makes_the_next_start_look_at_every_entry(self, packed: Packed, installed: Path) -> None:
        self.die(packed, installed)
        answer = ask(packed.resources, installed)
        assert answer.last("retrying")["count"] == 1
        assert answer.states == ["ready"]
        assert answer.last("listening")

    def test_has_its_damage_mended_by_the_next_start(self, packed: Packed, installed: Path) -> None:
        module = packed.slot(installed) / "lib/python3.11/site-packages/backend/__main__.py"
        module.unlink()
        assert ask(packed.resources, installed).status == 1
        answer = ask(packed.resources, installed)
        assert answer.last("survey")["damaged"] == [module.relative_to(packed.slot(installed)).as_posix()]
        assert answer.last("listening")
        assert not (installed / "attempt.json").exists()

    def test_three_times_without_damage_is_given_up_and_then_tried_anew(self, packed: Packed, installed: Path) -> None:
        for count in range(3):
            answer = self.die(packed, installed)
            assert [event["count"] for event in answer if event["event"] == "retrying"] == ([count] if count else [])
        refused = ask(packed.resources, installed)
        assert refused.code == "backend-not-started"
        assert "3 times in a row" in refused.last("failed")["message"]
        assert ask(packed.resources, installed).last("listening")

    def test_is_forgotten_once_a_start_goes_well(self, packed: Packed, installed: Path) -> None:
        self.die(packed, installed)
        ask(packed.resources, installed)
        assert "retrying" not in {event["event"] for event in ask(packed.resources, installed).events}

    def test_is_no_concern_while_another_backend_runs(self, packed: Packed, installed: Path) -> None:
        with running(packed.resources, installed) as other:
            wait_for(other, "listening")
            self.die(packed, installed)
            answer = ask(packed.resources, installed)
            assert [event["event"] for event in answer.events] == ["starting", "listening", "ended"]

    def test_is_forgotten_by_a_repair(self, packed: Packed, installed: Path) -> None:
        self.die(packed, installed)
        assert ask(packed.resources, installed, "--repair").status == 0
        assert not (installed / "attempt.json").exists()

    @pytest.mark.parametrize("note", ["", "{}", "[" * 100_000, '{"runtime": 1}'])
    def test_leaves_a_note_that_counts_for_nothing_when_it_cannot_be_read(
        self, note: str, packed: Packed, installed: Path
    ) -> None:
        (installed / "attempt.json").write_text(note)
        assert [event["event"] for event in ask(packed.resources, installed).events] == [
            "starting",
            "listening",
            "ended",
        ]

    def die(self, packed: Packed, home: Path) -> list[dict[str, object]]:
        answer = ask(packed.resources, home, environment={"DIE_BEFORE_LISTENING": "1"})
        assert answer.status == 1
        assert "no module named 'torch'" in answer.talk
        return answer.events


def test_a_moved_home_is_relocated_by_a_plain_start(packed: Packed, installed: Path, tmp_path: Path) -> None:
    moved = installed.rename(tmp_path / "moved")
    answer = ask(packed.resources, moved)
    assert answer.states == ["moved"]
    assert answer.last("listening")["config"] == f"root = {packed.slot(moved)}/share\n"
    assert ask(packed.resources, moved, "--verify").status == 0


def test_a_copied_home_is_relocated_and_its_original_left_alone(
    packed: Packed, installed: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(installed, tmp_path / "copied", symlinks=True)
    assert ask(packed.resources, copied).last("listening")["config"] == f"root = {packed.slot(copied)}/share\n"
    assert ask(packed.resources, installed, "--verify").status == 0


def test_a_home_reached_through_a_link_has_not_moved(packed: Packed, installed: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(installed)
    assert [event["event"] for event in ask(packed.resources, link).events] == ["starting", "listening", "ended"]
