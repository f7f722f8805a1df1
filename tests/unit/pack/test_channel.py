"""A channel from wheels: what is in it, when it is written anew, and that what it installs runs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from rattler.package_streaming import extract

from launcher.platforms import Platform
from pack.backendwheel import write_backend_wheel
from pack.channel import LocalChannel, build_channel, conversions_of
from pack.condapackage import CondaPackage, write_package
from pack.download import download
from pack.errors import PackageUnknown, SpecInvalid, WheelInvalid, WheelsUnavailable, WrongAccelerator
from pack.names import conda_name, match_specs
from pack.prefix import install, installed, unmanaged, wanted
from pack.progress import silent
from pack.records import CACHE_TAG
from pack.solve import solve
from pack.spec import Accelerator, Spec
from pack.wheel import Wheel, marker_environment
from tests.builders.wheels import build_project, build_torch, build_wheel

if TYPE_CHECKING:
    from pack.progress import Progress

on_linux_64 = pytest.mark.skipif(
    Platform.current() is not Platform.LINUX_64, reason="the interpreter is packed on linux-64"
)

SPEC = """\
name: small
channels: [conda-forge]
dependencies:
  - python=3.11
  - pytorch=2.13.0=cpu*  # [unix]
  - alpha=1.0
  - uvicorn-standard=0.5.0
"""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which is all that pip sees."""
    folder = tmp_path / "index"
    build_torch(folder, None, local="cpu", tag="py3-none-any")
    build_wheel(folder, "alpha", requires=["beta[more]>=2"], scripts={"alpha": "alpha:main"})
    build_wheel(folder, "beta", "2.5", extras=["more"], requires=["gamma; extra == 'more'"])
    build_wheel(folder, "gamma", "3.0")
    build_wheel(folder, "uvicorn", "0.5.0", extras=["standard"], requires=["delta; extra == 'standard'"])
    build_wheel(folder, "delta", "4.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def spec_of(text: str = SPEC, accelerator: Accelerator | None = None) -> Spec:
    return Spec.from_text(text, platform=Platform.current(), accelerator=accelerator)


def build(tmp_path: Path, spec: Spec | None = None, *, whole: bool = True, progress: Progress = silent) -> LocalChannel:
    project = tmp_path / "project"
    if not project.exists():
        build_project(project)
    return build_channel(
        spec or spec_of(),
        out=tmp_path / "channel",
        wheels=tmp_path / "wheels",
        project=project,
        whole=whole,
        progress=progress,
    )


def names(channel: LocalChannel) -> set[str]:
    return {path.name.rsplit("-", 2)[0] for path in channel.packages}


@pytest.mark.usefixtures("index")
@on_linux_64
def test_what_pip_fetches_becomes_a_channel_that_installs_and_runs(tmp_path: Path) -> None:
    told: list[str] = []
    channel = build(tmp_path, progress=lambda what, *_: told.append(what))
    lock = solve(spec_of(), cache=tmp_path / "cache", channels=(), local=channel.path, also=("peft-studio-backend",))
    prefix = tmp_path / "prefix"
    steps: list[tuple[int, int]] = []
    install(lock, prefix, cache=tmp_path / "packages", progress=lambda _, done, total: steps.append((done, total)))

    assert names(channel) == {
        *("python", "pytorch", "peft-studio-backend", "alpha", "beta", "beta-more", "gamma", "delta"),
        *("uvicorn", "uvicorn-standard"),
    }
    assert told[-4:] == ["make the interpreter's package"] * 2 + ["index the channel"] * 2
    assert steps[-1] == (10, 10)
    assert installed(prefix) == wanted(lock)
    assert list(unmanaged(prefix)) == []
    assert (prefix / CACHE_TAG).exists()
    assert (prefix / "conda-meta" / "history").exists()
    code = "import alpha, beta, torch, backend, importlib.metadata as m; print(m.version('peft-studio-backend'))"
    quiet = {"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run([prefix / "bin" / "python", "-c", code], env=quiet, capture_output=True, check=True)
    assert ran.stdout == b"1.2.3\n"
    assert subprocess.run([prefix / "bin" / "alpha"], env=quiet, capture_output=True, check=True).stdout == b"ran\n"
    assert (prefix / "lib/python3.11/site-packages/backend/words.json").exists()


@pytest.mark.usefixtures("index")
@on_linux_64
def test_a_prefix_with_a_stray_file_is_made_anew_and_one_that_is_right_is_left(tmp_path: Path) -> None:
    channel = build(tmp_path, spec_of(), whole=True)
    lock = solve(spec_of(), cache=tmp_path / "cache", channels=(), local=channel.path)
    prefix = tmp_path / "prefix"
    install(lock, prefix, cache=tmp_path / "packages")
    before = (prefix / "bin").stat().st_ino

    install(lock, prefix, cache=tmp_path / "packages")
    assert (prefix / "bin").stat().st_ino == before

    (prefix / "stray").touch()
    install(lock, prefix, cache=tmp_path / "packages")
    assert not (prefix / "stray").exists()


def test_each_package_says_where_its_files_come_from(tmp_path: Path) -> None:
    sources = "Project-URL: Source, https://example.org/sources"
    wheel = Wheel.from_path(build_wheel(tmp_path, "gamma", "3.0", metadata=[sources]))
    (one,) = conversions_of([wheel], [Requirement("gamma")], platform=Platform.LINUX_64, python="3.11")

    package = written(one.package, tmp_path)

    assert package["about"]["dev_url"] == "https://example.org/sources"
    assert package["about"]["extra"] == {"wheel": wheel.path.name, "sha256": wheel.sha256}
    assert package["index"]["depends"] == ["python 3.11.*"]


@pytest.mark.usefixtures("index")
def test_nothing_is_written_again_where_nothing_changed(tmp_path: Path) -> None:
    text = SPEC.replace("- alpha", "- local::alpha")
    first = build(tmp_path, spec_of(text), whole=False)
    again = build(tmp_path, spec_of(text), whole=False)

    assert (first.written, again.written) == (2, 0)
    assert first.packages == again.packages


@pytest.mark.usefixtures("index")
def test_a_changed_backend_replaces_its_own_package_only(tmp_path: Path) -> None:
    text = SPEC.replace("- alpha", "- local::alpha")
    before = build(tmp_path, spec_of(text), whole=False)
    (tmp_path / "project" / "backend" / "__init__.py").write_text("changed = True\n")

    after = build(tmp_path, spec_of(text), whole=False)

    assert after.written == 1
    (gone,) = set(before.packages) - set(after.packages)
    assert gone.name.startswith("peft-studio-backend-1.2.3-")
    assert not gone.exists()


@pytest.mark.usefixtures("index")
def test_beside_conda_forge_the_channel_holds_local_lines_and_the_backend_only(tmp_path: Path) -> None:
    text = SPEC.replace("- alpha", "- local::alpha")

    assert names(build(tmp_path, spec_of(text), whole=False)) == {"alpha", "peft-studio-backend"}
    assert names(build(tmp_path, spec_of(), whole=False)) == {"peft-studio-backend"}


@pytest.mark.usefixtures("index")
def test_a_torch_of_the_other_kind_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        WrongAccelerator, match=r"torch-2.13.0\+cpu.* a cpu build, and a cuda build was asked for"
    ) as found:
        build(tmp_path, spec_of(accelerator=Accelerator.CUDA))
    assert f"delete {tmp_path / 'wheels'}, where pip's answers are kept" in str(found.value.remedy)


@pytest.mark.usefixtures("index")
def test_each_wheel_that_is_fetched_is_progress(tmp_path: Path) -> None:
    told = []
    asked = [Requirement("alpha"), Requirement("delta")]
    download(
        asked,
        wheels=tmp_path / "wheels",
        python=Path(sys.executable),
        minor="{}.{}".format(*sys.version_info),
        progress=lambda *step: told.append(step),
    )
    fetching = [step[1:] for step in told if step[0] == "fetch wheels"]
    assert fetching == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]  # alpha needs beta, which needs gamma


@on_linux_64
def test_a_cuda_torch_is_solved_for_the_driver_that_its_wheel_needs_on_a_machine_without_a_card(
    index: Path, tmp_path: Path
) -> None:
    (index / "torch-2.13.0+cpu-py3-none-any.whl").unlink()
    needs = ["cuda-toolkit[cublas,nvrtc]==13.0.3"]
    build_torch(index, "13.0", tag="py3-none-any", requires=needs)
    extras = ["nvidia-cublas==13.1.*; extra == 'cublas'", "nvidia-nvrtc; extra == 'nvrtc'", "other; extra == 'other'"]
    build_wheel(index, "cuda-toolkit", "13.0.3.0", extras=["cublas", "nvrtc", "other"], requires=extras)
    build_wheel(index, "nvidia-cublas", "13.1.1.3")
    build_wheel(index, "nvidia-nvrtc", "13.0.88")
    spec = spec_of(accelerator=Accelerator.CUDA)
    channel = build(tmp_path, spec)

    lock = solve(spec, cache=tmp_path / "cache", channels=(), local=channel.path)

    locked = {str(record.name.normalized): str(record.build) for record in lock.records}
    assert locked["pytorch"].startswith("cuda130_")
    assert {"cuda-toolkit-cublas", "cuda-toolkit-nvrtc", "nvidia-cublas", "nvidia-nvrtc"} <= locked.keys()
    assert lock.least["__cuda"] == "13"


@pytest.mark.usefixtures("index")
def test_a_package_that_pip_does_not_find_is_named(tmp_path: Path) -> None:
    with pytest.raises(WheelsUnavailable, match=r"alpha==9\.9"):
        build(tmp_path, spec_of(SPEC.replace("alpha=1.0", "alpha=9.9")))


@pytest.mark.usefixtures("index")
def test_a_wheel_changed_since_pip_resolved_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    build_wheel(tmp_path / "wheels", "gamma", "3.0", files={"gamma/__init__.py": "another = True\n"})

    with pytest.raises(WheelsUnavailable, match=r"gamma-3.0.* has the SHA-256"):
        build(tmp_path)


@pytest.mark.usefixtures("index")
def test_a_wheel_changed_since_it_was_fetched_is_refused_and_fetched_again_once_deleted(tmp_path: Path) -> None:
    text = SPEC.replace("- alpha", "- local::alpha")
    build(tmp_path, spec_of(text), whole=False)
    wheel = tmp_path / "wheels" / "alpha-1.0-py3-none-any.whl"
    fetched = wheel.read_bytes()
    wheel.write_bytes(fetched[:100] + bytes([fetched[100] ^ 1]) + fetched[101:])

    with pytest.raises(WheelInvalid, match=r"^alpha-1\.0-.* has the SHA-256 .* when it was fetched") as found:
        build(tmp_path, spec_of(text), whole=False)
    assert f"Delete {wheel}" in found.value.remedy
    wheel.unlink()
    assert build(tmp_path, spec_of(text), whole=False).written == 0


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("torn", ["", '{"asked": ["al', "[]", '{"wheels": ["alpha-1.0-py3-none-any.whl"]}', "\udcff"])
def test_an_answer_of_pip_that_was_torn_is_asked_for_again(torn: str, tmp_path: Path) -> None:
    text = SPEC.replace("- alpha", "- local::alpha")
    build(tmp_path, spec_of(text), whole=False)
    (answer,) = (tmp_path / "wheels").glob("resolved-*.json")
    whole = answer.read_bytes()
    answer.write_bytes(torn.encode("utf-8", "surrogateescape"))

    assert build(tmp_path, spec_of(text), whole=False).written == 0
    assert answer.read_bytes() == whole


@pytest.mark.usefixtures("index")
def test_wheels_for_another_python_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WheelsUnavailable, match=r"is Python 3\.11, and environment\.yml asks for 3\.12"):
        build(tmp_path, spec_of(SPEC.replace("python=3.11", "python=3.12")))


@pytest.mark.usefixtures("index")
def test_wheels_for_another_platform_are_refused(tmp_path: Path) -> None:
    other = Platform.OSX_ARM64 if Platform.current() is not Platform.OSX_ARM64 else Platform.WIN_64
    spec = Spec.from_text(SPEC.replace("# [unix]", ""), platform=other)

    with pytest.raises(WheelsUnavailable, match=f"wheels for {other} have to be fetched on {other}"):
        build(tmp_path, spec)


def test_a_need_that_no_wheel_answers_is_named(index: Path) -> None:
    wheels = [Wheel.from_path(index / "alpha-1.0-py3-none-any.whl")]

    with pytest.raises(PackageUnknown, match="named beta"):
        conversions_of(wheels, [Requirement("alpha")], platform=Platform.LINUX_64, python="3.11")


def test_a_checkout_without_a_backend_is_refused(tmp_path: Path) -> None:
    project = build_project(tmp_path / "project")
    for path in (project / "backend").iterdir():
        path.unlink()

    with pytest.raises(SpecInvalid, match="no backend"):
        write_backend_wheel(project, tmp_path)


def test_a_package_written_twice_is_the_same_twice_and_records_its_placeholder(tmp_path: Path) -> None:
    files = tmp_path / "files"
    (files / "bin").mkdir(parents=True)
    (files / "bin" / "tool").write_text("#!/opt/placeholder/bin/python\n")
    (files / "bin" / "other").write_text("#!/bin/sh\n")
    (files / "bin" / "link").symlink_to("tool")
    package = CondaPackage("tool", "1.0", "h1234567_0", "linux-64", ("python",), license="MIT")

    digests = {
        hashlib.sha256(
            write_package(package, files=files, channel=tmp_path / name, placeholder="/opt/placeholder").read_bytes()
        ).hexdigest()
        for name in ("one", "two")
    }

    assert len(digests) == 1
    paths = {
        entry["_path"]: (entry.get("prefix_placeholder"), entry.get("file_mode"))
        for entry in unpacked(tmp_path / "one" / "linux-64" / package.file_name, tmp_path)["paths"]["paths"]
    }
    assert paths == {
        "bin/tool": ("/opt/placeholder", "text"),
        "bin/other": (None, None),
        "bin/link": (None, None),
    }
    assert sorted(path.name for path in (tmp_path / "one" / "linux-64").iterdir()) == [package.file_name]


wheel_names = st.sampled_from(["alpha", "beta-two", "Gamma.Three", "huggingface-hub", "torch", "tzdata"])
markers = st.sampled_from(
    ["", "; sys_platform == 'linux'", "; sys_platform == 'win32'", "; python_version < '3.11'", "; os_name == 'posix'"]
)
needs = st.lists(
    st.tuples(wheel_names, st.sampled_from(["", ">=1", "<2,>=1", "==1.*"]), markers).map("".join),
    max_size=6,
    unique=True,
)


# Feature: python-backend-bundling, Property 1: dependency inclusion
@given(needs, st.sampled_from([Platform.LINUX_64, Platform.WIN_64, Platform.OSX_ARM64]))
def test_every_need_whose_marker_holds_ends_up_in_depends(
    tmp_path_factory: pytest.TempPathFactory, requires: list[str], platform: Platform
) -> None:
    environment = marker_environment(platform, "3.11")
    wheel = Wheel.from_path(build_wheel(tmp_path_factory.mktemp("w"), "root", requires=requires))

    depends = wheel.depends(environment)

    wanted_specs = {
        spec
        for need in map(Requirement, requires)
        if need.marker is None or need.marker.evaluate(environment)
        for spec in match_specs(need)
    }
    assert set(depends) == wanted_specs
    assert {spec.split()[0] for spec in depends} <= {conda_name(Requirement(need).name) for need in requires}


def written(package: CondaPackage, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Write a package without files and return the documents inside it."""
    (tmp_path / "none").mkdir()
    return unpacked(write_package(package, files=tmp_path / "none", channel=tmp_path / "out"), tmp_path)


def unpacked(path: Path, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Return the JSON documents of a .conda file, by their names."""
    folder = tmp_path / f"{path.name}.d"
    extract(path, folder)
    return {name: json.loads((folder / "info" / f"{name}.json").read_text()) for name in ("about", "index", "paths")}
