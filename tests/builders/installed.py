"""The launcher inside this process: scenes on a disk that tests can break, and ways to damage an installed runtime."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from launcher.disk import Disk
from launcher.home import Home
from launcher.platforms import Platform
from launcher.report import Report
from launcher.resources import Resources
from launcher.trust import Release
from launcher.whole import Scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from launcher.manifest import Manifest


@dataclass(frozen=True)
class Packed:
    """Resources that a test may read, and their manifest."""

    resources: Path
    manifest: Manifest
    slots: list[str] = field(default_factory=list)

    def slot(self, home: Path) -> Path:
        """Return the slot of the runtime in a home."""
        return home / "rt" / self.manifest.slot_name

    def receipt(self, home: Path) -> Path:
        """Return the receipt of the runtime in a home."""
        return home / "receipts" / f"{self.manifest.slot_name}.json"


def scene(resources: Path, home: Path, disk: Disk | None = None) -> Scene:
    """Return what an act works on, saying its events to nobody."""
    platform = Platform.current()
    return Scene(
        Resources.open(resources, platform),
        Home(home),
        platform,
        disk or Disk(),
        Report(as_json=True, quiet=True, answer=io.StringIO(), talk=io.StringIO()),
        Release("1.0", None),
        dict(os.environ),
    )


def _rewrite(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "stray").write_text("in the way")


def _link_instead(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _pipe_instead(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


def _file_instead(path: Path) -> None:
    path.unlink()
    path.write_text("a file")


DAMAGE_TO_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (lambda path: path.unlink(), "missing"),
    "changed": (_rewrite, "changed"),
    "cut short": (lambda path: os.truncate(path, path.stat().st_size // 2), "wrong-size"),
    "grown": (lambda path: os.truncate(path, path.stat().st_size + 1), "wrong-size"),
    "another mode": (lambda path: path.chmod(path.stat().st_mode ^ 0o111), "wrong-mode"),
    "setuid": (lambda path: path.chmod(0o4755), "wrong-mode"),
    "a folder in its place": (_folder_instead, "wrong-kind"),
    "a link in its place": (_link_instead, "wrong-kind"),
    "a pipe in its place": (_pipe_instead, "wrong-kind"),
}
DAMAGE_TO_LINKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (lambda path: path.unlink(), "missing"),
    "leading elsewhere": (_link_elsewhere, "wrong-target"),
    "a file in its place": (_file_instead, "wrong-kind"),
    "a folder in its place": (_folder_instead, "wrong-kind"),
}
