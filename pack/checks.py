"""What verify looks at, one function each: questions to the staged launcher, and to the runtime that it installed."""

from __future__ import annotations

import ast
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.environ import clean_environment
from launcher.resources import file_digest
from pack.stage import ENGINE_NAME
from pack.toml import read_toml
from pack.visit import Visit, events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from launcher.manifest import Manifest
    from pack.hostile import Place, Ran

# conda's names of packages whose metadata go by another name.
_DISTRIBUTIONS = {"pytorch": "torch"}
# An answer begins with the sign for a record (RFC 7464): whatever else a module prints is no answer.
_RECORD = "\x1e"
_IMPORT = """
import importlib, json, sys
for name in json.load(sys.stdin):
    module, _, member = name.partition(":")
    try:
        if member and not hasattr(importlib.import_module(module), member):
            module = f"{module}.{member}"
        importlib.import_module(module)
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
_LATER = 503  # what a backend answers of which only the core is there, where it needs a worker
_FAILURES = frozenset({500, 501, 502, 504})
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what, whether it is as it should be, and what was found."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a launcher installed in a place, whose programs run in the environment that the backend gets there."""

    place: Place
    manifest: Manifest

    @property
    def slot(self) -> Path:
        """Where it is."""
        return self.place.home / "rt" / self.manifest.slot_name

    @property
    def site(self) -> Path:
        """Where its Python packages are."""
        minor = ".".join(self.manifest.packages["python"].split(".")[:2])
        return self.slot / self.manifest.platform.site_packages(minor)

    def run(self, arguments: Sequence[str | Path], question: str = "") -> Ran:
        """Run its Python."""
        environment = clean_environment(self.place.environment, self.slot, self.manifest.platform)
        return self.place.run([self.slot / self.manifest.platform.python, *arguments], question, environment)


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


def check_act(name: str, program: Path, place: Place, act: str) -> Check:
    """Run an act of the launcher."""
    ran = place.run([program, "--json", "--home", place.home, act])
    failed = next((event for event in events(ran.output.splitlines()) if event.get("event") == "failed"), {})
    found = failed.get("message", "done" if ran.status == 0 else ran.last_words)
    return Check(name, passed=ran.status == 0, found=str(found))


def check_versions(runtime: Runtime) -> list[Check]:
    """Look whether each critical package says the version that the manifest promises."""
    promised = {_DISTRIBUTIONS.get(name, name): version for name, version in runtime.manifest.packages.items()}
    found, silence = _ask(runtime, _VERSIONS, sorted(promised))
    return [
        # A wheel's version may carry a label, as in 2.13.0+cpu, which conda keeps in the build string.
        Check(
            f"version of {name}",
            passed=(found.get(name) or "").split("+")[0] == version,
            found=f"{found.get(name) or silence}, promised {version}",
        )
        for name, version in sorted(promised.items())
    ]


def check_imports(runtime: Runtime, project: Path) -> list[Check]:
    """Import all that the backend imports on any branch, and what smoke.toml adds."""
    smoke = read_toml(_smoke(project), lambda asked: [module["name"] for module in asked.get("module", ())])
    wanted = {name for name in backend_imports(project / "backend") if name.partition(":")[0] not in _elsewhere()}
    names = sorted({*wanted, *smoke})
    found, silence = _ask(runtime, _IMPORT, names)
    return [
        Check(f"import {name}", passed=name in found and found[name] is None, found=found.get(name, silence) or "done")
        for name in names
    ]


def check_files(runtime: Runtime, project: Path) -> list[Check]:
    """Compare every file of the backend with the one in the runtime."""
    checks = []
    for path in sorted((project / "backend").rglob("*")):
        if "__pycache__" in path.parts or not path.is_file():
            continue
        name, inside = path.relative_to(project).as_posix(), runtime.site / path.relative_to(project)
        if not inside.exists():
            checks.append(Check(name, passed=False, found="missing"))
        else:
            same = inside.read_bytes() == path.read_bytes()
            checks.append(Check(name, passed=same, found="the same bytes" if same else "other bytes"))
    return checks


def check_programs(runtime: Runtime, project: Path, scratch: Path) -> list[Check]:
    """Run the programs of smoke.toml in the runtime, each with a folder of its own to write to."""
    checks = []
    programs = read_toml(
        _smoke(project),
        lambda asked: [(each["name"], project / "pack" / each["path"]) for each in asked.get("program", ())],
    )
    for number, (name, path) in enumerate(programs):
        folder = scratch / f"program {number}"
        folder.mkdir()
        ran = runtime.run([path, folder])
        found = ran.output.strip().splitlines()[-1:] if ran.status == 0 else [ran.last_words]
        checks.append(Check(name, passed=ran.status == 0, found="".join(found) or "done"))
    return checks


def check_start(name: str, visit: Visit) -> Check:
    """Look whether a visit found the engine listening, in good health, and ending when its stdin did."""
    health = visit.answers.get("GET /api/health")
    found = [visit.said, f"HTTP {health}" if health else "not asked", f"exit status {visit.status}"]
    passed = (visit.said, health, visit.status) == ("listening", 200, 0)
    return Check(name, passed=passed, found=", ".join(found if passed else [*found, *visit.raised]))


def check_routes(visit: Visit, whole: Visit | None = None) -> Check:
    """Look whether every route was answered, and as it is from the `whole` runtime, where that was visited.

    What only a worker can answer may be put off with a 503 until the whole is there.
    """
    answers = {route: status for route, status in visit.answers.items() if whole is None or status != _LATER}
    expected = answers if whole is None else whole.answers
    wrong = [
        f"{route}: HTTP {status}" + (f", and {expected.get(route)} from the whole" if expected is not answers else "")
        for route, status in answers.items()
        if status in _FAILURES or status != expected.get(route)
    ]
    passed = not wrong and len(visit.answers) > 1
    found = f"{len(visit.answers)} answered" if passed else "; ".join([*wrong, *visit.raised]) or "not asked"
    return Check("every route", passed=passed, found=found)


def pay_visit(place: Place, program: Path, resources: Path, *, everywhere: bool) -> Visit:
    """Start the engine in a place as the app does, ask it for its health or for every route, and end it."""
    command = [program, "--json", "--resources", resources, "--home", place.home, "--until-eof", "--", "--port", "0"]
    question = {
        "command": [str(word) for word in command],
        "environment": dict(place.environment),
        "everywhere": everywhere,
        "alone": bool(place.before),
    }
    # Whoever pays it is no part of the place, and keeps its own environment.
    ran = place.run(
        [sys.executable, "-m", "pack.visit"], json.dumps(question), {**os.environ, "PYTHONPATH": str(_ROOT)}
    )
    if ran.status != 0:
        return Visit(ran.last_words, {}, -1, [])
    return Visit(**json.loads(ran.output))


def backend_imports(backend: Path) -> list[str]:
    """Return all that a source of `backend` imports on any branch, type checkers' alone left out.

    A module by its name, what is taken out of one as "module:name": libraries bring much only when it is asked for.
    """
    found: set[str] = set()
    for path in sorted(backend.rglob("*.py")):
        package = path.relative_to(backend.parent).parent.parts
        for node in _run_time_nodes(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else ()
                module = ".".join([*base, *([node.module] if node.module else [])])
                found |= {f"{module}:{name.name}" for name in node.names if module != "__future__"}
    return sorted(found)


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


def _smoke(project: Path) -> Path:
    return project / "pack" / "smoke.toml"


def _ask(runtime: Runtime, program: str, question: Sequence[str]) -> tuple[dict[str, str | None], str]:
    """Return the answers of a program in the runtime, by what was asked, and what to say of those that never came."""
    ran = runtime.run(["-c", program], json.dumps(question))
    # splitlines() would cut at the sign, too.
    lines = [line for line in ran.output.split("\n") if line.startswith(_RECORD)]
    status = "" if ran.status == 0 else f" (exit status {ran.status}): {ran.last_words}"
    return dict(json.loads(line.removeprefix(_RECORD)) for line in lines), f"no answer{status}"
