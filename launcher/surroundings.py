"""What a person should know before an installation: a driver that is missing, a folder that others reach into."""

from __future__ import annotations

from errno import ENOTSUP
from typing import TYPE_CHECKING

from launcher.errors import HomeNotWritable
from launcher.preflight import numbers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path, PurePath

    from launcher.manifest import Manifest
    from launcher.platforms import Platform

# Names that such services give the folders they copy; what may follow is a user's or a company's name.
_SERVICES = {
    "onedrive": "OneDrive",
    "dropbox": "Dropbox",
    "google drive": "Google Drive",
    "googledrive": "Google Drive",
    "iclouddrive": "iCloud Drive",
    "icloud drive": "iCloud Drive",
    "mobile documents": "iCloud Drive",
}
_ONEDRIVE_VARIABLES = ("OneDrive", "OneDriveConsumer", "OneDriveCommercial")
_FAT = {"vfat", "msdos", "fat", "fat32", "exfat"}


def find_warnings(manifest: Manifest, home: Path, platform: Platform, environment: Mapping[str, str]) -> list[str]:
    """Return what a person should know of this computer and of the folder `home`, each as a sentence or two."""
    from launcher.host import cuda_driver, file_system

    need = manifest.floor.cuda_driver
    found = [
        driver_warning(need, cuda_driver()) if need is not None else None,
        cloud_warning(home, synced_by(home, platform, environment)),
        fat_warning(home, file_system(home)),
    ]
    return [warning for warning in found if warning is not None]


def driver_warning(need: str, found: str | None) -> str | None:
    """Say that the GPU cannot be used with the driver `found`, "" where it does not tell its version, None for none."""
    if found is None:
        return f"No NVIDIA driver is installed: the engine will use the processor. For an NVIDIA GPU install {need}."
    if found and numbers(found) < numbers(need):
        return f"The NVIDIA driver is {found}, and the GPU needs {need} or newer: the engine will use the processor."
    return None


def synced_by(folder: PurePath, platform: Platform, environment: Mapping[str, str]) -> str | None:
    """Return which service copies `folder` to the cloud, as far as its path and the environment tell."""
    if platform.is_windows:
        roots = [environment[name] for name in _ONEDRIVE_VARIABLES if environment.get(name)]
        if any(folder.is_relative_to(platform.path_type(root)) for root in roots):
            return "OneDrive"
    for name in folder.parts:
        for start, service in _SERVICES.items():
            rest = name.casefold().removeprefix(start)
            if rest != name.casefold() and (not rest or rest[0] in " -("):
                return service
    return None


def cloud_warning(home: Path, service: str | None) -> str | None:
    """Say that a service reaches into the home."""
    if service is None:
        return None
    return (
        f"{home} lies in a folder that {service} copies: it would upload the whole engine, and may take files away to "
        "save room. Choose another folder with --home."
    )


def fat_warning(home: Path, file_system: str | None) -> str | None:
    """Say that the home's file system keeps too little."""
    if file_system is None or file_system.casefold() not in _FAT:
        return None
    return (
        f"{home} lies on a disk with the file system {file_system}, which loses more than others when it is pulled "
        "out, and may take no file over 4 GB. Choose another folder with --home."
    )


def check_file_system(home: Path, file_system: str | None, platform: Platform) -> None:
    """Raise HomeNotWritable where the file system keeps no links and modes, and the runtime has some."""
    if not platform.is_windows and file_system is not None and file_system.casefold() in _FAT:
        raise HomeNotWritable(home, f"its file system, {file_system}, keeps neither links nor modes", ENOTSUP)
