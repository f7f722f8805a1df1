"""What went wrong lately, for the app's log view and for support: the warnings and errors of the log, as documents."""

from __future__ import annotations

import json
import logging
import platform
import threading
import traceback
import zipfile
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import psutil
from typing_extensions import TypedDict

from backend.clock import Time, now
from backend.documents import write_whole
from backend.redaction import redact, redacted, without_secrets

if TYPE_CHECKING:
    from pathlib import Path

Severity = Literal["low", "medium", "high", "critical"]

KEPT = 500
SEVERITY: dict[int, Severity] = {logging.WARNING: "medium", logging.ERROR: "high", logging.CRITICAL: "critical"}


class SystemState(TypedDict):
    """How the machine was: shares in per cent."""

    platform: str
    cpu_usage_percent: float
    memory_usage_percent: float


class Entry(TypedDict):
    """A record of the log, without secrets; `stack_trace` is empty where nothing was raised."""

    timestamp: Time
    error_message: str
    stack_trace: str
    error_type: str
    severity: Severity
    system_state: SystemState


class BySeverity(TypedDict):
    """How many entries there are of each severity."""

    low: int
    medium: int
    high: int
    critical: int


class Stats(TypedDict):
    """How many entries there are."""

    total_logs: int
    by_severity: BySeverity


class Journal(logging.Handler):
    """Keeps the last KEPT records of WARNING and worse; with debug mode on, every one."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._guard = threading.Lock()

    @property
    def debug(self) -> bool:
        """Whether everything is logged."""
        return logging.getLogger("backend").level == logging.DEBUG

    @debug.setter
    def debug(self, on: bool) -> None:
        logging.getLogger("backend").setLevel(logging.DEBUG if on else logging.NOTSET)
        self.setLevel(logging.DEBUG if on else logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, with how the machine was."""
        kind, stack = record.name, ""
        if record.exc_info and record.exc_info[0] is not None:
            kind = record.exc_info[0].__name__
            stack = "".join(traceback.format_exception(*record.exc_info))
        entry: Entry = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "error_message": without_secrets(record.getMessage()),
            "stack_trace": without_secrets(stack),
            "error_type": kind,
            "severity": SEVERITY.get(record.levelno, "low"),
            "system_state": {
                "platform": platform.system(),
                "cpu_usage_percent": psutil.cpu_percent(),
                "memory_usage_percent": psutil.virtual_memory().percent,
            },
        }
        with self._guard:
            self._entries.append(entry)

    def entries(self, severity: str | None = None, kind: str | None = None, limit: int = KEPT) -> list[Entry]:
        """Return the entries that match, the newest first."""
        with self._guard:
            found = [
                entry
                for entry in reversed(self._entries)
                if severity in (None, entry["severity"]) and kind in (None, entry["error_type"])
            ]
        return found[:limit]

    def stats(self) -> Stats:
        """Return how many entries there are of each severity."""
        entries = self.entries()
        counts: BySeverity = {"low": 0, "medium": 0, "high": 0, "critical": 0}
        for entry in entries:
            counts[entry["severity"]] += 1
        return {"total_logs": len(entries), "by_severity": counts}

    def clear(self) -> None:
        """Forget every entry. The log file stays."""
        with self._guard:
            self._entries.clear()


def export(journal: Journal, folder: Path) -> tuple[Path, int]:
    """Write the entries, redacted, to a file in `folder`; return it, and how many they are."""
    entries = journal.entries()
    path = folder / f"log-{_stamp()}.json"
    write_whole(path, redacted(entries))
    return path, len(entries)


def diagnose(journal: Journal, log_dir: Path, folder: Path, facts: dict[str, Any]) -> tuple[str, int]:
    """Write a zip for support to `folder`: facts, entries and the log, redacted; return its id and its errors."""
    report_id = f"report-{_stamp()}"
    folder.mkdir(parents=True, exist_ok=True)
    entries = journal.entries()
    with zipfile.ZipFile(folder / f"{report_id}.zip", "w", zipfile.ZIP_DEFLATED) as report:
        report.writestr("system.json", json.dumps(redacted({"created_at": now(), **facts}), indent=2))
        report.writestr("errors.json", json.dumps(redacted(entries), indent=2))
        for path in sorted(log_dir.glob("backend.log*")):
            report.writestr(path.name, redact(path.read_text(encoding="utf-8", errors="replace")))
    return report_id, len(entries)


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
