"""The package `python`: what it is made from, what is in it, and that it runs where nothing else is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rattler.package_streaming import extract

from launcher.platforms import Platform
from pack import elf
from pack.errors import InterpreterUnsupported
from pack.interpreter import Interpreter, Layout, describe
from pack.pythonpackage import PLACEHOLDER, needed_libraries, stage, write_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the interpreter is packed on linux-64 only")

DEBIAN = Path("/usr/bin/python3.11")
HAS_DEBIAN = DEBIAN.exists() and Path("/etc/debian_version").exists() and Path("/usr/include/python3.11").exists()
MODULES = "ssl, sqlite3, ctypes, lzma, bz2, zlib, readline, uuid, hashlib, decimal"


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("channel")


@pytest.fixture(scope="module")
def package(channel: Path) -> Path:
    """Return the package of this interpreter, unpacked."""
    scratch = channel / "scratch"
    path, is_new = write_python(
        Path(sys.executable), channel=channel, platform=Platform.LINUX_64, minor="3.11", scratch=scratch
    )
    assert is_new
    extract(path, channel / "unpacked")
    return channel / "unpacked"


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's Python, laid out for a prefix."""
    return staged(describe(DEBIAN), tmp_path_factory.mktemp("debian"))


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what a standalone build looks like: a Python that was moved, whose files name /install.

    A real one is on no package index, so it is made here from this interpreter.
    """
    base = staged(describe(Path(sys.executable)), tmp_path_factory.mktemp("standalone"))
    for path in base.rglob("*"):
        if path.is_file() and not path.is_symlink() and PLACEHOLDER.encode() in path.read_bytes():
            path.write_bytes(path.read_bytes().replace(PLACEHOLDER.encode(), b"/install"))
    return base


def staged(interpreter: Interpreter, folder: Path) -> Path:
    """Lay an interpreter out in a folder for a prefix, and return that."""
    stage(interpreter, needed_libraries(interpreter, folder), folder / "prefix")
    return folder / "prefix"


def run(prefix: Path, code: str) -> str:
    """Run code in a prefix with an empty environment."""
    ended = subprocess.run(
        [prefix / "bin" / "python", "-c", code],
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.strip()


def holding(prefix: Path, words: bytes) -> list[str]:
    """Return the files under a folder that hold `words`."""
    return [
        path.relative_to(prefix).as_posix()
        for path in sorted(prefix.rglob("*"))
        if path.is_file() and not path.is_symlink() and words in path.read_bytes()
    ]


def test_no_path_of_this_machine_is_in_the_package(package: Path) -> None:
    own = describe(Path(sys.executable))

    assert holding(package, str(own.base).encode()) == []
    assert own.built_in == "" or holding(package, own.built_in.encode()) == []
    assert holding(package, str(Path.home()).encode() + b"/.") == []


def test_one_placeholder_of_255_characters_is_recorded_where_it_stands_and_only_in_text(package: Path) -> None:
    paths = json.loads((package / "info" / "paths.json").read_text())["paths"]
    recorded = [entry["_path"] for entry in paths if entry.get("prefix_placeholder")]

    assert len(PLACEHOLDER) == 255
    assert {(entry["prefix_placeholder"], entry["file_mode"]) for entry in paths if entry["_path"] in recorded} == {
        (PLACEHOLDER, "text")
    }
    assert recorded == [path for path in holding(package, PLACEHOLDER.encode()) if not path.startswith("info/")]
    assert any("_sysconfigdata" in path for path in recorded)
    assert not any(elf.is_elf(package / path) for path in recorded)


def test_it_runs_from_any_folder_and_says_it_is_there(package: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "a folder, é"
    shutil.copytree(package, prefix, symlinks=True)

    assert run(prefix, f"import {MODULES}, sys; print(sys.prefix)") == str(prefix)


def test_it_is_the_version_that_it_was_made_from(package: Path) -> None:
    assert run(package, "import platform; print(platform.python_version())") == sys.version.split()[0]


def test_programs_and_libraries_find_each_other_without_the_system(package: Path) -> None:
    for path in elf.elf_files(package):
        found, missing = elf.libraries(path)
        assert not missing, path
        assert all(package in place.resolve().parents for place in found.values()), (path, found)


def test_wheels_find_the_c_plus_plus_libraries_in_the_interpreter(package: Path) -> None:
    needed = subprocess.run(["objdump", "-p", package / "bin" / "python3.11"], capture_output=True, text=True).stdout

    assert "libstdc++.so.6" in needed
    assert "libgcc_s.so.1" in needed


def test_it_asks_for_the_glibc_that_its_files_need(package: Path) -> None:
    depends = json.loads((package / "info" / "index.json").read_text())["depends"]

    assert depends == [f"__glibc >={elf.least_glibc(elf.elf_files(package))}"]


def test_headers_are_there_and_tests_and_pip_are_not(package: Path) -> None:
    library = package / "lib" / "python3.11"

    assert (package / "include" / "python3.11" / "Python.h").exists()
    assert not [
        name for name in ("test", "idlelib", "ensurepip", "tkinter", "site-packages") if (library / name).exists()
    ]
    assert not list(package.rglob("__pycache__"))
    assert (package / "info" / "licenses" / "LICENSE-python.txt").exists()


def test_it_is_not_written_twice(package: Path, channel: Path) -> None:  # noqa: ARG001 - it was written for `package`
    _, is_new = write_python(
        Path(sys.executable), channel=channel, platform=Platform.LINUX_64, minor="3.11", scratch=channel / "again"
    )

    assert not is_new


@pytest.mark.root
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="a chroot needs root")
def test_it_runs_where_there_is_nothing_but_glibc(package: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(package, root / "python", symlinks=True)
    for name in ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "librt.so.1"):
        for folder in ("/lib/x86_64-linux-gnu", "/lib64"):
            if (source := Path(folder, name)).exists():
                target = root / folder.lstrip("/") / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    (root / "lib64").mkdir(exist_ok=True)
    shutil.copy("/lib64/ld-linux-x86-64.so.2", root / "lib64")
    (root / "proc").mkdir()
    inside = f'exec chroot "$0" /python/bin/python -c "import {MODULES}; print(6 * 7)"'
    script = f'mount -t proc proc "$0/proc" && {inside}'

    ended = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, root],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )

    assert (ended.stdout, ended.stderr) == ("42\n", "")


@pytest.mark.skipif(not HAS_DEBIAN, reason="Debian's python3.11 and libpython3.11-dev are not installed")
def test_debians_python_becomes_one_with_site_packages(debian: Path) -> None:
    site = debian / "lib" / "python3.11" / "site-packages"
    site.mkdir(exist_ok=True)
    (site / "found.py").write_text("x = 1\n")

    assert describe(DEBIAN).layout is Layout.DEBIAN
    assert run(debian, f"import {MODULES}, found, sysconfig; print(sysconfig.get_path('purelib'))") == str(site)
    assert run(debian, "import sysconfig; print(sysconfig.get_path('include'))") == str(debian / "include/python3.11")


@pytest.mark.skipif(not HAS_DEBIAN, reason="Debian's python3.11 and libpython3.11-dev are not installed")
def test_debians_text_files_hold_the_placeholder_and_leave_usr_to_others(debian: Path) -> None:
    (sysconfigdata,) = debian.glob("lib/python3.11/_sysconfigdata__x86*.py")
    text = sysconfigdata.read_text()

    assert f"'prefix': '{PLACEHOLDER}'" in text
    assert f"'LIBDEST': '{PLACEHOLDER}/lib/python3.11'" in text
    assert f"'INCLUDEPY': '{PLACEHOLDER}/include/python3.11'" in text
    assert "'INSTALL': '/usr/bin/install -c'" in text
    assert [path for path in debian.rglob("*") if path.is_symlink() and not path.exists()] == []


@pytest.mark.skipif(not HAS_DEBIAN, reason="Debian's python3.11 and libpython3.11-dev are not installed")
def test_debians_libraries_are_brought_along(debian: Path) -> None:
    for path in elf.elf_files(debian):
        found, missing = elf.libraries(path)
        assert not missing
        assert all(debian in place.resolve().parents for place in found.values()), (path, found)


def test_a_standalone_build_is_packed_from_wherever_it_was_moved(standalone: Path, tmp_path: Path) -> None:
    interpreter = describe(standalone / "bin" / "python3.11")
    staged(interpreter, tmp_path)

    assert (interpreter.layout, interpreter.built_for) == (Layout.STANDALONE, "/install")
    assert run(tmp_path / "prefix", f"import {MODULES}, sys; print(sys.prefix)") == str(tmp_path / "prefix")
    assert holding(standalone, b"/install/lib/python3.11")
    assert not holding(tmp_path / "prefix", b"/install/lib/python3.11")
    assert holding(tmp_path / "prefix", PLACEHOLDER.encode() + b"/lib/python3.11")


def test_an_interpreter_of_another_layout_is_refused(standalone: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(standalone, moved, symlinks=True)
    for path in moved.glob("lib/python3.11/_sysconfigdata*.py"):
        path.write_text(path.read_text().replace("/install", "/somewhere"))

    with pytest.raises(InterpreterUnsupported, match="it was configured for /somewhere and is in"):
        describe(moved / "bin" / "python3.11")

    shutil.rmtree(moved / "include")
    with pytest.raises(InterpreterUnsupported, match=r"Python\.h is missing"):
        describe(moved / "bin" / "python3.11")


def test_what_is_no_python_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    program.chmod(0o755)

    with pytest.raises(InterpreterUnsupported, match=r"does not run \(broken\)"):
        describe(program)


@pytest.mark.parametrize(("platform", "minor"), [(Platform.OSX_ARM64, "3.11"), (Platform.LINUX_64, "3.12")])
def test_another_platform_or_version_is_refused(platform: Platform, minor: str, tmp_path: Path) -> None:
    with pytest.raises(InterpreterUnsupported):
        write_python(Path(sys.executable), channel=tmp_path, platform=platform, minor=minor, scratch=tmp_path)


def test_a_virtual_environment_s_interpreter_is_the_one_behind_it() -> None:
    interpreter: Interpreter = describe(Path(sys.executable))

    assert interpreter.base == Path(sys.base_prefix)
    assert interpreter.executable == Path(sys.base_prefix, "bin", "python3.11").resolve()
