"""Whatever is done to an installed runtime, a survey finds just that, and a restore makes it as fresh."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.disk import Disk
from launcher.manifest import Kind
from launcher.plan import (
    Damage,
    Damaged,
    DamageKind,
    Install,
    Launch,
    Missing,
    Moved,
    Partial,
    Ready,
    Restore,
    damage_of,
    decide,
)
from launcher.restore import restore
from launcher.survey import survey_fully
from launcher.whole import make_surely_whole, make_whole
from tests.builders.installed import DAMAGE_TO_FILES, DAMAGE_TO_LINKS, Packed, scene
from tests.builders.launching import packages, tree
from tests.builders.runtime import make_resources

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from launcher.manifest import Entry
    from launcher.plan import State

SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Quick(Disk):
    """A disk that is not waited for: no power is cut here."""

    def flush_all(self, root: Path, files: Iterable[Path]) -> None: ...

    def flush(self, path: Path) -> None: ...

    def flush_folder(self, path: Path) -> None: ...


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return Packed(*make_resources(tmp_path_factory.mktemp("packed"), packages(ballast=20_000)))


@pytest.fixture(scope="module")
def home(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    make_whole(scene(packed.resources, home))
    return home


@pytest.fixture(scope="module")
def pristine(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All entries as packed, before conda-unpack."""
    folder = tmp_path_factory.mktemp("pristine") / "slot"
    at_work = scene(packed.resources, folder)
    index = at_work.read_index()
    restore(at_work.resources, index, index.entries, folder, Quick(), lambda *_: None)
    return folder


def ways_to_harm(entry: Entry) -> list[str]:
    if entry.kind is Kind.LINK:
        return sorted(DAMAGE_TO_LINKS)
    # No bytes cannot become other bytes, nor fewer.
    return sorted(DAMAGE_TO_FILES.keys() - ({"changed", "cut short"} if entry.size == 0 else set()))


# Feature: python-backend-bundling, Property 9: update integrity
@SETTINGS
@given(choice=st.data())
def test_any_damage_to_any_entries_is_found_and_mended(choice: st.DataObject, packed: Packed, home: Path) -> None:
    at_work = scene(packed.resources, home, Quick())
    slot = packed.slot(home)
    entries = [entry for entry in at_work.read_index().entries if entry.kind is not Kind.FOLDER]
    whole = tree(slot)
    harmed = choice.draw(st.lists(st.sampled_from(entries), max_size=5, unique_by=lambda entry: entry.path))
    # All is drawn before anything is done: a draw may end an example, and the next one begins with this home.
    for entry, name in [(entry, choice.draw(st.sampled_from(ways_to_harm(entry)))) for entry in harmed]:
        (DAMAGE_TO_LINKS if entry.kind is Kind.LINK else DAMAGE_TO_FILES)[name][0](slot / entry.path)
    state, plan = make_surely_whole(at_work)
    assert {found.path for found in damage_of(state)} == {entry.path for entry in harmed}
    assert isinstance(plan, Restore if harmed else Launch)
    assert tree(slot) == whole
    index = at_work.read_index()
    assert isinstance(survey_fully(at_work.home, packed.manifest, index.entries, lambda *_: None), Ready)


@SETTINGS
@given(choice=st.data())
def test_any_subset_restored_is_that_subset_of_a_fresh_install(
    choice: st.DataObject, packed: Packed, pristine: Path, tmp_path: Path
) -> None:
    at_work = scene(packed.resources, tmp_path / "unused")
    index = at_work.read_index()
    chosen = choice.draw(st.lists(st.sampled_from(index.entries), unique_by=lambda entry: entry.path))
    slot = tmp_path / "slot"
    shutil.rmtree(slot, ignore_errors=True)
    restore(at_work.resources, index, chosen, slot, Quick(), lambda *_: None)
    fresh, found = tree(pristine), tree(slot)
    assert found.items() <= fresh.items()
    assert {path for path, (kind, *_) in found.items() if kind != "folder"} == {
        entry.path for entry in chosen if entry.kind is not Kind.FOLDER
    }


PATHS = st.frozensets(st.sampled_from("abcdef"), max_size=6)


@settings(max_examples=300)
@given(damaged=PATHS, relocated=PATHS, place=st.sampled_from(["partial", "moved", "damaged"]))
def test_conda_unpack_runs_over_pristine_entries_or_not_at_all(
    damaged: frozenset[str], relocated: frozenset[str], place: str
) -> None:
    damage = tuple(Damage(path, DamageKind.CHANGED) for path in sorted(damaged))
    states: dict[str, State] = {"partial": Partial(damage), "moved": Moved("/old", damage), "damaged": Damaged(damage)}
    plan = decide(states[place], relocated)
    assert isinstance(plan, Restore)
    assert damaged <= plan.paths <= damaged | relocated
    if plan.relocate and place != "partial":
        # In a partial slot every entry that is not pristine counts as damaged: there is no receipt to say otherwise.
        assert relocated <= plan.paths
    if not plan.relocate:
        assert not plan.paths & relocated
    assert decide(Ready(), relocated) == Launch()
    assert decide(Missing(), relocated) == Install()
