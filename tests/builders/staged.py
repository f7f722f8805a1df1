"""Staged resources as small as verify takes them, and the project that they come from."""

from __future__ import annotations

import json
import platform as python_platform
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.platforms import Platform
from pack.checks import Check
from pack.errors import VerificationFailed
from pack.hostile import hostile_places
from pack.progress import silent
from pack.stage import write_engine
from pack.verify import verify
from tests.builders.prefix import SITE, Package
from tests.builders.runtime import ROOT, make_resources

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pack.source import Source

HERE = Platform.current()
# A server as small as can be that says and does what verify asks for.
BACKEND = """
import http.server, json, os, sys, threading

import small_server.data

class Routes(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answer = {"/api/health": {}, "/api/openapi.json": {"paths": {"/api/late": {"get": {}}}}}.get(self.path)
        if self.path == "/api/late":
            try:
                import small_server.late
                answer = {}
            except ImportError as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                self.send_error(500)
                return
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def do_POST(self):
        self.send_response(422)
        self.end_headers()

    def log_message(self, *_):
        pass

if os.path.exists(os.environ["PEFT_STUDIO_ATTEMPT"]):
    os.unlink(os.environ["PEFT_STUDIO_ATTEMPT"])
server = http.server.HTTPServer(("127.0.0.1", 0), Routes)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"event": "listening", "host": "127.0.0.1", "port": server.server_port}), flush=True)
sys.stdin.read()
"""
# Runs this test's Python with the packages of its own prefix, as if they were in its own site-packages.
INTERPRETER = f"""#!/bin/sh
PYTHONPATH="${{0%/*}}/../{SITE}" exec '{sys.executable}' "$@"
"""
# Stands for the frozen launcher, which tests/unit/pack/test_stub.py freezes.
LAUNCHER = f"""#!/bin/sh
exec /usr/bin/env -i PATH=/usr/bin:/bin PYTHONPATH='{ROOT}' '{sys.executable}' -m launcher --resources "${{0%/*}}" "$@"
"""
SOURCES = {
    "backend/__init__.py": "",
    "backend/__main__.py": BACKEND,
    "backend/late.py": "def f():\n    import small_library.deep\n",
    "backend/settings.json": "{}",
}
SERVER: dict[str, str | bytes] = {
    "__init__.py": "",
    "data.py": "import pathlib\npathlib.Path(__file__).with_name('words.txt').read_text()\n",
    "words.txt": "words",
    "late.py": "late = True\n",  # not empty: who follows a first start makes empty files without the archive
}
SMOKE = """
[[module]]
name = "sqlite3"
reason = "for this test"

[[program]]
name = "a program"
path = "program.py"
reason = "for this test"
"""
PROGRAM = "import pathlib, sys\npathlib.Path(sys.argv[1], 'made').touch()\nprint('it computes')\n"


def packages(version: str = "0.138.2", library: str = "print('loaded, noisily')\n") -> list[Package]:
    metadata = f"Metadata-Version: 2.1\nName: fastapi\nVersion: {version}\n"
    library_files: dict[str, str | bytes] = {
        f"{SITE}/small_library/__init__.py": "",
        f"{SITE}/small_library/deep.py": library,
    }
    return [
        Package(
            "python",
            python_platform.python_version(),
            {"bin/python3.11": INTERPRETER},
            frozenset({"bin/python3.11"}),
            {"bin/python": "python3.11"},
        ),
        Package("peft-studio-backend", "1.0", {f"{SITE}/{path}": text for path, text in SOURCES.items()}),
        Package("small_server", "1.0", {f"{SITE}/small_server/{name}": text for name, text in SERVER.items()}),
        Package("small_library", "1.0", library_files),
        Package("fastapi", "0.138.2", {f"{SITE}/fastapi-{version}.dist-info/METADATA": metadata}),
    ]


@dataclass(frozen=True)
class Bench:
    """Resources to verify and the project that they were made from."""

    resources: Path
    project: Path

    def verify(self) -> dict[str, Check]:
        """Return the checks of the JSON report by name, whether or not they passed; single places are left out."""
        try:
            verify(self.resources, self.project, self.report, silent, lambda *where: ([], hostile_places(*where)[1]))
        except VerificationFailed:
            pass
        else:
            assert json.loads(self.report.read_text())["failed"] == 0
        return {
            ("core: " if looked["place"] == "the core alone" else "") + row["name"]: Check(**row)
            for looked in json.loads(self.report.read_text())["places"]
            for row in looked["checks"]
        }

    @property
    def report(self) -> Path:
        return self.resources.with_name("verify.json")


def core(sources: Sequence[Source], left_out: str = "small_library/") -> frozenset[str]:
    return frozenset(source.path for source in sources if left_out not in source.path or source.relocated)


def make_bench(root: Path, made_of: list[Package], left_out: str = "small_library/") -> Bench:
    """Make resources whose core is all but the paths that hold `left_out`, and the project that they come from."""
    resources, manifest = make_resources(root, made_of, find_core=lambda sources: core(sources, left_out))
    (resources / HERE.program).write_text(LAUNCHER)
    (resources / HERE.program).chmod(0o755)
    write_engine(resources, manifest)
    project = root / "project"
    for path, text in {**SOURCES, "pack/smoke.toml": SMOKE, "pack/program.py": PROGRAM}.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    return Bench(resources, project)
