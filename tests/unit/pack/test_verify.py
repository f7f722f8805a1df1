"""verify, on small resources that are whole, and on the same ones broken in each way that it looks for."""

from __future__ import annotations

import json
import platform as python_platform
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from launcher.manifest import MANIFEST_NAME
from launcher.platforms import Platform
from pack.checks import Check, backend_imports
from pack.errors import NotBuilt, VerificationFailed
from pack.hostile import LONG, TRAPS, Place, cut_off, hostile_place
from pack.progress import silent
from pack.stage import write_engine
from pack.verify import Report, verify
from tests.builders.prefix import SITE, Package
from tests.builders.runtime import ROOT, make_resources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HERE = Platform.current()
# A server as small as can be that says and does what verify asks for.
BACKEND = """
import http.server, json, os, sys, threading

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass

if os.path.exists(os.environ["PEFT_STUDIO_ATTEMPT"]):
    os.unlink(os.environ["PEFT_STUDIO_ATTEMPT"])
server = http.server.HTTPServer(("127.0.0.1", 0), Health)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"event": "listening", "host": "127.0.0.1", "port": server.server_port}), flush=True)
sys.stdin.read()
"""
# Runs this test's Python with the packages of its own prefix; -I would keep them from it.
INTERPRETER = f"""#!/bin/sh
unset PYTHONHOME
if [ "$1" = -I ]; then shift; fi
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
        Package("small_library", "1.0", library_files),
        Package("fastapi", "0.138.2", {f"{SITE}/fastapi-{version}.dist-info/METADATA": metadata}),
    ]


@dataclass(frozen=True)
class Bench:
    """Resources to verify and the project that they were made from."""

    resources: Path
    project: Path

    def verify(self) -> dict[str, Check]:
        """Return the checks of the JSON report by name, whether or not they passed."""
        try:
            verify(self.resources, self.project, self.report, silent)
        except VerificationFailed:
            pass
        else:
            assert json.loads(self.report.read_text())["failed"] == 0
        return {row["name"]: Check(**row) for row in json.loads(self.report.read_text())["checks"]}

    @property
    def report(self) -> Path:
        return self.resources.with_name("verify.json")


def make_bench(root: Path, made_of: list[Package]) -> Bench:
    resources, manifest = make_resources(root, made_of)
    (resources / HERE.program).write_text(LAUNCHER)
    (resources / HERE.program).chmod(0o755)
    write_engine(resources, manifest)
    project = root / "project"
    for path, text in {**SOURCES, "pack/smoke.toml": SMOKE, "pack/program.py": PROGRAM}.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    return Bench(resources, project)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("whole"), packages())


@pytest.fixture
def bench(whole: Bench, tmp_path: Path) -> Bench:
    """A copy to break."""
    shutil.copytree(whole.resources, tmp_path / "resources")
    shutil.copytree(whole.project, tmp_path / "project")
    return Bench(tmp_path / "resources", tmp_path / "project")


def failed(checks: dict[str, Check]) -> dict[str, str]:
    return {check.name: check.found for check in checks.values() if not check.passed}


def test_whole_resources_pass_every_check(bench: Bench) -> None:
    checks = bench.verify()
    assert failed(checks) == {}
    assert {
        "engine.json", "install", "every file's sha256", "version of python", "version of fastapi", "import sqlite3",
        "import small_library.deep", "backend/settings.json", "a program", "health",
    } <= checks.keys()  # fmt: skip
    assert checks["a program"].found == "it computes"
    assert checks["health"].found == "listening, HTTP 200, exit status 0"


def test_the_report_is_there_as_text_too(bench: Bench) -> None:
    bench.verify()
    text = bench.report.with_suffix(".txt").read_text()
    assert "\nok      health" in text
    assert "checks of runtime" in text.splitlines()[-1]
    assert " 0 failed. " in text.splitlines()[-1]


def test_each_failure_is_in_the_error_the_json_and_the_text(bench: Bench) -> None:
    (bench.project / "pack" / "program.py").write_text("import sys\nsys.exit('2 + 2 is 5')\n")
    with pytest.raises(VerificationFailed, match=r"a program: 2 \+ 2 is 5") as caught:
        verify(bench.resources, bench.project, bench.report, silent)
    assert caught.value.message.startswith("1 checks of ")
    assert json.loads(bench.report.read_text())["failed"] == 1
    assert "FAILED  a program" in bench.report.with_suffix(".txt").read_text()


def change_program(bench: Bench) -> None:
    program = bench.resources / HERE.program
    program.write_text(program.read_text() + "\n# changed\n")


def damage_archive(bench: Bench) -> None:
    part = min(bench.resources.glob("runtime.tar.zst*"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)


BREAKS: dict[str, tuple[Callable[[Bench], object], dict[str, str]]] = {
    "a changed program": (change_program, {"engine.json": "and engine.json says"}),
    "no engine.json": (lambda b: (b.resources / "engine.json").unlink(), {"engine.json": "FileNotFoundError"}),
    "engine.json of another shape": (
        lambda b: (b.resources / "engine.json").write_text("{}"), {"engine.json": "KeyError: 'path'"},
    ),
    "no program": (
        lambda b: (b.resources / HERE.program).unlink(), {"engine.json": "FileNotFoundError", "install": "peft_engine"},
    ),
    "a program that cannot be run": (
        lambda b: (b.resources / HERE.program).chmod(0o644), {"install": "ermission denied"},
    ),
    "a damaged archive": (damage_archive, {"install": "damaged"}),
    "a missing part": (
        lambda b: min(b.resources.glob("runtime.tar.zst*")).unlink(), {"install": "runtime.tar.zst"},
    ),
    "a backend file that was left out": (
        lambda b: (b.project / "backend" / "new.py").write_text("import sqlite3\n"), {"backend/new.py": "missing"},
    ),
    "a backend file of another build": (
        lambda b: (b.project / "backend" / "settings.json").write_text("[]"), {"backend/settings.json": "other bytes"},
    ),
    "an import that nothing satisfies": (
        lambda b: (b.project / "pack" / "smoke.toml").write_text('[[module]]\nname = "no_such_module"\nreason = ""\n'),
        {"import no_such_module": "ModuleNotFoundError: No module named 'no_such_module'"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("harm", "expected"), BREAKS.values(), ids=BREAKS.keys())
def test_resources_broken_in_one_way_fail_the_check_for_it(
    bench: Bench, harm: Callable[[Bench], object], expected: dict[str, str]
) -> None:
    harm(bench)
    found = failed(bench.verify())
    assert found.keys() == expected.keys()
    for name, words in expected.items():
        assert words in found[name]


def test_a_package_of_another_version_than_its_record_fails(tmp_path: Path) -> None:
    found = failed(make_bench(tmp_path, packages(version="0.1")).verify())
    assert found == {"version of fastapi": "0.1, promised 0.138.2"}


def test_a_package_without_metadata_fails_by_itself_alone(tmp_path: Path) -> None:
    made_of = [*packages(), Package("peft", "0.19.1", {"share/peft": "no metadata"})]
    assert failed(make_bench(tmp_path, made_of).verify()) == {"version of peft": "no answer, promised 0.19.1"}


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ("raise RuntimeError('no driver')\n", "RuntimeError: no driver"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("import os\nos._exit(9)\n", "no answer (exit status 9)"),
    ],
)
def test_a_module_that_fails_on_import_is_named(tmp_path: Path, library: str, words: str) -> None:
    found = failed(make_bench(tmp_path, packages(library=library)).verify())
    assert words in found["import small_library.deep"]


def test_a_backend_that_dies_fails_the_health_check(tmp_path: Path) -> None:
    made_of = packages()
    made_of[1].files[f"{SITE}/backend/__main__.py"] = "raise SystemExit('no port is free')\n"
    found = failed(make_bench(tmp_path, made_of).verify())
    assert found["health"].endswith("not asked, exit status 1")


def test_nothing_staged_names_the_act_that_stages(tmp_path: Path) -> None:
    with pytest.raises(NotBuilt) as caught:
        verify(tmp_path, tmp_path, tmp_path / "verify.json", silent)
    assert caught.value.path == tmp_path / MANIFEST_NAME
    assert "python -m pack stage" in caught.value.remedy


def test_the_place_has_a_long_name_of_several_scripts_and_no_home_directory(tmp_path: Path) -> None:
    place, _ = hostile_place(tmp_path, tmp_path / "resources")
    assert len(str(place.home)) >= LONG
    assert {" ", "é", "日"} <= set(str(place.home))
    assert "HOME" not in TRAPS


def test_a_place_says_whether_it_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "dist" / "resources").mkdir(parents=True)
    place, where = hostile_place(tmp_path, tmp_path / "dist" / "resources")
    assert where.startswith("Without a network" if place.before else "With a network")


def test_what_is_cut_off_reaches_no_network_and_writes_no_resources(tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    folder.mkdir()
    place, _ = hostile_place(tmp_path, folder / "resources")
    if not place.before:
        assert cut_off(folder) == () or Place(tmp_path, cut_off(folder)).run(["/bin/sh", "-c", ":"]).status != 0
        return
    assert place.run(["/bin/sh", "-c", f"echo x > '{folder}/x'"]).status != 0
    assert place.run(["/bin/cat", "/proc/net/route"]).output.count("\n") <= 1
    assert place.run(["/bin/sh", "-c", f"echo x > '{tmp_path}/x'"]).status == 0


def test_imports_are_found_on_every_branch_but_type_checkers(tmp_path: Path) -> None:
    backend = tmp_path / "backend"
    (backend / "deep").mkdir(parents=True)
    (backend / "deep" / "module.py").write_text(
        "from __future__ import annotations\n"
        "import a, b.c\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import never\n"
        "else:\n    import otherwise\n"
        "def f():\n    try:\n        from d.e import g\n    except ImportError:\n        import h\n"
        "from . import sibling\nfrom .near import x\nfrom ..far import y\n"
    )
    assert backend_imports(backend) == [
        "a", "b.c", "backend.deep", "backend.deep.near", "backend.far", "d.e", "h", "otherwise", "typing",
    ]  # fmt: skip


def test_a_report_lines_up_for_people() -> None:
    report = Report(
        "0a1b2c3d" * 8, "Here.", (Check("short", passed=True, found="x"), Check("a longer one", False, "y"))
    )
    assert report.to_text() == (
        "ok      short         x\nFAILED  a longer one  y\n2 checks of runtime 0a1b2c3d, 1 failed. Here.\n"
    )
    assert report.failures == ["a longer one: y"]
