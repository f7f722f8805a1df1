"""Where everything is kept below the data folder. Nobody else joins these names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.errors import DataDirNotWritable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Folders:
    """The layout of one data folder."""

    root: Path

    @property
    def token(self) -> Path:
        """The file that holds a token made by the backend."""
        return self.root / "token"

    @property
    def store(self) -> Path:
        """The database of jobs and what they told."""
        return self.root / "jobs.sqlite3"

    @property
    def jobs_lock(self) -> Path:
        """Locked by the one backend that runs the jobs of this folder."""
        return self.root / "jobs.lock"

    @property
    def settings(self) -> Path:
        """The user's settings."""
        return self.root / "settings.json"

    @property
    def configurations(self) -> Path:
        """Training configurations that people keep, a file each."""
        return self.root / "configurations"

    @property
    def presets(self) -> Path:
        """Hyper-parameters that people keep, a file each."""
        return self.root / "presets"

    @property
    def conversations(self) -> Path:
        """Conversations with models, a file each."""
        return self.root / "conversations"

    @property
    def datasets(self) -> Path:
        """Uploaded datasets, a folder each."""
        return self.root / "datasets"

    @property
    def models(self) -> Path:
        """Base models that people put here, a folder each."""
        return self.root / "models"

    @property
    def downloads(self) -> Path:
        """What was or is being fetched from the hub, a file each."""
        return self.root / "downloads"

    @property
    def consents(self) -> Path:
        """Which models' code and pickles the user lets run."""
        return self.root / "consents.json"

    @property
    def secrets(self) -> Path:
        """The names of the secrets that the system's keyring has."""
        return self.root / "secrets.json"

    @property
    def reports(self) -> Path:
        """What was made for support."""
        return self.root / "reports"

    @property
    def adapters(self) -> Path:
        """Finished adapters, a folder each."""
        return self.root / "adapters"

    @property
    def exports(self) -> Path:
        """Adapters in other programs' formats, a folder each."""
        return self.root / "exports"

    def job(self, job_id: str) -> Path:
        """Return where one job's plan, output and checkpoints are kept."""
        return self.root / "jobs" / job_id

    def adapter(self, job_id: str) -> Path:
        """Return where one job's finished adapter is kept."""
        return self.adapters / job_id


def make_writable(folders: Iterable[Path]) -> None:
    """Make the folders and prove that they can be written.

    Raises DataDirNotWritable.
    """
    for folder in folders:
        proof = folder / ".writable"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            proof.touch()
            proof.unlink()
        except OSError as error:
            raise DataDirNotWritable(folder, error.strerror or str(error)) from error
