"""The order of a build, and what stops it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import launcher.errors
import pack.errors
from launcher.errors import EngineError, LauncherError
from launcher.manifest import MANIFEST_NAME, Manifest
from launcher.platforms import Platform
from pack.errors import NotBuilt, PackError, PlatformNotBuildable, ProgramFailed
from pack.pipeline import RUNNERS, Act, product, read_manifest, run
from pack.progress import silent
from pack.spec import ACCELERATORS, LOCAL
from pack.workspace import CONDA_FORGE
from tests.builders.acts import HERE, deeds, workspace
from tests.builders.sources import SMALL_MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

ACTS = list(Act)


ERRORS = st.sampled_from([
    ProgramFailed("PyInstaller", 1, "no such module"), OSError(28, "No space left on device"), KeyboardInterrupt(),
])  # fmt: skip


# Feature: python-backend-bundling, Property 4: after an act that fails, none of the acts that build on it runs.
@given(last=st.sampled_from(ACTS), failing=st.dictionaries(st.sampled_from(ACTS), ERRORS, max_size=4))
def test_no_act_runs_after_one_that_failed(last: Act, failing: dict[Act, BaseException]) -> None:
    did: list[Act] = []
    told: list[Act] = []
    wanted = ACTS[: ACTS.index(last) + 1]
    first = next((act for act in wanted if act in failing), None)
    if first is None:
        run(workspace(), last, silent, told.append, deeds(did, failing))
        assert did == told == wanted
    else:
        with pytest.raises(type(failing[first])) as caught:
            run(workspace(), last, silent, told.append, deeds(did, failing))
        assert caught.value is failing[first]
        assert did == ACTS[: ACTS.index(first) + 1]
        assert told == ACTS[: ACTS.index(first)]


def test_the_order_is_the_one_in_which_each_act_needs_the_one_before() -> None:
    assert ACTS == [Act.CHANNEL, Act.LOCK, Act.PREFIX, Act.ARCHIVE, Act.STUB, Act.STAGE, Act.VERIFY, Act.RELEASE]


@pytest.mark.parametrize("act", [act for act in ACTS if act not in {Act.CHANNEL, Act.LOCK}])
@pytest.mark.parametrize("platform", [platform for platform in Platform if platform is not HERE])
def test_a_platform_that_this_machine_cannot_build_is_refused_before_any_work(platform: Platform, act: Act) -> None:
    did: list[Act] = []
    with pytest.raises(PlatformNotBuildable) as caught:
        run(workspace(platform), act, silent, deeds=deeds(did))
    assert did == []
    assert caught.value.message == f"A runtime for {platform} cannot be built on {HERE}."
    assert RUNNERS[platform] in caught.value.remedy


def test_a_lock_is_solved_for_any_platform_anywhere() -> None:
    for platform in Platform:
        did: list[Act] = []
        run(workspace(platform), Act.LOCK, silent, deeds=deeds(did))
        assert did == [Act.CHANNEL, Act.LOCK]


def test_each_platform_has_a_runner_and_no_two_platforms_one() -> None:
    assert RUNNERS.keys() == set(Platform)
    assert len(set(RUNNERS.values())) == len(RUNNERS)


# Feature: python-backend-bundling, Property 5: what a build leaves is named after its platform, and no two meet.
@given(
    one=st.sampled_from(list(Platform)),
    other=st.sampled_from(list(Platform)),
    act=st.sampled_from([Act.LOCK, Act.PREFIX, Act.ARCHIVE, Act.STAGE, Act.VERIFY, Act.RELEASE]),
    channel=st.sampled_from([LOCAL, CONDA_FORGE]),
)
def test_products_of_two_platforms_never_meet(one: Platform, other: Platform, act: Act, channel: str) -> None:
    places = {product(workspace(platform, channel), act) for platform in {one, other}}
    assert len(places) == len({one, other})
    assert all(any(str(platform) in str(place) for place in places) for platform in {one, other})


def test_accelerators_share_nothing_but_the_folder_that_ships() -> None:
    cpu = workspace()
    others = [replace(cpu, spec=replace(cpu.spec, accelerator=kind)) for kind in ACCELERATORS[HERE][1:]]
    for other in others:
        for act in (Act.LOCK, Act.PREFIX, Act.ARCHIVE):
            assert product(cpu, act) != product(other, act)


def test_a_manifest_that_is_not_there_names_the_act_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(NotBuilt, match=r"manifest\.json is not there yet") as caught:
        read_manifest(tmp_path)
    assert "python -m pack archive" in caught.value.remedy
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(SMALL_MANIFEST.to_dict()))
    assert read_manifest(tmp_path) == Manifest.from_dict(SMALL_MANIFEST.to_dict())


def errors_of(kind: type[EngineError]) -> set[type[EngineError]]:
    """Return every error class below `kind` that a person can meet."""
    found: set[type[EngineError]] = set()
    for below in kind.__subclasses__():
        found |= errors_of(below)
        if hasattr(below, "exit_status"):
            found.add(below)
    return found


def test_each_error_has_a_code_and_an_exit_status_of_its_own() -> None:
    assert pack.errors.PackError in launcher.errors.EngineError.__subclasses__()
    of_pack, of_launcher = errors_of(PackError), errors_of(LauncherError)
    both = of_pack | of_launcher
    assert len({error.exit_status for error in both}) == len({error.code for error in both}) == len(both)
    assert {error.exit_status for error in of_pack} <= set(range(40, 60))
    assert {error.exit_status for error in of_launcher} <= set(range(80, 100))
