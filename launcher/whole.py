"""Make a runtime whole: survey → plan → restore, relocate, record."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from launcher.disk import disk_errors
from launcher.environ import clean_environment
from launcher.errors import InstallDamaged, LauncherError
from launcher.events import Installed, Surveyed
from launcher.host import long_paths
from launcher.locks import home_to_ourselves, require_home, slot_to_ourselves
from launcher.plan import Complete, Core, Install, Launch, Ready, Restore, damage_of, decide, name_of
from launcher.preflight import check_path
from launcher.receipt import Extent
from launcher.survey import find_damage, read_receipt, survey_fully, survey_quickly
from launcher.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
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


class Scene(Value):
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
        return self.resources.trusted_index(self.release.manifest)


def make_whole(scene: Scene) -> None:
    """Bring the runtime to Ready, where a quick look finds it is not.

    Two launchers started together both come here; the second waits for the first, looks again, and finds Ready.
    What completes a core only adds files, so a backend may run meanwhile. Raises Busy where one runs from a slot
    that has to be changed.
    """
    with _home_to_change(scene) as lock:
        match survey_quickly(scene.home, scene.manifest):
            case Ready():
                return
            case Core():
                with _problem_told(scene):
                    index = scene.read_index()
                    _complete(scene, index, _outstanding(scene, index))
            case _:
                with slot_to_ourselves(scene.home, scene.manifest.slot_name):
                    _look_and_mend(scene, lock, Extent.WHOLE, believe=True)


def make_startable(scene: Scene) -> None:
    """Bring the runtime to where the backend's server can start: its core, or all of it where all was there before.

    Raises Busy where a backend runs from a slot that has to be changed.
    """
    with _home_to_change(scene) as lock:
        if isinstance(survey_quickly(scene.home, scene.manifest), Ready | Core):
            return
        with slot_to_ourselves(scene.home, scene.manifest.slot_name):
            _look_and_mend(scene, lock, part_to_start(scene), believe=True)


def part_to_start(scene: Scene) -> Extent:
    """Return which part a start has to find sound: the whole only where it was there before."""
    receipt = read_receipt(scene.home, scene.manifest)
    return Extent.CORE if receipt is None else receipt.part


def make_surely_whole(scene: Scene, part: Extent = Extent.WHOLE, reason: Event | None = None) -> tuple[State, Plan]:
    """Look at every entry of a part, make it sound, and return what was found and done.

    `reason` is said once nothing stands in the way. Raises Busy where a backend runs from the slot.
    """
    with _home_to_change(scene) as lock, slot_to_ourselves(scene.home, scene.manifest.slot_name):
        if reason is not None:
            scene.report.say(reason)
        return _look_and_mend(scene, lock, part, believe=False)


def open_home(scene: Scene) -> None:
    """Make the home's own folder, where its lock lies.

    Raises PathTooLong, PathNotText or HomeLeft before anything is made, and HomeNotWritable where it cannot be.
    """
    check_path(scene.slot, scene.manifest, scene.platform, long_paths=long_paths())
    require_home(scene.home)
    with disk_errors(scene.home.root):
        scene.disk.make_folders(scene.home.root)


def furnish_home(scene: Scene) -> None:
    """Make the folders of a home that nobody else may change now, and write the log there from now on."""
    home = scene.home
    with disk_errors(home.root):
        for folder in (home.runtimes, home.receipts, home.logs):
            scene.disk.make_folders(folder)
    scene.report.log = home.log


@contextmanager
def _home_to_change(scene: Scene) -> Iterator[Lock]:
    open_home(scene)
    with home_to_ourselves(scene.home, scene.report) as lock:
        furnish_home(scene)
        yield lock


def _look_and_mend(scene: Scene, lock: Lock, part: Extent, *, believe: bool) -> tuple[State, Plan]:
    """Survey a part, plan and do it, under the home's `lock`; `believe` the journal of an install that did not end."""
    index = scene.read_index()
    entries = index.entries[: scene.manifest.core] if part is Extent.CORE else index.entries
    # What is not plainly missing was touched by somebody: every entry is looked at before it counts.
    written = _written(scene, index) if believe else frozenset()
    look = scene.report.step("check", "bytes")
    state = survey_fully(scene.home, scene.manifest, index.entries, look, part, written)
    scene.report.say(Surveyed(name_of(state), [found.path for found in damage_of(state)]))
    plan = decide(state, frozenset(entry.path for entry in index.entries if entry.relocated))
    match plan:
        case Install():
            _write(scene, lock, index, entries, part, relocate_again=True)
        case Restore(paths, relocate_again):
            chosen = [entry for entry in entries if entry.path in paths]
            _write(scene, lock, index, chosen, part, relocate_again=relocate_again)
        case Complete(paths):
            _complete(scene, index, [entry for entry in index.entries if entry.path in paths])
        case Launch():
            pass
    return state, plan


def _write(
    scene: Scene, lock: Lock, index: Index, entries: Sequence[Entry], part: Extent, *, relocate_again: bool
) -> None:
    """Restore entries, run conda-unpack where it has to, and write the receipt for `part` last.

    Raises ArchiveMissing, ArchiveDamaged, ArchiveUnreadable, DiskFull, HomeNotWritable, RelocationFailed,
    BlockedBySystem.
    """
    from launcher.journal import end_journal
    from launcher.preflight import check_room
    from launcher.record import record, withdraw
    from launcher.relocate import relocate
    from launcher.restore import require_parts, restore

    home, manifest, disk, slot = scene.home, scene.manifest, scene.disk, scene.slot
    # What follows the core has to be at hand, and to have room, before the core is begun.
    begins = part is Extent.CORE and read_receipt(home, manifest) is None
    to_come = [*entries, *index.entries[manifest.core :]] if begins else entries
    require_parts(scene.resources, index, to_come)
    _look_around(scene)
    check_room(home, slot, to_come, disk)
    with disk_errors(home.root):
        withdraw(home, manifest.slot_name, disk)
        mine = index.entries[: manifest.core] if part is Extent.CORE else index.entries
        name: StepName = "unpack" if len(entries) == len(mine) else "restore"
        finished = _journal(scene, index, mine, entries)
        restore(scene.resources, index, entries, slot, disk, scene.report.step(name, "bytes"), finished)
        if relocate_again:
            with _one_step(scene.report, "relocate"):
                relocate(slot, scene.platform, clean_environment(scene.environment, slot, scene.platform), lock)
        with _one_step(scene.report, "record"):
            record(home, manifest, index, part, disk)
        end_journal(home, manifest.slot_name, disk)
    scene.report.say(Installed(str(slot), manifest.runtime, part.value))


def _look_around(scene: Scene) -> None:
    """Say what a person should know of this computer; raise HomeNotWritable where the runtime cannot be kept there."""
    from launcher.host import file_system
    from launcher.surroundings import check_file_system, find_warnings

    for warning in find_warnings(scene.manifest, scene.home.root, scene.platform, scene.environment):
        scene.report.warn(warning)
    check_file_system(scene.home.root, file_system(scene.home.root), scene.platform)


def _outstanding(scene: Scene, index: Index) -> list[Entry]:
    """Return the entries behind the core that are not there yet, or not as they should be."""
    rest = index.entries[scene.manifest.core :]
    look = scene.report.step("check", "bytes")
    found = find_damage(scene.slot, rest, {}, scene.platform, look, _written(scene, index))
    damaged = {damage.path for damage in found}
    return [entry for entry in rest if entry.path in damaged]


def _written(scene: Scene, index: Index) -> frozenset[str]:
    """Return the entries that the journal of an install that did not end knows to be there."""
    from launcher.journal import read_journal
    from launcher.restore import written_entries

    frames = read_journal(scene.home, scene.manifest, scene.disk)
    return written_entries(index, frames) if frames else frozenset()


def _journal(
    scene: Scene, index: Index, looked_at: Sequence[Entry], to_write: Sequence[Entry]
) -> Callable[[int], None]:
    """Begin the journal with the frames of what was found sound, and return what to tell of those written since."""
    from launcher.journal import begin_journal
    from launcher.restore import frames_of, own_frames

    own = own_frames(index, looked_at)
    add = begin_journal(scene.home, scene.manifest, scene.disk, own - frames_of(to_write, index.frames).keys())
    return lambda frame: add(frame) if frame in own else None


def _complete(scene: Scene, index: Index, missing: Sequence[Entry]) -> None:
    """Add what is `missing` behind a sound core, telling how far in progress.json, and write the whole's receipt.

    The core's receipt holds meanwhile: what it speaks of is not touched.
    """
    from launcher.journal import end_journal
    from launcher.preflight import check_room
    from launcher.progress import forget_progress, tell_progress
    from launcher.record import write_receipt
    from launcher.restore import require_parts, restore

    home, manifest, disk = scene.home, scene.manifest, scene.disk
    receipt = read_receipt(home, manifest)
    if receipt is None:
        raise InstallDamaged(scene.slot, "its receipt was there a moment ago, and cannot be read any more")
    require_parts(scene.resources, index, missing)
    check_room(home, scene.slot, missing, disk)
    say = scene.report.step("unpack", "bytes")

    def progress(done: int, total: int) -> None:
        say(done, total)
        tell_progress(home, done, total, disk)

    with disk_errors(home.root):
        finished = _journal(scene, index, index.entries[manifest.core :], missing)
        restore(scene.resources, index, missing, scene.slot, disk, progress, finished)
        with _one_step(scene.report, "record"):
            # The core reached the disk before its own receipt, and programs of it run by now.
            write_receipt(home, manifest, receipt.but(part=Extent.WHOLE), index.entries[manifest.core :], disk)
        end_journal(home, manifest.slot_name, disk)
        forget_progress(home, disk)
    scene.report.say(Installed(str(scene.slot), manifest.runtime, Extent.WHOLE.value))


@contextmanager
def _problem_told(scene: Scene) -> Iterator[None]:
    """Leave an error where the backend looks, which may run already and is all that a person sees of this."""
    from launcher.progress import tell_problem

    try:
        yield
    except LauncherError as error:
        tell_problem(scene.home, error, scene.disk)
        raise


@contextmanager
def _one_step(report: Report, name: StepName) -> Iterator[None]:
    progress = report.step(name, "steps")
    progress(0, 1)
    yield
    progress(1, 1)
