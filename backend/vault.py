"""The user's secrets, such as the hub's token: in the system's keyring, or where there is none, in memory alone.

They are never written to a file. The names of those in the keyring are, since a keyring cannot be asked for them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict

from backend.documents import read_object, write_whole
from backend.errors import DocumentUnknown, TaskFailed
from backend.problem import Problem
from backend.redaction import hide
from backend.workers import HUB_TOKEN_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from backend.engine import EngineWatch
    from backend.tasks.process import Tasks

HUB_TOKEN = "hub-token"  # noqa: S105 - the name of a secret
KEYRING_SECONDS = 60.0  # for which a person may look for the keyring's password

log = logging.getLogger(__name__)


class KeptSecret(TypedDict):
    """A secret by its name, and who keeps it: the system's keyring, or this backend until it ends."""

    name: str
    kept_in: Literal["keyring", "session"]


class Secrets(TypedDict):
    """Every secret's name, and why the last one that was put is not in the keyring; null if it is."""

    secrets: list[KeptSecret]
    keyring_problem: Problem | None


class Vault:
    """Keeps secrets by name. `index` is the file of the names that the keyring has."""

    def __init__(self, index: Path, tasks: Tasks, engine: EngineWatch) -> None:
        self._index = index
        self._tasks = tasks
        self._engine = engine
        self._session: dict[str, str] = {}
        self._why_session: Problem | None = None
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Give the hub's token to workers, as soon as there is a runtime that can ask the keyring for it."""
        if HUB_TOKEN not in self._names():
            return
        await self._engine.arrival()
        try:
            self._hand_out(HUB_TOKEN, await self.get(HUB_TOKEN))
        except TaskFailed as error:
            log.warning("%s. %s", error.message, error.remedy)

    async def list(self) -> Secrets:
        """Return the secrets' names and where each is kept, and why one is not in the keyring; no secret."""
        names = await asyncio.to_thread(self._names)
        return {
            "secrets": [
                {"name": name, "kept_in": "session" if name in self._session else "keyring"}
                for name in sorted({*names, *self._session})
            ],
            "keyring_problem": self._why_session,
        }

    async def get(self, name: str) -> str | None:
        """Return a secret, None if there is none of this name. Raises EngineArriving, TaskFailed (no-keyring)."""
        if name in self._session:
            return self._session[name]
        if name not in await asyncio.to_thread(self._names):
            return None
        secret: str | None = await self._tasks.run("keyring", seconds=KEYRING_SECONDS, deed="get", name=name)
        if secret is not None:
            hide(secret)
        return secret

    async def put(self, name: str, secret: str) -> None:
        """Keep a secret in place of the one of this name. Raises EngineArriving."""
        hide(secret)
        async with self._changing:
            try:
                await self._tasks.run("keyring", seconds=KEYRING_SECONDS, deed="set", name=name, value=secret)
            except TaskFailed as error:
                log.warning("%s: %s is kept until this backend ends", error.message, name)
                self._why_session = error.to_dict()
                self._session[name] = secret
            else:
                self._why_session = None
                self._session.pop(name, None)
                await self._keep({*self._names(), name})
        self._hand_out(name, secret)

    async def delete(self, name: str) -> None:
        """Forget a secret. Raises DocumentUnknown, EngineArriving, and TaskFailed if the keyring does not let go."""
        async with self._changing:
            names = await asyncio.to_thread(self._names)
            if name not in names and name not in self._session:
                raise DocumentUnknown("secret", name)
            if name in names:
                await self._tasks.run("keyring", seconds=KEYRING_SECONDS, deed="delete", name=name)
                await self._keep(names - {name})
            self._session.pop(name, None)
        self._hand_out(name, None)

    def _hand_out(self, name: str, secret: str | None) -> None:
        """Put the hub's token where workers that ask the hub find it: in the environment that they are given."""
        if name != HUB_TOKEN:
            return
        if secret is None:
            os.environ.pop(HUB_TOKEN_VARIABLE, None)
        else:
            os.environ[HUB_TOKEN_VARIABLE] = secret

    def _names(self) -> set[str]:
        return set((read_object(self._index) or {}).get("in_keyring", ()))

    async def _keep(self, names: set[str]) -> None:
        await asyncio.to_thread(write_whole, self._index, {"in_keyring": sorted(names)})
