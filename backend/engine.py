"""How much of the runtime is there: the server runs from its core, workers need the whole.

The launcher writes what is read here, below the home that it names in PEFT_STUDIO_HOME_STATE: a receipt for each slot,
and how far it has come. Both belong to another program, so nothing of their shape is taken for granted.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from backend.annotations import DEFAULTS_TOLD
from backend.documents import read_object
from backend.errors import EngineArriving

if TYPE_CHECKING:
    from pathlib import Path

STALLED_SECONDS = 60.0
LOOK_SECONDS = 1.0


class Part(StrEnum):
    """What of the runtime is there."""

    CORE = "core"
    WHOLE = "whole"


class Arrival(StrEnum):
    """Whether the rest is still on its way. `stalled`: there is a problem, or no progress for STALLED_SECONDS."""

    READY = "ready"
    ARRIVING = "arriving"
    STALLED = "stalled"


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why the rest does not come: the launcher's error, as its `failed` event has it."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What is there, and how far the rest has come; None where nobody has said how far, or what is wrong."""

    __pydantic_config__: ClassVar = DEFAULTS_TOLD

    part: Part
    state: Arrival
    done: int | None = None
    total: int | None = None
    unit: str | None = None
    problem: Obstacle | None = None


WHOLE = Engine(part=Part.WHOLE, state=Arrival.READY)


class EngineWatch:
    """Looks at the launcher's files, until they say once that the runtime is whole: that never changes back."""

    def __init__(self, home: Path | None, prefix: Path) -> None:
        self._home = home if home is not None and prefix.is_relative_to(home) else None
        self._receipt = f"{prefix.name}.json"
        self._since = time.time()
        self._engine = WHOLE if self._home is None else None

    def engine(self) -> Engine:
        """Return what is there now. Reads two small files, as long as something is missing."""
        if self._engine is not None:
            return self._engine
        assert self._home is not None
        progress = self._home / "progress.json"
        reported = max(self._since, _modified(progress))
        found = judge(
            read_object(self._home / "receipts" / self._receipt),
            read_object(progress),
            silent_seconds=time.time() - reported,
        )
        if found.part is Part.WHOLE:
            self._engine = found
        return found

    async def arrival(self) -> None:
        """Wait until the runtime is whole."""
        while not self.is_whole():  # noqa: ASYNC110 - the launcher's files do not tell when they change
            await asyncio.sleep(LOOK_SECONDS)

    async def rest(self) -> None:
        """Wait as `arrival` does, as long as the rest is on its way. Raises EngineArriving once it has stalled."""
        while (found := self.engine()).part is not Part.WHOLE:
            if found.state is Arrival.STALLED:
                raise EngineArriving
            await asyncio.sleep(LOOK_SECONDS)

    def is_whole(self) -> bool:
        """Tell whether workers can start."""
        return self.engine().part is Part.WHOLE


def judge(receipt: dict[str, Any] | None, progress: dict[str, Any] | None, *, silent_seconds: float) -> Engine:
    """Return what the launcher's two documents say together; None is one that is missing or unreadable."""
    # Launchers that restore everything before they start us write receipts without a part.
    if receipt is not None and receipt.get("part", Part.WHOLE) == Part.WHOLE:
        return WHOLE
    state = Arrival.ARRIVING if silent_seconds < STALLED_SECONDS else Arrival.STALLED
    problem = None
    match progress:
        case {"problem": {"code": str(code), "message": str(message), "remedy": str(remedy)}}:
            state, problem = Arrival.STALLED, Obstacle(code=code, message=message, remedy=remedy)
    match progress:
        case {"done": int(done), "total": int(total), "unit": str(unit)} if 0 <= done <= total:
            return Engine(part=Part.CORE, state=state, done=done, total=total, unit=unit, problem=problem)
    return Engine(part=Part.CORE, state=state, problem=problem)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # it is not there yet, or not any more
        return 0.0
