"""Verified resources → the files of a release page: a tar that keeps modes and links, SBOM, report, checksums."""

from __future__ import annotations

import json
import shutil
import tarfile
from typing import TYPE_CHECKING, cast

from launcher.manifest import MANIFEST_NAME
from launcher.resources import file_digest
from pack.errors import NotBuilt, VerificationFailed
from pack.folder import plain_mode, replaced
from pack.parts import Parts
from pack.sbom import SBOM_NAME

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from pack.progress import Progress

_MTIME = 315532800  # as the archive's entries: the same resources make the same release, whenever that is


def write_release(
    resources: Path, verification: Path, folder: Path, *, name: str, part_size: int, progress: Progress
) -> None:
    """Write what a release page shows of `resources` into `folder`, each file's name beginning with `name`.

    Raises NotBuilt where nothing was verified, VerificationFailed where a check did not pass, where the resources are
    not those that were looked at, or where a place was not made though Linux can make all of them.
    """
    if not verification.exists():
        raise NotBuilt(verification, "verify")
    report = json.loads(verification.read_bytes())
    manifest = json.loads((resources / MANIFEST_NAME).read_bytes())
    if report["failed"] or report["runtime"] != manifest["runtime"]:
        found = f"{report['failed']} failed" if report["failed"] else f"of runtime {report['runtime']}"
        raise VerificationFailed(resources, [f"{verification.name}: {found}"])
    missing = [f"{looked['place']}: {looked['refusal']}" for looked in report["places"] if looked["refusal"]]
    if missing and manifest["platform"].startswith("linux-"):
        raise VerificationFailed(resources, missing)
    with replaced(folder) as unfinished:
        with (
            Parts(unfinished, f"{name}.tar", part_size) as parts,
            tarfile.open(mode="w|", fileobj=cast("IO[bytes]", parts), format=tarfile.PAX_FORMAT) as archive,
        ):
            paths = sorted(resources.rglob("*"))
            for number, path in enumerate(paths):
                archive.add(path, f"resources/{path.relative_to(resources).as_posix()}", recursive=False, filter=_plain)
                progress("release", number + 1, len(paths))
        shutil.copyfile(resources / SBOM_NAME, unfinished / f"{name}.sbom.json")
        shutil.copyfile(verification, unfinished / f"{name}.verify.json")
        lines = [f"{file_digest(path)}  {path.name}\n" for path in sorted(unfinished.iterdir())]
        (unfinished / f"{name}.sha256").write_text("".join(lines), encoding="utf-8", newline="\n")


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return an entry of nobody, at no time, for all to read."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = _MTIME
    entry.mode = plain_mode(entry.mode, is_folder=entry.isdir())
    return entry
