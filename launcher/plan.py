"""What was found, and what to do about it: types and one decision, no act."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DamageKind(StrEnum):
    """How an entry differs from its manifest."""

    MISSING = "missing"
    WRONG_KIND = "wrong-kind"
    WRONG_SIZE = "wrong-size"
    CHANGED = "changed"
    WRONG_MODE = "wrong-mode"
    WRONG_TARGET = "wrong-target"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Damage:
    """One damaged entry."""

    path: str
    kind: DamageKind


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing of the runtime is there."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A slot without a receipt: an install that did not end. `damage` lists what is not there yet."""

    damage: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class Core:
    """The core is there and has its receipt; `damage` lists what is outstanding of the rest, as far as was looked."""

    damage: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """The slot was relocated for `recorded`, and lies elsewhere now."""

    recorded: str
    damage: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class Damaged:
    """The slot has a receipt, and entries differ from it."""

    damage: tuple[Damage, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """The slot holds what was asked for, as far as was looked."""


State = Missing | Partial | Core | Moved | Damaged | Ready


def damage_of(state: State) -> tuple[Damage, ...]:
    """Return the damage that was found, as far as was looked."""
    return () if isinstance(state, Missing | Ready) else state.damage


def name_of(state: State) -> str:
    """Return the state's name as events spell it."""
    return type(state).__name__.lower()


@dataclass(frozen=True, slots=True)
class Launch:
    """The runtime is whole: nothing to do but start."""


@dataclass(frozen=True, slots=True)
class Install:
    """Restore every entry, relocate, record."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Restore these entries; `relocate` says that conda-unpack has to run again, over pristine relocated entries."""

    paths: frozenset[str]
    relocate: bool


@dataclass(frozen=True, slots=True)
class Complete:
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
