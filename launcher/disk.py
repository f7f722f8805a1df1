"""Every change this program makes to a file system, one method each: the seam at which tests pull the plug."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from launcher.errors import DiskFull, HomeNotWritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_OLD = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}


class Disk:
    """The file system under a home."""

    def free(self, path: Path) -> int:
        """Return the bytes free on the disk of `path`."""
        return shutil.disk_usage(path).free

    def make_folder(self, path: Path) -> None:
        """Make a folder and its parents, replacing what is no folder; never go through a link below `path`'s parent."""
        try:
            found = path.lstat()
        except FileNotFoundError:
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
            return
        if not stat.S_ISDIR(found.st_mode):
            self.remove(path)
            path.mkdir(mode=0o755)

    def create(self, path: Path, content: bytes | memoryview, mode: int) -> None:
        """Write a new file, in the place of whatever is there; nothing that is there is followed or kept."""
        try:
            descriptor = os.open(path, _NEW, mode)
        except FileExistsError:
            self.remove(path)
            descriptor = os.open(path, _NEW, mode)
        try:
            _write_all(descriptor, content)
        finally:
            os.close(descriptor)

    def write_at(self, path: Path, content: bytes | memoryview, offset: int) -> None:
        """Write into a file that `create` made, at `offset` bytes."""
        descriptor = os.open(path, _OLD)
        try:
            os.lseek(descriptor, offset, os.SEEK_SET)
            _write_all(descriptor, content)
        finally:
            os.close(descriptor)

    def link(self, path: Path, target: str) -> None:
        """Make a symbolic link, in the place of whatever is there."""
        try:
            path.symlink_to(target)
        except FileExistsError:
            self.remove(path)
            path.symlink_to(target)

    def change_mode(self, path: Path, mode: int) -> None:
        """Set a file's permission bits."""
        path.chmod(mode)

    def remove(self, path: Path) -> None:
        """Remove a file, a link or a whole folder; links are never followed."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def record(self, path: Path, content: bytes) -> None:
        """Write a small file durably: whole or not at all, whenever the power goes."""
        temporary = path.with_name(path.name + ".new")
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        self.flush_folder(path.parent)

    def flush_folder(self, path: Path) -> None:
        """Make a folder's names durable, where the system has a way to say so (Windows has none)."""
        if not hasattr(os, "O_DIRECTORY"):
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def flush_all(self) -> None:
        """Wait until everything written has reached the disk, where the system has a way to say so."""
        if hasattr(os, "sync"):
            os.sync()


def _write_all(descriptor: int, content: bytes | memoryview) -> None:
    # Linux writes at most 2,147,479,552 bytes a call (write(2)), and less when a signal or a full disk cuts in.
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextmanager
def disk_errors(disk: Disk, home: Path) -> Iterator[None]:
    """Turn the system's errors on writing below `home` into ours: DiskFull, HomeNotWritable."""
    try:
        yield
    except OSError as error:
        place = home if error.filename is None else error.filename
        if error.errno in _NO_ROOM:
            raise DiskFull(home, disk.free(home)) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}:
            raise HomeNotWritable(type(home)(place), error.strerror or str(error)) from error
        raise
