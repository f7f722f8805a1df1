"""The home: the per-user folder that the launcher owns, and every path inside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import HomeNotWritable

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE = "PEFT_STUDIO_HOME"
_SLOT_NAME = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Home:
    """A home. Nobody else joins paths below it."""

    root: Path

    @property
    def runtimes(self) -> Path:
        """The folder of all slots."""
        return self.root / "rt"

    @property
    def receipts(self) -> Path:
        """The folder of all receipts: outside the slots, so that a slot holds entries only."""
        return self.root / "receipts"

    @property
    def lock(self) -> Path:
        """The file whose kernel lock a launcher holds while it changes this home."""
        return self.root / "lock"

    @property
    def attempt(self) -> Path:
        """The note of a start whose backend has not answered yet."""
        return self.root / "attempt.json"

    @property
    def progress(self) -> Path:
        """How far the rest of a runtime has arrived, while it does."""
        return self.root / "progress.json"

    @property
    def logs(self) -> Path:
        """The folder of logs."""
        return self.root / "logs"

    @property
    def log(self) -> Path:
        """The launcher's own log."""
        return self.logs / "launcher.log"

    @property
    def user_files(self) -> Path:
        """The folder of the user's own work: jobs, adapters, settings. Never the launcher's to change."""
        return self.root / "data"

    def slots(self) -> list[Path]:
        """Return the slots that are there, sorted; what else lies beside them is somebody else's."""
        found = self.runtimes.iterdir() if self.runtimes.is_dir() else ()
        return sorted(path for path in found if _SLOT_NAME.fullmatch(path.name))

    def slot(self, name: str) -> Path:
        """Return the place of the runtime whose slot is called `name`."""
        return self.runtimes / name

    def receipt(self, name: str) -> Path:
        """Return the place of that runtime's receipt."""
        return self.receipts / f"{name}.json"

    def journal(self, name: str) -> Path:
        """Return the place of the journal of that runtime's installation, while it goes on."""
        return self.receipts / f"{name}.journal"

    def slot_lock(self, name: str) -> Path:
        """Return the file whose kernel lock says that a backend runs from that slot."""
        return self.receipts / f"{name}.lock"


def find_home(chosen: Path | None, environment: Mapping[str, str]) -> Home:
    """Return the home: `chosen`, else PEFT_STUDIO_HOME, else what `location` in the default home names, else that.

    Raises HomeNotWritable where `location` is there and names no folder.
    """
    if chosen is not None:
        return Home(chosen.absolute())
    if named := environment.get(HOME_VARIABLE):
        return Home(Path(named).absolute())
    import platformdirs

    default = Path(platformdirs.user_data_dir("peft-studio", appauthor=False))
    note = default / "location"
    try:
        location = note.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return Home(default)
    except OSError as error:
        raise HomeNotWritable(note, error.strerror or str(error), error.errno) from error
    except UnicodeDecodeError as error:
        raise HomeNotWritable(note, "it is no text") from error
    if not Path(location).is_absolute():
        raise HomeNotWritable(note, f"{location!r} is no full path of a folder")
    return Home(Path(location))
