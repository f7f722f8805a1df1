"""Gather for support what tells why the engine does not run: one zip, without what is private, whatever is broken.

Never the user's datasets, models or adapters: of the folder of the user's work nothing is read but the token, which is
then taken out wherever it stands.
"""

from __future__ import annotations

import json
import os
import platform as machine
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.acts import find_status
from launcher.disk import free_bytes, nearest_folder
from launcher.errors import LauncherError, PlaceUnusable
from launcher.events import Result
from launcher.host import cuda_driver, file_system
from launcher.plan import damage_of, findings_of
from launcher.redact import Redactor
from launcher.survey import find_extra, survey_fully
from launcher.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from launcher.disk import Disk
    from launcher.home import Home
    from launcher.platforms import Platform
    from launcher.report import Report
    from launcher.resources import Resources
    from launcher.trust import Release

LOG_BYTES = 1_000_000  # of each file's end
_LISTED = 100  # damaged entries by name; the rest by number
_TELLING = ("PEFT_STUDIO_", "CUDA", "NVIDIA", "HF_", "TRANSFORMERS_", "TORCH", "PYTORCH", "PYTHON", "CONDA", "LD_",
            "DYLD_", "LANG", "LC_", "XDG_", "OMP_", "HTTP", "NO_PROXY", "SSL_", "REQUESTS_CA", "VIRTUAL_ENV", "PATH",
            "TMP", "TEMP", "WSL", "SNAP", "FLATPAK", "APPIMAGE", "CONTAINER")  # fmt: skip
_SECRET_NAMES = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "API_KEY", "ACCESS_KEY")
_PEOPLE = {"HOME": "~", "USERPROFILE": "~"}
_USERS, _COMPUTERS = ("USER", "USERNAME", "LOGNAME"), ("COMPUTERNAME", "HOSTNAME")


class Case(Value):
    """What there is to report of; a home or resources that cannot be used are told by their error."""

    home: Home | LauncherError
    resources: Resources | LauncherError
    platform: Platform
    release: Release
    environment: Mapping[str, str]
    note: Path | None

    @property
    def root(self) -> Path | None:
        """The home's folder, there or not."""
        return self.home.path if isinstance(self.home, LauncherError) else self.home.root


def support_report(file: Path, case: Case, disk: Disk, report: Report) -> None:
    """Write the report to `file`, which is new; answer what is in it and what could not be read.

    Raises PlaceUnusable where the file is there already or cannot be written; then nothing is left of it.
    """
    file = file.absolute()
    if file.exists() or file.is_symlink():
        instead = f"a file in it, such as {file / 'support.zip'}" if file.is_dir() else "a file that is not there yet"
        raise PlaceUnusable(file, "it is a folder" if file.is_dir() else "it is there already", instead)
    redactor = private_facts(case)
    contents, unread = gather(case, report, redactor)
    half = file.with_name(f"{file.name}.half")
    try:
        disk.create(half, _zipped(contents), 0o600)
        disk.flush(half)
        disk.replace(half, file)
    except OSError as error:
        with suppress(OSError):
            disk.remove(half)
        reason = error.strerror or str(error)
        instead = "a file in a folder of yours, on a disk with room"
        raise PlaceUnusable(file, f"it cannot be written: {reason}", instead) from error
    answer = {"file": str(file), "bytes": file.stat().st_size, "contents": sorted(contents), "unread": unread}
    report.say(Result("support-report", answer))


def private_facts(case: Case) -> Redactor:
    """Return what takes out what is private on this computer."""
    environment = case.environment
    secrets = {
        value: f"<{name}>"
        for name, value in environment.items()
        if len(value) > 3 and any(word in name.upper() for word in _SECRET_NAMES)
    }
    if not isinstance(case.home, LauncherError):
        with suppress(OSError, UnicodeDecodeError):
            secrets[(case.home.user_files / "token").read_text(encoding="ascii").strip()] = "<token of the backend>"
    folders = {environment[name]: said for name, said in _PEOPLE.items() if environment.get(name)}
    with suppress(RuntimeError):
        folders[str(Path.home())] = "~"
    users = [*(environment.get(name) for name in _USERS), *(Path(folder).name for folder in folders)]
    node = machine.node()
    computers = [*(environment.get(name) for name in _COMPUTERS), node, node.partition(".")[0]]
    names = {name: "<computer>" for name in computers if name} | {name: "<user>" for name in users if name}
    return Redactor(secrets, folders, names)


def gather(case: Case, report: Report, redactor: Redactor) -> tuple[dict[str, str], dict[str, str]]:
    """Return the report's files by name, without what is private, and why others could not be read."""
    contents: dict[str, str] = {}
    unread: dict[str, str] = {}

    def add(name: str, read: Callable[[], str]) -> None:
        try:
            contents[redactor.text(name)] = read()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (LauncherError, OSError) as error:
            reason = error.message if isinstance(error, LauncherError) else error.strerror or str(error)
            unread[redactor.text(name)] = redactor.text(reason)

    def add_value(name: str, find: Callable[[], object]) -> None:
        add(name, lambda: json.dumps(redactor.value(find()), indent=1, ensure_ascii=False) + "\n")

    add_value("status.json", lambda: find_status(case.home, case.release, case.resources, case.environment, case.note))
    add_value("machine.json", lambda: machine_facts(case))
    add_value("survey.json", lambda: survey_facts(case, report))
    if not isinstance(case.resources, LauncherError):
        add("manifest.json", lambda: redactor.bytes(case.resources.document))  # type: ignore[union-attr]
    if (root := case.root) is not None:
        for path in _told(root, unread):
            add(path.relative_to(root).as_posix(), lambda path=path: redactor.bytes(_end_of(path)))  # type: ignore[misc]
    if case.note is not None:
        add("location", lambda: redactor.bytes(_end_of(case.note)))  # type: ignore[arg-type]
    contents["unread.json"] = json.dumps(unread, indent=1, ensure_ascii=False) + "\n"
    return contents, unread


def machine_facts(case: Case) -> dict[str, Any]:
    """Return what a person would be asked about the computer."""
    place = nearest_folder(case.root) if case.root is not None else None
    return {
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "launcher": case.release.version,
        "system": machine.platform(),
        "platform": str(case.platform),
        "versions": case.platform.system_versions(),
        "python": machine.python_version(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory": _memory(),
        "driver": cuda_driver(),
        "home": None if case.root is None else {"path": str(case.root), "there": case.root.is_dir()},
        "fileSystem": None if place is None else file_system(place),
        "free": None if place is None else free_bytes(place),
        # Their names alone: a value may be anything.
        "environment": sorted(name for name in case.environment if name.upper().startswith(_TELLING)),
    }


def survey_facts(case: Case, report: Report) -> dict[str, Any]:
    """Return what is wrong with the installation, after hashing all of it."""
    if isinstance(case.home, LauncherError):
        raise case.home
    if isinstance(case.resources, LauncherError):
        raise case.resources
    index = case.resources.trusted_index(case.release.manifest)
    slot = case.home.slot(case.resources.manifest.slot_name)
    state = survey_fully(case.home, case.resources.manifest, index.entries, report.step("verify", "bytes"))
    first = [{"path": found.path, "kind": str(found.kind)} for found in damage_of(state)[:_LISTED]]
    return {**findings_of(state), "first": first, "extra": find_extra(slot, index.entries)[:_LISTED]}


def _told(root: Path, unread: dict[str, str]) -> list[Path]:
    """Return the launcher's own small files, and the logs, rotated ones too."""
    found = [root / name for name in ("attempt.json", "progress.json", "arriving.json", "location")]
    for folder in ("receipts", "logs"):
        try:
            found += sorted(path for path in (root / folder).iterdir() if path.suffix != ".lock" and path.is_file())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            unread[folder] = error.strerror or str(error)
    return found


def _end_of(path: Path) -> bytes:
    """Return the last bytes of a file, from the beginning of a line on where there are more."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - LOG_BYTES, 0))
        content = stream.read(LOG_BYTES)
    return content if size <= LOG_BYTES else content.partition(b"\n")[2]


def _zipped(contents: Mapping[str, str]) -> bytes:
    from io import BytesIO
    from zipfile import ZIP_DEFLATED, ZipFile

    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as zipped:
        for name, text in sorted(contents.items()):
            zipped.writestr(name, text.encode("utf-8", "backslashreplace"))
    return packed.getvalue()


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return machine.processor() or machine.machine()


def _memory() -> int | None:
    """Return the bytes of memory, None where the system has no plain way to say."""
    ask: Callable[[str], int] | None = getattr(os, "sysconf", None)
    return None if ask is None else ask("SC_PAGE_SIZE") * ask("SC_PHYS_PAGES")
