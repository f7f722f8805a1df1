"""Homes that move to another folder or disk, as a person or a test commands it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from launcher.disk import Disk
from launcher.home import find_way
from launcher.move import move_home
from launcher.platforms import Platform
from tests.builders.installed import scene
from tests.builders.launching import Answer
from tests.builders.runtime import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders.installed import Packed


class TwoDisks(Disk):
    """Two disks, between which nothing can be renamed."""

    def replace(self, path: Path, target: Path) -> None:
        if path.parent != target.parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
        super().replace(path, target)


def launch(packed: Packed, *arguments: str) -> Answer:
    """Run the launcher as somebody on the phone types it, naming no home."""
    run = subprocess.run(
        [sys.executable, "-m", "launcher", "--json", "--resources", str(packed.resources), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Answer(run.returncode, [json.loads(line) for line in run.stdout.splitlines()], run.stderr)


def move(packed: Packed, folder: Path, disk: Disk | None = None) -> None:
    found = scene(packed.resources, folder)
    move_home(find_way(None, {}), folder, disk or Disk(), Platform.current(), found.report, packed.manifest)
