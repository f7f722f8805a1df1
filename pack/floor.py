"""What packages ask of the machine that they run on: the least glibc, macOS and CUDA, and NVIDIA's driver for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.version import Version

from launcher.manifest import Floor
from pack.errors import SpecInvalid
from pack.spec import LEAST_DRIVER, Accelerator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LEAST = re.compile(r"(__\w+)\s*>=\s*(\d+(?:\.\d+)*)")


def greatest(asked: Iterable[str]) -> dict[str, str]:
    """Return the greatest lower bound for each virtual package that occurs in `asked`."""
    greatest: dict[str, str] = {}
    for words in asked:
        for name, version in _LEAST.findall(words):
            greatest[name] = max(version, greatest.get(name, "0"), key=Version)
    return greatest


def least_of(asked: Iterable[str], accelerator: str) -> dict[str, str]:
    """Return what packages ask of a machine at least, by conda's names: {"__glibc": "2.28", "__cuda": "12"}."""
    least = greatest(asked)
    if accelerator != Accelerator.CUDA:
        least.pop("__cuda", None)  # only a condition, for machines that have a card
    return least


def floor_of(least: Mapping[str, str]) -> Floor:
    """Return the floor as a manifest has it; raise SpecInvalid for a CUDA whose least driver nobody has looked up."""
    cuda = least.get("__cuda")
    driver = LEAST_DRIVER.get(cuda.partition(".")[0]) if cuda else None
    if cuda and driver is None:
        raise SpecInvalid(f"its packages need CUDA {cuda}, and pack/spec.py does not say which driver that needs")
    return Floor(glibc=least.get("__glibc"), macos=least.get("__osx"), cuda_driver=driver)
