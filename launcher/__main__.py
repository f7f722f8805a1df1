"""argv → request → survey → plan → act → exit."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from launcher.acts import install, remove, repair, status, verify
from launcher.cli import Act, asks_for_json, parse
from launcher.disk import Disk, disk_errors
from launcher.errors import EXIT_BUG, EXIT_INTERRUPTED, LauncherError, WrongCommandLine
from launcher.home import find_home, find_way, home_at
from launcher.host import end_with_stdin
from launcher.locks import HomeLeft
from launcher.manifest import MANIFEST_NAME
from launcher.platforms import Platform
from launcher.preflight import check_system
from launcher.report import Report
from launcher.resources import Resources
from launcher.start import start
from launcher.trust import current_release
from launcher.whole import Scene

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launcher.cli import Request
    from launcher.home import Home
    from launcher.trust import Release

_INTERRUPTED = "Interrupted. Finished work is kept; the next start goes on from here."


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what the arguments ask for and return the exit status; a plain start becomes the backend instead."""
    release = current_release()
    try:
        request = parse(arguments, release.version)
    except WrongCommandLine as error:
        print(error.usage, file=sys.stderr)
        if asks_for_json(arguments):
            Report(as_json=True, quiet=False).fail(error)
        return error.exit_status
    report = Report(as_json=request.as_json, quiet=request.quiet)
    if request.until_eof:
        end_with_stdin(_INTERRUPTED, EXIT_INTERRUPTED)
    try:
        act(request, release, report, environment)
    except LauncherError as error:
        if request.traceback:
            from traceback import print_exc

            print_exc()
        report.fail(error)
        return error.exit_status
    except KeyboardInterrupt:
        print(_INTERRUPTED, file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def act(request: Request, release: Release, report: Report, environment: Mapping[str, str]) -> None:
    """Do what is asked for; raise LauncherError where it cannot be done."""
    folder = (request.resources or default_resources(Platform.current())).absolute()
    if request.act in {Act.STATUS, Act.SUPPORT_REPORT}:
        tell(request, release, report, environment, folder)
        return
    while True:
        try:
            change(request, release, report, environment, folder)
        except HomeLeft:
            # It was moved while its lock was waited for: what was asked for is to be done where it is now.
            continue
        return


def change(request: Request, release: Release, report: Report, environment: Mapping[str, str], folder: Path) -> None:
    """Do what is asked for to the home, or with it; raise HomeLeft where it was moved before anything was done."""
    platform, disk = Platform.current(), Disk()
    home = find_home(request.home, environment)
    with disk_errors(home.root):
        report.log = home.log if home.logs.is_dir() else None
        arriving = home.arriving.exists()
    if arriving:
        from launcher.move import finish_move

        finish_move(home, disk, report)
        if request.move_to is not None and request.move_to.absolute() == home.root:
            return
    if request.act is Act.REMOVE:
        clear(request, home, folder, platform, disk, report)
    elif request.move_to is not None:
        move(request, request.move_to, environment, folder, platform, disk, report)
    else:
        resources = Resources.open(folder, platform)
        check_system(resources.manifest, platform.system_versions(), folder / MANIFEST_NAME)
        work(Scene(resources, home, platform, disk, report, release, environment), request)


def clear(request: Request, home: Home, folder: Path, platform: Platform, disk: Disk, report: Report) -> None:
    """Remove runtimes, and the user's work where a person says so."""
    kept = Resources.open(folder, platform).manifest.slot_name if request.others_only else None
    sure = not request.user_files_too or confirmed(f"Remove {home.user_files} with all your work in it?")
    remove(home, disk, report, kept=kept, user_files_too=request.user_files_too, sure=sure)


def move(
    request: Request,
    target: Path,
    environment: Mapping[str, str],
    folder: Path,
    platform: Platform,
    disk: Disk,
    report: Report,
) -> None:
    """Move the home, with what the manifest says of its runtime where there is one."""
    from launcher.move import move_home

    opened = try_resources(folder, platform)
    manifest = None if isinstance(opened, LauncherError) else opened.manifest
    move_home(find_way(request.home, environment), target, disk, platform, report, manifest)


def work(scene: Scene, request: Request) -> None:
    """Do what is asked for to the runtime; a plain start becomes its backend."""
    match request.act:
        case Act.INSTALL:
            install(scene)
        case Act.VERIFY:
            verify(scene)
        case Act.REPAIR:
            repair(scene)
        case Act.RUN:
            start(scene, request)


def tell(
    request: Request,
    release: Release,
    report: Report,
    environment: Mapping[str, str],
    folder: Path,
) -> None:
    """Tell a person or support what there is, whatever is wrong with it."""
    platform = Platform.current()
    note = None
    try:
        way = find_way(request.home, environment)
        note = way[-2].location if len(way) > 1 else None
        home: Home | LauncherError = home_at(way)
    except LauncherError as error:
        home = error
    resources = try_resources(folder, platform)
    if request.report_file is None:
        status(home, report, release, resources, environment, note)
        return
    from launcher.support import Case, support_report

    support_report(request.report_file, Case(home, resources, platform, release, environment, note), Disk(), report)


def try_resources(folder: Path, platform: Platform) -> Resources | LauncherError:
    """Return the resources, or what is wrong with them."""
    try:
        return Resources.open(folder, platform)
    except LauncherError as error:
        return error


def default_resources(platform: Platform) -> Path:
    """Return the folder of the frozen program, or where a build leaves the resources when run from source."""
    if getattr(sys, "frozen", False):
        return Path(sys.executable).parent
    return Path(__file__).parents[1] / "dist" / platform / "resources"


def confirmed(question: str) -> bool:
    """Ask a person; anything but yes is no."""
    print(f"{question} Type yes to go on: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def run() -> NoReturn:
    """Run the program; the one place that exits."""
    for stream in (sys.stdout, sys.stderr):
        # A home may have a name that the console cannot show; that is no reason to fail.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = main(sys.argv[1:], os.environ)
    except BrokenPipeError:
        # Whoever started us is gone and reads no more: end as if interrupted, and let Python's last flush go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = EXIT_INTERRUPTED
    except Exception:  # noqa: BLE001 -- the edge: whatever comes through here is a bug, and its place has to be seen
        from traceback import print_exc

        print_exc()
        print("This is a bug in peft_engine. Please send the text above to support.", file=sys.stderr)
        status = EXIT_BUG
    sys.exit(status)


if __name__ == "__main__":
    run()
