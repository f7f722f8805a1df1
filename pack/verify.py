"""Resources → report, by running the staged launcher, and nothing of this checkout, in a hostile place."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.manifest import MANIFEST_NAME, Manifest
from launcher.resources import file_digest
from pack.errors import VerificationFailed
from pack.stage import ENGINE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pack.progress import Progress

# A user's folder may be called anything.
_HOSTILE_NAME = "a b é 日本"
# What shells, conda and other apps leave behind, each deadly to an interpreter that heeds it.
_TRAPS = {
    "PYTHONHOME": "/nonexistent",
    "PYTHONPATH": "/nonexistent",
    "PYTHONDONTWRITEBYTECODE": "1",
    "CONDA_PREFIX": "/nonexistent",
    "LD_LIBRARY_PATH": "/nonexistent",
    "DYLD_LIBRARY_PATH": "/nonexistent",
    "VIRTUAL_ENV": "/nonexistent",
    "PATH": "/nonexistent",
}
# conda's names of packages whose metadata go by another name, or that have none.
_DISTRIBUTIONS = {"pytorch": "torch"}
_IMPORT = """
import importlib, json, sys
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
        print(json.dumps([name, None]), flush=True)
    except Exception as error:
        print(json.dumps([name, f"{type(error).__name__}: {error}"]), flush=True)
"""
_VERSIONS = """
import importlib.metadata, json, platform, sys
names = json.load(sys.stdin)
print(json.dumps({n: platform.python_version() if n == "python" else importlib.metadata.version(n) for n in names}))
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what, whether it is as it should be, and what was found."""

    name: str
    passed: bool
    found: str


def verify(resources: Path, project: Path, report: Path, progress: Progress) -> None:
    """Check the staged `resources` and write `report`; raise VerificationFailed where a check does not pass."""
    manifest = Manifest.from_dict(json.loads((resources / MANIFEST_NAME).read_bytes()))
    checks: list[Check] = []
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        place = _Place(resources / manifest.platform.program, Path(scratch, _HOSTILE_NAME))
        steps: tuple[Callable[[], list[Check]], ...] = (
            lambda: [_check_engine(resources)],
            lambda: [place.check("install", "--install")],
            lambda: [place.check("every file's sha256", "--verify")],
            lambda: _check_versions(place.python(manifest), manifest),
            lambda: _check_imports(place.python(manifest), project),
            lambda: _check_files(place.slot(manifest), project, manifest),
            lambda: [_check_health(place)],
        )
        for number, step in enumerate(steps):
            progress("verify", number, len(steps))
            checks += step()
        progress("verify", len(steps), len(steps))
    text = json.dumps({"resources": manifest.runtime, "checks": [asdict(check) for check in checks]}, indent=1)
    report.write_text(text + "\n", encoding="utf-8")
    if failures := [f"{check.name}: {check.found}" for check in checks if not check.passed]:
        raise VerificationFailed(resources, failures)


@dataclass(frozen=True, slots=True)
class _Place:
    """A launcher, and a home that did not exist before."""

    program: Path
    home: Path

    def command(self, *arguments: str) -> list[str]:
        return [str(self.program), "--json", "--home", str(self.home), *arguments]

    def check(self, name: str, *arguments: str) -> Check:
        run = subprocess.run(
            self.command(*arguments), env=_TRAPS, capture_output=True, stdin=subprocess.DEVNULL, text=True, check=False
        )
        last = json.loads(run.stdout.splitlines()[-1]) if run.stdout else {}
        return Check(name, run.returncode == 0, last.get("message", f"exit status {run.returncode}") + run.stderr)

    def slot(self, manifest: Manifest) -> Path:
        return self.home / "rt" / manifest.slot_name

    def python(self, manifest: Manifest) -> Path:
        return self.slot(manifest) / manifest.platform.python


def backend_imports(backend: Path) -> list[str]:
    """Return every module that a source of `backend` imports on any branch, type checkers' alone left out."""
    found: set[str] = set()
    for path in sorted(backend.rglob("*.py")):
        package = ".".join(path.relative_to(backend.parent).parent.parts)
        for node in _run_time_nodes(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
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


def _check_engine(resources: Path) -> Check:
    engine = json.loads((resources / ENGINE_NAME).read_bytes())
    found = file_digest(resources / engine["path"])
    return Check(ENGINE_NAME, found == engine["checksum"], f"{engine['path']} has the sha256 {found}")


def _check_versions(python: Path, manifest: Manifest) -> list[Check]:
    names = {_DISTRIBUTIONS.get(name, name): version for name, version in manifest.packages.items()}
    answer = _ask(python, _VERSIONS, sorted(names))
    found: dict[str, str] = json.loads(answer)
    return [
        # A wheel's version may carry a label, as in 2.13.0+cpu, which conda keeps in the build string.
        Check(f"version of {name}", found[name].split("+")[0] == version, found[name])
        for name, version in sorted(names.items())
    ]


def _check_imports(python: Path, project: Path) -> list[Check]:
    with (project / "pack" / "smoke.toml").open("rb") as stream:
        smoke = [module["name"] for module in tomllib.load(stream)["module"]]
    modules = [name for name in (*backend_imports(project / "backend"), *smoke) if name not in _elsewhere()]
    answers = [json.loads(line) for line in _ask(python, _IMPORT, sorted(set(modules))).splitlines()]
    imported = dict(answers)
    return [
        Check(
            f"import {name}", name in imported and imported[name] is None, imported.get(name, "crashed") or "imported"
        )
        for name in sorted(set(modules))
    ]


def _elsewhere() -> set[str]:
    """Return modules of the standard library that other systems have and this one lacks."""
    return (
        {"msvcrt", "winreg", "_winapi"} if sys.platform != "win32" else {"fcntl", "resource", "pwd", "grp", "termios"}
    )


def _check_files(slot: Path, project: Path, manifest: Manifest) -> list[Check]:
    site = slot / manifest.platform.site_packages(".".join(manifest.packages["python"].split(".")[:2]))
    checks = []
    for path in sorted(path for path in (project / "backend").rglob("*") if path.is_file()):
        if "__pycache__" in path.parts:
            continue
        inside = site / path.relative_to(project)
        same = inside.exists() and inside.read_bytes() == path.read_bytes()
        checks.append(Check(path.relative_to(project).as_posix(), same, "same bytes" if same else "missing or another"))
    return checks


def _check_health(place: _Place) -> Check:
    """Start the backend as the app does, ask it for its health, and end it by closing its stdin."""
    command = place.command("--until-eof", "--", "--port", "0")
    with subprocess.Popen(
        command, env=_TRAPS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as engine:
        assert engine.stdout is not None
        assert engine.stdin is not None
        events: list[dict[str, Any]] = []
        for line in engine.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] in {"listening", "failed"}:
                break
        status = 0
        if events and events[-1]["event"] == "listening":
            connection = HTTPConnection(events[-1]["host"], events[-1]["port"], timeout=30)
            connection.request("GET", "/api/health")
            status = connection.getresponse().status
            connection.close()
        engine.stdin.close()
        engine.stdout.read()
        ended = engine.wait()
    last = events[-1].get("message", events[-1]["event"]) if events else "silence"
    return Check("health", status == 200 and ended == 0, f"{last}, HTTP {status}, exit status {ended}")


def _ask(python: Path, program: str, question: Sequence[str]) -> str:
    run = subprocess.run(
        [python, "-I", "-B", "-c", program], input=json.dumps(question), capture_output=True, text=True, check=False
    )
    if run.returncode:
        sys.stderr.write(run.stderr)
    return run.stdout
