"""Resources → report, by running the staged launcher, and what it installs, in hostile places."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.manifest import MANIFEST_NAME, Manifest
from pack.checks import (
    Check,
    Runtime,
    check_act,
    check_engine,
    check_files,
    check_imports,
    check_programs,
    check_routes,
    check_start,
    check_versions,
    pay_visit,
)
from pack.errors import NotBuilt, VerificationFailed
from pack.hollow import hollow_resources
from pack.hostile import Place, hostile_places, plain_place
from pack.progress import one_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pack.progress import Progress
    from pack.visit import Visit


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at in one place; `refusal` says why this machine cannot make it, empty where it can."""

    place: str
    checks: tuple[Check, ...]
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at in the resources of `runtime`, place by place."""

    runtime: str
    places: tuple[Looked, ...]

    @property
    def checks(self) -> list[Check]:
        """The checks of all places."""
        return [check for looked in self.places for check in looked.checks]

    @property
    def failures(self) -> list[str]:
        """Each check that did not pass, with its place and what was found."""
        return [
            f"{looked.place}: {check.name}: {check.found}"
            for looked in self.places
            for check in looked.checks
            if not check.passed
        ]

    def to_json(self) -> str:
        """Return the report for programs."""
        return json.dumps(asdict(self) | {"failed": len(self.failures)}, indent=1, ensure_ascii=False) + "\n"

    def to_text(self) -> str:
        """Return the report for people."""
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for looked in self.places:
            lines.append(looked.place)
            lines += [f"  not made here: {looked.refusal}"] if looked.refusal else []
            lines += [f"  {'ok' if c.passed else 'FAILED':<6}  {c.name:<{width}}  {c.found}" for c in looked.checks]
        made = [looked for looked in self.places if not looked.refusal]
        summary = f"{len(self.checks)} checks of runtime {self.runtime[:8]} in {len(made)} places"
        missing = f", {len(self.places) - len(made)} not made here" if len(made) < len(self.places) else ""
        return "\n".join([*lines, f"{summary}{missing}, {len(self.failures)} failed."]) + "\n"


def verify(
    resources: Path,
    project: Path,
    report: Path,
    progress: Progress,
    make_places: Callable[[Path, Path], tuple[list[Place], Place]] = hostile_places,
) -> None:
    """Check the staged `resources` and write `report`, as JSON and beside it as text.

    `make_places` gives the places of single hostilities and that of all of them, for a scratch folder and resources.
    Raises VerificationFailed where a check does not pass, NotBuilt where nothing is staged.
    """
    path = resources / MANIFEST_NAME
    if not path.exists():
        raise NotBuilt(path, "stage")
    manifest = Manifest.from_dict(json.loads(path.read_bytes()))
    with tempfile.TemporaryDirectory(prefix="verify-") as name:
        scratch = Path(name)
        singles, everything = make_places(scratch, resources)
        examination = _Examination(resources, manifest, project, scratch)
        found = Report(manifest.runtime, tuple(examination.of(singles, everything, progress)))
    report.write_text(found.to_json(), encoding="utf-8", newline="\n")
    report.with_suffix(".txt").write_text(found.to_text(), encoding="utf-8", newline="\n")
    if found.failures:
        raise VerificationFailed(resources, found.failures)


@dataclass(frozen=True, slots=True)
class _Examination:
    """The resources, what they were made from, and a folder to look at them in."""

    resources: Path
    manifest: Manifest
    project: Path
    scratch: Path

    def of(self, singles: Sequence[Place], everything: Place, progress: Progress) -> Iterable[Looked]:
        """Yield what was found in each place, one after the other."""
        total = len(singles) + 2
        yield Looked("the resources", (check_engine(self.resources),))
        for number, place in enumerate(singles):
            progress("verify", number, total)
            yield self._first_start(place)
            shutil.rmtree(place.home, ignore_errors=True)  # a home that was never made is none to remove
        progress("verify", total - 2, total)
        checks, whole = self._whole(everything, progress)
        yield Looked(everything.name, tuple(checks))
        progress("verify", total - 1, total)
        if whole is not None:
            yield self._core_alone(whole)
        progress("verify", total, total)

    def _first_start(self, place: Place) -> Looked:
        if place.refusal:
            return Looked(place.name, (), place.refusal)
        return Looked(place.name, (check_start("first start", self._visit(place)),))

    def _whole(self, place: Place, progress: Progress) -> tuple[list[Check], Visit | None]:
        """Install all there is and look into it; return also how its routes answered, None where nothing installed."""
        with one_step(progress, "verify: install"):
            checks = [check_act("install", self._program, place, "--install")]
        if not checks[0].passed:
            return checks, None
        runtime = Runtime(place, self.manifest)
        checks += check_versions(runtime)
        with one_step(progress, "verify: imports"):
            checks += check_imports(runtime, self.project)
        checks += check_files(runtime, self.project)
        with one_step(progress, "verify: programs"):
            checks += check_programs(runtime, self.project, self.scratch)
        with one_step(progress, "verify: start"):
            visit = self._visit(place, everywhere=True)
        checks += [check_start("start", visit), check_routes(visit)]
        # Last, since it also says that nothing before it wrote into the slot.
        with one_step(progress, "verify: every file"):
            checks.append(check_act("every file's sha256", self._program, place, "--verify"))
        return checks, visit

    def _core_alone(self, whole: Visit) -> Looked:
        """Start from an archive of which only the core can be read, so that nothing can follow it."""
        place = plain_place("the core alone", self.scratch / "core")
        hollow, rest = hollow_resources(self.resources, self.manifest, self.scratch / "hollow")
        visit = self._visit(place, hollow, everywhere=True)
        slot = Runtime(place, self.manifest).slot
        # A file of several frames is made, empty, before the first of them is read; and an empty file needs none.
        strays = [path for path in rest if os.path.lexists(slot / path) and os.lstat(slot / path).st_size]
        found = f"{self.manifest.core} of {self.manifest.entries} entries, and {len(strays)} of the others {strays[:3]}"
        alone = Check("nothing else is there", passed=not strays and slot.exists(), found=found)
        return Looked(place.name, (check_start("first start", visit), check_routes(visit, whole), alone))

    @property
    def _program(self) -> Path:
        return self.resources / self.manifest.platform.program

    def _visit(self, place: Place, resources: Path | None = None, *, everywhere: bool = False) -> Visit:
        return pay_visit(place, self._program, resources or self.resources, everywhere=everywhere)
