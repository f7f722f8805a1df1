"""What went wrong lately, and what to hand to support."""

from typing import Annotated, Literal

from fastapi import Body, Depends, Query
from fastapi.responses import FileResponse
from typing_extensions import TypedDict

from backend import journal
from backend.documents import NAME
from backend.errors import DocumentUnknown
from backend.journal import Entry, Severity, Stats
from backend.routes.system import describe
from backend.routing import ZIP, Router
from backend.services import Services, services

router = Router(prefix="/api/logging")

Parts = Annotated[Services, Depends(services)]


class Logs(TypedDict):
    """Warnings and errors, the newest first."""

    logs: list[Entry]


class Cleared(TypedDict):
    """They are forgotten."""

    status: Literal["cleared"]


class DebugMode(TypedDict):
    """Whether everything is logged."""

    enabled: bool


class Exported(TypedDict):
    """The file on this machine, and how many warnings and errors are in it."""

    filepath: str
    log_count: int


class Report(TypedDict):
    """A report, how many warnings and errors are in it, and the path from which it can be fetched."""

    report_id: str
    error_count: int
    download_url: str


@router.get("/logs")
def logs(
    parts: Parts,
    severity: Severity | None = None,
    error_type: str | None = None,
    limit: Annotated[int, Query(ge=1, le=journal.KEPT)] = 100,
) -> Logs:
    """List warnings and errors, the newest first."""
    return {"logs": parts.journal.entries(severity, error_type, limit)}


@router.delete("/logs")
def clear(parts: Parts) -> Cleared:
    """Forget them; the log file stays."""
    parts.journal.clear()
    return {"status": "cleared"}


@router.get("/stats")
def stats(parts: Parts) -> Stats:
    """Count them by severity."""
    return parts.journal.stats()


@router.get("/debug-mode")
def debug_mode(parts: Parts) -> DebugMode:
    """Say whether everything is logged."""
    return {"enabled": parts.journal.debug}


@router.post("/debug-mode")
def set_debug_mode(enabled: Annotated[bool, Body(embed=True)], parts: Parts) -> DebugMode:
    """Log everything, or only what matters."""
    parts.journal.debug = enabled
    return {"enabled": parts.journal.debug}


@router.post("/export")
def export(parts: Parts) -> Exported:
    """Write warnings and errors to a file of the data folder, without secrets and names."""
    path, count = journal.export(parts.journal, parts.folders.reports)
    return {"filepath": str(path), "log_count": count}


@router.post("/diagnostic-report")
def report(parts: Parts) -> Report:
    """Make a zip for support: system, errors and log, without secrets and names."""
    facts = {"system": describe(parts.settings.data_dir), "hardware": parts.hardware.profile()}
    report_id, errors = journal.diagnose(parts.journal, parts.settings.log_dir, parts.folders.reports, facts)
    return {
        "report_id": report_id,
        "error_count": errors,
        "download_url": f"/api/logging/diagnostic-report/{report_id}",
    }


@router.get("/diagnostic-report/{report_id}", response_class=FileResponse, responses=ZIP)
def download(report_id: str, parts: Parts) -> FileResponse:
    """Give a report that was made."""
    path = parts.folders.reports / f"{report_id}.zip"
    if not NAME.fullmatch(report_id) or not path.is_file():
        raise DocumentUnknown("report", report_id)
    return FileResponse(path, media_type="application/zip", filename=path.name)
