"""The backend's environment, as a pure function of the parent's.

What a shell, a virtual environment, conda or PyInstaller set for another Python must not reach ours, and nobody
can unset it for the user: JupyterLab Desktop fails where PYTHONHOME is set, PyInstaller's library path breaks the
programs it starts (https://pyinstaller.org/en/stable/common-issues-and-pitfalls.html).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from launcher.variables import expand

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from launcher.home import Home
    from launcher.manifest import Manifest
    from launcher.platforms import Platform
    from launcher.variables import Variable

_FOREIGN_PREFIXES = (
    "PYTHON",
    "CONDA",
    "_CONDA",
    "_CE_",
    "MAMBA",
    "PIXI",
    "VIRTUAL_ENV",
    "PYENV",
    "__PYVENV_LAUNCHER__",
    "UV_",
    "_MEI",
    "_PYI",
)
_LIBRARY_PATHS = frozenset({"LD_LIBRARY_PATH", "LD_LIBRARY_PATH_ORIG", "DYLD_LIBRARY_PATH", "DYLD_LIBRARY_PATH_ORIG",
                            "DYLD_FALLBACK_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "DYLD_FRAMEWORK_PATH"})  # fmt: skip
_OURS = {
    "PYTHONDONTWRITEBYTECODE": "1",  # no entry is written after its receipt
    "PYTHONNOUSERSITE": "1",  # ~/.local belongs to another Python
    "PYTHONSAFEPATH": "1",  # nor does the folder the app was started in hold our modules
    "PYTHONUTF8": "1",  # the same text everywhere, Windows' code pages included
}
# Where a prefix holds programs and, on Windows, the DLLs that they load: the order that conda's activation gives.
_PROGRAMS = ("bin",)
_WINDOWS_PROGRAMS = ("", "Library/mingw-w64/bin", "Library/usr/bin", "Library/bin", "Scripts", "bin")


def clean_environment(
    parent: Mapping[str, str],
    slot: Path,
    platform: Platform,
    variables: Mapping[str, Variable] = MappingProxyType({}),
) -> dict[str, str]:
    """Return the environment for programs of the runtime in `slot`, with the `variables` of its activation."""
    kept = {name: value for name, value in parent.items() if not _foreign(name.upper())}
    programs = _WINDOWS_PROGRAMS if platform.is_windows else _PROGRAMS
    search = [str(slot / folder) for folder in programs]
    # Windows ignores the case of names and mostly spells this one "Path".
    path_name = next((name for name in kept if name.upper() == "PATH"), "PATH")
    if inherited := kept.get(path_name):
        search.append(inherited)
    path = (";" if platform.is_windows else ":").join(search)
    return kept | expand(variables, str(slot), kept) | _OURS | {path_name: path, "CONDA_PREFIX": str(slot)}


def backend_environment(parent: Mapping[str, str], slot: Path, home: Home, manifest: Manifest) -> dict[str, str]:
    """Return the backend's environment: the runtime's, what activation adds, and where the launcher's own state is."""
    return clean_environment(parent, slot, manifest.platform, manifest.environment) | {
        "PEFT_STUDIO_HOME_STATE": str(home.root),
        "PEFT_STUDIO_ATTEMPT": str(home.attempt),
    }


def launcher_environment(parent: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for another launcher: without what PyInstaller's bootloader set for this one."""
    ours = {name: value for name, value in parent.items() if not name.startswith(("_MEI", "_PYI"))}
    for name in _LIBRARY_PATHS & ours.keys():
        del ours[name]
    return ours


def _foreign(name: str) -> bool:
    return name in _LIBRARY_PATHS or name.startswith(_FOREIGN_PREFIXES)
