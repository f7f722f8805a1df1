"""Variables that conda's activation would set for a runtime: recorded when it is packed, set when it is started."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from launcher.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.document import Node

PREFIX = "{prefix}"  # stands for the slot's path in a value


class Variable(Value):
    """A value, with PREFIX in the place of the runtime's; `unless_set` leaves it to the user who has one already."""

    value: str
    unless_set: bool

    def to_dict(self) -> dict[str, Any]:
        """Return what `read_variables` reads."""
        return {"value": self.value, "unlessSet": self.unless_set}


def read_variables(node: Node) -> Mapping[str, Variable]:
    """Read variables by name; raise DocumentError for what no environment can hold."""
    found = {}
    for name, member in node.members():
        variable = Variable(member.child("value").text(), member.child("unlessSet").truth())
        if not name or set(name) & set("=\0") or "\0" in variable.value:
            raise member.refuse("no environment can hold a variable of this name or value")
        found[name] = variable
    return MappingProxyType(found)


def expand(variables: Mapping[str, Variable], slot: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the values for the runtime in `slot`, but for those that are `given` and left to the user."""
    return {
        name: variable.value.replace(PREFIX, slot)
        for name, variable in variables.items()
        if not (variable.unless_set and given.get(name))
    }
