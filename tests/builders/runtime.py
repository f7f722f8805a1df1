"""Small real resources: packed by our own packer from a small prefix, for tests of the launcher."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.platforms import Platform
from pack.archive import build_archive
from pack.progress import silent
from tests.builders.prefix import Package, make_prefix, small_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from launcher.manifest import Manifest
    from pack.source import Source

ROOT = Path(__file__).parents[2]
BUILT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def small_core(sources: Sequence[Source]) -> frozenset[str]:
    """Return what the small backend needs: all but the ballast, and every relocated entry."""
    return frozenset(source.path for source in sources if source.package != "ballast" or source.relocated)


def make_resources(
    root: Path,
    packages: list[Package] | None = None,
    *,
    version: str = "1.0",
    part_size: int = 100_000,
    find_core: Callable[[Sequence[Source]], frozenset[str]] = small_core,
) -> tuple[Path, Manifest]:
    """Pack a small runtime under `root`; return its resources and manifest."""
    prefix = make_prefix(root, small_packages(version) if packages is None else packages)
    resources = root / "resources"
    manifest = build_archive(
        prefix,
        resources,
        platform=Platform.current(),
        accelerator="cpu",
        channel="test",
        lock="0" * 64,
        version=version,
        created_at=BUILT,
        cache=root / "bytecode",
        machine_folders=[root],
        leave_out=list,
        find_core=find_core,
        progress=silent,
        level=1,
        part_size=part_size,
    )
    return resources, manifest


def launch(
    resources: Path, home: Path, *arguments: str, environment: dict[str, str] | None = None, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run the launcher from source as a program of its own."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [sys.executable, "-m", "launcher", "--resources", str(resources), "--home", str(home), *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,  # type: ignore[call-overload]
    )
    return done
