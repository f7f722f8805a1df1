"""Places as unkind as users' machines are: one for each hostility, and one where all of them meet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LONG = 200  # characters of a home's path; Windows' limit of 260 leaves no room for it beside torch's longest path
_SECONDS = 900  # what no program here takes, so that only one that hangs is killed
# Arguments: the folder not to be written, then a command. A mount of its own ends with the command.
_READ_ONLY = '{mount} --bind "$0" "$0" && {mount} -o remount,bind,ro "$0" && exec "$@"'
# Windows' own programs and sockets need these; nobody unsets them.
_SYSTEM = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "TEMP", "TMP")
_HOMES = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")
_LIBRARIES = (
    *("libz.so.1", "libstdc++.so.6", "libgcc_s.so.1", "libgomp.so.1", "libpython3.11.so.1.0", "libsqlite3.so.0"),
    *("libssl.so.3", "libcrypto.so.3", "libffi.so.8", "libc10.so", "libtorch.so", "libz.1.dylib", "libc++.1.dylib"),
    *("libpython3.11.dylib", "libc10.dylib", "python311.dll", "vcruntime140.dll", "zlib.dll", "c10.dll"),
)
_MODULES = ("sitecustomize", "usercustomize", "backend", "fastapi", "platformdirs", "torch", "uvicorn", "zstandard")


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ended: its exit status, None where it did not start or had to be killed, and what it said."""

    status: int | None
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        """What it said last, to people."""
        lines = (self.errors or self.output).strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@dataclass(frozen=True, slots=True)
class Place:
    """A home that did not exist before, the environment there, and words to put `before` a command that runs there.

    `refusal` says why this machine cannot make such a place; empty where it can.
    """

    name: str
    home: Path
    environment: Mapping[str, str]
    before: tuple[str, ...] = ()
    refusal: str = ""

    def run(
        self, command: Sequence[str | Path], question: str = "", environment: Mapping[str, str] | None = None
    ) -> Ran:
        """Run a command here, with `question` on its stdin, and in another environment than the place's if given."""
        words, env = [str(word) for word in command], self.environment if environment is None else environment
        if self.before:
            # What cuts a program off must not stumble over the traps that are laid for that program.
            words = [*self.before, "/usr/bin/env", "-i", *(f"{name}={value}" for name, value in env.items()), *words]
        try:
            run = subprocess.run(
                words,
                env=None if self.before else dict(env),
                input=question,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except OSError as error:
            return Ran(None, "", f"{words[0]}: {error.strerror or error}")
        except subprocess.TimeoutExpired:
            return Ran(None, "", f"it did not end within {_SECONDS} seconds, and was killed")
        return Ran(run.returncode, run.stdout, run.stderr)


@dataclass(frozen=True, slots=True)
class _Hostility:
    """What makes a place hostile; a change of None unsets a variable."""

    name: str
    folder: str = ""
    length: int = 0
    changes: Mapping[str, str | None] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    refusal: str = ""


def hostile_places(scratch: Path, resources: Path) -> tuple[list[Place], Place]:
    """Return places under `scratch`, one for each hostility, and one for all of them that this machine can make.

    `resources` is where the launcher lies. The folder of traps is written here.
    """
    hostilities = _hostilities(scratch, resources)
    singles = [_place(one.name, scratch / str(number), [one]) for number, one in enumerate(hostilities)]
    return singles, _place("all of these at once", scratch / "all", [one for one in hostilities if not one.refusal])


def plain_place(name: str, scratch: Path) -> Place:
    """Return a place under `scratch` with nothing hostile about it."""
    return _place(name, scratch, [])


def _place(name: str, folder: Path, hostilities: Sequence[_Hostility]) -> Place:
    home = folder.joinpath(*(one.folder for one in hostilities if one.folder), "home")
    if length := max((one.length for one in hostilities), default=0):
        home = home.with_name("x" * max(1, length - len(str(home.parent)) - 1))
    environment: dict[str, str | None] = {"PATH": os.defpath, **{name: str(folder) for name in _HOMES}}
    environment |= {name: os.environ.get(name) for name in _SYSTEM}
    for one in hostilities:
        environment |= one.changes
    return Place(
        name,
        home,
        {name: value for name, value in environment.items() if value is not None},
        tuple(word for one in hostilities for word in one.before),
        "; ".join(one.refusal for one in hostilities if one.refusal),
    )


def _hostilities(scratch: Path, resources: Path) -> list[_Hostility]:
    modules, libraries, nothing = scratch / "modules", scratch / "libraries", scratch / "nothing"
    for folder in (modules, libraries, nothing):
        folder.mkdir(parents=True)
    for name in sorted(sys.stdlib_module_names.union(_MODULES)):
        (modules / f"{name}.py").write_text(f"raise SystemError('the trap {name} was sprung')\n", encoding="utf-8")
    for name in _LIBRARIES:
        (libraries / name).write_text("no library\n", encoding="utf-8")
    foreign = dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX", "VIRTUAL_ENV"), str(modules))
    search = dict.fromkeys(
        ("PATH",) if sys.platform == "win32" else ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"), str(libraries)
    )
    too_long = "Windows' limit of 260 characters leaves no room for it." if sys.platform == "win32" else ""
    return [
        _Hostility("a path with spaces, é and 日本", folder="a b é 日本"),
        _Hostility(f"a path of {LONG} characters", length=LONG, refusal=too_long),
        _cut_off("a read-only folder around the resources", "--mount", read_only=resources.parent),
        _Hostility("PYTHONPATH full of traps", changes=foreign | {"PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2"}),
        _Hostility("a library path full of traps", changes=search),
        _cut_off("no network", "--net"),
        _Hostility("no Python on PATH", changes={"PATH": str(nothing)}),
        _Hostility("HOME unset", changes=dict.fromkeys(_HOMES)),
    ]


def _cut_off(name: str, namespace: str, read_only: Path | None = None) -> _Hostility:
    """Return a hostility that only a namespace makes (https://man7.org/linux/man-pages/man1/unshare.1.html)."""
    unshare, mount = shutil.which("unshare"), shutil.which("mount")
    if not sys.platform.startswith("linux") or unshare is None or mount is None:
        return _Hostility(name, refusal="This system has no namespaces.")
    before = (unshare, *(() if os.geteuid() == 0 else ("--map-root-user",)), namespace)
    if read_only is not None:
        before = (*before, "/bin/sh", "-c", _READ_ONLY.format(mount=mount), str(read_only))
    tried = subprocess.run([*before, "/bin/sh", "-c", ":"], capture_output=True, text=True, check=False)
    refusal = f"This machine does not let us make a namespace: {tried.stderr.strip()}" if tried.returncode else ""
    return _Hostility(name, before=before, refusal=refusal)
