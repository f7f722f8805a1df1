"""The server's log: to stderr for whoever started it, and to a file that support can ask for."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

from backend.redaction import Formatter

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "backend.log"
FILE_BYTES = 2_000_000
OLD_FILES = 3


def log_to(folder: Path) -> Path:
    """Send every log record, without secrets, to stderr and to a rotating file in `folder`; return the file."""
    path = folder / FILE_NAME
    outputs = (
        logging.StreamHandler(sys.stderr),
        RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8"),
    )
    for output in outputs:
        output.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=outputs)
    return path


def log_from(level: str) -> None:
    """Write no record of less weight than `level`, such as WARNING."""
    logging.getLogger().setLevel(level)
