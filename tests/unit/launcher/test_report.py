"""What people see and what programs read: answers on stdout, the conversation on stderr, everything in the log."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from launcher.errors import Busy
from launcher.events import Installed, Result, Retrying, Starting, Surveyed, Waiting
from launcher.report import Report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def report(
    *, as_json: bool = False, quiet: bool = False, talk: io.StringIO | None = None
) -> tuple[Report, io.StringIO, io.StringIO]:
    answer, conversation = io.StringIO(), talk or io.StringIO()
    return Report(as_json=as_json, quiet=quiet, answer=answer, talk=conversation), answer, conversation


def test_json_goes_to_stdout_one_object_a_line_and_nothing_else_anywhere() -> None:
    made, answer, talk = report(as_json=True)
    made.say(Waiting(7))
    made.fail(Busy(Path("/home/rt/x"), 8))
    lines = [json.loads(line) for line in answer.getvalue().splitlines()]
    assert lines[0] == {"v": 1, "event": "waiting", "pid": 7}
    assert (lines[1]["event"], lines[1]["code"], lines[1]["path"]) == ("failed", "busy", "/home/rt/x")
    assert not talk.getvalue()


def test_people_get_answers_on_stdout_and_the_conversation_on_stderr() -> None:
    made, answer, talk = report()
    made.say(Result("status", {"state": "ready", "packages": {"python": "3.11"}, "otherSlots": []}))
    made.say(Surveyed("damaged", ["a", "b"]))
    assert answer.getvalue() == "state       ready\npackages    python 3.11\notherSlots  none\n"
    assert talk.getvalue() == "Found: damaged, 2 entries to restore\n"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Waiting(7), "Another launcher (process 7) works on this home; waiting for it."),
        (Waiting(None), "Another launcher works on this home; waiting for it."),
        (Retrying(1, 7), "The last start ended before the engine answered (process 7); checking every file."),
        (Retrying(2, 7), "The last 2 starts ended before the engine answered (process 7); checking every file."),
        (Installed("/slot", "0" * 64, "whole"), "Installed in /slot"),
        (Starting(["/slot/bin/python"]), "Starting /slot/bin/python"),
    ],
)
def test_events_are_sentences_to_people(event: Waiting, words: str) -> None:
    made, _, talk = report()
    made.say(event)
    assert talk.getvalue() == words + "\n"


def test_quiet_leaves_answers_and_errors() -> None:
    made, answer, talk = report(quiet=True)
    made.say(Starting(["python"]))
    made.step("unpack", "bytes")(5, 10)
    assert not talk.getvalue()
    made.say(Result("install", {"slot": "/slot"}))
    made.fail(Busy(Path("/slot"), None))
    assert answer.getvalue() == "slot  /slot\n"
    assert talk.getvalue() == (
        "error: The engine is running (another process) and uses the files that would be changed.\n"
        "  Quit PEFT Studio, then try again.\n  [busy]\n"
    )


class Clock:
    """A clock that goes on as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


def test_steps_come_no_more_than_ten_times_a_second_and_the_last_one_always(clock: Clock) -> None:
    made, answer, _ = report(as_json=True)
    progress = made.step("verify", "bytes")
    for done in range(300):
        progress(done, 300)
        clock.now += 1 / 128
    progress(300, 300)
    shown = [json.loads(line)["done"] for line in answer.getvalue().splitlines()]
    # Every 13th of these is the first to come a tenth of a second after another.
    assert shown == [*range(0, 300, 13), 300]


def test_a_bar_tells_the_rate_and_the_time_left(clock: Clock) -> None:
    made, _, talk = report(talk=Terminal())
    progress = made.step("unpack", "bytes")
    clock.now += 4
    progress(500_000_000, 2_000_000_000)
    assert talk.getvalue().endswith("500.0 MB of 2.00 GB, 125.0 MB/s, 12 s left")


def test_a_step_is_complete_once() -> None:
    made, answer, _ = report(as_json=True)
    progress = made.step("unpack", "bytes")
    progress(10, 10)
    progress(10, 10)
    assert len(answer.getvalue().splitlines()) == 1


def test_a_terminal_gets_a_bar_and_a_pipe_one_line_when_it_is_done() -> None:
    made, _, talk = report(talk=Terminal())
    made.step("unpack", "bytes")(500_000_000, 2_000_000_000)
    assert "Unpacking ██████░░░░░░░░░░░░░░░░░░  25%  500.0 MB of 2.00 GB" in talk.getvalue()
    made, _, talk = report()
    progress = made.step("unpack", "bytes")
    progress(1, 2_000_000)
    assert not talk.getvalue()
    progress(2_000_000, 2_000_000)
    assert talk.getvalue().startswith("Unpacking: 2.0 MB in ")


def test_what_has_no_amount_is_done_or_not() -> None:
    made, _, talk = report()
    made.step("relocate", "steps")(1, 1)
    assert talk.getvalue().startswith("Adapting to this folder: done in ")
    made, _, talk = report(talk=Terminal())
    made.step("relocate", "steps")(0, 1)
    assert talk.getvalue().endswith("   0%")


def test_the_log_holds_all_but_steps_and_begins_anew_when_it_is_long(tmp_path: Path) -> None:
    made, _, _ = report(quiet=True)
    made.log = tmp_path / "launcher.log"
    made.say(Waiting(7))
    made.step("unpack", "bytes")(1, 2)
    (line,) = made.log.read_text().splitlines()
    assert json.loads(line).keys() == {"at", "v", "event", "pid"}
    made.log.write_text("x" * 1_000_001)
    made.say(Waiting(8))
    assert len(made.log.read_text().splitlines()) == 1
    assert (tmp_path / "launcher.log.1").stat().st_size == 1_000_001


def test_a_log_that_cannot_be_written_hides_no_error(tmp_path: Path) -> None:
    made, _, talk = report()
    made.log = tmp_path / "missing" / "launcher.log"
    made.fail(Busy(Path("/slot"), 7))
    assert "[busy]" in talk.getvalue()
