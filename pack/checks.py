"""What verify looks at, one function each: questions to the staged launcher, and to the runtime that it installed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import threading
import tomllib
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from launcher.resources import file_digest
from pack.hostile import TRAPS
from pack.stage import ENGINE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from launcher.manifest import Manifest
    from pack.hostile import Place

# conda's names of packages whose metadata go by another name.
_DISTRIBUTIONS = {"pytorch": "torch"}
# An answer begins with the sign for a record (RFC 7464): whatever else a module prints is no answer.
_RECORD = "\x1e"
_IMPORT = """
import importlib, json, sys
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
        problem = None
    except BaseException as error:
        problem = f"{type(error).__name__}: {error}"
    print("\\x1e" + json.dumps([name, problem]), flush=True)
"""
_VERSIONS = """
import importlib.metadata, json, platform, sys
for name in json.load(sys.stdin):
    try:
        version = platform.python_version() if name == "python" else importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = None
    print("\\x1e" + json.dumps([name, version]))
"""
_SECONDS = 120  # what a server may take to listen, to answer and to end before it counts as hung


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what, whether it is as it should be, and what was found."""

    name: str
    passed: bool
    found: str


def check_engine(resources: Path) -> Check:
    """Look whether engine.json describes the program beside it."""
    try:
        engine = json.loads((resources / ENGINE_NAME).read_bytes())
        found = file_digest(resources / engine["path"])
        expected = engine["checksum"]
    except (OSError, ValueError, KeyError) as error:
        return Check(ENGINE_NAME, passed=False, found=f"{type(error).__name__}: {error}")
    problem = "" if found == expected else f", and {ENGINE_NAME} says {expected}"
    return Check(ENGINE_NAME, passed=not problem, found=f"{engine['path']} has the sha256 {found}{problem}")


def check_launcher(name: str, program: Path, place: Place, act: str) -> Check:
    """Run an act of the launcher."""
    ran = place.run([program, "--json", "--home", place.home, act])
    failed = next((event for event in _events(ran.output) if event.get("event") == "failed"), {})
    found = failed.get("message", "done" if ran.status == 0 else ran.last_words)
    return Check(name, passed=ran.status == 0, found=str(found))


def check_versions(python: Path, place: Place, manifest: Manifest) -> list[Check]:
    """Look whether each critical package says the version that the manifest promises."""
    promised = {_DISTRIBUTIONS.get(name, name): version for name, version in manifest.packages.items()}
    found, silence = _ask(python, place, _VERSIONS, sorted(promised))
    return [
        # A wheel's version may carry a label, as in 2.13.0+cpu, which conda keeps in the build string.
        Check(
            f"version of {name}",
            passed=(found.get(name) or "").split("+")[0] == version,
            found=f"{found.get(name) or silence}, promised {version}",
        )
        for name, version in sorted(promised.items())
    ]


def check_imports(python: Path, place: Place, project: Path) -> list[Check]:
    """Import all that the backend imports on any branch, and what smoke.toml adds."""
    smoke = [module["name"] for module in _smoke(project).get("module", ())]
    modules = sorted({*backend_imports(project / "backend"), *smoke} - _elsewhere())
    found, silence = _ask(python, place, _IMPORT, modules)
    return [
        Check(f"import {name}", passed=name in found and found[name] is None, found=found.get(name, silence) or "done")
        for name in modules
    ]


def check_files(site: Path, project: Path) -> list[Check]:
    """Compare every file of the backend with the one in the runtime."""
    checks = []
    for path in sorted((project / "backend").rglob("*")):
        if "__pycache__" in path.parts or not path.is_file():
            continue
        name, inside = path.relative_to(project).as_posix(), site / path.relative_to(project)
        if not inside.exists():
            checks.append(Check(name, passed=False, found="missing"))
        else:
            same = inside.read_bytes() == path.read_bytes()
            checks.append(Check(name, passed=same, found="the same bytes" if same else "other bytes"))
    return checks


def check_programs(python: Path, place: Place, project: Path, scratch: Path) -> list[Check]:
    """Run the programs of smoke.toml in the runtime, each with a folder of its own to write to."""
    checks = []
    for number, program in enumerate(_smoke(project).get("program", ())):
        folder = scratch / f"program {number}"
        folder.mkdir()
        ran = place.run([python, "-I", "-B", project / "pack" / program["path"], folder])
        found = ran.output.strip().splitlines()[-1:] if ran.status == 0 else [ran.last_words]
        checks.append(Check(program["name"], passed=ran.status == 0, found="".join(found) or "done"))
    return checks


def check_health(program: Path, place: Place) -> Check:
    """Start the backend as the app does, ask it for its health, and end it by closing its stdin.

    With a network: health is asked over loopback, which a place without one lacks.
    """
    command = [str(program), "--json", "--home", str(place.home), "--until-eof", "--", "--port", "0"]
    with subprocess.Popen(
        command, env=TRAPS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    ) as engine:
        assert engine.stdout is not None
        assert engine.stdin is not None
        hung = threading.Timer(_SECONDS, engine.kill)
        hung.start()
        last: dict[str, Any] = {}
        for event in _events(engine.stdout):
            last = event
            if event.get("event") in {"listening", "failed"}:
                break
        answer = _health(last) if last.get("event") == "listening" else "not asked"
        engine.stdin.close()
        engine.stdout.read()
        ended = engine.wait()
        hung.cancel()
    said = last.get("message", last.get("event", "silence"))
    return Check("health", passed=answer == "HTTP 200" and ended == 0, found=f"{said}, {answer}, exit status {ended}")


def backend_imports(backend: Path) -> list[str]:
    """Return every module that a source of `backend` imports on any branch, type checkers' alone left out."""
    found: set[str] = set()
    for path in sorted(backend.rglob("*.py")):
        package = path.relative_to(backend.parent).parent.parts
        for node in _run_time_nodes(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else ()
                found.add(".".join([*base, *([node.module] if node.module else [])]))
    return sorted(found - {"__future__"})


def _run_time_nodes(tree: ast.Module) -> Iterable[ast.AST]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def _elsewhere() -> set[str]:
    """Return modules of the standard library that other systems have and this one lacks."""
    windows, posix = {"msvcrt", "winreg", "_winapi"}, {"fcntl", "resource", "pwd", "grp", "termios"}
    return posix if sys.platform == "win32" else windows


def _smoke(project: Path) -> dict[str, Any]:
    with (project / "pack" / "smoke.toml").open("rb") as stream:
        return tomllib.load(stream)


def _ask(python: Path, place: Place, program: str, question: Sequence[str]) -> tuple[dict[str, str | None], str]:
    """Return the answers of a program in the runtime, by what was asked, and what to say of those that never came."""
    ran = place.run([python, "-I", "-B", "-c", program], json.dumps(question))
    # splitlines() would cut at the sign, too.
    lines = [line for line in ran.output.split("\n") if line.startswith(_RECORD)]
    status = "" if ran.status == 0 else f" (exit status {ran.status}): {ran.last_words}"
    return dict(json.loads(line.removeprefix(_RECORD)) for line in lines), f"no answer{status}"


def _events(lines: str | Iterable[str]) -> Iterable[dict[str, Any]]:
    """Yield the events among lines of output."""
    for line in lines.splitlines() if isinstance(lines, str) else lines:
        if line.startswith("{"):
            yield json.loads(line)


def _health(listening: dict[str, Any]) -> str:
    connection = HTTPConnection(listening["host"], listening["port"], timeout=_SECONDS)
    try:
        connection.request("GET", "/api/health")
        return f"HTTP {connection.getresponse().status}"
    except (OSError, HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
