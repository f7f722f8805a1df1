"""Tell the app what is worth a notification: of one job, or under `all` of everything."""

import asyncio
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Depends, WebSocket, WebSocketDisconnect

from backend import notifications
from backend.background import in_background
from backend.errors import RequestError
from backend.preferences import read
from backend.routing import Router
from backend.services import Services, services

router = Router()

EVERYTHING = "all"
CLOSE_UNKNOWN = 4404


@router.websocket("/ws/notifications/{job_id}")
async def listen(socket: WebSocket, job_id: str, parts: Annotated[Services, Depends(services)]) -> None:
    """Tell how a job ends; `all`: how any job and download ends, and that the engine has arrived."""
    if job_id != EVERYTHING:
        try:
            await parts.queue.job(job_id)
        except RequestError:
            # Before it is accepted: the app asks again every few seconds, for ever.
            await socket.close(CLOSE_UNKNOWN)
            return
    arrives = not parts.engine.is_whole()  # before a client can know that it is heard, and make it so
    await socket.accept()
    tellers = [in_background(_tell_of_jobs(socket, job_id, parts), "telling of jobs")]
    if job_id == EVERYTHING:
        tellers += [in_background(_tell_of_downloads(socket, parts), "telling of downloads")]
        if arrives:
            tellers += [in_background(_tell_of_engine(socket, parts), "telling of the engine")]
    try:
        with suppress(WebSocketDisconnect):
            while True:
                await socket.receive_text()
    finally:
        for teller in tellers:
            teller.cancel()


async def _tell_of_jobs(socket: WebSocket, job_id: str, parts: Services) -> None:
    with parts.queue.listeners.watch() as changing:
        while True:
            job = await changing.get()
            if job_id in (EVERYTHING, job.id):
                await _send(socket, parts, notifications.of_job(job))


async def _tell_of_downloads(socket: WebSocket, parts: Services) -> None:
    with parts.downloads.follow() as arriving:
        while True:
            await _send(socket, parts, notifications.of_download(await arriving.get()))


async def _tell_of_engine(socket: WebSocket, parts: Services) -> None:
    await parts.engine.arrival()
    await _send(socket, parts, notifications.ENGINE_ARRIVED)


async def _send(socket: WebSocket, parts: Services, notification: dict[str, Any] | None) -> None:
    """Send what the user wants to hear of, to whoever still listens."""
    wanted = (await asyncio.to_thread(read, parts.folders.settings)).notifications
    if notification is None or not notifications.is_wanted(notification, wanted):
        return
    with suppress(WebSocketDisconnect):  # the receiving side hears of it too, and ends the conversation
        await socket.send_json(notifications.frame(notification | {"sound": wanted.soundEnabled}))
