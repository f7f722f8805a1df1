"""Resources → report, by running the staged launcher and what it installs, in a hostile place."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.manifest import MANIFEST_NAME, Manifest
from pack.checks import (
    Check,
    check_engine,
    check_files,
    check_health,
    check_imports,
    check_launcher,
    check_programs,
    check_versions,
)
from pack.errors import NotBuilt, VerificationFailed
from pack.hostile import hostile_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from pack.progress import Progress


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at in the resources of `runtime`, and `where`."""

    runtime: str
    where: str
    checks: tuple[Check, ...]

    @property
    def failures(self) -> list[str]:
        """Each check that did not pass, with what was found."""
        return [f"{check.name}: {check.found}" for check in self.checks if not check.passed]

    def to_json(self) -> str:
        """Return the report for programs."""
        return json.dumps(asdict(self) | {"failed": len(self.failures)}, indent=1, ensure_ascii=False) + "\n"

    def to_text(self) -> str:
        """Return the report for people."""
        width = max((len(check.name) for check in self.checks), default=0)
        lines = [f"{'ok' if c.passed else 'FAILED':<6}  {c.name:<{width}}  {c.found}" for c in self.checks]
        summary = f"{len(self.checks)} checks of runtime {self.runtime[:8]}, {len(self.failures)} failed. {self.where}"
        return "\n".join([*lines, summary]) + "\n"


def verify(resources: Path, project: Path, report: Path, progress: Progress) -> None:
    """Check the staged `resources` and write `report`, as JSON and beside it as text.

    Raises VerificationFailed where a check does not pass, NotBuilt where nothing is staged.
    """
    path = resources / MANIFEST_NAME
    if not path.exists():
        raise NotBuilt(path, "stage")
    manifest = Manifest.from_dict(json.loads(path.read_bytes()))
    found = examine(resources, manifest, project, progress)
    report.write_text(found.to_json(), encoding="utf-8")
    report.with_suffix(".txt").write_text(found.to_text(), encoding="utf-8")
    if found.failures:
        raise VerificationFailed(resources, found.failures)


def examine(resources: Path, manifest: Manifest, project: Path, progress: Progress) -> Report:
    """Do every check that there is; where nothing can be installed, those that need no installation."""
    program = resources / manifest.platform.program
    with tempfile.TemporaryDirectory(prefix="verify-") as name:
        scratch = Path(name)
        place, where = hostile_place(scratch, resources)
        slot = place.home / "rt" / manifest.slot_name
        python = slot / manifest.platform.python
        site = slot / manifest.platform.site_packages(".".join(manifest.packages["python"].split(".")[:2]))
        before: list[Callable[[], list[Check]]] = [
            lambda: [check_engine(resources)],
            lambda: [check_launcher("install", program, place, "--install")],
        ]
        after: list[Callable[[], list[Check]]] = [
            lambda: check_versions(python, place, manifest),
            lambda: check_imports(python, place, project),
            lambda: check_files(site, project),
            lambda: check_programs(python, place, project, scratch),
            lambda: [check_health(program, place)],
            # Last, since it also says that nothing before it wrote into the slot.
            lambda: [check_launcher("every file's sha256", program, place, "--verify")],
        ]
        total, checks = len(before) + len(after), []
        for number, step in enumerate((*before, *after)):
            progress("verify", number, total)
            checks += step()
            if number == len(before) - 1 and not checks[-1].passed:
                break
        progress("verify", total, total)
    return Report(manifest.runtime, where, tuple(checks))
