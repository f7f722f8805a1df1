"""A plugin's own code, in a process of its own: the only one that imports it.

Whatever it does there, raise, leave, print or never return, costs that process and nothing else.
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import TYPE_CHECKING, Any, Protocol

from backend.redaction import hide
from backend.working import CannotWork, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP = "peft_studio.connectors"
REMEDY = "Update or remove this plugin, or report it to its maker."


class Connector(Protocol):
    """What a plugin's entry point names: a class without parameters.

    `secrets` are the names of what it needs to log in, which the user keeps as NAME.SECRET.
    """

    title: str
    description: str
    secrets: tuple[str, ...]

    def check(self, secrets: Mapping[str, str]) -> str:
        """Say in a sentence what was reached; raise whatever says best why nothing was."""


def found(*, folder: str) -> list[dict[str, Any]]:
    """Return the entry points of the runtime's packages, then of those installed in a folder. Imports none.

    A package whose entry points cannot be read is one entry, with its `error`.
    """
    runtime = [entry for one in distributions() for entry in _entries(one, "runtime")]
    return runtime + [entry for one in distributions(path=[folder]) for entry in _entries(one, "folder")]


def described(*, folder: str, name: str, value: str) -> dict[str, Any]:
    """Import a connector and return what it says of itself. Raises CannotWork (plugin-failed)."""
    connector = _load(folder, name, value)
    try:
        return {
            "title": str(connector.title),
            "description": str(connector.description),
            "secrets": [str(secret) for secret in connector.secrets],
        }
    except AttributeError as error:
        raise _failed(name, error) from error


def checked(*, folder: str, name: str, value: str, secrets: dict[str, str]) -> str:
    """Have a connector try what it connects to. Raises CannotWork (plugin-failed)."""
    for secret in secrets.values():
        hide(secret)
    connector = _load(folder, name, value)
    try:
        return str(connector.check(secrets))
    except Exception as error:  # a plugin raises what it likes
        raise _failed(name, error) from error


def _load(folder: str, name: str, value: str) -> Connector:
    sys.path.append(folder)  # last: no plugin stands in for a module of the runtime
    try:
        connector: Connector = EntryPoint(name, value, GROUP).load()()
    except Exception as error:  # a plugin raises what it likes
        raise _failed(name, error) from error
    return connector


def _entries(distribution: Distribution, place: str) -> list[dict[str, Any]]:
    package = str(distribution.metadata["Name"])
    about = {"package": package, "version": str(distribution.version), "place": place}
    try:
        points = [point for point in distribution.entry_points if point.group == GROUP]
    except (TypeError, ValueError) as error:  # lines that are none, bytes that are no text
        return [{"name": package, "value": "", **about, "secrets": [], "error": _failed(package, error).to_dict()}]
    return [{"name": point.name, "value": point.value, **about} for point in points]


def _failed(name: str, error: Exception) -> CannotWork:
    return CannotWork("plugin-failed", f"The plugin {name} failed: {type(error).__name__}: {first_line(error)}", REMEDY)
