"""Take secrets and the user's name out of texts, before they reach a log or leave this machine."""

from __future__ import annotations

import io
import logging
import re
from pathlib import Path
from typing import Any

from backend.settings import user_folder

# What gives access: an authorization header's value, a hub token, whatever is called a token, key or password.
# A hub token starts a word: task-failed holds none.
SECRET = re.compile(
    r"(?i)(bearer\s+|(?<![a-z\d])(?:hf_|sk-)|(?:token|password|secret|api[_-]?key)\W{1,3})[\w.~+/=-]{6,}"
)
HIDDEN = "[redacted]"

_known: set[str] = set()


def hide(secret: str) -> None:
    """Have a secret taken out of every text from now on, whatever it looks like."""
    _known.add(secret)


def without_secrets(text: str) -> str:
    """Return a text without known secrets, and without what looks like one."""
    for secret in _known:
        text = text.replace(secret, HIDDEN)
    return SECRET.sub(rf"\1{HIDDEN}", text)


def redact(text: str) -> str:
    """Return a text without secrets and without the user's name in paths."""
    return without_secrets(text.replace(str(user_folder(Path("~"))), "~"))


def redacted(document: Any) -> Any:
    """Return a document with each of its texts redacted."""
    if isinstance(document, str):
        return redact(document)
    if isinstance(document, list):
        return [redacted(item) for item in document]
    if isinstance(document, dict):
        return {name: redacted(item) for name, item in document.items()}
    return document


class Formatter(logging.Formatter):
    """Writes log records without secrets, tracebacks and all."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        return without_secrets(super().format(record))


class Output(io.TextIOWrapper):
    """A text stream, a line at a time, that lets no secret through that is written in one piece."""

    def __init__(self, descriptor: int) -> None:
        binary = open(descriptor, "wb", closefd=False)  # noqa: SIM115 - a descriptor; the wrapper flushes it
        super().__init__(binary, encoding="utf-8", errors="backslashreplace", line_buffering=True)

    def write(self, text: str) -> int:
        """Write; return how long the text was."""
        super().write(without_secrets(text))
        return len(text)
