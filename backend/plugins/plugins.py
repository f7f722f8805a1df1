"""The connectors that there are, each with what it says of itself or with why it cannot be used."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NotRequired, cast

from typing_extensions import TypedDict

from backend.errors import DocumentUnknown, TaskFailed
from backend.problem import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from backend.tasks.process import Tasks
    from backend.vault import Vault

LOAD_SECONDS = 10.0
CHECK_SECONDS = 60.0  # a service far away may take its time
AT_ONCE = 2


class Plugin(TypedDict):
    """A connector: the package that brings it, and where that is; `secrets` are the names of those that it needs.

    One with an `error` cannot be used, and may have no title and no description.
    """

    name: str
    value: str
    package: str
    version: str
    place: Literal["runtime", "folder"]
    title: NotRequired[str]
    description: NotRequired[str]
    secrets: list[str]
    error: Problem | None


class Plugins:
    """Looks once, and again when asked to; keeps what it saw."""

    def __init__(self, folder: Path, tasks: Tasks, vault: Vault) -> None:
        self.folder = folder
        self._tasks = tasks
        self._vault = vault
        self._looking = asyncio.Lock()
        self._seen: list[Plugin] | None = None

    async def all(self, *, again: bool) -> list[Plugin]:
        """Return every connector, with its `error` or None. Raises EngineArriving; TaskFailed of the search itself."""
        async with self._looking:
            if again or self._seen is None:
                self._seen = await self._look()
            return self._seen

    async def check(self, name: str) -> str:
        """Return what a connector says it reached. Raises DocumentUnknown, TaskFailed."""
        for one in await self.all(again=False):
            if one["name"] == name and one["error"] is None:
                secrets = {secret: await self._vault.get(f"{name}.{secret}") for secret in one["secrets"]}
                given = {secret: value for secret, value in secrets.items() if value is not None}
                answer = await self._run("check-connector", CHECK_SECONDS, name=name, value=one["value"], secrets=given)
                return str(answer)
        raise DocumentUnknown("plugin", name)

    async def _look(self) -> list[Plugin]:
        free = asyncio.Semaphore(AT_ONCE)

        async def described(entry: dict[str, Any]) -> Plugin:
            if "error" in entry:
                return cast("Plugin", entry)
            try:
                async with free:
                    said = await self._run("describe-connector", LOAD_SECONDS, name=entry["name"], value=entry["value"])
            except TaskFailed as error:
                said = {"secrets": [], "error": error.to_dict()}
            return cast("Plugin", {**entry, "error": None, **said})

        entries = await self._run("find-connectors", LOAD_SECONDS)
        return list(await asyncio.gather(*map(described, entries)))

    async def _run(self, task: str, seconds: float, **arguments: Any) -> Any:
        return await self._tasks.run(task, seconds=seconds, folder=str(self.folder), **arguments)
