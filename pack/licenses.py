"""Licences: which files are one, what a wheel brings, and the folder of all their texts that travels with a runtime.

https://peps.python.org/pep-0639/ says where a wheel keeps them.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pack.tools import Tool

LICENSES_NAME = "licenses"
_WITHOUT_NAME = "packages-without-files.txt"
_TEXT = re.compile(r"(licen[sc]e|copying|notice|authors|copyright|third.?party.?notices)[^/]*$", re.IGNORECASE)
_CODE = (".py", ".pyi", ".pyc")
_METADATA = re.compile(r"[^/]+\.dist-info/(licenses/)?")
_CLASSIFIER = "License :: "


def is_license(path: str) -> bool:
    """Whether a file holds a licence, or names authors, going by its path."""
    return bool(_TEXT.match(path.rpartition("/")[2])) and not path.endswith(_CODE)


def license_files(site: Path) -> dict[str, Path]:
    """Return the licence files of the one wheel laid out in `site`, by their paths in the project it was made from.

    Files of one name in two folders are two: torch brings 74 that are called LICENSE.
    """
    found: dict[str, Path] = {}
    for path in sorted(path for path in site.rglob("*") if path.is_file()):
        inside = path.relative_to(site).as_posix()
        place = _METADATA.match(inside)
        if is_license(inside) or (place and place[1]):
            name = inside[place.end() :] if place else inside
            if name in found and found[name].read_bytes() != path.read_bytes():
                name = f"{site.name}/{inside}"
            found[name] = path
    return found


def license_named(expression: str | None, text: str | None, classifiers: Iterable[str]) -> str | None:
    """Return a wheel's licence in one line: its expression, the first line of its older field, or its classifiers'."""
    if expression:
        return expression
    first = next(iter((text or "").strip().splitlines()), "UNKNOWN")
    if first != "UNKNOWN":  # what setuptools wrote where nobody had said
        return first[:80]  # from before there were expressions: the whole text may stand in that field
    named = sorted(line.rpartition(" :: ")[2] for line in classifiers if line.startswith(_CLASSIFIER))
    return ", ".join(named) or None


def texts_of(record: Mapping[str, Any]) -> Path | None:
    """Return the folder of licence files in a package's cache, None where the package has none."""
    folder = Path(record["link"]["source"]) / "info" / LICENSES_NAME
    return folder if folder.is_dir() else None


def write_licenses(folder: Path, packages: Sequence[Mapping[str, Any]], tools: Sequence[Tool] = ()) -> None:
    """Copy the licence files of each package to `folder/licenses/NAME-VERSION`, and list the packages without any.

    Those of the stub's tools go to `folder/licenses/launcher/NAME-VERSION`.
    """
    place = folder / LICENSES_NAME
    place.mkdir()
    without = []
    for record in packages:
        if texts := texts_of(record):
            shutil.copytree(texts, folder / place_of(record), copy_function=shutil.copyfile)
        else:
            without.append(f"{record['name']} {record['version']}: {record.get('license') or 'it names no licence'}\n")
    for tool in tools:
        (folder / place_of_tool(tool)).mkdir(parents=True)
        for name, path in tool.texts.items():
            shutil.copyfile(path, folder / place_of_tool(tool) / name)
    (place / _WITHOUT_NAME).write_text("".join(without), encoding="utf-8", newline="\n")


def place_of_tool(tool: Tool) -> str:
    """Return where the licence files of one of the stub's tools lie among the resources."""
    return f"{LICENSES_NAME}/launcher/{tool.name}-{tool.version}"


def place_of(record: Mapping[str, Any]) -> str:
    """Return where a package's licence files lie among the resources."""
    return f"{LICENSES_NAME}/{record['name']}-{record['version']}"
