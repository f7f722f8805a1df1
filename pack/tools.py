"""What goes into the stub and comes from no package of the build prefix: packages of the Python that builds."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from pack.licenses import license_named

# The bootloader, which every frozen program begins with, and the decompressor that the launcher imports.
TOOLS = ("pyinstaller", "zstandard")


@dataclass(frozen=True)
class Tool:
    """One of them: `texts` are its licence files by their names."""

    name: str
    version: str
    license: str | None
    texts: dict[str, Path]


def tools() -> list[Tool]:
    """Return all of them."""
    return [_tool(name) for name in TOOLS]


def _tool(name: str) -> Tool:
    found = distribution(name)

    def said(field: str) -> list[str]:
        return found.metadata.get_all(field) or []

    # https://peps.python.org/pep-0639/ has the field; where the files lie in the metadata's folder is no matter.
    named = set(said("License-File"))
    texts = {path.name: Path(str(found.locate_file(path))) for path in found.files or () if path.name in named}
    expression, text = (next(iter(said(field)), None) for field in ("License-Expression", "License"))
    return Tool(name, found.version, license_named(expression, text, said("Classifier")), texts)
