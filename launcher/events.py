"""What the launcher says to whoever started it: one JSON line each, `{"v": 1, "event": …}` (docs/events.md)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from launcher.value import Value

VERSION = 1

StepName = Literal["check", "unpack", "relocate", "record", "verify", "restore", "remove"]
Unit = Literal["bytes", "entries", "steps"]


class Step(Value):
    """Work goes on: `done` of `total`, in `unit`."""

    event: ClassVar[str] = "step"
    name: StepName
    done: int
    total: int
    unit: Unit


class Waiting(Value):
    """Another launcher, process `pid` where known, works on this home; this one waits for it."""

    event: ClassVar[str] = "waiting"
    pid: int | None


class Retrying(Value):
    """The last `count` starts, the last of them process `pid`, ended before the backend listened: all is checked."""

    event: ClassVar[str] = "retrying"
    count: int
    pid: int


class Surveyed(Value):
    """The state found, and the paths of damaged entries."""

    event: ClassVar[str] = "survey"
    state: str
    damaged: list[str]


class Lacking(Value):
    """The paths of all entries that would come from parts of the archive which are missing; `failed` follows."""

    event: ClassVar[str] = "lacking"
    entries: list[str]


class Installed(Value):
    """A receipt was written for the slot."""

    event: ClassVar[str] = "installed"
    slot: str
    runtime: str
    part: Literal["core", "whole"]


class Starting(Value):
    """The backend takes over with this command line."""

    event: ClassVar[str] = "starting"
    argv: list[str]


class Result(Value):
    """The answer of an act; its members, listed below by act, stand beside `act` in the line."""

    event: ClassVar[str] = "result"
    act: str
    answer: dict[str, Any]


class Failed(Value):
    """An error; errors.md lists the codes. `log` is the launcher's log, where there is one."""

    event: ClassVar[str] = "failed"
    code: str
    message: str
    remedy: str
    path: str | None
    log: str | None


Event = Step | Waiting | Retrying | Surveyed | Lacking | Installed | Starting | Result | Failed


def to_dict(event: Event) -> dict[str, Any]:
    """Return the event as its JSON line holds it."""
    fields = event.as_dict()
    if isinstance(event, Result):
        fields |= fields.pop("answer")
    return {"v": VERSION, "event": event.event, **fields}
