"""A root folder that holds glibc's own libraries and no Python at all: what a program may find on a user's machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# glibc's own (https://sourceware.org/glibc), and nothing that comes with a compiler or an interpreter.
GLIBC = ("libc", "libm", "libdl", "libpthread", "librt", "libutil", "libresolv", "libnss_files", "libnss_dns")
LOADER = Path("/lib64/ld-linux-x86-64.so.2")


def make_root(root: Path) -> Path:
    """Fill the empty folder `root`."""
    libraries = root / "lib" / "x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    found = Path("/lib/x86_64-linux-gnu")
    for name in GLIBC:
        for path in found.glob(f"{name}.so.[0-9]*"):
            shutil.copy(path, libraries)
    (root / "lib64").mkdir()
    shutil.copy(LOADER, root / LOADER.relative_to("/"))
    for folder in ("proc", "dev", "tmp"):
        (root / folder).mkdir()
    return root


def inside(root: Path) -> list[str]:
    """Return the words before a command that has to run with `root` as its whole world, /proc and /dev included.

    The mounts live in a namespace of the command's own, and end with it.
    """
    become_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    enter = 'mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'
    return [
        "/usr/bin/unshare",
        *become_root,
        "--mount",
        "/bin/sh",
        "-c",
        f"PATH=/usr/sbin:/usr/bin:/sbin:/bin; {enter}",
        str(root),
    ]
