"""environment.yml, read: good and bad."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from launcher.platforms import Platform
from pack.errors import SpecInvalid, WrongAccelerator
from pack.spec import ACCELERATORS, Accelerator, Spec

ENVIRONMENT = Path(__file__).parents[3] / "environment.yml"

SMALL = """\
name: small
channels:
  - conda-forge
dependencies:
  - python=3.11  # why
  - pytorch=2.13.0=cuda*  # [linux64] why
  - pytorch=2.13.0  # [osx] why
  - local::bitsandbytes=0.50.2  # [win64] why
"""


def test_each_platform_gets_the_lines_that_are_for_it() -> None:
    names = {
        platform: [line.name for line in Spec.from_text(SMALL, platform=platform).lines]
        for platform in (Platform.LINUX_64, Platform.OSX_ARM64, Platform.WIN_64)
    }

    assert names == {
        Platform.LINUX_64: ["python", "pytorch"],
        Platform.OSX_ARM64: ["python", "pytorch"],
        Platform.WIN_64: ["python", "bitsandbytes"],
    }


@pytest.mark.parametrize("platform", Platform)
def test_our_own_environment_has_a_reason_on_every_line(platform: Platform) -> None:
    spec = Spec.from_path(ENVIRONMENT, platform=platform)

    assert {"python", "pytorch", "peft", "fastapi"} <= {line.name for line in spec.lines}
    assert all(line.reason for line in spec.lines)
    assert spec.python == "3.11"


@pytest.mark.parametrize(
    ("platform", "accelerator"),
    [
        (Platform.LINUX_64, Accelerator.CUDA),
        (Platform.WIN_64, Accelerator.CUDA),
        (Platform.OSX_ARM64, Accelerator.MPS),
        (Platform.OSX_64, Accelerator.CPU),
        (Platform.LINUX_AARCH64, Accelerator.CPU),
    ],
)
def test_the_accelerator_is_the_one_of_the_pytorch_line(platform: Platform, accelerator: Accelerator) -> None:
    assert Spec.from_path(ENVIRONMENT, platform=platform).accelerator is accelerator


def test_an_accelerator_replaces_the_build_string_of_pytorch_and_nothing_else() -> None:
    before = Spec.from_path(ENVIRONMENT, platform=Platform.LINUX_64)
    after = Spec.from_path(ENVIRONMENT, platform=Platform.LINUX_64, accelerator=Accelerator.CPU)

    changed = [(old, new) for old, new in zip(before.lines, after.lines, strict=True) if old != new]
    assert [(old.match_spec, new.match_spec) for old, new in changed] == [
        ("pytorch ==2.13.0 cuda*", "pytorch ==2.13.0 cpu*")
    ]


def test_an_accelerator_that_the_platform_has_no_build_for_is_refused() -> None:
    with pytest.raises(WrongAccelerator, match="no cuda build for osx-arm64"):
        Spec.from_path(ENVIRONMENT, platform=Platform.OSX_ARM64, accelerator=Accelerator.CUDA)


@pytest.mark.parametrize("platform", [Platform.LINUX_64, Platform.WIN_64])
def test_pytorch_without_a_build_string_is_refused(platform: Platform) -> None:
    text = SMALL.replace("pytorch=2.13.0=cuda*  # [linux64] why", "pytorch=2.13.0  # why").replace(
        "  - pytorch=2.13.0  # [osx] why\n", ""
    )

    with pytest.raises(SpecInvalid, match=r"line 6: pytorch needs a build string on .*silently") as caught:
        Spec.from_text(text, platform=platform)

    assert caught.value.line == 6


def test_a_build_string_that_names_no_accelerator_is_refused() -> None:
    with pytest.raises(SpecInvalid, match="line 6"):
        Spec.from_text(SMALL.replace("=cuda*", "=*mkl*"), platform=Platform.LINUX_64)


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("name: small", "name: [small"), 2, "not YAML"),
        (("name: small", "- small\n#"), None, "not YAML"),
        (("channels:\n  - conda-forge\n", ""), 1, "'channels' is missing"),
        (("  - conda-forge", "  - [a, b]"), 3, "has to be a word"),
        (("channels:\n  - conda-forge", "channels: conda-forge"), 2, "has to be a list"),
        (("name: small", "name: small\nprefix: /opt"), 2, "'prefix' is not one of"),
        (("python=3.11 ", "python "), 5, "has to be pinned"),
        (("python=3.11 ", "python>=3.11 "), 5, "has to be pinned"),
        (("python=3.11 ", "python=3.* "), 5, "not a range"),
        (("python=3.11 ", "nvidia::python=3.11 "), 5, "'nvidia'"),
        (("python=3.11 ", "peft=1.0 "), None, "no line names python"),
        (("# [linux64]", "# [linux-64]"), 6, "[linux-64] is no platform selector"),
        (("# [osx]", "# [linux]"), 7, "pytorch stands on line 6 already"),
        (("  - python=3.11", "  - pip:\n      - x\n  - python=3.11"), 5, "only conda packages"),
    ],
)
def test_a_mistake_is_told_with_its_line(change: tuple[str, str], line: int | None, words: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        Spec.from_text(SMALL.replace(*change), platform=Platform.LINUX_64)

    assert words in caught.value.message
    assert line is None or caught.value.line == line
    assert caught.value.exit_status == 40


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    absent, binary = tmp_path / "environment.yml", tmp_path / "binary.yml"
    binary.write_bytes(b"\xff\xfe")

    with pytest.raises(SpecInvalid, match="no such file"):
        Spec.from_path(absent, platform=Platform.LINUX_64)
    with pytest.raises(SpecInvalid, match="not UTF-8"):
        Spec.from_path(binary, platform=Platform.LINUX_64)


def test_what_is_released_is_what_environment_yml_chooses_and_builds_beside_it_that_every_platform_has() -> None:
    noxfile = ast.parse((ENVIRONMENT.parent / "noxfile.py").read_bytes())
    builds = next(
        ast.literal_eval(node.value)
        for node in noxfile.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BUILDS"
    )

    assert list(builds) == list(Platform)
    for platform, accelerators in builds.items():
        assert accelerators[0] == Spec.from_path(ENVIRONMENT, platform=Platform(platform)).accelerator
        assert set(accelerators) <= set(ACCELERATORS[Platform(platform)])
