"""Errors that a person will read: what is so, with names and numbers, and one thing to do about it.

BackendError
├── StartError                ends the process: exit status 60–69
│   ├── PortsTaken            ports-taken             60
│   ├── DataDirNotWritable    data-dir-not-writable   61
│   ├── AddressNotAvailable   address-not-available   62
│   ├── ModuleMissing         module-missing          63
│   └── CannotJoin            cannot-join             64
└── RequestError              answers one request: HTTP 4xx or 5xx; each room has its own in ROOM/errors.py
    ├── RequestInvalid        request-invalid        422
    ├── HttpError             not-found, method-not-allowed … as HTTP has them
    ├── InternalError         internal-error         500
    ├── NameTaken             name-taken             409
    ├── DocumentUnknown       profile-unknown, conversation-unknown … 404
    ├── SettingsInvalid       settings-invalid       422
    ├── ConfigurationInvalid  configuration-invalid  422
    ├── PresetInvalid         preset-invalid         422
    ├── EngineArriving        engine-arriving        503
    ├── TaskFailed            as the worker says: task-failed, parquet-unreadable, model-not-loaded …
    └── Refused               host-not-allowed, origin-not-allowed 403; token-missing, token-wrong 401

What ends a job, rather than a request, is kept with the job in the same shape: training-failed, training-not-started,
training-not-followed (training/process.py), jobs-not-kept (jobs/), out-of-memory, training-diverged, model-not-loaded,
adapter-not-fitting (training/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backend.problem import Problem

EXIT_INTERRUPTED = 130


class BackendError(Exception):
    """Something a person can act on: `message` says what is so, `remedy` what to do, `path` where."""

    code: str

    def __init__(self, message: str, remedy: str, *, path: Path | None = None, detail: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.path = path
        self.detail = detail

    def to_dict(self) -> Problem:
        """Return the one JSON shape that every error of the API has."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy, "detail": self.detail}


class StartError(BackendError):
    """The backend cannot start; `exit_status` tells whoever started it which error it was."""

    exit_status: ClassVar[int]


class PortsTaken(StartError):
    """Neither the port asked for nor any of its stand-ins is free."""

    code = "ports-taken"
    exit_status = 60

    def __init__(self, ports: Sequence[int], holders: Sequence[str]) -> None:
        held = f": {', '.join(holders)}" if holders else "; this user may not see by whom"
        super().__init__(
            f"{describe_ports(ports)} are taken{held}",
            "Close one of these programs, or start the backend with --port and a free port.",
        )


class DataDirNotWritable(StartError):
    """A folder that the backend writes to cannot be made or written."""

    code = "data-dir-not-writable"
    exit_status = 61

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"Cannot write in {path}: {reason}",
            "Make this folder writable for your user, or choose another one with --data-dir.",
            path=path,
        )


class AddressNotAvailable(StartError):
    """The machine does not let the backend listen at the address."""

    code = "address-not-available"
    exit_status = 62

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"Cannot listen at {host}, port {port}: {reason}",
            "Leave --host out, so that the backend listens at 127.0.0.1, and choose a port above 1023.",
        )


class ModuleMissing(StartError):
    """A module that the server needs is not there, or cannot be loaded."""

    code = "module-missing"
    exit_status = 63

    def __init__(self, error: ImportError) -> None:
        super().__init__(
            f"The module {error.name or 'of this name'} cannot be imported: {error}",
            "Repair the installation: peft_engine --repair.",
        )


class CannotJoin(StartError):
    """A machine cannot train with another one."""

    code = "cannot-join"
    exit_status = 64

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"This machine cannot join a training: {reason}", remedy)


class RequestError(BackendError):
    """One request cannot be granted; `status` is its HTTP status."""

    status: int = 422


class RequestInvalid(RequestError):
    """The request's body or parameters do not say what the route needs."""

    code = "request-invalid"

    def __init__(self, problems: Sequence[dict[str, str]]) -> None:
        first = problems[0]
        super().__init__(
            f"{first['place']}: {first['reason']}",
            "Correct the fields that `detail` names, and send the request again.",
            detail=list(problems),
        )


class HttpError(RequestError):
    """No route answers this request: an unknown path, or a method that it does not take."""

    def __init__(self, status: int, reason: str, method: str, path: str) -> None:
        super().__init__(
            f"{method} {path}: {reason}", "Look the route up in /api/openapi.json: path, method and version."
        )
        self.status = status
        self.code = reason.lower().replace(" ", "-")


class InternalError(RequestError):
    """A bug of ours: the log says where."""

    code = "internal-error"
    status = 500

    def __init__(self) -> None:
        super().__init__(
            "The backend failed to answer this request", "Look at the last lines of its log, and report them."
        )


class NameTaken(RequestError):
    """Something of this name is there already."""

    code = "name-taken"
    status = 409

    def __init__(self, path: str) -> None:
        message = f"{path} is there already"
        # The app shows `detail` of a preset's errors, and expects a text there.
        super().__init__(message, "Choose another name.", detail=message)


class DocumentUnknown(RequestError):
    """There is no document of this kind and name."""

    status = 404

    def __init__(self, kind: str, name: str) -> None:
        message = f"There is no {kind} {name!r}"
        super().__init__(message, f"Take a name from the list of every {kind}.", detail=message)  # as above
        self.code = f"{kind}-unknown"


class SettingsInvalid(RequestError):
    """A setting has a name or a value that it cannot have."""

    code = "settings-invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The settings cannot be changed: {reason}", "Correct it; the settings stay as they were.")


class ConfigurationInvalid(RequestError):
    """A document is no exported training configuration."""

    code = "configuration-invalid"

    def __init__(self, reason: str) -> None:
        message = f"This is no training configuration: {reason}"
        # The app shows `detail`, and expects a text there.
        super().__init__(message, "Choose a file that was exported from the configurations.", detail=message)


class PresetInvalid(RequestError):
    """A document is no preset."""

    code = "preset-invalid"

    def __init__(self, reason: str) -> None:
        message = f"This is no preset: {reason}"
        # The app shows `detail`, and expects a text there.
        super().__init__(message, "Correct it; what was kept stays as it was.", detail=message)


class EngineArriving(RequestError):
    """What was asked for needs a part of the runtime that has not arrived yet."""

    code = "engine-arriving"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The rest of the engine is still arriving", "Wait until GET /api/engine says whole, and ask again."
        )


class TaskFailed(RequestError):
    """A worker could not do what a request asked for; `code` and texts are its own, if it understood why."""

    status = 422

    def __init__(self, code: str, message: str, remedy: str, detail: Any = None) -> None:
        super().__init__(message, remedy, detail=detail)
        self.code = code


class Refused(RequestError):
    """The request does not come from whom it should."""

    def __init__(self, code: str, status: int, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.code = code
        self.status = status


def describe_ports(ports: Sequence[int]) -> str:
    """Name ports as a person would: runs of neighbours become a range."""
    runs: list[list[int]] = []
    for port in sorted(ports):
        if runs and runs[-1][-1] == port - 1:
            runs[-1].append(port)
        else:
            runs.append([port])
    return "Ports " + " and ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
