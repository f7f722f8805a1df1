"""Frozen values of named fields, as `@dataclass(frozen=True)` makes them, at no cost to a start.

A dataclass writes its methods as text and compiles it whenever its module is imported, 0.4 ms for each class, and
draws in `inspect`: together a third of what a later start took until it became the backend (docs/decisions/0018).
Here the methods are written once, for all classes. What exists by the ten thousand is a NamedTuple: made faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, dataclass_transform

if TYPE_CHECKING:
    from typing import Self


@dataclass_transform(frozen_default=True)
class Value:
    """A value whose fields are what its class annotates, in that order, with the defaults that stand there.

    Annotations are text here: a module of values begins with `from __future__ import annotations`.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    by_place: ClassVar[tuple[str, ...]] = ()
    """Those of the fields that need no name."""

    def __init_subclass__(cls, *, kw_only: bool = False) -> None:
        """Take note of the fields; where they are `kw_only`, each is given by its name."""
        cls.fields = tuple(name for name, kind in cls.__annotations__.items() if not kind.startswith("ClassVar"))
        cls.by_place = () if kw_only else cls.fields
        setattr(cls, "__match_args__", cls.by_place)  # noqa: B010 -- mypy has its own, by the decorator

    def __init__(self, *values: object, **named: object) -> None:
        """Set the fields; raise TypeError as a function with these parameters would."""
        given = dict(zip(self.by_place, values, strict=False))
        if len(values) > len(self.by_place) or given.keys() & named.keys() or named.keys() - set(self.fields):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.fields)}, not {values} and {named}")
        self.__dict__.update(given, **named)
        if missing := [name for name in self.fields if not hasattr(self, name)]:
            raise TypeError(f"{type(self).__name__} lacks {', '.join(missing)}")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by their names, in order."""
        return {name: getattr(self, name) for name in self.fields}

    def but(self, **changes: object) -> Self:
        """Return a value that is the same but for some fields."""
        return type(self)(**(self.as_dict() | changes))

    def __setattr__(self, name: str, _: object) -> NoReturn:
        """Refuse: a value stays what it is."""
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        """Refuse: a value stays what it is."""
        raise AttributeError(f"{type(self).__name__}.{name} cannot be removed")

    def __eq__(self, other: object) -> bool:
        """Whether the other is of the same class, with equal fields."""
        return isinstance(other, Value) and type(other) is type(self) and other.as_dict() == self.as_dict()

    def __hash__(self) -> int:
        """Return the same for equal values."""
        return hash((type(self), *self.as_dict().values()))

    def __repr__(self) -> str:
        """Return how this value could be made."""
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items())})"
