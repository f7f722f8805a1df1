"""`python -m pack`: argv → request → workspace → acts → exit."""

from __future__ import annotations

import json
import sys
import time
import traceback
from typing import TYPE_CHECKING, NoReturn

from launcher.errors import EXIT_BUG, EXIT_INTERRUPTED, EngineError
from launcher.events import VERSION, Failed, to_dict
from pack.cli import parse
from pack.console import ProgressLines, show_any_text
from pack.errors import SystemRefused
from pack.pipeline import Act, product, run
from pack.spec import Spec
from pack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pack.cli import Request


def main(arguments: Sequence[str]) -> int:
    """Build what the arguments ask for and return the exit status."""
    request = parse(arguments)
    try:
        workspace = open_workspace(request)
        run(workspace, request.act, ProgressLines(), _tell(request, workspace))
    except (EngineError, OSError) as error:
        return _tell_failure(request, error if isinstance(error, EngineError) else SystemRefused(error))
    except KeyboardInterrupt:
        print("Interrupted. What was finished is used again.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _tell_failure(request: Request, error: EngineError) -> int:
    """Tell of the error that is being handled, and return its exit status."""
    if request.traceback:
        traceback.print_exc()
    if request.as_json:
        path = str(error.path) if error.path is not None else None
        print(json.dumps(to_dict(Failed(error.code, error.message, error.remedy, path, log=None))), flush=True)
    print(f"error: {error.message}\n  {error.remedy}\n  [{error.code}]", file=sys.stderr)
    return error.exit_status


def open_workspace(request: Request) -> Workspace:
    """Return the workspace for a request; raise SpecInvalid or WrongAccelerator."""
    spec = Spec.from_path(
        request.project / "environment.yml", platform=request.platform, accelerator=request.accelerator
    )
    return Workspace(
        project=request.project,
        spec=spec,
        channel=request.channel,
        locked=request.locked,
        level=request.level,
        part_size=request.part_size,
    )


def _tell(request: Request, workspace: Workspace) -> Callable[[Act], None]:
    began = time.monotonic()
    reports = {Act.ARCHIVE: workspace.pruned, Act.VERIFY: workspace.verification.with_suffix(".txt")}

    def done(act: Act) -> None:
        nonlocal began
        seconds, began = time.monotonic() - began, time.monotonic()
        path = product(workspace, act)
        if request.as_json:
            event = {"v": VERSION, "event": "done", "act": act, "seconds": round(seconds, 2), "path": str(path)}
            print(json.dumps(event), flush=True)
        else:
            if (report := reports.get(act)) is not None:
                print(report.read_text(encoding="utf-8"), end="")
            print(f"{act:<8} {seconds:6.1f} s  {path}", flush=True)

    return done


def run_program() -> NoReturn:
    """Run the program; the one place that exits."""
    show_any_text()
    try:
        status = main(sys.argv[1:])
    except Exception:  # noqa: BLE001 -- the edge: whatever comes through here was not foreseen, and its place counts
        traceback.print_exc()
        print("This is a bug in pack, or something of the system that it did not foresee.", file=sys.stderr)
        status = EXIT_BUG
    sys.exit(status)


if __name__ == "__main__":
    run_program()
