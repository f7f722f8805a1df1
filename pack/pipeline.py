"""The acts of a build, in the one order there is: each works on what the one before it left."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING

from launcher.manifest import MANIFEST_NAME, Manifest
from launcher.platforms import Platform
from pack.archive import build_archive, machine_folders
from pack.backendwheel import BACKEND
from pack.channel import build_channel
from pack.core import find_core
from pack.doctor import missing_tools
from pack.errors import NotBuilt, PlatformNotBuildable, ProgramFailed
from pack.lock import Lock, read_lock
from pack.prefix import install
from pack.progress import one_step
from pack.prune import prune, read_rules, table
from pack.records import cuda_of, records
from pack.release import write_release
from pack.solve import solve
from pack.sourcedate import now, source_date
from pack.stage import stage
from pack.stub import build_stub, needs_of_tools
from pack.tools import tools
from pack.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pack.progress import Progress
    from pack.source import Source
    from pack.workspace import Workspace

    Deed = Callable[[Workspace, Progress], None]


class Act(StrEnum):
    """What can be asked for; the order is the order of work."""

    CHANNEL = "channel"
    LOCK = "lock"
    PREFIX = "prefix"
    ARCHIVE = "archive"
    STUB = "stub"
    STAGE = "stage"
    VERIFY = "verify"
    RELEASE = "release"


# What kind of machine builds for each platform.
RUNNERS = {
    Platform.LINUX_64: "a Linux machine with an x86-64 processor",
    Platform.LINUX_AARCH64: "a Linux machine with a 64-bit ARM processor",
    Platform.OSX_64: "a Mac with an Intel processor",
    Platform.OSX_ARM64: "a Mac with an Apple processor",
    Platform.WIN_64: "a Windows machine with an x86-64 processor",
}
# A lock can be solved anywhere, once its channel stands.
_ANYWHERE = frozenset({Act.LOCK})
# Packages of a channel are solved for and installed by libraries alone.
_WITHOUT_TOOLS = frozenset({Act.CHANNEL, Act.LOCK, Act.PREFIX})


def run(
    workspace: Workspace,
    last: Act,
    progress: Progress,
    done: Callable[[Act], None] = lambda _: None,
    deeds: Mapping[Act, Deed] | None = None,
) -> None:
    """Do every act up to `last`, telling `done` of each; what has not changed is not made again.

    The first error stops the rest: nothing is made from a half. `deeds` say what each act does, where that is not
    what it does here. Raises PackError.
    """
    here = Platform.current()
    if workspace.platform is not here and last not in _ANYWHERE:
        raise PlatformNotBuildable(workspace.platform, here, RUNNERS[workspace.platform])
    if (workspace.from_wheels or last not in _WITHOUT_TOOLS) and (missing := missing_tools(sys.platform, shutil.which)):
        need = missing[0]
        raise ProgramFailed(need.program, None, f"{need.purpose}.", f"Get it ({need.remedy}), and run the same again.")
    if last not in _WITHOUT_TOOLS:
        source_date(workspace.project, os.environ)  # which the archive will ask for: what is wrong is said before work
    for act in Act:
        (deeds or _DEEDS)[act](workspace, progress)
        done(act)
        if act is last:
            return


def product(workspace: Workspace, act: Act) -> Path:
    """Return what an act leaves."""
    return {
        Act.CHANNEL: workspace.local_channel,
        Act.LOCK: workspace.lock,
        Act.PREFIX: workspace.prefix,
        Act.ARCHIVE: workspace.archive,
        Act.STUB: workspace.stubs,
        Act.STAGE: workspace.resources,
        Act.VERIFY: workspace.verification,
        Act.RELEASE: workspace.release,
    }[act]


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest that the archive act left in `folder`; raise NotBuilt where there is none."""
    path = folder / MANIFEST_NAME
    if not path.exists():
        raise NotBuilt(path, Act.ARCHIVE)
    return Manifest.from_dict(json.loads(path.read_bytes()))


def _channel(workspace: Workspace, progress: Progress) -> None:
    build_channel(
        workspace.spec,
        out=workspace.local_channel,
        wheels=workspace.wheels,
        project=workspace.project,
        whole=workspace.from_wheels,
        progress=progress,
    )


def _lock(workspace: Workspace, progress: Progress) -> None:
    if workspace.locked:
        _read(workspace)
        return
    with one_step(progress, "solve"):
        solved = solve(
            workspace.spec,
            cache=workspace.repodata,
            channels=workspace.channels,
            local=workspace.local_channel,
            also=[BACKEND],
        )
    solved.write(workspace.lock)


def _read(workspace: Workspace) -> Lock:
    return read_lock(
        workspace.lock,
        workspace.spec,
        channels=workspace.channels,
        local=workspace.local_channel,
        also=[BACKEND],
    )


def _prefix(workspace: Workspace, progress: Progress) -> None:
    install(_read(workspace), workspace.prefix, cache=workspace.packages, progress=progress)


def _archive(workspace: Workspace, progress: Progress) -> None:
    lock = _read(workspace)
    dated = source_date(workspace.project, os.environ)
    key = _archive_key(workspace, lock, dated)
    noted = workspace.archive.with_name("archive.key")
    left = (workspace.archive / MANIFEST_NAME, workspace.pruned, noted)
    if all(path.exists() for path in left) and noted.read_text() == key:
        return
    noted.unlink(missing_ok=True)
    build_archive(
        workspace.prefix,
        workspace.archive,
        platform=workspace.platform,
        accelerator=workspace.accelerator,
        channel=workspace.channel,
        lock=lock.digest,
        version=workspace.version,
        created_at=dated or now(),
        cache=workspace.bytecode,
        machine_folders=machine_folders(workspace.build),
        stub_needs=needs_of_tools(workspace.platform),
        stub_tools=tools(),
        leave_out=lambda sources: _prune(workspace, sources),
        find_core=lambda sources: find_core(workspace.prefix, sources, workspace.platform),
        progress=progress,
        level=workspace.level,
        part_size=workspace.part_size,
    )
    noted.write_text(key)


def _prune(workspace: Workspace, sources: Sequence[Source]) -> list[Source]:
    cuda = cuda_of(records(workspace.prefix))
    rules = read_rules(workspace.project / "pack" / "prune.toml", workspace.platform, workspace.accelerator, cuda)
    kept, savings = prune(sources, rules)
    workspace.pruned.write_text(table(savings), encoding="utf-8", newline="\n")
    return kept


def _archive_key(workspace: Workspace, lock: Lock, dated: datetime | None) -> str:
    """Return a digest of everything an archive is made from: the lock, our packer, its settings, the sources' date."""
    key = hashlib.sha256(lock.digest.encode())
    tools = [version("conda-pack"), version("zstandard"), version("pyinstaller")]
    key.update(json.dumps([workspace.version, workspace.channel, workspace.level, workspace.part_size, tools]).encode())
    key.update(str(dated).encode())
    for folder in ("launcher", "pack"):
        for path in sorted((workspace.project / folder).rglob("*")):
            if path.suffix in {".py", ".toml"}:
                key.update(path.relative_to(workspace.project).as_posix().encode() + b"\0" + path.read_bytes())
    return key.hexdigest()


def _stub(workspace: Workspace, progress: Progress) -> None:
    _build_stub(workspace, progress)


def _build_stub(workspace: Workspace, progress: Progress) -> Path:
    return build_stub(
        workspace.project,
        workspace.archive / MANIFEST_NAME,
        workspace.stubs,
        python=workspace.prefix / workspace.platform.python,
        platform=workspace.platform,
        release=workspace.version,
        progress=progress,
    )


def _stage(workspace: Workspace, progress: Progress) -> None:
    made = _build_stub(workspace, progress)
    stage(workspace.archive, made, read_manifest(workspace.archive), workspace.resources, progress)


def _verify(workspace: Workspace, progress: Progress) -> None:
    verify(workspace.resources, workspace.project, workspace.verification, progress)


def _release(workspace: Workspace, progress: Progress) -> None:
    write_release(
        workspace.resources,
        workspace.verification,
        workspace.release,
        name=f"peft-studio-engine-{workspace.platform}-{workspace.accelerator}",
        part_size=workspace.part_size,
        progress=progress,
    )


_DEEDS: dict[Act, Deed] = {
    Act.CHANNEL: _channel,
    Act.LOCK: _lock,
    Act.PREFIX: _prefix,
    Act.ARCHIVE: _archive,
    Act.STUB: _stub,
    Act.STAGE: _stage,
    Act.VERIFY: _verify,
    Act.RELEASE: _release,
}
