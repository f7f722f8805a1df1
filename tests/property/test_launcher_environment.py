"""Laws of the backend's environment: nothing foreign gets in, nothing else of the user's is lost, twice is once."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.environ import clean_environment
from launcher.platforms import Platform

if TYPE_CHECKING:
    from pathlib import Path

SLOT = cast("Path", PurePosixPath("/home/x/rt/01234567"))
FOREIGN = ("PYTHON", "CONDA", "_CONDA", "_MEI", "_PYI", "VIRTUAL_ENV", "MAMBA", "PIXI", "PYENV", "UV_")
OURS = {"PATH", "CONDA_PREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "PYTHONSAFEPATH", "PYTHONUTF8"}


def foreign(name: str) -> bool:
    return name.startswith(FOREIGN) or name == "LD_LIBRARY_PATH"


NAMES = st.one_of(
    st.text(st.characters(codec="ascii", categories=["Lu", "Nd"]), min_size=1, max_size=8).map(lambda name: f"X{name}"),
    st.builds(lambda start, end: start + end, st.sampled_from(FOREIGN), st.sampled_from(["", "HOME", "PATH", "_X"])),
    st.sampled_from(["PATH", "HOME", "LANG", "SSL_CERT_FILE", "LD_LIBRARY_PATH"]),
)
ENVIRONMENTS = st.dictionaries(NAMES, st.text(st.characters(exclude_characters="\0:"), max_size=10), max_size=12)
POSIX = st.sampled_from([Platform.LINUX_64, Platform.LINUX_AARCH64, Platform.OSX_64, Platform.OSX_ARM64])


@settings(max_examples=200)
@given(parent=ENVIRONMENTS, platform=POSIX)
def test_nothing_foreign_gets_in_and_nothing_else_is_lost(parent: dict[str, str], platform: Platform) -> None:
    found = clean_environment(parent, SLOT, platform)
    for name, value in parent.items():
        if foreign(name):
            assert name not in found or name in OURS
        elif name != "PATH":
            assert found[name] == value
    assert found.keys() <= {name for name in parent if not foreign(name)} | OURS


@settings(max_examples=200)
@given(parent=ENVIRONMENTS, platform=POSIX)
def test_what_another_python_was_told_makes_no_difference(parent: dict[str, str], platform: Platform) -> None:
    plain = {name: value for name, value in parent.items() if not foreign(name)}
    assert clean_environment(parent, SLOT, platform) == clean_environment(plain, SLOT, platform)


@settings(max_examples=200)
@given(parent=ENVIRONMENTS, platform=POSIX)
def test_the_runtimes_programs_are_found_first_and_the_users_still_found(
    parent: dict[str, str], platform: Platform
) -> None:
    search = clean_environment(parent, SLOT, platform)["PATH"].split(":")
    assert search[0] == f"{SLOT}/bin"
    assert search[1:] == ([parent["PATH"]] if parent.get("PATH") else [])


@settings(max_examples=200)
@given(parent=ENVIRONMENTS, platform=st.sampled_from(list(Platform)))
def test_the_parents_environment_is_left_as_it_was(parent: dict[str, str], platform: Platform) -> None:
    before = dict(parent)
    clean_environment(parent, SLOT, platform)
    assert parent == before
