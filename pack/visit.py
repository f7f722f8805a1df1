"""One visit to the engine, as the app pays it: start it, ask it, close its stdin, see it end.

`python -m pack.visit` reads what to do on stdin and prints the visit on stdout, so that it can be paid from within a
place that has no other network than its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from pack.core import ask, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TOKEN = "visited"  # noqa: S105 -- guards a server that lives for seconds
_SECONDS = 800  # what no visit takes, and less than its own caller waits: only an engine that hangs is killed
_RAISED = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception): .*)$", re.MULTILINE)  # the last line of a traceback
_UP, _GET_FLAGS, _SET_FLAGS = 0x1, 0x8913, 0x8914  # of linux/if.h and linux/sockios.h


@dataclass(frozen=True, slots=True)
class Visit:
    """What was seen: the last event or words, the HTTP status of each route asked, the exit status, what was raised."""

    said: str
    answers: dict[str, int]
    status: int
    raised: list[str]


def visit(command: Sequence[str], environment: Mapping[str, str], *, everywhere: bool) -> Visit:
    """Start the engine, ask for its health, or for every route where `everywhere`, and end it."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            command,
            env={**environment, "PEFT_STUDIO_TOKEN": TOKEN, "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
        ) as engine,
    ):
        assert engine.stdout is not None
        assert engine.stdin is not None
        hung = threading.Timer(_SECONDS, engine.kill)
        hung.start()
        last: dict[str, Any] = {}
        for event in events(engine.stdout):
            last = event
            if event.get("event") in {"listening", "failed"}:
                break
        said, answers = str(last.get("message") or last.get("event") or ""), {}
        try:
            if said == "listening":
                answers["GET /api/health"] = ask(last["port"], "GET", "/api/health", "")[0]
                answers |= walk(last["port"], TOKEN) if everywhere else {}
        except (OSError, HTTPException) as error:
            said = f"listening, and then {type(error).__name__}: {error}"
        engine.stdin.close()
        engine.stdout.read()
        status = engine.wait()
        hung.cancel()
        errors.seek(0)
        talk = errors.read()
    words = said or "".join(talk.strip().splitlines()[-1:]) or "silence"
    return Visit(words, answers, status, list(dict.fromkeys(_RAISED.findall(talk))))


def events(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    """Yield the events among lines of output."""
    for line in lines:
        if line.startswith("{"):
            yield json.loads(line)


def raise_loopback() -> None:
    """Bring up the loopback interface where it is down, as it is in a new network namespace."""
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _GET_FLAGS, asked))
        if not flags & _UP:
            fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


if __name__ == "__main__":
    request = json.load(sys.stdin)
    if request["alone"]:
        raise_loopback()
    print(json.dumps(asdict(visit(request["command"], request["environment"], everywhere=request["everywhere"]))))
