"""Downloads of models from the hub."""

import asyncio
from contextlib import suppress
from typing import Annotated

from fastapi import Depends, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from backend.models.downloads import Download
from backend.models.names import HUB_ID
from backend.routes.deleted import Deleted
from backend.routing import Router
from backend.services import Services, services

router = Router()

Parts = Annotated[Services, Depends(services)]
REVISION = r"^[A-Za-z0-9_][\w.-]{0,99}$"


class Wanted(BaseModel):
    """What to fetch. `pickle`: its weights as pickles too, if it has none as safetensors."""

    model_id: str = Field(pattern=HUB_ID)
    revision: str = Field(default="main", pattern=REVISION)
    pickle: bool = False


class Downloads(TypedDict):
    """Every download, the last started first."""

    downloads: list[Download]


@router.post("/api/models/download")
async def download(wanted: Wanted, parts: Parts) -> Download:
    """Begin to fetch a model; answer when it is known how much there is to fetch, or why it cannot be."""
    return await parts.downloads.start(wanted.model_id, wanted.revision, pickle=wanted.pickle)


@router.get("/api/models/downloads")
async def downloads(parts: Parts) -> Downloads:
    """List downloads, the last started first: bytes, rate in bytes a second, seconds left, file by file."""
    return {"downloads": await parts.downloads.all()}


@router.get("/api/models/downloads/{download_id}")
async def look(download_id: str, parts: Parts) -> Download:
    """Return one download."""
    return await parts.downloads.get(download_id)


@router.post("/api/models/downloads/{download_id}/cancel")
async def cancel(download_id: str, parts: Parts) -> Download:
    """End a download; what has arrived is kept."""
    return await parts.downloads.cancel(download_id)


@router.post("/api/models/downloads/{download_id}/resume")
async def resume(download_id: str, parts: Parts) -> Download:
    """Go on with a download where it ended."""
    return await parts.downloads.resume(download_id)


@router.delete("/api/models/downloads/{download_id}")
async def forget(download_id: str, parts: Parts) -> Deleted:
    """Forget a download. The model stays."""
    await parts.downloads.delete(download_id)
    return {"id": download_id, "status": "deleted"}


@router.websocket("/ws/downloads")
async def listen(socket: WebSocket, parts: Parts) -> None:
    """Tell how every download is, and whenever one has moved on."""
    await socket.accept()
    with suppress(WebSocketDisconnect), parts.downloads.follow() as arriving:
        for record in await parts.downloads.all():
            await socket.send_json({"type": "download", "data": record})
        receiving = asyncio.create_task(_until_gone(socket))
        try:
            while not receiving.done():
                moved = asyncio.create_task(arriving.get())
                await asyncio.wait({moved, receiving}, return_when=asyncio.FIRST_COMPLETED)
                if moved.done():
                    await socket.send_json({"type": "download", "data": moved.result()})
                else:
                    moved.cancel()
        finally:
            receiving.cancel()


async def _until_gone(socket: WebSocket) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
