"""The acts that answer and end, each from survey through plan to deed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from launcher.attempt import withdraw_attempt
from launcher.disk import disk_errors, free_bytes, nearest_folder
from launcher.errors import LauncherError
from launcher.events import Result, Surveyed
from launcher.locks import backend_of, home_to_ourselves, slot_to_ourselves
from launcher.plan import Complete, Install, Launch, Restore, damage_of, findings_of, name_of
from launcher.record import withdraw
from launcher.surroundings import find_warnings
from launcher.survey import find_extra, measure, require_whole, survey_fully, survey_quickly
from launcher.whole import make_surely_whole, make_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from launcher.disk import Disk
    from launcher.home import Home
    from launcher.plan import State
    from launcher.report import Report
    from launcher.resources import Resources
    from launcher.trust import Release
    from launcher.whole import Scene


def install(scene: Scene) -> None:
    """Make the runtime whole, as far as a start looks; answer where it is."""
    make_whole(scene)
    scene.report.say(Result("install", {"slot": str(scene.slot), "runtime": scene.manifest.runtime}))


def verify(scene: Scene) -> None:
    """Hash every entry; answer what was found; raise InstallDamaged unless all is as the manifest says."""
    index = scene.read_index()
    state = survey_fully(scene.home, scene.manifest, index.entries, scene.report.step("verify", "bytes"))
    scene.report.say(Surveyed(name_of(state), [found.path for found in damage_of(state)]))
    extra = find_extra(scene.slot, index.entries)
    scene.report.say(Result("verify", _findings(scene, state) | {"extra": extra}))
    require_whole(scene.home, scene.manifest, state)


def repair(scene: Scene) -> None:
    """Verify, then restore what is not as the manifest says; answer what was wrong and what was done."""
    began = time.monotonic()
    state, plan = make_surely_whole(scene)
    with disk_errors(scene.home.root):
        withdraw_attempt(scene.home, scene.disk)
    match plan:
        case Launch():
            did, restored = "nothing", 0
        case Install():
            did, restored = "installed", scene.manifest.entries
        case Restore(paths) | Complete(paths):
            did, restored = "restored", len(paths)
    answer = {
        "did": did,
        "restored": restored,
        "seconds": round(time.monotonic() - began, 1),
        "log": str(scene.home.log),
    }
    scene.report.say(Result("repair", _findings(scene, state) | answer))


def status(
    home: Home | LauncherError,
    report: Report,
    release: Release,
    resources: Resources | LauncherError,
    environment: Mapping[str, str],
    note: Path | None,
) -> None:
    """Answer what is installed; a problem with the home or the resources is part of the answer."""
    report.say(Result("status", find_status(home, release, resources, environment, note)))


def find_status(
    home: Home | LauncherError,
    release: Release,
    resources: Resources | LauncherError,
    environment: Mapping[str, str],
    note: Path | None,
) -> dict[str, Any]:
    """Return what is installed, as far as a glance tells; `note` is the `location` that led to the home."""
    answer: dict[str, Any] = {"version": release.version, "location": None if note is None else str(note)}
    if isinstance(home, LauncherError):
        return answer | {"home": str(home.path), "state": "unknown", "problem": _problem(home)}
    answer["home"] = str(home.root)
    if isinstance(resources, LauncherError):
        return answer | {"state": "unknown", "problem": _problem(resources)}
    manifest = resources.manifest
    slot = home.slot(manifest.slot_name)
    try:
        with disk_errors(home.root):
            found = {
                "state": name_of(survey_quickly(home, manifest)),
                "slot": str(slot),
                "bytes": measure(slot),
                "free": free_bytes(nearest_folder(home.root)),
                "running": backend_of(home, manifest.slot_name),
                "otherSlots": [path.name for path in home.slots() if path != slot],
            }
    except LauncherError as error:
        found = {"state": "unknown", "problem": _problem(error)}
    return (
        answer
        | found
        | {
            "runtime": manifest.runtime,
            "platform": str(manifest.platform),
            "accelerator": manifest.accelerator,
            "channel": manifest.channel,
            "packages": dict(manifest.packages),
            "createdAt": manifest.created_at,
            "resources": str(resources.folder),
            "manifest": "run from source: no digest to check" if release.manifest is None else release.manifest,
            "warnings": find_warnings(manifest, home.root, manifest.platform, environment),
        }
    )


def _problem(error: LauncherError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "remedy": error.remedy}


def remove(
    home: Home, disk: Disk, report: Report, *, kept: str | None, user_files_too: bool, sure: bool = True
) -> None:
    """Remove every runtime but the one in slot `kept`, with `user_files_too` the user's work; nothing unless `sure`.

    Raises Busy while a backend runs from one of them; what was removed until then is gone.
    """
    removed = []
    if sure and home.root.is_dir():
        with home_to_ourselves(home, report), disk_errors(home.root):
            slots = [slot for slot in home.slots() if slot.name != kept]
            if slots:
                disk.make_folders(home.receipts)
            progress = report.step("remove", "entries")
            for number, slot in enumerate(slots):
                progress(number, len(slots))
                with slot_to_ourselves(home, slot.name):
                    # The receipt goes first: what an interruption leaves of a slot is then known to be partial.
                    withdraw(home, slot.name, disk)
                    disk.remove(slot)
                removed.append(str(slot))
            progress(len(slots), len(slots))
            if kept is None:
                withdraw_attempt(home, disk)
            if user_files_too and home.user_files.exists():
                disk.remove(home.user_files)
                removed.append(str(home.user_files))
    report.say(Result("remove", {"removed": removed}))


def _findings(scene: Scene, state: State) -> dict[str, Any]:
    first = [found.path for found in damage_of(state)[:10]]
    return {**findings_of(state), "first": first, "slot": str(scene.slot)}
