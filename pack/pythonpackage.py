"""The conda package `python`, made from a Python that is installed on this machine.

It holds what our runtime needs of CPython: interpreter, standard library, headers (torch.compile builds against
them) and every shared library beyond glibc. It runs from any folder, on any system with a glibc new enough, with
nothing else on the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.platforms import Platform
from pack import elf
from pack.condapackage import CondaPackage, write_package
from pack.errors import InterpreterUnsupported
from pack.interpreter import Interpreter, Layout, describe, sources

if TYPE_CHECKING:
    from collections.abc import Mapping

REVISION = 4
"""Raised when the same interpreter becomes a different package."""

PLACEHOLDER = ("/opt/peft-studio-placeholder" + "_placeholder" * 20)[:255]
"""What stands in text files for the interpreter's own folder: of the greatest length that conda can replace."""

# Wheels look for these beside themselves only, and no system has to have them: the interpreter brings them along.
CXX_LIBRARIES = ("libstdc++.so.6", "libgcc_s.so.1")


def write_python(python: Path, *, channel: Path, platform: Platform, minor: str, scratch: Path) -> tuple[Path, bool]:
    """Write the package of the interpreter `python` into `channel` unless it is there; return it and whether it is new.

    Raises InterpreterUnsupported: for another platform than linux-64, another minor version than `minor`, and a
    layout that we do not know.
    """
    if platform is not Platform.LINUX_64 or Platform.current() is not platform:
        raise InterpreterUnsupported(f"only linux-64's can be packed, on linux-64, and not {platform}'s", python)
    interpreter = describe(python)
    if interpreter.minor != minor:
        raise InterpreterUnsupported(f"it is Python {interpreter.version}; environment.yml asks for {minor}", python)
    scratch.mkdir(parents=True, exist_ok=True)
    libraries = needed_libraries(interpreter, scratch)
    build = f"h{_fingerprint(interpreter, libraries)[:7]}_0_cpython"
    present = channel / platform / f"python-{interpreter.version}-{build}.conda"
    if present.exists():
        return present, False
    files = scratch / "python"
    stage(interpreter, libraries, files)
    package = CondaPackage(
        name="python",
        version=interpreter.version,
        build=build,
        subdir=platform,
        depends=(f"__glibc >={elf.least_glibc(elf.elf_files(files))}",),
        license="PSF-2.0",
        summary="The Python interpreter, with the shared libraries it needs",
        homepage="https://www.python.org",
        source={"layout": interpreter.layout},
    )
    licenses = {path.name: path for path in (files / "share" / "licenses" / "python").iterdir()}
    return write_package(package, files=files, channel=channel, license_files=licenses, placeholder=PLACEHOLDER), True


def needed_libraries(interpreter: Interpreter, scratch: Path) -> dict[str, Path]:
    """Return the shared libraries beyond glibc that the interpreter and its extension modules need, by their names.

    The loader says where they are: for the C++ libraries, of a copy of the program in `scratch` that needs them too.
    Raises InterpreterUnsupported where it does not find one.
    """
    extensions = [source for source, place in sources(interpreter) if "/lib-dynload/" in place]
    needed, missing = elf.libraries(interpreter.executable, *extensions)
    program = scratch / "with-cxx"
    shutil.copy(interpreter.executable, program)
    elf.add_needed(program, CXX_LIBRARIES)
    with_cxx, _ = elf.libraries(program)
    needed |= {name: with_cxx[name] for name in CXX_LIBRARIES if name in with_cxx}
    missing |= set(CXX_LIBRARIES) - set(needed)
    if missing:
        raise InterpreterUnsupported(f"{', '.join(sorted(missing))} cannot be found", interpreter.executable)
    return needed


def stage(interpreter: Interpreter, libraries: Mapping[str, Path], prefix: Path) -> None:
    """Lay the interpreter out under `prefix` with the shared libraries it needs, at home in any folder."""
    _copy_text_and_extensions(interpreter, prefix)
    elf.add_needed(prefix / "bin" / f"python{interpreter.minor}", CXX_LIBRARIES)
    _copy_libraries(interpreter, libraries, prefix)
    _make_relative(prefix)
    _remove_paths(interpreter, prefix)


def _fingerprint(interpreter: Interpreter, libraries: Mapping[str, Path]) -> str:
    """Return a digest of all that the package is made from."""
    digest = hashlib.sha256(json.dumps([REVISION, PLACEHOLDER, interpreter.version, interpreter.layout]).encode())
    for source, place in [*sources(interpreter), *((path, name) for name, path in sorted(libraries.items()))]:
        with source.open("rb") as file:
            digest.update(f"{place} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _copy_text_and_extensions(interpreter: Interpreter, prefix: Path) -> None:
    """Copy the interpreter's own files."""
    for source, place in sources(interpreter):
        target = prefix / place
        target.parent.mkdir(parents=True, exist_ok=True)
        points_beside = source.is_symlink() and source.readlink().name == str(source.readlink())
        shutil.copyfile(source, target, follow_symlinks=not points_beside)
        if not points_beside:
            executable = os.access(source, os.X_OK) and (place.startswith("bin/") or elf.is_elf(target))
            target.chmod(0o755 if executable else 0o644)
    for name in ("python", "python3"):
        (prefix / "bin" / name).symlink_to(f"python{interpreter.minor}")


def _copy_libraries(interpreter: Interpreter, libraries: Mapping[str, Path], prefix: Path) -> None:
    """Copy shared libraries, each under the name that programs ask for, and their licences."""
    for soname, source in sorted(libraries.items()):
        target = prefix / "lib" / soname
        shutil.copyfile(source, target)
        target.chmod(0o755)
    libpython = f"libpython{interpreter.minor}.so"
    if f"{libpython}.1.0" in libraries:
        (prefix / "lib" / libpython).symlink_to(f"{libpython}.1.0")
    _copy_licenses(interpreter, set(libraries.values()), prefix / "share" / "licenses" / "python")


def _copy_licenses(interpreter: Interpreter, libraries: set[Path], into: Path) -> None:
    """Copy Python's licence, and what Debian's packages say of the libraries where that is where they come from."""
    into.mkdir(parents=True)
    for name in (
        interpreter.stdlib / "LICENSE.txt",
        Path("/usr/share/doc") / f"python{interpreter.minor}" / "copyright",
    ):
        if name.exists():
            shutil.copyfile(name, into / "LICENSE-python.txt")
            break
    if (dpkg := shutil.which("dpkg-query")) is None:
        return
    for library in sorted(libraries):
        # dpkg knows a library by the name it was packed under: /lib may be a link to /usr/lib.
        owners = subprocess.run(
            [dpkg, "--search", str(library), str(library.resolve())], capture_output=True, text=True, check=False
        ).stdout
        for owner in {line.partition(":")[0] for line in owners.splitlines()}:
            notice = Path("/usr/share/doc") / owner / "copyright"
            if notice.exists():
                shutil.copyfile(notice, into / f"LICENSE-{owner}.txt")


def _make_relative(prefix: Path) -> None:
    """Make every program and library look for its libraries in the prefix's lib, wherever the prefix is."""
    for path in elf.elf_files(prefix):
        elf.set_rpath(path, f"$ORIGIN/{os.path.relpath(prefix / 'lib', path.parent)}".removesuffix("/."))
    elf.strip_debug(elf.elf_files(prefix))


def _remove_paths(interpreter: Interpreter, prefix: Path) -> None:
    """Take the paths of the build machine out: a placeholder in text files, nothing in programs and libraries."""
    folders = _own_folders(interpreter)
    pattern = _own_pattern(interpreter)
    for path in sorted(prefix.rglob("*")):
        if elf.is_elf(path):
            elf.blank(path, folders)
        elif path.is_file() and not path.is_symlink() and _may_hold_paths(path.relative_to(prefix).as_posix()):
            content = path.read_bytes()
            changed = content
            if interpreter.layout is Layout.DEBIAN:  # its folder for libraries of this machine's kind is our lib
                changed = changed.replace(b"/usr/lib/x86_64-linux-gnu", b"/usr/lib")
            changed = pattern.sub(PLACEHOLDER.encode(), changed)
            if changed != content:
                path.write_bytes(changed)
    if interpreter.layout is Layout.DEBIAN:
        _undo_debian(prefix / "lib" / f"python{interpreter.minor}")


def _may_hold_paths(place: str) -> bool:
    """Whether a text file is one of those that Python writes its own folder into when it is installed."""
    name = place.rpartition("/")[2]
    return place.startswith(("bin/", "lib/pkgconfig/")) or name.startswith("_sysconfigdata") or "/config-" in place


def _own_folders(interpreter: Interpreter) -> list[str]:
    """Return the folders of the build machine that an interpreter's binaries may name."""
    shared = {"/", "/usr", "/usr/local", "/install"}
    return [path for path in (str(interpreter.base), interpreter.built_in) if path and path not in shared]


def _own_pattern(interpreter: Interpreter) -> re.Pattern[bytes]:
    """Return what matches the interpreter's own folder in its text files, and the folder it was compiled in."""
    end = rb"(?=[/'\"\s:;,)]|$)"
    if interpreter.layout is Layout.DEBIAN:
        # /usr is everybody's; only these places in it are Python's.
        end = rb"(?=/(?:bin|lib|include)/python3|/lib/pkgconfig|/(?:bin|lib|include|share/man)?['\"\s]|['\"\s]|$)"
    own = [re.escape(interpreter.built_for.encode()) + end]
    if interpreter.built_in:
        own.insert(0, re.escape(interpreter.built_in.encode()))
    return re.compile(b"|".join(own), re.MULTILINE)


def _undo_debian(stdlib: Path) -> None:
    """Make a copy of Debian's Python look for packages in site-packages, as all others do, not in dist-packages.

    Its `site` module is frozen into the program, so it cannot be changed, but it runs sitecustomize.
    """
    (stdlib / "sitecustomize.py").write_text(
        "import pathlib, site\n\nsite.addsitedir(str(pathlib.Path(__file__).parent / 'site-packages'))\n",
        encoding="utf-8",
    )
    path = stdlib / "sysconfig.py"
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"\bprefix_scheme = '(posix_local|deb_system)'", "prefix_scheme = 'posix_prefix'", text)
    path.write_text(text, encoding="utf-8")
