"""However large an archive is and however many cores there are, an install takes no more than 400 MiB."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from launcher.manifest import FRAME_LIMIT, PACKED_LIMIT, Frame
from launcher.restore import threads_for
from pack.write import write_archive
from tests.builders.launching import packages
from tests.builders.prefix import Package
from tests.builders.runtime import ROOT, make_resources

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = 400 * 1024 * 1024
# What the kernel counted of this process alone: a child's ru_maxrss begins with that of the process that forked it.
_PEAK = """
import os, re, sys
from launcher.__main__ import main
status = main(sys.argv[1:], os.environ)
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
sys.exit(status)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells a process's peak in /proc")
def test_an_install_of_frames_as_large_as_they_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pack.archive.write_archive", partial(write_archive, frame_size=FRAME_LIMIT))
    # Bytes that do not compress: memory is taken for what is packed, too.
    large = Package("large", "1", {"lib/large.bin": Random(1).randbytes(3 * FRAME_LIMIT)})
    resources, manifest = make_resources(tmp_path, [*packages(), large], part_size=10**9)
    command = ["-c", _PEAK, "--quiet", "--install", "--resources", str(resources), "--home", str(tmp_path / "home")]
    run = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(run.stdout.splitlines()[-1]) * 1024 < MEMORY
    assert (tmp_path / "home" / "rt" / manifest.slot_name / "lib/large.bin").stat().st_size == 3 * FRAME_LIMIT


@pytest.mark.parametrize("cores", [1, 2, 8, 64, 256])
def test_frames_under_way_are_as_many_as_memory_is_for(cores: int) -> None:
    for length, size in ((FRAME_LIMIT, PACKED_LIMIT), (FRAME_LIMIT, 1), (16 << 20, 5 << 20), (1000, 100)):
        threads = threads_for([Frame(0, size, length, ""), Frame(0, 1, 1, "")], cores)
        assert 1 <= threads <= cores
        assert threads * (size + length) <= 256 * 1024 * 1024
    assert threads_for([Frame(0, 5 << 20, 16 << 20, "")], 8) == 8, (
        "what we ship keeps all of a usual machine's cores busy"
    )
    assert threads_for([], cores) == cores
