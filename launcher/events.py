"""What the launcher says to whoever started it: one JSON line each, `{"v": 1, "event": …}` (docs/events.md)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

VERSION = 1

StepName = Literal["check", "unpack", "relocate", "record", "verify", "restore", "remove"]
Unit = Literal["bytes", "entries", "steps"]


@dataclass(frozen=True, slots=True)
class Step:
    """Work goes on: `done` of `total`, in `unit`."""

    event: ClassVar[str] = "step"
    name: StepName
    done: int
    total: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another launcher, process `pid` where known, works on this home; this one waits for it."""

    event: ClassVar[str] = "waiting"
    pid: int | None


@dataclass(frozen=True, slots=True)
class Retrying:
    """The last `count` starts, the last of them process `pid`, ended before the backend listened: all is checked."""

    event: ClassVar[str] = "retrying"
    count: int
    pid: int


@dataclass(frozen=True, slots=True)
class Surveyed:
    """The state found, and the paths of damaged entries."""

    event: ClassVar[str] = "survey"
    state: str
    damaged: list[str]


@dataclass(frozen=True, slots=True)
class Installed:
    """A receipt was written for the slot."""

    event: ClassVar[str] = "installed"
    slot: str
    runtime: str
    part: Literal["core", "whole"]


@dataclass(frozen=True, slots=True)
class Starting:
    """The backend takes over with this command line."""

    event: ClassVar[str] = "starting"
    argv: list[str]


@dataclass(frozen=True, slots=True)
class Result:
    """The answer of an act; its members, listed below by act, stand beside `act` in the line."""

    event: ClassVar[str] = "result"
    act: str
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """An error; errors.md lists the codes. `log` is the launcher's log, where there is one."""

    event: ClassVar[str] = "failed"
    code: str
    message: str
    remedy: str
    path: str | None
    log: str | None


Event = Step | Waiting | Retrying | Surveyed | Installed | Starting | Result | Failed


def to_dict(event: Event) -> dict[str, Any]:
    """Return the event as its JSON line holds it."""
    fields = asdict(event)
    if isinstance(event, Result):
        fields |= fields.pop("answer")
    return {"v": VERSION, "event": event.event, **fields}
