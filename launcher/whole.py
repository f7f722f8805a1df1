"""Make a runtime whole: survey → plan → restore, relocate, record."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.disk import disk_errors
from launcher.environ import clean_environment
from launcher.events import Installed, Surveyed
from launcher.locks import home_to_ourselves, slot_to_ourselves
from launcher.plan import Install, Launch, Ready, Restore, damage_of, decide, name_of
from launcher.survey import survey_fully, survey_quickly

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from launcher.disk import Disk
    from launcher.events import Event, StepName
    from launcher.home import Home
    from launcher.host import Lock
    from launcher.manifest import Entry, Index, Manifest
    from launcher.plan import Plan, State
    from launcher.platforms import Platform
    from launcher.report import Report
    from launcher.resources import Resources
    from launcher.trust import Release


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything an act works on."""

    resources: Resources
    home: Home
    platform: Platform
    disk: Disk
    report: Report
    release: Release
    environment: Mapping[str, str]

    @property
    def manifest(self) -> Manifest:
        """The manifest of the resources."""
        return self.resources.manifest

    @property
    def slot(self) -> Path:
        """The place of the manifest's runtime."""
        return self.home.slot(self.manifest.slot_name)

    def read_index(self) -> Index:
        """Return the index, after the manifest that vouches for it was found to be the launcher's own."""
        self.resources.check_manifest(self.release.manifest)
        return self.resources.read_index()


def make_whole(scene: Scene) -> None:
    """Bring the runtime to Ready, where a quick look finds it is not.

    Two launchers started together both come here; the second waits for the first, looks again, and finds Ready.
    Raises Busy where a backend runs from a slot that has to be changed.
    """
    prepare_home(scene)
    with home_to_ourselves(scene.home, scene.report) as lock:
        if isinstance(survey_quickly(scene.home, scene.manifest), Ready):
            return
        with slot_to_ourselves(scene.home, scene.manifest.slot_name):
            _look_and_mend(scene, lock)


def make_surely_whole(scene: Scene, reason: Event | None = None) -> tuple[State, Plan]:
    """Look at every entry, bring the runtime to Ready, and return what was found and done.

    `reason` is said once nothing stands in the way. Raises Busy where a backend runs from the slot.
    """
    prepare_home(scene)
    with (
        home_to_ourselves(scene.home, scene.report) as lock,
        slot_to_ourselves(scene.home, scene.manifest.slot_name),
    ):
        if reason is not None:
            scene.report.say(reason)
        return _look_and_mend(scene, lock)


def prepare_home(scene: Scene) -> None:
    """Make the home's folders, and write the log there from now on; raise HomeNotWritable where that cannot be."""
    home = scene.home
    with disk_errors(home.root):
        for folder in (home.root, home.runtimes, home.receipts, home.logs):
            scene.disk.make_folders(folder)
    scene.report.log = home.log


def _look_and_mend(scene: Scene, lock: Lock) -> tuple[State, Plan]:
    """Survey, plan and do it, under the home's `lock`."""
    index = scene.read_index()
    # What is not plainly missing was touched by somebody: every entry is looked at before it counts.
    state = survey_fully(scene.home, scene.manifest, index.entries, scene.report.step("check", "bytes"))
    scene.report.say(Surveyed(name_of(state), [found.path for found in damage_of(state)]))
    plan = decide(state, frozenset(entry.path for entry in index.entries if entry.relocated))
    match plan:
        case Install():
            _write(scene, lock, index, index.entries, relocate_again=True)
        case Restore(paths, relocate_again):
            chosen = [entry for entry in index.entries if entry.path in paths]
            _write(scene, lock, index, chosen, relocate_again=relocate_again)
        case Launch():
            pass
    return state, plan


def _write(scene: Scene, lock: Lock, index: Index, entries: Sequence[Entry], *, relocate_again: bool) -> None:
    """Restore entries, run conda-unpack where it has to, and write the receipt last.

    Raises ArchiveMissing, ArchiveDamaged, ArchiveUnreadable, DiskFull, HomeNotWritable, PathTooLong,
    RelocationFailed, BlockedBySystem.
    """
    from launcher.preflight import check_path, check_room
    from launcher.record import record, withdraw
    from launcher.relocate import relocate
    from launcher.restore import restore

    home, manifest, disk, slot = scene.home, scene.manifest, scene.disk, scene.slot
    scene.resources.check_parts()
    check_path(slot, manifest, scene.platform)
    check_room(home, entries, disk)
    with disk_errors(home.root):
        withdraw(home, manifest.slot_name, disk)
        name: StepName = "unpack" if len(entries) == len(index.entries) else "restore"
        restore(scene.resources, index, entries, slot, disk, scene.report.step(name, "bytes"))
        if relocate_again:
            with _one_step(scene.report, "relocate"):
                relocate(slot, scene.platform, clean_environment(scene.environment, slot, scene.platform), lock)
        with _one_step(scene.report, "record"):
            record(home, manifest, index, disk)
    scene.report.say(Installed(str(slot), manifest.runtime, "whole"))


@contextmanager
def _one_step(report: Report, name: StepName) -> Iterator[None]:
    progress = report.step(name, "steps")
    progress(0, 1)
    yield
    progress(1, 1)
