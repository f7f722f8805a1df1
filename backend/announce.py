"""What stdout says to whoever started the backend: events for programs, sentences for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from backend.errors import StartError

SCHEMA = 1


def listening(host: str, port: int, *, pid: int, version: str, as_json: bool) -> None:
    """Say that the backend answers now, and where."""
    if as_json:
        _event("listening", host=host, port=port, pid=pid, version=version)
    else:
        print(f"PEFT Studio's backend answers at http://{_literal(host)}:{port} (Ctrl-C stops it)", flush=True)


def failed(error: StartError, *, log: Path | None, as_json: bool) -> None:
    """Say why the backend did not start, and what to do about it."""
    if as_json:
        _event(
            "failed",
            code=error.code,
            message=error.message,
            remedy=error.remedy,
            path=str(error.path) if error.path else None,
            log=str(log) if log else None,
        )
    else:
        print(f"error: {error.message}\n{error.remedy}", file=sys.stderr, flush=True)


def _event(name: str, **facts: object) -> None:
    print(json.dumps({"v": SCHEMA, "event": name, **facts}), flush=True)


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host
