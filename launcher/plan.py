"""What was found, and what to do about it: types and one decision, no act."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any

from launcher.value import Value


class DamageKind(StrEnum):
    """How an entry differs from its manifest."""

    MISSING = "missing"
    WRONG_KIND = "wrong-kind"
    WRONG_SIZE = "wrong-size"
    CHANGED = "changed"
    WRONG_MODE = "wrong-mode"
    WRONG_TARGET = "wrong-target"
    UNREADABLE = "unreadable"


class Damage(Value):
    """One damaged entry."""

    path: str
    kind: DamageKind


class Missing(Value):
    """Nothing of the runtime is there."""


class Partial(Value):
    """A slot without a receipt: an install that did not end. `damage` lists what is not there yet."""

    damage: tuple[Damage, ...] = ()


class Core(Value):
    """The core is there and has its receipt; `damage` lists what is outstanding of the rest, as far as was looked."""

    damage: tuple[Damage, ...] = ()


class Moved(Value):
    """The slot was relocated for `recorded`, and lies elsewhere now."""

    recorded: str
    damage: tuple[Damage, ...] = ()


class Damaged(Value):
    """The slot has a receipt, and entries differ from it."""

    damage: tuple[Damage, ...]


class Ready(Value):
    """The slot holds what was asked for, as far as was looked."""


State = Missing | Partial | Core | Moved | Damaged | Ready


def damage_of(state: State) -> tuple[Damage, ...]:
    """Return the damage that was found, as far as was looked."""
    return () if isinstance(state, Missing | Ready) else state.damage


def name_of(state: State) -> str:
    """Return the state's name as events spell it."""
    return type(state).__name__.lower()


def findings_of(state: State) -> dict[str, Any]:
    """Return what a survey has found, as answers and reports tell it: the state's name and its damage by kind."""
    damage = damage_of(state)
    by_kind = Counter(str(found.kind) for found in damage)
    return {"found": name_of(state), "damaged": len(damage), "byKind": dict(by_kind)}


class Launch(Value):
    """The runtime is whole: nothing to do but start."""


class Install(Value):
    """Restore every entry, relocate, record."""


class Restore(Value):
    """Restore these entries; `relocate` says that conda-unpack has to run again, over pristine relocated entries."""

    paths: frozenset[str]
    relocate: bool


class Complete(Value):
    """Add these entries behind a core that is sound: nothing that a backend may use is touched."""

    paths: frozenset[str]


Plan = Launch | Install | Restore | Complete


def decide(state: State, relocated: frozenset[str]) -> Plan:
    """Return what makes the runtime whole; `relocated` names the entries that conda-unpack rewrites.

    conda-unpack replaces a placeholder that is gone after it ran, so it runs over pristine entries only: where it
    has to run again, all of them are restored first.
    """
    match state:
        case Ready():
            return Launch()
        case Missing():
            return Install()
        case Core(damage):
            return Complete(frozenset(found.path for found in damage))
        case Partial(damage):
            return Restore(frozenset(found.path for found in damage), relocate=True)
        case Moved(_, damage):
            return Restore(frozenset(found.path for found in damage) | relocated, relocate=True)
        case Damaged(damage):
            paths = frozenset(found.path for found in damage)
            touched = bool(paths & relocated)
            return Restore(paths | relocated if touched else paths, relocate=touched)
