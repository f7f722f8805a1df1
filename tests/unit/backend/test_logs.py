"""The backend's log goes on for ever and takes no more room than it may."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from backend.logs import FILE_BYTES, OLD_FILES
from tests.builders.backend import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

# A process of its own: a program has one log.
WRITE = """
import logging, sys
from pathlib import Path
from backend.logs import log_to

log_to(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    logging.getLogger("jobs").info("line %d %s", number, "x" * 2000)
"""


def test_old_lines_give_way_to_new_ones(tmp_path: Path) -> None:
    lines = (OLD_FILES + 2) * FILE_BYTES // 2000
    subprocess.run(
        [sys.executable, "-c", WRITE, tmp_path, str(lines)], cwd=REPOSITORY, stderr=subprocess.DEVNULL, check=True
    )
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["backend.log", *(f"backend.log.{n + 1}" for n in range(OLD_FILES))]
    assert all(path.stat().st_size <= FILE_BYTES for path in files)
    assert f"line {lines - 1} " in files[0].read_text().splitlines()[-1]
