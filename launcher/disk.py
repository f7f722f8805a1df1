"""Every change this program makes to a file system, one method each: the seam at which tests pull the plug."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from launcher.errors import DiskFull, HomeNotWritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    # What is there by the ten thousand is named as text: to make a Path takes longer than to make its file.
    AnyPath = Path | str

T = TypeVar("T")
FOLDER_MODE = 0o755
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_OLD = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
# Windows flushes only what is open for writing, which no running program and, elsewhere, no read-only file can be.
_TO_FLUSH = os.O_RDONLY | os.O_NOFOLLOW if hasattr(os, "O_NOFOLLOW") else _OLD
# Windows' ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION; ERROR_ACCESS_DENIED comes of a file on its way out, too.
# Of a file that cannot be opened Python tells none of the three: C's open() has only EACCES for all of them.
_IN_USE = {32, 33}
_HELD = {None, 5, *_IN_USE}
_NOT_WINDOWS = 0  # there errors have no number of Windows' at all
_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # seconds
_LARGE = 256 * 1024  # bytes from which on a file is worth a call of its own: two thirds of a runtime, in 180 files
_AT_ONCE = 32  # files that are flushed side by side: a disk commits them together
_NO_QUOTA = getattr(errno, "EDQUOT", None)  # Windows has none
# What a system says of a place that cannot be written, whatever the cause: rights, a read-only or failing disk, a file
# in a folder's way, a name that the file system does not take, a home that somebody removes meanwhile.
_NOT_WRITABLE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ENOTEMPTY,
    errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EIO, errno.EBUSY, errno.ETXTBSY, errno.EFBIG,
}  # fmt: skip


class Disk:
    """The file system under a home."""

    def free(self, path: Path) -> int:
        """Return the bytes free on the disk of `path`."""
        return free_bytes(path)

    def boot(self) -> str | None:
        """Return what names this run of the machine, in which all that was written can be read; None if unknown."""
        from launcher.host import boot_identity

        return boot_identity()

    def make_folders(self, path: Path) -> None:
        """Make a folder of a person's and its parents, where they are not; what is there stays as it is."""
        path.mkdir(parents=True, exist_ok=True)

    def make_folder(self, path: AnyPath) -> None:
        """Make a folder with mode 755, replacing what is no folder; its own folder is there. No link is followed."""
        path = Path(path)
        try:
            path.mkdir(FOLDER_MODE)
        except FileExistsError:
            if not stat.S_ISDIR(path.lstat().st_mode):
                self.remove(path)
                path.mkdir(FOLDER_MODE)
        if stat.S_IMODE(path.lstat().st_mode) != FOLDER_MODE:
            path.chmod(FOLDER_MODE)

    def create(self, path: AnyPath, content: bytes | memoryview, mode: int) -> None:
        """Write a new file, in the place of whatever is there; nothing that is there is followed or kept."""
        try:
            descriptor = os.open(path, _NEW, mode)
        except FileExistsError:
            self.remove(path)
            descriptor = _patiently(lambda: os.open(path, _NEW, mode))
        try:
            _write_all(descriptor, content)
            _begin_to_keep(descriptor, content)
            made = os.fstat(descriptor).st_mode
        finally:
            os.close(descriptor)
        # The umask of whoever started us has a say in what open() makes, and none in what an entry is.
        if stat.S_IMODE(made) != mode:
            Path(path).chmod(mode)

    def copy(self, source: Path, path: Path) -> None:
        """Copy a file or a link durably, with its mode and times, in the place of whatever is there."""
        from shutil import copyfile, copystat

        if source.is_symlink():
            self.link(path, str(source.readlink()))
        else:
            # What others may not read is not readable while it comes, and what nobody may write is written first.
            self.create(path, b"", 0o600)
            copyfile(source, path)
            _with(path, os.fsync)
        copystat(source, path, follow_symlinks=False)

    def copy_mode(self, source: Path, path: Path) -> None:
        """Give a folder the mode and the times of another."""
        from shutil import copystat

        copystat(source, path)

    def note(self, path: Path, content: bytes) -> None:
        """Write over a small file, or make it: for what may be lost, and what others may remove meanwhile."""
        descriptor = os.open(path, _OLD | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            _write_all(descriptor, content)
        finally:
            os.close(descriptor)

    def write_at(self, path: AnyPath, content: bytes | memoryview, offset: int) -> None:
        """Write into a file that `create` made, at `offset` bytes."""
        descriptor = _patiently(lambda: os.open(path, _OLD))
        try:
            os.lseek(descriptor, offset, os.SEEK_SET)
            _write_all(descriptor, content)
            _begin_to_keep(descriptor, content)
        finally:
            os.close(descriptor)

    def append(self, path: Path, content: bytes) -> None:
        """Write at the end of a file that `create` made; threads may do so at the same time."""
        descriptor = os.open(path, _OLD | os.O_APPEND)
        try:
            _write_all(descriptor, content)
        finally:
            os.close(descriptor)

    def link(self, path: AnyPath, target: str) -> None:
        """Make a symbolic link, in the place of whatever is there."""
        path = Path(path)
        try:
            path.symlink_to(target)
        except FileExistsError:
            self.remove(path)
            path.symlink_to(target)

    def remove(self, path: AnyPath) -> None:
        """Remove a file, a link or a whole folder; links are never followed."""
        path = Path(path)
        if path.is_dir() and not path.is_symlink():
            from shutil import rmtree

            _patiently(lambda: rmtree(path))
        else:
            _patiently(path.unlink)

    def record(self, path: Path, content: bytes) -> None:
        """Write a small file durably: whole or not at all, whenever the power goes."""
        temporary = path.with_name(path.name + ".new")
        self.create(temporary, content, 0o644)
        self.flush(temporary)
        self.replace(temporary, path)
        self.flush_folder(path.parent)

    def replace(self, path: Path, target: Path) -> None:
        """Rename: a file takes the place of another from one moment to the next, a folder one that is free."""
        _patiently(lambda: path.replace(target))

    def flush(self, path: Path) -> None:
        """Wait until a file's bytes have reached the disk, and all that were handed to the disk before."""
        from launcher.host import flush_to_the_medium

        _with(path, flush_to_the_medium)

    def flush_folder(self, path: Path) -> None:
        """Make a folder's names durable, where the system has a way to say so (Windows has none)."""
        if not hasattr(os, "O_DIRECTORY"):
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def flush_all(self, root: Path, files: Iterable[Path]) -> None:
        """Wait until all `files` below `root` have reached the disk (docs/decisions/0014); `flush` has to follow.

        Raises OSError where the disk failed to write one.
        """
        from launcher.host import flush_file_system

        if not flush_file_system(root):
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for _ in pool.map(lambda path: _with(path, os.fsync), files):
                    pass


def _patiently(deed: Callable[[], T]) -> T:
    """Do what Windows refuses as long as another program, mostly an antivirus, holds a new file open: a moment."""
    for pause in _PAUSES:
        try:
            return deed()
        except PermissionError as error:
            if getattr(error, "winerror", _NOT_WINDOWS) not in _HELD:
                raise
            time.sleep(pause)
    return deed()


def _with(path: Path, deed: Callable[[int], None]) -> None:
    """Do something with a file that is there, opened as flushing it asks for."""
    descriptor = os.open(path, _TO_FLUSH)
    try:
        deed(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes | memoryview) -> None:
    # Linux writes at most 2,147,479,552 bytes a call (write(2)), and less when a signal or a full disk cuts in.
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _begin_to_keep(descriptor: int, content: bytes | memoryview) -> None:
    """Have the system begin to write a large file to the disk, so that the flush in the end waits for less."""
    if len(content) >= _LARGE:
        from launcher.host import begin_to_keep

        begin_to_keep(descriptor)


def free_bytes(path: Path) -> int:
    """Return the bytes free on the disk of `path`, or where it would be made, to whoever is no administrator."""
    from shutil import disk_usage

    try:
        return disk_usage(path).free
    except FileNotFoundError:
        return free_bytes(path.parent)


def nearest_folder(path: Path) -> Path:
    """Return the folder `path`, or the nearest above it that is there."""
    return next((place for place in (path, *path.parents) if place.is_dir()), path)


@contextmanager
def disk_errors(home: Path) -> Iterator[None]:
    """Turn the system's errors on writing below `home` into ours: DiskFull, HomeNotWritable.

    What is no fault of a disk's goes on as it came: a reader of ours that went away, no memory, no descriptors.
    """
    try:
        yield
    except OSError as error:
        place = home if error.filename is None else error.filename
        if error.errno in {errno.ENOSPC, _NO_QUOTA}:
            raise DiskFull(home, free_bytes(home), quota=error.errno == _NO_QUOTA) from error
        if error.errno in _NOT_WRITABLE:
            held = getattr(error, "winerror", None) in _IN_USE
            number = errno.EBUSY if held else error.errno
            raise HomeNotWritable(type(home)(place), error.strerror or str(error), number) from error
        raise
