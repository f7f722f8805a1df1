"""The acts, each from survey through plan to deed."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from launcher.disk import Disk, disk_errors
from launcher.environ import clean_environment
from launcher.errors import Busy, LauncherError
from launcher.events import Installed, Result, Surveyed, Waiting
from launcher.host import Lock
from launcher.plan import Install, Launch, Missing, Ready, Restore, decide
from launcher.survey import find_extra, require_whole, survey_fully, survey_quickly

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from launcher.events import StepName
    from launcher.home import Home
    from launcher.manifest import Entry, Index, Manifest
    from launcher.plan import Damage, Plan, State
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


def install(scene: Scene) -> None:
    """Make the runtime whole, as far as a start looks; answer where it is."""
    if not isinstance(survey_quickly(scene.home, scene.manifest), Ready):
        make_whole(scene)
    scene.report.say(Result("install", {"slot": str(_slot(scene)), "runtime": scene.manifest.runtime}))


def verify(scene: Scene) -> None:
    """Hash every entry; answer what was found; raise InstallDamaged unless all is as the manifest says."""
    index = _read_index(scene)
    state = survey_fully(scene.home, scene.manifest, index.entries, scene.report.step("verify", "bytes"))
    _say_state(scene, state)
    extra = find_extra(_slot(scene), index.entries)
    scene.report.say(Result("verify", _findings(scene, state) | {"extra": extra}))
    require_whole(scene.home, scene.manifest, state)


def repair(scene: Scene) -> None:
    """Verify, then restore what is not as the manifest says; answer what was wrong and what was done."""
    began = time.monotonic()
    state, plan = make_whole(scene, fully=True)
    did = {"Launch": "nothing", "Install": "installed", "Restore": "restored"}[type(plan).__name__]
    restored = len(plan.paths) if isinstance(plan, Restore) else scene.manifest.entries if did == "installed" else 0
    answer = {
        "did": did,
        "restored": restored,
        "seconds": round(time.monotonic() - began, 1),
        "log": str(scene.home.log),
    }
    scene.report.say(Result("repair", _findings(scene, state) | answer))


def status(home: Home, report: Report, release: Release, resources: Resources | LauncherError) -> None:
    """Answer what is installed; a problem with the resources is part of the answer."""
    answer: dict[str, Any] = {"version": release.version, "home": str(home.root)}
    if isinstance(resources, LauncherError):
        problem = {"code": resources.code, "message": resources.message, "remedy": resources.remedy}
        report.say(Result("status", answer | {"state": "unknown", "problem": problem}))
        return
    manifest = resources.manifest
    slot = home.slot(manifest.slot_name)
    state = survey_quickly(home, manifest)
    others = [] if not home.runtimes.is_dir() else [p.name for p in home.runtimes.iterdir() if p.name != slot.name]
    report.say(
        Result(
            "status",
            answer
            | {
                "state": state_name(state),
                "slot": str(slot),
                "bytes": 0 if isinstance(state, Missing) else manifest.disk,
                "runtime": manifest.runtime,
                "platform": str(manifest.platform),
                "accelerator": manifest.accelerator,
                "channel": manifest.channel,
                "packages": dict(manifest.packages),
                "createdAt": manifest.created_at,
                "resources": str(resources.folder),
                "manifest": "run from source: no digest to check" if release.manifest is None else release.manifest,
                "otherSlots": sorted(others),
            },
        )
    )


def remove(home: Home, disk: Disk, report: Report, *, user_files_too: bool) -> None:
    """Remove every runtime of the home, and with `user_files_too` all of the user's own work in it."""
    if not home.root.is_dir():
        report.say(Result("remove", {"removed": []}))
        return
    with _home_lock(home, report):
        slots = sorted(home.runtimes.iterdir()) if home.runtimes.is_dir() else []
        progress = report.step("remove", "entries")
        removed = []
        for number, slot in enumerate(slots):
            progress(number, len(slots))
            with _slot_to_ourselves(home, slot.name):
                # The receipt goes first: what is left of a slot after an interruption is then known to be partial.
                home.receipt(slot.name).unlink(missing_ok=True)
                disk.remove(slot)
            removed.append(str(slot))
        progress(len(slots), len(slots))
        if user_files_too and home.user_files.exists():
            disk.remove(home.user_files)
            removed.append(str(home.user_files))
    report.say(Result("remove", {"removed": removed}))


def make_whole(scene: Scene, *, fully: bool = False) -> tuple[State, Plan]:
    """Bring the runtime to Ready and return what was found and done; `fully` looks at every entry first.

    Two launchers started together both come here; the second waits for the first, looks again, and finds Ready.
    """
    prepare_home(scene.home, scene.disk)
    with _home_lock(scene.home, scene.report), _slot_to_ourselves(scene.home, scene.manifest.slot_name):
        state = survey_quickly(scene.home, scene.manifest)
        if isinstance(state, Ready) and not fully:
            return state, Launch()
        index = _read_index(scene)
        # What is not plainly missing was touched by somebody: every entry is looked at before it counts.
        state = survey_fully(scene.home, scene.manifest, index.entries, scene.report.step("check", "bytes"))
        _say_state(scene, state)
        relocated = frozenset(entry.path for entry in index.entries if entry.relocated)
        plan = decide(state, relocated)
        match plan:
            case Install():
                _write(scene, index, index.entries, relocate_again=True)
            case Restore(paths, relocate_again):
                chosen = [entry for entry in index.entries if entry.path in paths]
                _write(scene, index, chosen, relocate_again=relocate_again)
            case Launch():
                pass
    return state, plan


def prepare_home(home: Home, disk: Disk) -> None:
    """Make the home's folders; raise HomeNotWritable where that cannot be."""
    with disk_errors(disk, home.root):
        for folder in (home.root, home.runtimes, home.receipts, home.logs):
            disk.make_folder(folder)


def _write(scene: Scene, index: Index, entries: Sequence[Entry], *, relocate_again: bool) -> None:
    """Restore entries, run conda-unpack where it has to, and write the receipt last.

    Raises ArchiveMissing, ArchiveDamaged, DiskFull, HomeNotWritable, PathTooLong, RelocationFailed.
    """
    from launcher.preflight import check_path, check_room
    from launcher.record import record, withdraw
    from launcher.relocate import relocate
    from launcher.restore import restore

    home, manifest, disk, slot = scene.home, scene.manifest, scene.disk, _slot(scene)
    scene.resources.check_parts()
    check_path(slot, manifest, scene.platform)
    check_room(home, entries, disk)
    with disk_errors(disk, home.root):
        withdraw(home, manifest, disk)
        name: StepName = "unpack" if len(entries) == len(index.entries) else "restore"
        restore(scene.resources, index, entries, slot, disk, scene.report.step(name, "bytes"))
        if relocate_again:
            with _one_step(scene.report, "relocate"):
                relocate(slot, scene.platform, clean_environment(scene.environment, slot, scene.platform))
        with _one_step(scene.report, "record"):
            record(home, manifest, index, disk)
    scene.report.say(Installed(str(slot), manifest.runtime, "whole"))


@contextmanager
def _one_step(report: Report, name: StepName) -> Iterator[None]:
    progress = report.step(name, "steps")
    progress(0, 1)
    yield
    progress(1, 1)


@contextmanager
def _home_lock(home: Home, report: Report) -> Iterator[None]:
    """Hold the home's lock; say so where that means waiting for another launcher."""
    with disk_errors(Disk(), home.root):
        lock = Lock(home.lock)
        if not lock.take(shared=False, wait=False):
            report.say(Waiting(lock.holder()))
            lock.take(shared=False, wait=True)
        lock.sign()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _slot_to_ourselves(home: Home, slot_name: str) -> Iterator[None]:
    """Hold a slot's lock alone; raise Busy while a backend runs from it."""
    with disk_errors(Disk(), home.root):
        lock = Lock(home.slot_lock(slot_name))
        free = lock.take(shared=False, wait=False)
    try:
        if not free:
            raise Busy(home.slot(slot_name), lock.holder())
        yield
    finally:
        lock.release()


def _read_index(scene: Scene) -> Index:
    scene.resources.check_manifest(scene.release.manifest)
    return scene.resources.read_index()


def _say_state(scene: Scene, state: State) -> None:
    scene.report.say(Surveyed(state_name(state), [found.path for found in _damage(state)]))


def _findings(scene: Scene, state: State) -> dict[str, Any]:
    """Return what support staff want to know of a survey."""
    damage = _damage(state)
    return {
        "found": state_name(state),
        "slot": str(_slot(scene)),
        "damaged": len(damage),
        "byKind": dict(Counter(str(found.kind) for found in damage)),
        "first": [found.path for found in damage[:10]],
    }


def _damage(state: State) -> Sequence[Damage]:
    return () if isinstance(state, Missing | Ready) else state.damage


def state_name(state: State) -> str:
    """Return the state's name as events spell it."""
    return type(state).__name__.lower()


def _slot(scene: Scene) -> Path:
    return scene.home.slot(scene.manifest.slot_name)
