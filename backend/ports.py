"""Claim a port before anything slow happens, so that a taken one is known at once."""

from __future__ import annotations

import errno
import socket
import sys
from typing import TYPE_CHECKING

from backend.errors import AddressNotAvailable, PortsTaken

if TYPE_CHECKING:
    from collections.abc import Sequence

STAND_INS = range(8001, 8011)
BACKLOG = 2048
# Windows says "access denied" of a port that another program holds exclusively.
TAKEN = frozenset({errno.EADDRINUSE, getattr(errno, "WSAEACCES", errno.EADDRINUSE)})


def candidates(port: int) -> list[int]:
    """Return the ports to try, in order: the one asked for, then its stand-ins (none for 0: any port)."""
    return [port] if port == 0 else [port, *(other for other in STAND_INS if other != port)]


def listen_first_free(host: str, port: int) -> socket.socket:
    """Return a socket that already listens; until the server runs, clients wait in its backlog.

    Raises PortsTaken, or AddressNotAvailable where the trouble is not another program.
    """
    ports = candidates(port)
    for candidate in ports:
        try:
            return _listen(host, candidate)
        except OSError as error:
            if error.errno not in TAKEN:
                raise AddressNotAvailable(host, candidate, error.strerror or str(error)) from error
    raise PortsTaken(ports, _holders(ports))


def _listen(host: str, port: int) -> socket.socket:
    (family, _, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Only of a socket that is TCP by name does asyncio switch Nagle's algorithm off, which costs each answer 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # Without it another program could take over a port that is in use.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # A port that only waits for its old connections to fade is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _holders(ports: Sequence[int]) -> list[str]:
    """Name who listens at the ports, as far as this user may know."""
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS tells this to root only
        return []
    pids = {
        connection.laddr.port: connection.pid
        for connection in connections
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port in ports
    }
    return [f"{port} by {_name(pid)}" for port, pid in sorted(pids.items())]


def _name(pid: int | None) -> str:
    import psutil

    if pid is None:
        return "another user's program"
    try:
        return f"{psutil.Process(pid).name()} (PID {pid})"
    except psutil.Error:  # it ended, or is not ours to look at
        return f"PID {pid}"
