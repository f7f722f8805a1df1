"""What was cut off does not lie there for ever, and what somebody may be at work with is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.debris import AT_WORK, sweep
from backend.folders import Folders
from tests.builders.backend import running_backend, wait_until

KEPT = ("datasets/0123456789abcdef/rows.txt", "models/mine/config.json", "presets/p.json", "reports/report-1.zip")
YOUNG = ("datasets/a.arriving/rows.txt", "models/.merged.partial/w", "presets/p.json.1.2.new", "reports/adapter-a.zip")
OLD = ("datasets/b.arriving/rows.txt", "exports/.gguf.partial/w", "settings.json.1.2.new", "reports/adapter-b.zip")
NOBODY = 999_999_999  # more than any system gives a process for its id
LEAVING = ("models/.mine.0a1b2c3d.leaving/w", "cache/.models--a--b.0a1b2c3d.leaving/blobs/w")


def lay_out(root: Path) -> None:
    """Write everything, the old ones with their time."""
    for name in (*KEPT, *YOUNG, *OLD, *LEAVING):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    time = (datetime.now(UTC) - AT_WORK - timedelta(hours=1)).timestamp()
    for name in OLD:
        unfinished = root / name if name.endswith((".new", ".zip")) else (root / name).parent
        os.utime(unfinished, (time, time))


def test_what_was_cut_off_goes_and_what_may_be_at_work_stays(tmp_path: Path) -> None:
    lay_out(tmp_path)
    sweep(Folders(tmp_path), tmp_path / "cache", datetime.now(UTC))
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {*KEPT, *YOUNG}


def swept(root: Path, pid: int) -> bool:
    """Tell whether a sweep takes what a process of this id was writing, a moment ago."""
    for folder in ("models", "exports"):
        (root / folder / f".merged.{pid}.partial").mkdir(parents=True)
        (root / folder / f".merged.{pid}.partial" / "weights").write_text("{}")
    sweep(Folders(root), root / "cache", datetime.now(UTC))
    return not list(root.glob("*/.merged*"))


def test_what_a_task_was_writing_goes_as_soon_as_its_process_is_gone(tmp_path: Path) -> None:
    assert swept(tmp_path, NOBODY)
    assert not swept(tmp_path, os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="only there we know how to see one")
def test_a_process_whose_end_its_parent_has_not_noticed_is_gone_too(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert swept(tmp_path, ended.pid)


def test_a_backend_sweeps_as_it_starts(tmp_path: Path) -> None:
    lay_out(tmp_path)
    with running_backend(Path(sys.executable), tmp_path, environment={"HF_HUB_CACHE": str(tmp_path / "cache")}):
        wait_until(lambda: not any((tmp_path / name).exists() for name in (*OLD, *LEAVING)), "debris is gone")
    assert all((tmp_path / name).exists() for name in KEPT)
