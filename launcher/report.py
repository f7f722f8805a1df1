"""What the launcher says: JSON lines for programs; for people the answer on stdout, the conversation on stderr."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from launcher.errors import bytes_text
from launcher.events import Failed, Installed, Lacking, Result, Retrying, Starting, Step, Surveyed, Waiting, to_dict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from launcher.errors import EngineError
    from launcher.events import Event, StepName, Unit

_STEP_SECONDS = 0.1  # no more than ten step events a second
_LOG_LIMIT = 1_000_000  # bytes; then the log becomes launcher.log.1 and a new one begins
_BAR = 24
_DOING: dict[StepName, str] = {
    "check": "Checking",
    "unpack": "Unpacking",
    "relocate": "Adapting to this folder",
    "record": "Making sure it is on disk",
    "verify": "Verifying",
    "restore": "Restoring",
    "remove": "Removing",
}


class Report:
    """Where events go: stdout as JSON or people's eyes, and the log."""

    def __init__(self, *, as_json: bool, quiet: bool, answer: TextIO | None = None, talk: TextIO | None = None) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.log: Path | None = None
        self.answer = answer or sys.stdout
        self.talk = talk or sys.stderr
        self._bar_shown = False

    def say(self, event: Event) -> None:
        """Say an event; all but steps go into the log too."""
        if not isinstance(event, Step):
            self._write_log(to_dict(event))
        if self.as_json:
            print(json.dumps(to_dict(event)), file=self.answer, flush=True)
        elif isinstance(event, Result):
            self._end_bar()
            print(_answer_text(event), file=self.answer, flush=True)
        elif isinstance(event, Failed):
            self._end_bar()
            log = f"\n  log: {event.log}" if event.log else ""
            print(f"error: {event.message}\n  {event.remedy}{log}\n  [{event.code}]", file=self.talk, flush=True)
        elif not self.quiet and (text := _talk_text(event)):
            self._end_bar()
            print(text, file=self.talk, flush=True)

    def fail(self, error: EngineError) -> None:
        """Say an error, after all that it lacks: its message names the first few."""
        if error.needed:
            self.say(Lacking(list(error.needed)))
        log = str(self.log) if self.log is not None else None
        path = str(error.path) if error.path is not None else None
        self.say(Failed(error.code, error.message, error.remedy, path, log))

    def warn(self, text: str) -> None:
        """Say what stops nothing and a person should know."""
        self._write_log({"event": "warning", "message": text})
        if not self.quiet:
            self._end_bar()
            print(f"warning: {text}", file=self.talk, flush=True)

    def step(self, name: StepName, unit: Unit) -> Callable[[int, int], None]:
        """Return what to call as `(done, total)` while the step goes on."""
        began = time.monotonic()
        last = began - _STEP_SECONDS
        finished = False

        def progress(done: int, total: int) -> None:
            nonlocal last, finished
            now = time.monotonic()
            if finished or (done < total and now - last < _STEP_SECONDS):
                return
            last, finished = now, done >= total
            if self.as_json:
                self.say(Step(name, done, total, unit))
            elif not self.quiet:
                self._draw(name, done, total, unit, now - began)

        return progress

    def _draw(self, name: StepName, done: int, total: int, unit: Unit, seconds: float) -> None:
        if not self.talk.isatty():
            if done >= total:
                amount = "done" if unit == "steps" else _amount(total, unit)
                print(f"{_DOING[name]}: {amount} in {seconds:.1f} s", file=self.talk, flush=True)
            return
        share = done / total if total else 1.0
        bar = "█" * round(share * _BAR) + "░" * (_BAR - round(share * _BAR))
        far = "" if unit == "steps" else f"  {_amount(done, unit)} of {_amount(total, unit)}"
        if unit == "bytes" and seconds and done:
            far += f", {bytes_text(round(done / seconds))}/s, {(total - done) * seconds / done:.0f} s left"
        text = f"{_DOING[name]} {bar} {share:4.0%}{far}"
        print(f"\r\x1b[K{text}", end="", file=self.talk, flush=True)
        self._bar_shown = True
        if done >= total:
            self._end_bar()

    def _end_bar(self) -> None:
        if self._bar_shown:
            print(file=self.talk, flush=True)
            self._bar_shown = False

    def _write_log(self, what: dict[str, Any]) -> None:
        if self.log is None:
            return
        line = json.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **what})
        try:
            if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
                self.log.replace(self.log.with_name(self.log.name + ".1"))
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        except OSError:
            # A home that cannot be written has errors of its own to report; a log must not hide them.
            self.log = None


def _amount(count: int, unit: Unit) -> str:
    return bytes_text(count) if unit == "bytes" else f"{count} {unit}"


def _talk_text(event: Event) -> str:
    match event:
        case Waiting(pid):
            return f"Another launcher{f' (process {pid})' if pid else ''} works on this home; waiting for it."
        case Retrying(count, pid):
            times = "The last start" if count == 1 else f"The last {count} starts"
            return f"{times} ended before the engine answered (process {pid}); checking every file."
        case Surveyed(state, damaged):
            return f"Found: {state}" + (f", {len(damaged)} entries to restore" if damaged else "")
        case Installed(slot):
            return f"Installed in {slot}"
        case Starting(argv):
            return f"Starting {argv[0]}"
        case _:
            return ""


def _answer_text(event: Result) -> str:
    width = max(map(len, event.answer), default=0)
    lines = []
    for name, value in event.answer.items():
        if isinstance(value, dict):
            shown = ", ".join(f"{key} {item}" for key, item in value.items()) or "none"
        elif isinstance(value, list):
            shown = "\n".join(f"{'' if number == 0 else ' ' * (width + 2)}{item}" for number, item in enumerate(value))
        else:
            shown = "" if value is None else str(value)
        lines.append(f"{name:<{width}}  {shown or 'none'}")
    return "\n".join(lines)
