"""What is left out of an archive, and what never is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from launcher.platforms import Platform
from pack.prune import Rule, Saving, prune, read_rules, table
from pack.records import cuda_of
from pack.spec import ACCELERATORS
from tests.builders.sources import file, folder, link

RULES = Path(__file__).parents[3] / "pack" / "prune.toml"
SITE = "lib/python3.11/site-packages"
CUDAS = (None, "12", "13")
BUILDS = [(platform, accelerator) for platform in Platform for accelerator in ACCELERATORS[platform]]


def left_out(path: str, platform: str = "linux-64", accelerator: str = "cpu", cuda: str | None = None) -> bool:
    kept, _ = prune([file(path, b"x")], read_rules(RULES, platform, accelerator, cuda))
    return not kept


def test_what_a_rule_names_goes_and_its_bytes_are_counted() -> None:
    tests, manuals = Rule("tests", ("*/tests/*",)), Rule("manuals", ("share/man/*", "*/tests/manual"))
    sources = [
        file("a/tests/x", b"12345"),
        file("a/tests/manual", b"123"),
        link("a/tests/link", "x"),
        file("share/man/m", b"12"),
        file("lib/kept", b"1"),
    ]
    kept, savings = prune(sources, [tests, manuals])
    assert [source.path for source in kept] == ["lib/kept"]
    assert savings == [Saving(tests, 3, 8), Saving(manuals, 1, 2)]


@pytest.mark.parametrize(
    "path",
    [
        f"{SITE}/a/tests/LICENSE",
        f"{SITE}/a/tests/LICENCE.txt",
        f"{SITE}/a/tests/COPYING.LESSER",
        f"{SITE}/a/tests/NOTICE",
        f"{SITE}/a/tests/ThirdPartyNotices.txt",
        f"{SITE}/a-1.dist-info/tests/METADATA",
        "conda-meta/a-1.json",
    ],
)
def test_licences_and_metadata_stay_whatever_a_rule_says(path: str) -> None:
    kept, savings = prune([file(path)], [Rule("all", ("*",))])
    assert [source.path for source in kept] == [path]
    assert savings[0].files == 0


def test_relocated_entries_and_folders_stay() -> None:
    sources = [replace(file("a/tests/x"), relocated=True), folder("a/tests/empty")]
    assert prune(sources, [Rule("all", ("*",))])[0] == sources


def test_a_rule_holds_where_it_says() -> None:
    assert left_out(f"{SITE}/setuptools/cli-64.exe")
    assert not left_out("Lib/site-packages/setuptools/cli-64.exe", "win-64", "cuda")


@pytest.mark.parametrize(
    ("build", "kept"),
    [
        ("cpu_py311_h1234567_0", set()),
        ("cuda130_py311_h1234567_0", {"cuda130", "cuda132"}),
        ("cuda129_generic_py311_h1234567_0", {"cuda121", "cuda129"}),
    ],
)
def test_bitsandbytes_keeps_the_kernels_of_the_cuda_that_torch_is_built_for(build: str, kept: set[str]) -> None:
    cuda = cuda_of([{"name": "cuda-version", "build": "cuda99"}, {"name": "pytorch", "build": build}])
    kinds = ["cuda118", "cuda121", "cuda129", "cuda130", "cuda132"]
    found = {
        kind
        for kind in kinds
        if not left_out(
            f"{SITE}/bitsandbytes/libbitsandbytes_{kind}.so", accelerator="cuda" if cuda else "cpu", cuda=cuda
        )
    }
    assert found == kept


@pytest.mark.parametrize(("platform", "accelerator"), BUILDS)
def test_what_kernels_are_built_with_stays_in_every_build(platform: str, accelerator: str) -> None:
    for path in [
        "include/python3.11/Python.h",
        f"{SITE}/torch/include/ATen/ATen.h",
        f"{SITE}/torch/include/torch/csrc/inductor/cpp_prefix.h",
        f"{SITE}/numpy/_core/include/numpy/arrayobject.h",
        f"{SITE}/triton/backends/nvidia/include/cuda.h",
        f"{SITE}/triton/backends/nvidia/bin/ptxas",
        "Lib/site-packages/torch/lib/torch_cpu.lib",
        f"{SITE}/torch/bin/torch_shm_manager",
        f"{SITE}/torch/testing/_internal/common_utils.py",
        f"{SITE}/bitsandbytes/libbitsandbytes_cpu.so",
        f"{SITE}/jinja2/tests.py",
        "bin/python3.11",
    ]:
        assert not any(left_out(path, platform, accelerator, cuda) for cuda in CUDAS), path


@pytest.mark.parametrize(("platform", "accelerator"), BUILDS)
def test_every_rule_has_a_reason(platform: str, accelerator: str) -> None:
    assert all(len(rule.reason) > 10 for cuda in CUDAS for rule in read_rules(RULES, platform, accelerator, cuda))


def test_the_report_names_the_most_first() -> None:
    less, more = Saving(Rule("less", ()), 1, 1_000_000), Saving(Rule("more", ()), 2, 2_500_000)
    assert table([less, more]).splitlines() == [
        "     2.5 MB      2 files  more",
        "     1.0 MB      1 files  less",
        "     3.5 MB      3 files  in all",
    ]
