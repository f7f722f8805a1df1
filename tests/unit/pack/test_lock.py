"""Solving, writing and reading locks, against a channel with conda-forge's names and builds."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launcher.platforms import Platform
from pack.errors import ChannelUnreachable, LockStale, PackageUnknown, SpecUnsolvable
from pack.lock import Lock, read_lock, solve
from pack.spec import Accelerator, Spec
from tests.builders.repodata import Record, write_channel, write_conda_forge

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = (Path(__file__).parents[3] / "environment.yml").read_text(encoding="utf-8")
BITSANDBYTES = Record("win-64", "bitsandbytes", "0.50.2", "py311_h1234567_0", ("python 3.11.*", "pytorch >=2.3"))


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_conda_forge(tmp_path_factory.mktemp("forge"))


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_channel(tmp_path_factory.mktemp("local"), [BITSANDBYTES], Platform.WIN_64)


@pytest.fixture
def served(forge: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(forge)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(text: str, platform: Platform, accelerator: Accelerator | None = None) -> Spec:
    return Spec.from_text(text, platform=platform, accelerator=accelerator)


def builds(lock: Lock) -> dict[str, str]:
    return {str(record.name.normalized): str(record.build) for record in lock.records}


@pytest.mark.parametrize(
    ("platform", "accelerator", "build"),
    [
        (Platform.LINUX_64, None, "cuda129_mkl_py311_h1111111_302"),
        (Platform.LINUX_64, Accelerator.CPU, "cpu_mkl_py311_h3333333_102"),
        (Platform.WIN_64, None, "cuda128_mkl_py311_h4444444_302"),
        (Platform.WIN_64, Accelerator.CPU, "cpu_mkl_py311_h6666666_102"),
        (Platform.OSX_ARM64, None, "cpu_generic_py311_h7777777_2"),
    ],
)
def test_our_environment_solves_to_the_right_torch_without_a_card(
    platform: Platform,
    accelerator: Accelerator | None,
    build: str,
    forge: Path,
    local: Path,
    tmp_path: Path,
) -> None:
    spec = ask(ENVIRONMENT, platform, accelerator)

    lock = solve(spec, cache=tmp_path, channels=(forge.as_uri(),), local=local if platform is Platform.WIN_64 else None)

    assert builds(lock)["pytorch"] == build
    assert set(builds(lock)) >= {line.name for line in spec.lines}
    assert builds(lock)["python"].endswith("_cpython")


def test_the_same_is_solved_over_http(served: str, tmp_path: Path) -> None:
    lock = solve(ask(ENVIRONMENT, Platform.LINUX_64), cache=tmp_path, channels=(served,))

    assert builds(lock)["pytorch"].startswith("cuda129_mkl_py311")
    assert builds(lock)["bitsandbytes"].startswith("cuda129")
    assert lock.channels == (f"{served}/",)


def test_the_channels_of_environment_yml_are_asked_when_no_other_is_named(forge: Path, tmp_path: Path) -> None:
    text = ENVIRONMENT.replace("- conda-forge", f"- {forge.as_uri()}")

    assert solve(ask(text, Platform.OSX_ARM64), cache=tmp_path).channels == (f"{forge.as_uri()}/",)


def test_each_platform_has_its_own_extras(forge: Path, local: Path, tmp_path: Path) -> None:
    unix = solve(ask(ENVIRONMENT, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),))
    windows = solve(ask(ENVIRONMENT, Platform.WIN_64), cache=tmp_path, channels=(forge.as_uri(),), local=local)

    assert "uvloop" in builds(unix)
    assert "uvloop" not in builds(windows)


def test_a_lock_says_what_it_asks_of_a_machine(forge: Path, tmp_path: Path) -> None:
    cuda = solve(ask(ENVIRONMENT, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),))
    cpu = solve(ask(ENVIRONMENT, Platform.LINUX_64, Accelerator.CPU), cache=tmp_path, channels=(forge.as_uri(),))

    assert cuda.least == {"__glibc": "2.28", "__cuda": "12"}
    assert cpu.least == {"__glibc": "2.17"}


def test_a_package_that_no_channel_has_is_named_with_its_line(forge: Path, tmp_path: Path) -> None:
    text = ENVIRONMENT.replace("- psutil=7.2.2", "- psutill=7.2.2")
    number = next(n for n, line in enumerate(text.splitlines(), 1) if "psutill" in line)

    with pytest.raises(PackageUnknown, match=rf"named psutill \(environment.yml, line {number}\)"):
        solve(ask(text, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),))
    with pytest.raises(PackageUnknown, match="named peft-studio-backend"):
        solve(
            ask(ENVIRONMENT, Platform.LINUX_64),
            cache=tmp_path,
            channels=(forge.as_uri(),),
            also=("peft-studio-backend",),
        )


def test_a_version_that_no_channel_has_is_not_called_unknown(forge: Path, tmp_path: Path) -> None:
    text = ENVIRONMENT.replace("peft=0.19.1", "peft=0.99.0")

    with pytest.raises(SpecUnsolvable, match=r"linux-64 with cuda:[\s\S]*peft"):
        solve(ask(text, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),))


def test_a_channel_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    absent = (tmp_path / "absent").as_uri()

    with pytest.raises(ChannelUnreachable, match="absent"):
        solve(ask(ENVIRONMENT, Platform.LINUX_64), cache=tmp_path, channels=(absent,))
    with pytest.raises(ChannelUnreachable, match=r"127\.0\.0\.1:9/"):
        solve(ask(ENVIRONMENT, Platform.LINUX_64), cache=tmp_path, channels=("http://127.0.0.1:9/forge",))


def test_a_local_line_is_not_answered_by_another_channel(forge: Path, tmp_path: Path) -> None:
    text = ENVIRONMENT.replace("- peft=", "- local::peft=")

    with pytest.raises(PackageUnknown, match=r"peft .*asked: local"):
        solve(ask(text, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),))


def test_a_lock_is_read_back_as_it_was_written_and_names_no_folder(tmp_path: Path) -> None:
    spec = ask(ENVIRONMENT, Platform.WIN_64)
    lock = solve(spec, cache=tmp_path, channels=(), local=write_conda_forge(tmp_path / "all", also=[BITSANDBYTES]))
    path = tmp_path / "locks" / "win-64.lock"
    lock.write(path)

    read = read_lock(path, spec, local=tmp_path / "all")

    assert str(tmp_path) not in path.read_text()
    assert read.channels == lock.channels == ("local:/",)
    assert [record.sha256 for record in read.records] == [record.sha256 for record in lock.records]
    assert {record.url for record in read.records} == {record.url for record in lock.records}


def test_the_same_packages_make_the_same_lock_in_another_folder(tmp_path: Path) -> None:
    written = []
    for name in ("here", "elsewhere"):
        channel = write_conda_forge(tmp_path / name, also=[BITSANDBYTES])
        lock = solve(ask(ENVIRONMENT, Platform.WIN_64), cache=tmp_path / "cache", channels=(), local=channel)
        lock.write(tmp_path / f"{name}.lock")
        written.append((tmp_path / f"{name}.lock").read_bytes())

    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("peft=0.19.1", "peft=0.19.2"), r"line \d+ asks for peft ==0.19.2; it holds peft 0.19.1"),
        (("=cuda*  # [linux64]", "=cpu*  # [linux64]"), r"line \d+ asks for pytorch ==2.13.0 cpu\*; it holds pytorch"),
        (("- peft=", "- six=1.17.0\n  - peft="), r"line \d+ asks for six ==1.17.0, which it does not hold"),
    ],
)
def test_a_lock_that_no_longer_fits_is_refused_with_the_line(
    change: tuple[str, str], words: str, forge: Path, tmp_path: Path
) -> None:
    path = tmp_path / "linux-64.lock"
    solve(ask(ENVIRONMENT, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),)).write(path)

    with pytest.raises(LockStale, match=words):
        read_lock(path, ask(ENVIRONMENT.replace(*change, 1), Platform.LINUX_64), local=forge)


def test_a_channel_in_a_folder_that_is_not_ours_keeps_its_address(forge: Path, tmp_path: Path) -> None:
    spec = ask(ENVIRONMENT, Platform.LINUX_64)
    path = tmp_path / "linux-64.lock"
    solve(spec, cache=tmp_path, channels=(forge.as_uri(),)).write(path)
    assert {record.url.startswith(forge.as_uri()) for record in read_lock(path, spec).records} == {True}


def test_a_lock_that_is_absent_broken_or_anothers_is_refused(forge: Path, tmp_path: Path) -> None:
    spec = ask(ENVIRONMENT, Platform.LINUX_64)
    path, broken = tmp_path / "linux-64.lock", tmp_path / "broken.lock"
    broken.write_text("nothing: [")
    solve(spec, cache=tmp_path, channels=(), local=forge).write(path)

    with pytest.raises(LockStale, match="no such lock"):
        read_lock(tmp_path / "absent.lock", spec)
    with pytest.raises(LockStale, match="not a lock"):
        read_lock(broken, spec)
    with pytest.raises(LockStale, match="nothing for osx-arm64"):
        read_lock(path, ask(ENVIRONMENT, Platform.OSX_ARM64))
    with pytest.raises(LockStale, match="of a local channel"):
        read_lock(path, spec, local=tmp_path)
