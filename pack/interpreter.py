"""An installed Python, described: which of the layouts that we know it has, and which files are its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from pack import elf
from pack.errors import InterpreterUnsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

# Left out of the standard library: its tests, what draws windows (Tk is not shipped), what installs pip, and the
# network information service, whose libraries are larger than its use.
NOT_STDLIB = re.compile(
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
            package = f"; Debian has it in libpython{minor}-dev" if base == Path("/usr") else ""
            raise InterpreterUnsupported(f"{base / needed} is missing{package}", python)
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


def sources(interpreter: Interpreter) -> Iterator[tuple[Path, str]]:
    """Yield each file or link of the interpreter's own, with its place in the prefix."""
    minor = interpreter.minor
    yield interpreter.executable, f"bin/python{minor}"
    for name in _SCRIPTS:
        script = interpreter.base / "bin" / name.format(minor)
        if script.is_file() and not elf.is_elf(script):
            yield script.resolve(), f"bin/{script.name}"
    for top, place in ((interpreter.stdlib, f"lib/python{minor}"), (interpreter.include, f"include/python{minor}")):
        for folder, folders, names in os.walk(top):
            here = Path(folder).relative_to(top)
            folders[:] = sorted(name for name in folders if not NOT_STDLIB.search((here / name).as_posix()))
            for name in sorted(names):
                inside = (here / name).as_posix()
                if not NOT_STDLIB.search(inside):
                    yield Path(folder, name), f"{place}/{inside}"
    for path in sorted(interpreter.libraries.glob(f"pkgconfig/python-{minor}*.pc")):
        yield path, f"lib/pkgconfig/{path.name}"
