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
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.platforms import Platform
from pack import elf
from pack.condapackage import CondaPackage, write_package
from pack.errors import InterpreterUnsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

REVISION = 2
"""Raised when the same interpreter becomes a different package."""

PLACEHOLDER = ("/opt/peft-studio-placeholder" + "_placeholder" * 20)[:255]
"""What stands in text files for the interpreter's own folder: of the greatest length that conda can replace."""

# Wheels look for these beside themselves only, and no system has to have them: the interpreter brings them along.
CXX_LIBRARIES = ("libstdc++.so.6", "libgcc_s.so.1")

# Left out of the standard library: its tests, what draws windows (Tk is not shipped), what installs pip, and the
# network information service, whose libraries are larger than its use.
_NOT_STDLIB = re.compile(
    r"(^|/)(__pycache__|test|tests|idlelib|tkinter|turtledemo|ensurepip|site-packages|dist-packages|idle_test)(/|$)"
    r"|^(turtle\.py|sitecustomize\.py|EXTERNALLY-MANAGED)$"
    r"|^lib-dynload/(_tkinter|nis|_test\w*|_xxtestfuzz|_ctypes_test|xx\w*)\."
    r"|^config-[^/]+/.*\.[ao]$"
)

_SCRIPTS = ("2to3-{0}", "pydoc{0}", "python{0}-config")

_ASK = """
import json, platform, sys, sysconfig
get = sysconfig.get_config_var
data = __import__(sysconfig._get_sysconfigdata_name()).build_time_vars
print(json.dumps({
    "version": platform.python_version(), "minor": get("py_version_short"),
    "implementation": platform.python_implementation(), "base": sys.base_prefix,
    "stdlib": sysconfig.get_path("stdlib"), "include": sysconfig.get_path("include"),
    "built_for": data["prefix"], "built_in": data.get("abs_builddir") or "",
    "libraries": get("LIBDIR"), "executable": getattr(sys, "_base_executable", sys.executable),
}))
"""


class Layout(StrEnum):
    """How a Python that we know is spread over folders."""

    OWN_FOLDER = "own-folder"
    """Configured and installed in one folder of its own: pyenv's, and what `make install` leaves."""
    STANDALONE = "standalone"
    """python-build-standalone's: configured for /install, and moved."""
    DEBIAN = "debian"
    """Debian's: in /usr, among everything else, with dist-packages."""


@dataclass(frozen=True)
class Interpreter:
    """An installed Python, as it describes itself."""

    executable: Path
    base: Path
    stdlib: Path
    include: Path
    libraries: Path
    version: str
    minor: str
    built_for: str
    """The prefix it was configured with: what its text files hold."""
    built_in: str
    """The folder it was compiled in; empty where it does not tell."""
    layout: Layout


def describe(python: Path) -> Interpreter:
    """Ask the interpreter `python`, or the one behind it if it is a virtual environment's, what it is.

    Raises InterpreterUnsupported for a layout that we do not know.
    """
    answer = subprocess.run([str(python), "-I", "-S", "-c", _ASK], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise InterpreterUnsupported(f"it does not run ({answer.stderr.strip()[-200:]})", python)
    told = json.loads(answer.stdout)
    if told["implementation"] != "CPython":
        raise InterpreterUnsupported(f"it is {told['implementation']}, not CPython", python)
    base = Path(told["base"])
    minor = told["minor"]
    return Interpreter(
        executable=(base / "bin" / f"python{minor}").resolve(),
        base=base,
        stdlib=base / "lib" / f"python{minor}",
        include=base / "include" / f"python{minor}",
        libraries=Path(told["libraries"]),
        version=told["version"],
        minor=minor,
        built_for=told["built_for"],
        built_in=told["built_in"],
        layout=_layout(base, minor, told["built_for"], python),
    )


def _layout(base: Path, minor: str, built_for: str, python: Path) -> Layout:
    """Return the layout of a Python whose folder is `base`; raise InterpreterUnsupported."""
    for needed in (f"bin/python{minor}", f"lib/python{minor}/os.py", f"include/python{minor}/Python.h"):
        if not (base / needed).exists():
            raise InterpreterUnsupported(f"{base / needed} is missing", python)
    if built_for == "/install":
        return Layout.STANDALONE
    if Path(built_for) != base:
        raise InterpreterUnsupported(f"it was configured for {built_for} and is in {base}", python)
    if base == Path("/usr"):
        site = (base / "lib" / f"python{minor}" / "site.py").read_text(encoding="utf-8")
        if "dist-packages" not in site:
            raise InterpreterUnsupported("it is in /usr, and is not Debian's", python)
        return Layout.DEBIAN
    return Layout.OWN_FOLDER


def write_python(
    python: Path, *, channel: Path, platform: Platform, minor: str, scratch: Path
) -> tuple[Path, bool]:
    """Write the package of the interpreter `python` into `channel` unless it is there; return it and whether it is new.

    Raises InterpreterUnsupported: for another platform than linux-64, another minor version than `minor`, and a
    layout that we do not know.
    """
    if platform is not Platform.LINUX_64 or Platform.current() is not platform:
        raise InterpreterUnsupported(f"only linux-64's can be packed, on linux-64, and not {platform}'s", python)
    interpreter = describe(python)
    if interpreter.minor != minor:
        raise InterpreterUnsupported(f"it is Python {interpreter.version}; environment.yml asks for {minor}", python)
    build = f"h{_fingerprint(interpreter)[:7]}_0_cpython"
    present = channel / platform / f"python-{interpreter.version}-{build}.conda"
    if present.exists():
        return present, False
    files = scratch / "python"
    stage(interpreter, files)
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
    licenses = sorted((files / "share" / "licenses" / "python").iterdir())
    return write_package(package, files=files, channel=channel, license_files=licenses, placeholder=PLACEHOLDER), True


def stage(interpreter: Interpreter, prefix: Path) -> None:
    """Lay the interpreter out under `prefix`, at home in any folder."""
    _copy_text_and_extensions(interpreter, prefix)
    _copy_libraries(interpreter, prefix)
    _make_relative(prefix, interpreter.minor)
    _remove_paths(interpreter, prefix)


def _fingerprint(interpreter: Interpreter) -> str:
    """Return a digest of what the package is made from: the interpreter's program, and every file's size."""
    told = [REVISION, PLACEHOLDER, interpreter.version, interpreter.layout]
    digest = hashlib.sha256(json.dumps(told).encode())
    for source, target in _sources(interpreter):
        digest.update(f"{target} {source.stat().st_size}\n".encode())
    with interpreter.executable.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _sources(interpreter: Interpreter) -> Iterator[tuple[Path, str]]:
    """Yield each file or link of the interpreter's own, with its place in the prefix."""
    minor = interpreter.minor
    yield interpreter.executable, f"bin/python{minor}"
    for name in _SCRIPTS:
        script = interpreter.base / "bin" / name.format(minor)
        if script.is_file() and not elf.is_elf(script):
            yield script, f"bin/{script.name}"
    for top, place in ((interpreter.stdlib, f"lib/python{minor}"), (interpreter.include, f"include/python{minor}")):
        for folder, folders, names in os.walk(top):
            here = Path(folder).relative_to(top)
            folders[:] = sorted(name for name in folders if not _NOT_STDLIB.search((here / name).as_posix()))
            for name in sorted(names):
                inside = (here / name).as_posix()
                if not _NOT_STDLIB.search(inside):
                    yield Path(folder, name), f"{place}/{inside}"
    for path in sorted(interpreter.libraries.glob(f"pkgconfig/python-{minor}*.pc")):
        yield path, f"lib/pkgconfig/{path.name}"


def _copy_text_and_extensions(interpreter: Interpreter, prefix: Path) -> None:
    """Copy the interpreter's own files."""
    for source, place in _sources(interpreter):
        target = prefix / place
        target.parent.mkdir(parents=True, exist_ok=True)
        points_beside = source.is_symlink() and "/" not in os.readlink(source)
        shutil.copyfile(source, target, follow_symlinks=not points_beside)
        if not points_beside:
            executable = os.access(source, os.X_OK) and (place.startswith("bin/") or elf.is_elf(target))
            target.chmod(0o755 if executable else 0o644)
    for name in ("python", "python3"):
        (prefix / "bin" / name).symlink_to(f"python{interpreter.minor}")


def _copy_libraries(interpreter: Interpreter, prefix: Path) -> None:
    """Copy the shared libraries that interpreter and extension modules need, and their licences."""
    program = prefix / "bin" / f"python{interpreter.minor}"
    elf.add_needed(program, CXX_LIBRARIES)
    needed, missing = elf.libraries(interpreter.executable)
    for extension in sorted(interpreter.stdlib.glob("lib-dynload/*.so")):
        if not _NOT_STDLIB.search(f"lib-dynload/{extension.name}"):
            found, lost = elf.libraries(extension)
            needed |= found
            missing |= lost
    with_cxx, _ = elf.libraries(program)
    needed |= {name: with_cxx[name] for name in CXX_LIBRARIES if name in with_cxx}
    missing |= set(CXX_LIBRARIES) - set(needed)
    if missing:
        raise InterpreterUnsupported(f"{', '.join(sorted(missing))} cannot be found", interpreter.executable)
    for soname, source in sorted(needed.items()):
        target = prefix / "lib" / soname
        shutil.copyfile(source, target)
        target.chmod(0o755)
    libpython = f"libpython{interpreter.minor}.so"
    if f"{libpython}.1.0" in needed:
        (prefix / "lib" / libpython).symlink_to(f"{libpython}.1.0")
    _copy_licenses(interpreter, set(needed.values()), prefix / "share" / "licenses" / "python")


def _copy_licenses(interpreter: Interpreter, libraries: set[Path], into: Path) -> None:
    """Copy Python's licence, and what Debian's packages say of the libraries where that is where they come from."""
    into.mkdir(parents=True)
    for name in (interpreter.stdlib / "LICENSE.txt", Path("/usr/share/doc") / f"python{interpreter.minor}" / "copyright"):
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


def _make_relative(prefix: Path, minor: str) -> None:
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
            changed = pattern.sub(PLACEHOLDER.encode(), content)
            if changed != content:
                path.write_bytes(changed)
    if interpreter.layout is Layout.DEBIAN:
        _undo_debian(prefix / "lib" / f"python{interpreter.minor}")


def _may_hold_paths(place: str) -> bool:
    """Whether a text file is one of those that Python writes its own folder into when it is installed."""
    name = place.rpartition("/")[2]
    return (
        place.startswith(("bin/", "lib/pkgconfig/"))
        or name.startswith("_sysconfigdata")
        or "/config-" in place
    )


def _own_folders(interpreter: Interpreter) -> list[str]:
    """Return the folders of the build machine that an interpreter's binaries may name."""
    shared = {"/", "/usr", "/usr/local", "/install"}
    return [path for path in (str(interpreter.base), interpreter.built_in) if path and path not in shared]


def _own_pattern(interpreter: Interpreter) -> re.Pattern[bytes]:
    """Return what matches the interpreter's own folder in its text files, and the folder it was compiled in."""
    end = rb"(?=[/'\"\s:;,)]|$)"
    if interpreter.layout is Layout.DEBIAN:
        # /usr is everybody's; only these places in it are Python's.
        end = rb"(?=/(?:lib|include)/(?:x86_64-linux-gnu/)?(?:python3|pkgconfig)|/(?:lib|include)?['\"\s]|['\"\s])"
    own = [re.escape(interpreter.built_for.encode()) + end]
    if interpreter.built_in:
        own.insert(0, re.escape(interpreter.built_in.encode()))
    return re.compile(b"|".join(own), re.MULTILINE)


def _undo_debian(stdlib: Path) -> None:
    """Take Debian's own folders out of a copy of its Python: outside /usr, packages are in site-packages."""
    for name in ("site.py", "sysconfig.py"):
        path = stdlib / name
        text = path.read_text(encoding="utf-8")
        text = text.replace("dist-packages", "site-packages").replace("'posix_local'", "'posix_prefix'")
        path.write_text(text, encoding="utf-8")
