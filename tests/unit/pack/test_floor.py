"""What packages ask of the machine that they run on."""

from __future__ import annotations

import pytest

from launcher.manifest import Floor
from pack.errors import SpecInvalid
from pack.floor import floor_of, least_of

ASKED = ["__glibc >=2.17,<3.0.a0", "python 3.11.*", "__glibc >=2.28", "__osx >=11.0", "__cuda  >=12.9", "__glibc >=2.9"]


def test_the_floor_is_the_highest_that_any_package_asks_for() -> None:
    assert floor_of(least_of(ASKED, "cuda")) == Floor(glibc="2.28", macos="11.0", cuda_driver="525")


def test_for_the_processor_a_driver_is_only_a_condition() -> None:
    assert floor_of(least_of(ASKED, "cpu")) == Floor(glibc="2.28", macos="11.0")
    assert floor_of(least_of(["__cuda >=99.1"], "cpu")) == Floor()


def test_packages_that_ask_for_nothing_have_no_floor() -> None:
    assert floor_of(least_of(["python", "__cuda >=12.*"], "mps")) == Floor()


def test_a_cuda_of_the_future_is_no_guess() -> None:
    with pytest.raises(SpecInvalid, match=r"its packages need CUDA 99\.1"):
        floor_of(least_of(["__cuda >=99.1"], "cuda"))
