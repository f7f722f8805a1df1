"""The command line: one act at a time, no abbreviations, what follows -- is the backend's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.__main__ import main
from launcher.cli import Act, parse


def test_nothing_means_start() -> None:
    request = parse([], "1.0")
    assert request.act is Act.RUN
    assert (request.resources, request.home, request.backend_arguments) == (None, None, ())


@pytest.mark.parametrize("act", [act for act in Act if act not in {Act.RUN, Act.MOVE_HOME, Act.SUPPORT_REPORT}])
def test_each_act_is_an_option(act: Act) -> None:
    assert parse([f"--{act}"], "1.0").act is act


def test_an_act_that_needs_a_place_is_an_option_with_one() -> None:
    moving, reporting = (parse([f"--{act}", "D:/studio"], "1.0") for act in (Act.MOVE_HOME, Act.SUPPORT_REPORT))
    assert (moving.act, moving.move_to, moving.report_file) == (Act.MOVE_HOME, Path("D:/studio"), None)
    assert (reporting.act, reporting.move_to, reporting.report_file) == (Act.SUPPORT_REPORT, None, Path("D:/studio"))


def test_places_and_conversation() -> None:
    request = parse(["--resources", "r", "--home", "h", "--json", "--quiet", "--traceback", "--until-eof"], "1.0")
    assert (request.resources, request.home) == (Path("r"), Path("h"))
    assert request.as_json
    assert request.quiet
    assert request.traceback
    assert request.until_eof


def test_what_follows_two_dashes_is_the_backends_whatever_it_is() -> None:
    request = parse(["--json", "--", "--port", "8001", "--", "--install"], "1.0")
    assert request.backend_arguments == ("--port", "8001", "--", "--install")
    assert request.act is Act.RUN


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--install", "--repair"], "not allowed with argument"),
        (["--move-home", "there", "--repair"], "not allowed with argument"),
        (["--move-home"], "expected one argument"),
        (["--move-home", ""], "an empty name is no folder"),
        (["--inst"], "unrecognized arguments: --inst"),
        (["--all"], "--all goes with --remove"),
        (["--others", "--status"], "--others goes with --remove"),
        (["--remove", "--all", "--others"], "not allowed with argument"),
        (["--verify", "--", "--port", "1"], "they go with no other act"),
        (["something"], "unrecognized arguments: something"),
    ],
)
def test_mistakes_end_with_status_2_and_say_which(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, {}) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.startswith("usage: peft_engine [OPTIONS]")
    assert not said.out


def test_mistakes_are_an_event_too_where_events_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--inst"], {}) == 2
    said = capsys.readouterr()
    failed = json.loads(said.out)
    assert (failed["event"], failed["code"]) == ("failed", "wrong-command-line")
    assert "unrecognized arguments: --inst" in failed["message"]
    assert "unrecognized arguments: --inst" in said.err
    assert main(["--inst", "--", "--json"], {}) == 2
    assert not capsys.readouterr().out, "what follows -- is the backend's"


def test_help_names_every_act_and_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--help"], "1.0")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(f"--{act}" in text for act in Act if act is not Act.RUN)
    assert "exit status" in text
    options = [line for line in text.partition("examples:")[0].splitlines() if line.startswith(" ")]
    assert all(line.lstrip().startswith("-") for line in options), "one line each, to be read out on the phone"


def test_version_is_the_releases(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--version"], "4.2")
    assert capsys.readouterr().out.startswith("peft_engine 4.2 (Python 3.")
