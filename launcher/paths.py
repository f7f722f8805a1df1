"""What an archive may name: paths that stay inside the slot, on the platform it is for."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.platforms import Platform

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: devices, whatever their extension.
_DEVICES = frozenset({"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in "123456789"})


def check_paths(entries: Iterable[tuple[str, bool, str]], platform: Platform) -> str | None:
    """Return why these (path, is folder, link target) must not be written, naming the first offender, else None."""
    folds_case = platform.is_windows or platform.is_macos
    kinds: dict[str, bool] = {}  # folded path → whether other entries may lie below it
    parents: dict[str, str] = {}  # folded path of a folder that an entry lies in → as that entry spells it
    for path, is_folder, target in entries:
        if reason := _unsafe(path, platform) or (target and _leads_out(path, target, platform)):
            return reason
        key = path.casefold() if folds_case else path
        if key in kinds:
            return f"{path!r} comes twice" + (" when case does not count" if folds_case else "")
        kinds[key] = is_folder
        parent = posixpath.dirname(path)
        while parent and (folded := parent.casefold() if folds_case else parent) not in parents:
            parents[folded] = parent
            parent = posixpath.dirname(parent)
    for folded, parent in parents.items():
        if not kinds.get(folded, True):
            return f"{parent!r} is a file or link, and other entries lie below it"
    return None


def _unsafe(path: str, platform: Platform) -> str | None:
    names = path.split("/")
    if not path or any(name in {"", ".", ".."} for name in names):
        return f"{path!r} is not a plain relative path"
    if any(ord(character) < 32 or character in "\\\x7f" for character in path):
        return f"{path!r} holds a control character or a backslash"
    if platform.is_windows:
        for name in names:
            if set(name) & set('<>:"|?*') or name[-1] in " ." or name.split(".")[0].casefold() in _DEVICES:
                return f"{path!r} cannot be written on Windows"
    return None


def _leads_out(path: str, target: str, platform: Platform) -> str | None:
    if platform.is_windows:
        return f"{path!r} is a link, which Windows lets few users make"
    names = target.split("/")
    # `..` behind a name could step out of wherever a link of that name leads: only leading ones are counted.
    climbs = next((number for number, name in enumerate(names) if name != ".."), len(names))
    if target.startswith("/") or "\0" in target or ".." in names[climbs:] or climbs > path.count("/"):
        return f"{path!r} is a link that leads out, to {target!r}"
    return None
