"""The home: the per-user folder that the launcher owns, and every path inside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.document import Node
from launcher.errors import HomeMissing, HomeNotWritable
from launcher.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOME_VARIABLE = "PEFT_STUDIO_HOME"
_SLOT_NAME = re.compile(r"[0-9a-f]{8}")


class Home(Value):
    """A home, and the folder where it was `sought`, if a note led on from there. Nobody else joins paths below it."""

    root: Path
    sought: Path | None = None

    def __eq__(self, other: object) -> bool:
        """Whether it is the same folder, wherever it was sought."""
        return isinstance(other, Home) and other.root == self.root

    def __hash__(self) -> int:
        """Return the same for equal homes."""
        return hash(self.root)

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
    def location(self) -> Path:
        """The note that a home which moved away leaves behind: the folder where it is now."""
        return self.root / "location"

    @property
    def arriving(self) -> Path:
        """The note of a home that is on its way to here."""
        return self.root / "arriving.json"

    @property
    def door(self) -> Path:
        """The file whose kernel lock is held for the moment in which somebody asks for a slot's lock."""
        return self.receipts / "door.lock"

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

    @property
    def plugins(self) -> Path:
        """The folder of the user's own plugins for the backend."""
        return self.root / "plugins"

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
    """Return the home; raise HomeMissing, or HomeNotWritable, as `find_way` and the disk have it."""
    return home_at(find_way(chosen, environment))


def home_at(way: Sequence[Home]) -> Home:
    """Return the home at the end of a way; raise HomeMissing where a note led there, and it is no home."""
    *notes, home = way
    # What a note leads to was a home when it was written: an empty folder there is a disk that is not connected.
    if notes and not home.lock.exists():
        raise HomeMissing(home.root, notes[-1].location)
    return home


def find_way(chosen: Path | None, environment: Mapping[str, str]) -> tuple[Home, ...]:
    """Return where the home was looked for, one after another, and last where it is.

    The first is `chosen`, else what PEFT_STUDIO_HOME names, else the default; where a home has moved away, its
    `location` leads on. Raises HomeNotWritable where such a note names no folder, or leads in a circle.
    """
    return _follow(_first(chosen, environment))


def has_moved(home: Home) -> bool:
    """Whether the home is elsewhere by now than where it was found; raise HomeNotWritable as `find_way` does."""
    return _follow(home.sought or home.root)[-1] != home


def read_note(path: Path) -> Path | None:
    """Return the folder that a `location` names, None where there is no such note; raise HomeNotWritable."""
    try:
        text = path.read_text(encoding="utf-8-sig").rstrip("\r\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HomeNotWritable(path, error.strerror or str(error), error.errno) from error
    except UnicodeDecodeError as error:
        raise HomeNotWritable(path, "it is no text") from error
    if not Path(text).is_absolute():
        raise HomeNotWritable(path, f"{text!r} is no full path of a folder")
    return Path(text)


class Arrival(Value):
    """A home comes to a new place: from `origin`, once the file `note` names the new one.

    `copied` says that what was there is here too; otherwise it is renamed to here once the note is written.
    """

    origin: Home
    note: Path
    copied: bool

    @classmethod
    def read(cls, home: Home) -> Arrival | None:
        """Return what comes to `home`, None where nothing does; raise HomeNotWritable where that cannot be read."""
        try:
            node = Node(json.loads(home.arriving.read_bytes()))
            origin, note = (Path(node.child(name).path_text()) for name in ("from", "note"))
            return cls(Home(origin), note, node.child("copied").truth())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise HomeNotWritable(home.arriving, error.strerror or str(error), error.errno) from error
        except (ValueError, RecursionError) as error:
            raise HomeNotWritable(home.arriving, str(error)) from error

    def to_bytes(self) -> bytes:
        """Return what `read` reads."""
        return json.dumps({"from": str(self.origin.root), "note": str(self.note), "copied": self.copied}).encode()


def _first(chosen: Path | None, environment: Mapping[str, str]) -> Path:
    if chosen is not None:
        return chosen.absolute()
    if named := environment.get(HOME_VARIABLE):
        return Path(named).absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("peft-studio", appauthor=False))


def _follow(first: Path) -> tuple[Home, ...]:
    way = [Home(first)]
    while (following := _moved_to(way[-1])) is not None:
        if Home(following) in way:
            raise HomeNotWritable(way[-1].location, f"it leads back to {following}")
        way.append(Home(following, sought=first))
    return tuple(way)


def _moved_to(home: Home) -> Path | None:
    """Return where to look instead of `home`, None where the home is here."""
    arrival = Arrival.read(home)
    if arrival is None:
        following = read_note(home.location)
        return None if following == home.root else following
    return None if read_note(arrival.note) == home.root else arrival.origin.root
