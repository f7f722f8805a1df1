"""`python -m pack` as people and scripts meet it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pack.__main__ as program
from launcher.events import VERSION, Failed
from launcher.platforms import Platform
from pack.cli import parse
from pack.errors import ProgramFailed
from pack.parts import PART_SIZE
from pack.pipeline import RUNNERS, Act
from pack.spec import Accelerator
from pack.workspace import CONDA_FORGE
from pack.write import LEVEL, RELEASE_LEVEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from pack.progress import Progress
    from pack.workspace import Workspace

ROOT = Path(__file__).parents[3]
OTHER = next(platform for platform in Platform if platform is not Platform.current())


def pack(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pack", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_help_names_each_act_and_each_exit_status() -> None:
    said = pack("--help")
    assert said.returncode == 0
    assert not said.stderr
    for act in Act:
        assert f"\n  {act} " in said.stdout
    for status in ("0 done", "2 a wrong command line", "40-59", "74", "130", "70"):
        assert status in said.stdout


def test_the_defaults_are_a_release_for_this_machine() -> None:
    request = parse(["verify"])
    assert (request.act, request.platform, request.channel) == (Act.VERIFY, Platform.current(), CONDA_FORGE)
    assert (request.accelerator, request.locked, request.as_json) == (None, False, False)
    assert (request.level, request.part_size) == (LEVEL, PART_SIZE)
    assert request.project.is_absolute()


def test_a_release_is_packed_smaller_unless_a_level_is_named() -> None:
    assert parse(["release"]).level == RELEASE_LEVEL > LEVEL
    assert parse(["release", "--level", "3"]).level == 3


def test_every_option_is_understood() -> None:
    request = parse([
        "stage", "--platform", OTHER, "--accelerator", "cpu", "--channel", "https://host/forge", "--locked", "--level",
        "19", "--part-size", "1000", "--project", "/somewhere", "--json", "--traceback",
    ])  # fmt: skip
    assert (request.act, request.platform, request.accelerator) == (Act.STAGE, OTHER, Accelerator.CPU)
    assert (request.channel, request.locked, request.level, request.part_size) == ("https://host/forge", True, 19, 1000)
    assert (request.project, request.as_json, request.traceback) == (Path("/somewhere"), True, True)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "act"),
        (["bake"], "'bake'"),
        (["archive", "--platform", "amiga"], "'amiga'"),
        (["archive", "--level", "0"], "from 1 to 19, found 0"),
        (["archive", "--level", "20"], "from 1 to 19, found 20"),
        (["archive", "--part-size", "0"], "found 0"),
        (["archive", "--part-size", "much"], "found much"),
        (["archive", "--lock"], "--lock"),  # no abbreviations: a script's would break with the next option
    ],
)
def test_a_mistake_is_named_and_ends_as_argparse_does(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert named in capsys.readouterr().err


def test_a_platform_that_cannot_be_built_here_says_where_it_can() -> None:
    refused = pack("archive", "--platform", OTHER, "--json")
    assert refused.returncode == 55
    assert RUNNERS[OTHER] in refused.stderr
    assert "[platform-not-buildable]" in refused.stderr
    failed = json.loads(refused.stdout)
    assert failed.keys() == {"v", "event", *Failed.fields}
    assert (failed["v"], failed["event"]) == (VERSION, "failed")
    assert failed["code"] == "platform-not-buildable"
    assert RUNNERS[OTHER] in failed["remedy"]


def test_a_project_without_a_spec_is_an_error_of_ours(tmp_path: Path) -> None:
    refused = pack("lock", "--project", str(tmp_path))
    assert refused.returncode == 40
    assert "[spec-invalid]" in refused.stderr
    assert "Traceback" not in refused.stderr


def failing(error: BaseException) -> Callable[..., None]:
    def run(*_: object) -> None:
        raise error

    return run


def test_an_error_prints_message_remedy_and_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ProgramFailed("PyInstaller", 3, "it is written here")
    monkeypatch.setattr(program, "run", failing(error))
    assert program.main(["stub", "--project", str(ROOT)]) == error.exit_status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"error: {error.message}\n  {error.remedy}\n  [program-failed]\n"


def test_a_traceback_is_shown_to_who_asks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(program, "run", failing(ProgramFailed("PyInstaller", 3, "")))
    program.main(["stub", "--project", str(ROOT), "--traceback"])
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message", "remedy"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "/a/b: No space left on device", "Free some room"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device", "Free some room"),
        (PermissionError(errno.EACCES, "Permission denied", b"/a/b"), "/a/b: Permission denied", "See to it that"),
        (shutil.Error([("a", "b", "cannot be copied")]), "[('a', 'b', 'cannot be copied')]", "See to it that"),
    ],
)
def test_what_the_system_refuses_is_no_bug(
    error: OSError, message: str, remedy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "run", failing(error))
    assert program.main(["stub", "--project", str(ROOT), "--json"]) == 74
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {message}\n  {remedy}")
    assert said.err.endswith("  [system-refused]\n")
    assert json.loads(said.out)["code"] == "system-refused"


def test_an_environment_yml_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").mkdir()
    refused = pack("lock", "--project", str(tmp_path))
    assert refused.returncode == 74
    assert refused.stderr.startswith(f"error: {tmp_path / 'environment.yml'}: ")
    assert "Traceback" not in refused.stderr


def test_a_project_without_a_pyproject_toml_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text(
        "name: small\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n  - pytorch=2.13.0=cpu*\n"
    )
    refused = pack("lock", "--project", str(tmp_path))
    assert refused.returncode == 40
    assert refused.stderr.startswith("error: pyproject.toml: there is no such file\n")


def test_an_interruption_is_no_error_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "run", failing(KeyboardInterrupt()))
    assert program.main(["stub", "--project", str(ROOT)]) == 130
    assert "What was finished is used again" in capsys.readouterr().err


def test_each_act_that_is_done_is_told_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: Workspace, __: Act, progress: Progress, done: Callable[[Act], None]) -> None:
        for act in (Act.CHANNEL, Act.LOCK):
            progress(act, 1, 1)
            done(act)

    monkeypatch.setattr(program, "run", run)
    assert program.main(["lock", "--project", str(ROOT), "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(event["v"], event["event"], event["act"]) for event in told] == [
        (VERSION, "done", "channel"), (VERSION, "done", "lock"),
    ]  # fmt: skip
    assert all(isinstance(event["seconds"], float) and event["path"] for event in told)
    assert program.main(["lock", "--project", str(ROOT)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["channel", "lock"]


def test_what_was_left_out_of_an_archive_is_told_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(workspace: Workspace, act: Act, _: Progress, done: Callable[[Act], None]) -> None:
        workspace.pruned.parent.mkdir(parents=True)
        workspace.pruned.write_text("1.0 MB 1 files  tests\n")
        done(act)

    shutil.copy(ROOT / "environment.yml", tmp_path)
    monkeypatch.setattr(program, "run", run)
    assert program.main(["archive", "--project", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("1.0 MB 1 files  tests\narchive ")


VERIFIED = """
import pack.__main__ as program
from pack.pipeline import Act
program.run = lambda workspace, act, progress, done: done(Act.VERIFY)
program.run_program()
"""


def test_a_console_that_lacks_a_sign_is_told_all_the_same(tmp_path: Path) -> None:
    report = tmp_path / "dist" / Platform.current() / "verify.txt"
    report.parent.mkdir(parents=True)
    report.write_text("a path with spaces, é and 日本\n", encoding="utf-8")
    shutil.copy(ROOT / "environment.yml", tmp_path)
    command = [sys.executable, "-c", VERIFIED, "verify", "--project", str(tmp_path)]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
    assert run.returncode == 0, run.stderr
    assert "a path with spaces, é and \\u65e5\\u672c".encode("cp1252") in run.stdout


def test_what_nobody_foresaw_shows_its_place_and_has_a_status_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "run", failing(ZeroDivisionError("unforeseen")))
    monkeypatch.setattr(sys, "argv", ["pack", "stub", "--project", str(ROOT)])
    with pytest.raises(SystemExit) as caught:
        program.run_program()
    assert caught.value.code == 70
    assert "ZeroDivisionError: unforeseen" in capsys.readouterr().err
