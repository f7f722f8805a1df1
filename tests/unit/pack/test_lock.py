"""Solving, writing and reading locks, against a channel with conda-forge's names and builds."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launcher.platforms import Platform
from pack.backendwheel import BACKEND
from pack.errors import ChannelUnreachable, LockStale, PackageUnknown, SpecUnsolvable
from pack.lock import Lock, read_lock
from pack.solve import solve
from pack.spec import ACCELERATORS, Accelerator, Spec
from tests.builders.repodata import Record, write_channel, write_conda_forge

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = (Path(__file__).parents[3] / "environment.yml").read_text(encoding="utf-8")
# What conda-forge alone can answer, but for a line of Windows'.
FROM_FORGE = re.sub(r"  - local::(?!bitsandbytes).*\n", "", ENVIRONMENT)
BITSANDBYTES = Record("win-64", "bitsandbytes", "0.50.2", "py311_h1234567_0", ("python 3.11.*", "pytorch >=2.3"))
FROM_WHEELS = (
    BITSANDBYTES,
    Record("noarch", "protobuf", "7.36.2", "py311_h2345678_0", ("python 3.11.*",)),
    Record("noarch", "sentencepiece", "0.2.2", "py311_h3456789_0", ("python 3.11.*",)),
)


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_conda_forge(tmp_path_factory.mktemp("forge"))


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is built on the machine: the backend, and what is made from wheels."""
    backend = Record("noarch", BACKEND, "1.0", "py311_h7654321_0", ("python >=3.11", "fastapi ==0.138.2"))
    return write_channel(tmp_path_factory.mktemp("local"), [*FROM_WHEELS, backend], *Platform)


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
        (Platform.LINUX_AARCH64, None, "cpu_generic_py311_h9999999_2"),
        (Platform.LINUX_AARCH64, Accelerator.CUDA, "cuda129_generic_py311_h8888888_202"),
        (Platform.OSX_64, None, "cpu_mkl_py311_haaaaaaa_102"),
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

    lock = solve(spec, cache=tmp_path, channels=(forge.as_uri(),), local=local)

    assert builds(lock)["pytorch"] == build
    assert set(builds(lock)) >= {line.name for line in spec.lines}
    assert builds(lock)["python"].endswith("_cpython")


def test_the_same_is_solved_over_http(served: str, tmp_path: Path) -> None:
    lock = solve(ask(FROM_FORGE, Platform.LINUX_64), cache=tmp_path, channels=(served,))

    assert builds(lock)["pytorch"].startswith("cuda129_mkl_py311")
    assert builds(lock)["bitsandbytes"].startswith("cuda129")
    assert lock.channels == (f"{served}/",)


def test_the_channels_of_environment_yml_are_asked_when_no_other_is_named(forge: Path, tmp_path: Path) -> None:
    text = FROM_FORGE.replace("- conda-forge", f"- {forge.as_uri()}")

    assert solve(ask(text, Platform.OSX_ARM64), cache=tmp_path).channels == (f"{forge.as_uri()}/",)


def test_each_platform_has_its_own_extras(forge: Path, local: Path, tmp_path: Path) -> None:
    unix = solve(ask(FROM_FORGE, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),))
    windows = solve(ask(FROM_FORGE, Platform.WIN_64), cache=tmp_path, channels=(forge.as_uri(),), local=local)

    assert "uvloop" in builds(unix)
    assert "uvloop" not in builds(windows)


def test_a_lock_says_what_it_asks_of_a_machine(forge: Path, tmp_path: Path) -> None:
    cuda = solve(ask(FROM_FORGE, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),))
    cpu = solve(ask(FROM_FORGE, Platform.LINUX_64, Accelerator.CPU), cache=tmp_path, channels=(forge.as_uri(),))

    assert cuda.least == {"__glibc": "2.28", "__cuda": "12"}
    assert cpu.least == {"__glibc": "2.17"}


def test_a_package_that_no_channel_has_is_named_with_its_line(forge: Path, tmp_path: Path) -> None:
    text = FROM_FORGE.replace("- psutil=7.2.2", "- psutill=7.2.2")
    number = next(n for n, line in enumerate(text.splitlines(), 1) if "psutill" in line)

    with pytest.raises(PackageUnknown, match=rf"named psutill \(environment.yml, line {number}\)"):
        solve(ask(text, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),))
    with pytest.raises(PackageUnknown, match="named peft-studio-backend"):
        solve(
            ask(FROM_FORGE, Platform.LINUX_64),
            cache=tmp_path,
            channels=(forge.as_uri(),),
            also=("peft-studio-backend",),
        )


def test_a_version_that_no_channel_has_is_not_called_unknown(forge: Path, tmp_path: Path) -> None:
    text = FROM_FORGE.replace("peft=0.19.1", "peft=0.99.0")

    with pytest.raises(SpecUnsolvable, match=r"linux-64 with cuda:[\s\S]*peft"):
        solve(ask(text, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),))


def test_a_channel_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    absent = (tmp_path / "absent").as_uri()

    with pytest.raises(ChannelUnreachable, match="absent"):
        solve(ask(FROM_FORGE, Platform.LINUX_64), cache=tmp_path, channels=(absent,))
    with pytest.raises(ChannelUnreachable, match=r"127\.0\.0\.1:9/"):
        solve(ask(FROM_FORGE, Platform.LINUX_64), cache=tmp_path, channels=("http://127.0.0.1:9/forge",))


def test_a_local_line_is_not_answered_by_another_channel(forge: Path, tmp_path: Path) -> None:
    text = FROM_FORGE.replace("- peft=", "- local::peft=")

    with pytest.raises(PackageUnknown, match=r"peft .*asked: local"):
        solve(ask(text, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),))


def test_a_lock_is_read_back_as_it_was_written_and_names_no_folder(tmp_path: Path) -> None:
    spec = ask(FROM_FORGE, Platform.WIN_64)
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
        lock = solve(ask(FROM_FORGE, Platform.WIN_64), cache=tmp_path / "cache", channels=(), local=channel)
        lock.write(tmp_path / f"{name}.lock")
        written.append((tmp_path / f"{name}.lock").read_bytes())

    assert written[0] == written[1]


BUILDS = [(platform, accelerator) for platform in Platform for accelerator in ACCELERATORS[platform]]


@pytest.mark.parametrize(("platform", "accelerator"), BUILDS)
def test_for_each_platform_and_accelerator_a_lock_is_written_read_and_refused_once_environment_yml_has_moved_on(
    platform: Platform, accelerator: Accelerator, forge: Path, local: Path, tmp_path: Path
) -> None:
    spec, path = ask(ENVIRONMENT, platform, accelerator), tmp_path / f"{platform}-{accelerator}.lock"
    solved = solve(spec, cache=tmp_path, channels=(forge.as_uri(),), local=local, also=[BACKEND])
    solved.write(path)

    read = read_lock(path, spec, local=local, also=[BACKEND])

    assert [record.sha256 for record in read.records] == [record.sha256 for record in solved.records]
    assert read.digest == solved.digest
    assert path.read_text().startswith(
        f"# The {len(read.records) - 1} exact packages of the engine for {platform} with {accelerator}. "
    )
    for old, new, words in CHANGES:
        number = next(n for n, line in enumerate(ENVIRONMENT.splitlines(), 1) if old in line)
        changed = ask(ENVIRONMENT.replace(old, new), platform, accelerator)
        with pytest.raises(LockStale, match=words.format(line=f"environment.yml, line {number}")):
            read_lock(path, changed, local=local, also=[BACKEND])


# What changes in environment.yml, and what is said of a lock that was solved before.
CHANGES = [
    ("- peft=0.19.1", "- peft=0.19.2", r"{line} asks for peft ==0\.19\.2; it holds peft 0\.19\.1 pyhd8ed1ab_0"),
    ("- peft=", "- six=1.17.0\n  - peft=", r"{line} asks for six ==1\.17\.0, which it does not hold"),
    ("- python=3.11", "- python=3.12", r"{line} asks for python 3\.12\.\*; it holds python 3\.11\.15"),
    ("- datasets=5.0.0", "# -", "environment.yml has no line any more that needs datasets, pyarrow, which it holds"),
]


def test_another_build_of_torch_than_the_one_that_was_solved_is_refused(forge: Path, tmp_path: Path) -> None:
    path = tmp_path / "linux-64.lock"
    solve(ask(FROM_FORGE, Platform.LINUX_64), cache=tmp_path, channels=(forge.as_uri(),)).write(path)
    changed = FROM_FORGE.replace("=cuda*  # [linux64]", "=cpu*  # [linux64]", 1)

    with pytest.raises(LockStale, match=r"line \d+ asks for pytorch ==2.13.0 cpu\*; it holds pytorch"):
        read_lock(path, ask(changed, Platform.LINUX_64))


def test_no_cuda_comes_with_a_torch_for_the_processor(forge: Path, tmp_path: Path) -> None:
    spec = ask(FROM_FORGE, Platform.LINUX_64, Accelerator.CPU)

    found = builds(solve(spec, cache=tmp_path, channels=(forge.as_uri(),)))

    # The CUDA build has the higher build number, and asks for no card.
    assert found["bitsandbytes"] == "cpu_py311h0badbad_0"
    assert "cuda-version" not in found


def test_the_first_lines_of_a_lock_tell_people_what_it_needs(forge: Path, tmp_path: Path) -> None:
    for accelerator in (Accelerator.CUDA, Accelerator.CPU):
        spec, path = ask(FROM_FORGE, Platform.LINUX_64, accelerator), tmp_path / accelerator
        solve(spec, cache=tmp_path, channels=(forge.as_uri(),)).write(path)

    assert "# They ask at least for an NVIDIA driver for CUDA 12 (525 or later), glibc 2.28." in (
        (tmp_path / "cuda").read_text().splitlines()
    )
    assert "# They ask at least for glibc 2.17." in (tmp_path / "cpu").read_text().splitlines()


def test_another_backend_leaves_the_lock_as_it_is_and_makes_another_digest(forge: Path, tmp_path: Path) -> None:
    spec, read = ask(FROM_FORGE, Platform.LINUX_64), []
    for number in (1, 2):
        backend = Record("noarch", BACKEND, "1.0", f"py311_h000000{number}_0", ("python >=3.11", "fastapi ==0.138.2"))
        local = write_channel(tmp_path / str(number), [backend], Platform.LINUX_64)
        path = tmp_path / f"{number}.lock"
        solve(spec, cache=tmp_path, channels=(forge.as_uri(),), local=local, also=[BACKEND]).write(path)
        read.append(read_lock(tmp_path / "1.lock", spec, local=local, also=[BACKEND]))

    assert (tmp_path / "1.lock").read_bytes() == (tmp_path / "2.lock").read_bytes()
    assert [builds(lock)[BACKEND] for lock in read] == ["py311_h0000001_0", "py311_h0000002_0"]
    assert read[0].digest != read[1].digest


def test_a_lock_that_lacks_what_the_backend_needs_is_refused(forge: Path, local: Path, tmp_path: Path) -> None:
    spec, path = ask(FROM_FORGE, Platform.LINUX_64), tmp_path / "linux-64.lock"
    solve(spec, cache=tmp_path, channels=(forge.as_uri(),), local=local, also=[BACKEND]).write(path)
    needy = Record("noarch", BACKEND, "1.0", "py311_h0000003_0", ("fastapi ==0.999",))

    with pytest.raises(LockStale, match=f"it does not hold fastapi ==0.999, which {BACKEND} needs"):
        read_lock(path, spec, local=write_channel(tmp_path / "needy", [needy]), also=[BACKEND])
    with pytest.raises(PackageUnknown, match=f"named {BACKEND}.*asked: local"):
        read_lock(path, spec, local=forge, also=[BACKEND])


@pytest.mark.parametrize(
    ("lacking", "need", "by"),
    [
        ("numpy", "numpy >=1.17", "bitsandbytes"),
        ("libcudnn", r"libcudnn >=9.10.2.21,<10.0a0", "libtorch|pytorch"),
        ("uvloop", "uvloop >=0.15.1", "uvicorn-standard"),
    ],
)
def test_a_lock_that_lacks_what_any_of_its_packages_needs_is_refused(
    lacking: str, need: str, by: str, forge: Path, tmp_path: Path
) -> None:
    spec, path = ask(FROM_FORGE, Platform.LINUX_64), tmp_path / "linux-64.lock"
    solved = solve(spec, cache=tmp_path, channels=(forge.as_uri(),))
    left = tuple(record for record in solved.records if record.name.normalized != lacking)
    replace(solved, records=left).write(path)

    with pytest.raises(LockStale, match=rf"it does not hold {need}, which ({by}) needs"):
        read_lock(path, spec)


def test_a_lock_whose_package_is_another_version_than_its_neighbour_needs_is_refused(
    forge: Path, tmp_path: Path
) -> None:
    spec, path = ask(FROM_FORGE, Platform.LINUX_64), tmp_path / "linux-64.lock"
    solve(spec, cache=tmp_path, channels=(forge.as_uri(),)).write(path)
    path.write_text(path.read_text().replace("libtorch 2.13.0 cuda129_mkl_h546cc0b_302", "libtorch 2.14.0"))

    with pytest.raises(LockStale, match=r"it does not hold libtorch 2\.14\.0, which pytorch needs"):
        read_lock(path, spec)


def test_a_lock_of_another_channel_than_the_one_asked_for_is_refused(forge: Path, tmp_path: Path) -> None:
    spec, path = ask(FROM_FORGE, Platform.LINUX_64), tmp_path / "linux-64.lock"
    solve(spec, cache=tmp_path, channels=(forge.as_uri(),)).write(path)

    assert read_lock(path, spec, channels=[str(forge)]).channels == (f"{forge.as_uri()}/",)
    with pytest.raises(LockStale, match=rf"solved from {forge.as_uri()}/, and https://host/other/ is asked for"):
        read_lock(path, spec, channels=["https://host/other"])
    with pytest.raises(LockStale, match="and local is asked for"):
        read_lock(path, spec, channels=[])


def test_a_channel_is_the_same_whatever_token_and_password_open_it(forge: Path, tmp_path: Path) -> None:
    spec, path = ask(FROM_FORGE, Platform.LINUX_64), tmp_path / "linux-64.lock"
    solved = solve(spec, cache=tmp_path, channels=(forge.as_uri(),))
    replace(solved, channels=("local:/", "https://me:secret@host/t/mine/forge/")).write(path)

    assert read_lock(path, spec, channels=["https://you:other@host/t/yours/forge"], local=forge).records
    with pytest.raises(ChannelUnreachable, match=r"of ::: .*invalid channel name"):
        read_lock(path, spec, channels=["::"], local=forge)


def test_a_channel_in_a_folder_that_is_not_ours_keeps_its_address(forge: Path, tmp_path: Path) -> None:
    spec = ask(FROM_FORGE, Platform.LINUX_64)
    path = tmp_path / "linux-64.lock"
    solve(spec, cache=tmp_path, channels=(forge.as_uri(),)).write(path)
    assert {record.url.startswith(forge.as_uri()) for record in read_lock(path, spec).records} == {True}


def test_a_lock_that_is_absent_broken_or_anothers_is_refused(forge: Path, tmp_path: Path) -> None:
    spec = ask(FROM_FORGE, Platform.LINUX_64)
    path, broken = tmp_path / "linux-64.lock", tmp_path / "broken.lock"
    broken.write_text("nothing: [")
    solve(spec, cache=tmp_path, channels=(), local=forge).write(path)

    with pytest.raises(LockStale, match="no such lock"):
        read_lock(tmp_path / "absent.lock", spec)
    with pytest.raises(LockStale, match="not a lock"):
        read_lock(broken, spec)
    with pytest.raises(LockStale, match="nothing for osx-arm64"):
        read_lock(path, ask(FROM_FORGE, Platform.OSX_ARM64))
    with pytest.raises(LockStale, match="of a local channel"):
        read_lock(path, spec, local=tmp_path)
