"""verify, on small resources that are whole, and on the same ones broken in each way that it looks for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from launcher.manifest import MANIFEST_NAME
from pack.checks import _IMPORT, Check, backend_imports, check_routes
from pack.errors import NotBuilt, VerificationFailed
from pack.hostile import hostile_places
from pack.progress import silent
from pack.verify import Looked, Report, verify
from pack.visit import Visit
from tests.builders.prefix import SITE, Package
from tests.builders.staged import HERE, Bench, make_bench, packages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
    return {name: check.found for name, check in checks.items() if not check.passed}


def test_whole_resources_pass_every_check(bench: Bench) -> None:
    checks = bench.verify()
    assert failed(checks) == {}
    assert {
        "engine.json", "install", "every file's sha256", "version of python", "version of fastapi", "import sqlite3",
        "import small_library.deep", "backend/settings.json", "a program", "start", "every route", "core: first start",
        "core: every route", "core: nothing else is there",
    } <= checks.keys()  # fmt: skip
    assert checks["a program"].found == "it computes"
    assert checks["start"].found == "listening, HTTP 200, exit status 0"
    assert checks["core: every route"].found == "3 answered"


def test_each_hostile_place_is_a_place_of_its_own_in_the_report(bench: Bench) -> None:
    told: list[str] = []
    verify(bench.resources, bench.project, bench.report, lambda what, *_: told.append(what))
    # Of what takes minutes each beginning shows.
    parts = ("install", "imports", "programs", "start", "every file")
    assert list(dict.fromkeys(told)) == ["verify", *(f"verify: {part}" for part in parts)]
    places = {looked["place"]: looked for looked in json.loads(bench.report.read_text())["places"]}
    assert list(places) == [
        "the resources", "a path with spaces, é and 日本", "a path of 200 characters",
        "a read-only folder around the resources", "PYTHONPATH full of traps", "a library path full of traps",
        "no network", "no Python on PATH", "HOME unset", "all of these at once", "the core alone",
    ]  # fmt: skip
    assert all(looked["refusal"] or looked["checks"] for looked in places.values())
    text = bench.report.with_suffix(".txt").read_text()
    assert re.search(r"^HOME unset\n  ok +first start +listening, HTTP 200, exit status 0$", text, re.MULTILINE)
    assert text.endswith(", 0 failed.\n")


def test_each_failure_is_in_the_error_the_json_and_the_text(bench: Bench) -> None:
    (bench.project / "pack" / "program.py").write_text("import sys\nsys.exit('2 + 2 is 5')\n")
    with pytest.raises(VerificationFailed, match=r"a program: 2 \+ 2 is 5") as caught:
        verify(bench.resources, bench.project, bench.report, silent, lambda *where: ([], hostile_places(*where)[1]))
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


def test_a_backend_that_dies_fails_the_start_with_its_last_words(tmp_path: Path) -> None:
    made_of = packages()
    made_of[1].files[f"{SITE}/backend/__main__.py"] = "raise SystemExit('no port is free')\n"
    found = failed(make_bench(tmp_path, made_of).verify())
    assert found["start"].endswith("not asked, exit status 1")


@pytest.mark.parametrize(
    ("left_out", "check", "words"),
    [
        (
            "small_server/late",
            "core: every route",
            "GET /api/late: HTTP 500, and 200 from the whole; ModuleNotFoundError: No module named 'small_server.late'",
        ),
        ("small_server/data", "core: first start", "ModuleNotFoundError: No module named 'small_server.data'"),
        ("small_server/words", "core: first start", "words.txt'"),
    ],
)
def test_what_the_core_lacks_is_named(tmp_path: Path, left_out: str, check: str, words: str) -> None:
    found = failed(make_bench(tmp_path, packages(), left_out).verify())
    assert words in found[check]
    assert all(name.startswith("core: ") for name in found), "from the whole runtime all of it works"


def test_a_route_that_waits_for_the_whole_is_no_failure_of_the_core_but_of_the_whole() -> None:
    def seen(status: int) -> Visit:
        return Visit("listening", {"GET /api/health": 200, "POST /api/load": status}, 0, [])

    assert check_routes(seen(503), seen(200)).passed
    assert check_routes(seen(503)).passed
    assert check_routes(seen(404), seen(200)).found == "POST /api/load: HTTP 404, and 200 from the whole"
    assert check_routes(seen(500)).found == "POST /api/load: HTTP 500"
    assert not check_routes(Visit("silence", {}, 1, [])).passed


def test_nothing_staged_names_the_act_that_stages(tmp_path: Path) -> None:
    with pytest.raises(NotBuilt) as caught:
        verify(tmp_path, tmp_path, tmp_path / "verify.json", silent)
    assert caught.value.path == tmp_path / MANIFEST_NAME
    assert "python -m pack stage" in caught.value.remedy


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
        "a", "b.c", "backend.deep.near:x", "backend.deep:sibling", "backend.far:y", "d.e:g", "h", "otherwise",
        "typing:TYPE_CHECKING",
    ]  # fmt: skip


def test_what_is_taken_out_of_a_module_has_to_be_in_it_or_to_be_a_module_below_it() -> None:
    question = ["json:loads", "json:tool", "json:nothing", "nothing:at_all"]
    asked = subprocess.run([sys.executable, "-c", _IMPORT], input=json.dumps(question), capture_output=True, text=True)
    answers = dict(json.loads(line) for line in asked.stdout.replace("\x1e", "").splitlines())
    assert answers == {
        "json:loads": None,
        "json:tool": None,
        "json:nothing": "ModuleNotFoundError: No module named 'json.nothing'",
        "nothing:at_all": "ModuleNotFoundError: No module named 'nothing'",
    }


def test_a_report_lines_up_for_people() -> None:
    report = Report("0a1b2c3d" * 8, (
        Looked("here", (Check("short", passed=True, found="x"), Check("a longer one", False, "y"))),
        Looked("there", (), "it cannot be reached"),
    ))  # fmt: skip
    assert report.to_text() == (
        "here\n  ok      short         x\n  FAILED  a longer one  y\nthere\n  not made here: it cannot be reached\n"
        "2 checks of runtime 0a1b2c3d in 1 places, 1 not made here, 1 failed.\n"
    )
    assert report.failures == ["here: a longer one: y"]
