"""What an archive may name: paths that stay inside the slot, on the platform it is for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.platforms import Platform

# Control characters, and the surrogates that Python reads where a name's bytes are no UTF-8.
_NO_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: devices, whatever their extension.
_PORTS = frozenset(f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³")
_DEVICES = _PORTS | {"con", "prn", "aux", "nul", "conin$", "conout$"}


def check_paths(entries: Iterable[tuple[str, bool, str]], platform: Platform) -> str | None:
    """Return why these (path, is folder, link target) must not be written, naming the first offender, else None."""
    kinds: dict[str, bool] = {}  # folded path → whether other entries may lie below it
    parents: dict[str, None] = {}  # folders that entries lie in, as those spell them, in order
    for path, is_folder, target in entries:
        if reason := _unsafe(path, platform) or (target and _leads_out(path, target, platform)):
            return reason
        key = _folded(path, platform)
        if key in kinds:
            return f"{path!r} comes twice, as {platform} tells names apart"
        kinds[key] = is_folder
        parent = path.rpartition("/")[0]
        while parent and parent not in parents:
            parents[parent] = None
            parent = parent.rpartition("/")[0]
    for parent in parents:
        if not kinds.get(_folded(parent, platform), True):
            return f"{parent!r} is a file or link, and other entries lie below it"
    return None


def is_text(path: str) -> bool:
    """Whether a text file can name the path, in one line."""
    # The first is the quicker by far, and holds for nearly all names; some spaces and marks are text all the same.
    return path.isprintable() or not _NO_TEXT.search(path)


def _folded(path: str, platform: Platform) -> str:
    """Return what two spellings have in common where the platform's file system takes them for one name."""
    if platform.is_macos:
        import unicodedata

        return unicodedata.normalize("NFC", path).casefold()
    return path.casefold() if platform.is_windows else path


def _unsafe(path: str, platform: Platform) -> str | None:
    names = f"/{path}/"
    if "//" in names or "/./" in names or "/../" in names:
        return f"{path!r} is not a plain relative path"
    if "\\" in path or not is_text(path):
        return f"{path!r} holds a backslash or what is no text"
    if platform.is_windows:
        for name in path.split("/"):
            device = name.split(".")[0].rstrip().casefold()
            if set(name) & set('<>:"|?*') or name[-1] in " ." or device in _DEVICES:
                return f"{path!r} cannot be written on Windows"
    return None


def _leads_out(path: str, target: str, platform: Platform) -> str | None:
    if platform.is_windows:
        return f"{path!r} is a link, which Windows lets few users make"
    names = target.split("/")
    # `..` behind a name could step out of wherever a link of that name leads: only leading ones are counted.
    climbs = next((number for number, name in enumerate(names) if name != ".."), len(names))
    if target.startswith("/") or not is_text(target) or ".." in names[climbs:] or climbs > path.count("/"):
        return f"{path!r} is a link that leads out, to {target!r}"
    return None
