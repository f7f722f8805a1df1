"""Bytecode of a runtime: made by its own interpreter, for every source that stays as it is, and for no other."""

from __future__ import annotations

import importlib.util
import json
import marshal
import random
import sys
from dataclasses import replace
from pathlib import Path
from types import CodeType

import pytest

import pack.bytecode
from launcher.manifest import Kind
from pack.bytecode import with_bytecode
from pack.errors import ProgramFailed
from pack.progress import silent
from pack.source import Source
from tests.builders.runtime import launch, make_resources
from tests.builders.sources import file, on_disk, tree_of

PYTHON = Path(sys.executable)
TAG = sys.implementation.cache_tag
SITE = "lib/python3.11/site-packages"


def sources(place: Path, texts: dict[str, str]) -> list[Source]:
    """Return sources whose bytes lie in files, as those of packages do."""
    place.mkdir(exist_ok=True)
    return [
        on_disk(file(path, text.encode()), place / f"{number}.py") for number, (path, text) in enumerate(texts.items())
    ]


def compiled(found: list[Source], cache: Path) -> dict[str, bytes]:
    return {
        source.path: source.read()
        for source in with_bytecode(found, PYTHON, cache, silent)
        if source.path.endswith(".pyc")
    }


def code_in(content: bytes) -> CodeType:
    """Return the code after the 16 bytes of a bytecode file's header (PEP 552)."""
    code = marshal.loads(content[16:])
    assert isinstance(code, CodeType)
    return code


def test_each_source_gets_bytecode_that_python_finds_and_never_checks(tmp_path: Path) -> None:
    found = compiled(sources(tmp_path, {f"{SITE}/a/b.py": "def f(): return 42\n"}), tmp_path / "cache")
    (path, content), *more = found.items()
    assert not more
    assert path == importlib.util.cache_from_source(f"{SITE}/a/b.py")
    assert content[:4] == importlib.util.MAGIC_NUMBER
    assert content[4:8] == (0b01).to_bytes(4, "little")  # by hash, and unchecked
    assert content[8:16] == importlib.util.source_hash(b"def f(): return 42\n")


def test_the_path_inside_is_relative_to_the_runtime(tmp_path: Path) -> None:
    source = "def f():\n    def g(): pass\n    return g\n"
    content = compiled(sources(tmp_path, {f"{SITE}/a.py": source}), tmp_path / "cache")[
        f"{SITE}/__pycache__/a.{TAG}.pyc"
    ]
    waiting = [code_in(content)]
    while waiting:
        code = waiting.pop()
        assert code.co_filename == f"{SITE}/a.py"
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    assert str(tmp_path).encode() not in content


def test_a_relocated_source_gets_none_since_it_will_be_another(tmp_path: Path) -> None:
    (relocated,) = sources(tmp_path, {f"{SITE}/sysconf.py": "ROOT = '/placeholder'\n"})
    assert compiled([replace(relocated, relocated=True)], tmp_path / "cache") == {}


def test_bytecode_of_packages_is_replaced_by_ours(tmp_path: Path) -> None:
    theirs = [
        file(f"{SITE}/__pycache__/a.{TAG}.pyc", b"theirs"),
        file(f"{SITE}/__pycache__/a.cpython-399.pyc", b"of another Python"),
        file(f"{SITE}/a.pyc", b"beside its source"),
    ]
    found = compiled([*sources(tmp_path, {f"{SITE}/a.py": "x = 1\n"}), *theirs], tmp_path / "cache")
    assert list(found) == [f"{SITE}/__pycache__/a.{TAG}.pyc"]
    assert code_in(found[f"{SITE}/__pycache__/a.{TAG}.pyc"]).co_names == ("x",)


def test_a_module_that_comes_as_bytecode_alone_stays(tmp_path: Path) -> None:
    found = compiled([file(f"{SITE}/closed.pyc", b"no source")], tmp_path / "cache")
    assert found == {f"{SITE}/closed.pyc": b"no source"}


@pytest.mark.parametrize("text", ["print 'python 2'\n", "def f(:\n", "\0", "x = '\\udc80'.encode('"])
def test_what_is_no_python_of_this_version_has_none_and_stops_nobody(tmp_path: Path, text: str) -> None:
    found = sources(tmp_path, {f"{SITE}/bad.py": text, f"{SITE}/good.py": "x = 1\n"})
    assert list(compiled(found, tmp_path / "cache")) == [f"{SITE}/__pycache__/good.{TAG}.pyc"]


def test_bytecode_belongs_to_the_package_of_its_source(tmp_path: Path) -> None:
    (source,) = sources(tmp_path, {f"{SITE}/a.py": "x = 1\n"})
    found = with_bytecode([replace(source, package="torch")], PYTHON, tmp_path / "cache", silent)
    assert {(made.package, made.kind) for made in found} == {("torch", Kind.FILE)}


def test_what_was_compiled_once_is_used_again_until_its_source_changes(tmp_path: Path) -> None:
    cache, told = tmp_path / "cache", []

    def tell(what: str, done: int, total: int) -> None:
        told.append((what, done, total))

    first = sources(tmp_path / "1", {"a.py": "x = 1\n", "b.py": "x = 2\n"})
    changed = sources(tmp_path / "2", {"a.py": "x = 1\n", "b.py": "x = 3\n"})
    for found in (first, first, changed):
        with_bytecode(found, PYTHON, cache, tell)
    assert told == [("bytecode", 2, 2), ("bytecode", 1, 1)]
    assert not list(cache.rglob("*.new"))


def test_bytecode_does_not_depend_on_what_was_compiled_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = sorted(Path(json.__file__).parents[1].glob("*.py"))[:60]
    found = [Source(path=path.name, package="python", kind=Kind.FILE, at=path) for path in library]
    one = compiled(found, tmp_path / "one")
    monkeypatch.setattr(pack.bytecode, "_BATCH", 7)
    shuffled = random.Random(0).sample(found, len(found))
    assert compiled(shuffled, tmp_path / "other") == one


def test_an_interpreter_that_does_not_run_is_an_error_with_its_words(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho cannot open shared object file >&2\nexit 127\n")
    python.chmod(0o755)
    with pytest.raises(ProgramFailed, match=r"ended with status 127:\ncannot open shared object file"):
        with_bytecode([], python, tmp_path / "cache", silent)


def test_a_start_of_the_backend_writes_nothing_into_its_runtime(tmp_path: Path) -> None:
    resources, manifest = make_resources(tmp_path)
    home = tmp_path / "home"
    assert launch(resources, home, "--install").returncode == 0
    slot = home / "rt" / manifest.slot_name
    before = tree_of(slot)
    started = launch(resources, home, environment={"PYTHONPYCACHEPREFIX": "", "PYTHONDONTWRITEBYTECODE": ""})
    assert '"config"' in started.stdout, started.stderr
    assert tree_of(slot) == before
