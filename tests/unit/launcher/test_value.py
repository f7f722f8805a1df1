"""A value is frozen, and is what its fields are: the same that a frozen dataclass would be."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import pytest

from launcher.value import Value


class Point(Value):
    """Two numbers, and a name that most lack."""

    unit: ClassVar[str] = "cm"
    x: int
    y: int = 0
    name: str | None = None


class Named(Value, kw_only=True):
    """The same fields, each given by its name."""

    x: int
    y: int = 0


class Other(Value):
    """Another class with the fields of Point."""

    x: int
    y: int = 0
    name: str | None = None


@dataclasses.dataclass(frozen=True)
class Model:
    """What Point has to behave as."""

    x: int
    y: int = 0
    name: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedModel:
    """What Named has to behave as."""

    x: int
    y: int = 0


GIVEN: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, 2, "a"), {}),
    ((), {"x": 1}),
    ((1,), {"name": "a"}),
    ((), {}),
    ((1, 2, "a", 4), {}),
    ((1,), {"x": 1}),
    ((), {"x": 1, "z": 1}),
]


def outcome(kind: type, values: tuple[Any, ...], named: dict[str, Any]) -> Any:
    try:
        made = kind(*values, **named)
    except TypeError:
        return TypeError
    return made.as_dict() if isinstance(made, Value) else dataclasses.asdict(made)


@pytest.mark.parametrize(("values", "named"), GIVEN)
@pytest.mark.parametrize(("kind", "model"), [(Point, Model), (Named, NamedModel)], ids=["by place", "by name"])
def test_it_is_made_of_what_a_dataclass_is_made_of(
    kind: type, model: type, values: tuple[Any, ...], named: dict[str, Any]
) -> None:
    assert outcome(kind, values, named) == outcome(model, values, named)


def test_no_field_can_be_changed_or_removed() -> None:
    point = Point(1)
    for name in ("x", "new"):
        with pytest.raises(AttributeError):
            setattr(point, name, 2)
        with pytest.raises(AttributeError):
            delattr(point, name)
    assert point == Point(1)


def test_equal_values_are_of_one_class() -> None:
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(2, 1)
    assert Point(1, 2) != Other(1, 2)
    assert {Point(1, 2), Point(1, 2), Other(1, 2)} == {Other(1, 2), Point(1, 2)}


def test_a_value_but_for_some_fields_is_another() -> None:
    point = Point(1, 2, "a")
    assert point.but(y=3) == Point(1, 3, "a")
    assert point == Point(1, 2, "a")
    with pytest.raises(TypeError):
        point.but(z=1)


def test_patterns_take_it_apart_and_it_says_how_it_was_made() -> None:
    match Point(1, 2):
        case Point(x, y, name):
            assert (x, y, name) == (1, 2, None)
        case _:
            pytest.fail("no pattern of its class takes it")
    assert repr(Named(x=1)) == "Named(x=1, y=0)"
