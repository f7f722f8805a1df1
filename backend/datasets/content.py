"""What a file is by its content, where that is certain and its name says something else."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOOKED_AT_BYTES = 64 * 1024
BINARY = (
    (b"PAR1", "it is a parquet file", "Rename it to .parquet, and upload it."),
    (b"PK\x03\x04", "it is a zip archive, as spreadsheets are", "Save it as CSV, or unpack it first."),
    (b"\x1f\x8b", "it is packed by gzip", "Unpack it first."),
)
ARRAY_OF_OBJECTS = re.compile(rb'\s*\[\s*\{\s*"')


def misnamed(path: Path) -> tuple[str, str] | None:
    """Return what a file is and what to do about its name; None if that may be right.

    A .txt holds whatever text is to be learnt as it stands, JSON as well.
    """
    with path.open("rb") as file:
        start = file.read(LOOKED_AT_BYTES).removeprefix(BOM_UTF8)
    for magic, reason, remedy in BINARY:
        if start.startswith(magic):
            return reason, remedy
    suffix = path.suffix.lower()
    if suffix in {".csv", ".jsonl"} and ARRAY_OF_OBJECTS.match(start):
        return "it is an array of JSON objects", "Rename it to .json."
    if suffix == ".csv" and _is_object(start.partition(b"\n")[0]):
        return "it has a JSON object on its first line", "Rename it to .jsonl."
    return None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
