"""Secrets that the user trusts this backend with: the hub's token, and those of connectors. Told to nobody."""

from typing import Annotated

from fastapi import Depends, Path
from pydantic import BaseModel, Field, SecretStr

from backend.documents import NAME
from backend.routing import Router
from backend.services import Services, services
from backend.vault import Secrets

router = Router(prefix="/api/secrets")

Parts = Annotated[Services, Depends(services)]
Name = Annotated[str, Path(pattern=f"^{NAME.pattern}$")]


class Secret(BaseModel):
    """A secret to keep."""

    value: SecretStr = Field(min_length=8, max_length=2000)


@router.get("")
async def secrets(parts: Parts) -> Secrets:
    """List the names of secrets, and whether the system's keyring or only this session keeps each."""
    return await parts.vault.list()


@router.put("/{name}")
async def keep(name: Name, secret: Secret, parts: Parts) -> Secrets:
    """Keep a secret; `hub-token` is the hub's."""
    await parts.vault.put(name, secret.value.get_secret_value())
    return await parts.vault.list()


@router.delete("/{name}")
async def forget(name: Name, parts: Parts) -> Secrets:
    """Forget a secret."""
    await parts.vault.delete(name)
    return await parts.vault.list()
