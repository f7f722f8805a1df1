"""Linux and macOS: flock, exec."""

from __future__ import annotations

import _thread
import fcntl
import os
import re
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

assert sys.platform != "win32"

_SYNC = "/bin/sync"  # GNU's and busybox's know -f, macOS' does not
_LOCKS = Path("/proc/locks")
_WATCH = 100  # milliseconds between two looks, where the system does not say at once that an input has ended
_BEHIND = 10  # added to the niceness of a program that works behind another


class Lock:
    """A kernel lock on a file: held until closed, or until its last process ends, however that ends."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def take(self, *, shared: bool, wait: bool) -> bool:
        """Take the lock; return whether it is held now, which without `wait` it may not be."""
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(self._descriptor, how)
        except BlockingIOError:
            return False
        return True

    def sign(self) -> None:
        """Leave this process's PID in the file, for the message of whoever finds it locked."""
        # Always the same length: writing over what is there needs no room, so a full disk stops no start.
        os.pwrite(self._descriptor, b"%-10d\n" % os.getpid(), 0)

    def holder(self) -> int | None:
        """Return the PID of a process that holds the lock and lives, None where neither file nor kernel name one.

        The one that signed last may have ended, and others with whom it shared the lock may hold it on.
        """
        text = os.pread(self._descriptor, 32, 0).strip()
        signed = int(text) if text.isdigit() else 0
        holders = {pid for pid in _holders(os.fstat(self._descriptor)) if _lives(pid)}
        if not holders:
            return signed if _lives(signed) else None
        return signed if signed in holders else min(holders)

    def is_at(self, path: Path) -> bool:
        """Whether the file is still the one at `path`: others lock another file once it has been removed."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), path.stat())
        except FileNotFoundError:
            return False

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a child process has to inherit to hold the lock as long as it lives, even when this one is killed."""
        return (self._descriptor,)

    def keep_through_exec(self) -> None:
        """Let the program that this process becomes hold the lock on."""
        os.set_inheritable(self._descriptor, True)  # noqa: FBT003

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._descriptor)


def _holders(file: os.stat_result) -> set[int]:
    """Return the PIDs under which the kernel keeps locks of a file (proc_locks(5)), as far as it tells.

    macOS tells nothing; Linux nothing of a file system that has several devices under one name, such as btrfs.
    """
    try:
        listed = _LOCKS.read_text(encoding="ascii")
    except OSError:
        return set()
    name = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    return {int(pid) for pid in re.findall(rf"^\d+: FLOCK +\w+ +\w+ +(\d+) {name} ", listed, re.MULTILINE)}


def _lives(pid: int) -> bool:
    """Whether a process of this number lives, also one of another user."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return pid > 0  # 0 is no process, but all of this one's group


def boot_identity() -> str | None:
    """Return the name that the kernel gave itself when it started; None where it cannot be had."""
    if sys.platform == "darwin":
        import subprocess

        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False
        )
        return asked.stdout.strip() or None
    else:  # noqa: RET505 -- mypy reads each branch for its own system
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() or None
        except OSError:
            return None


def cuda_driver() -> str | None:
    """Return the version of NVIDIA's driver, "" where it is there and does not tell, None where there is none."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Under Windows Subsystem for Linux the driver is Windows' own.
        return "" if Path("/usr/lib/wsl/lib/libcuda.so.1").exists() else None
    found = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", text)
    return found[1] if found else ""


def file_system(folder: Path) -> str | None:
    """Return the name of the file system of `folder`, or of the nearest folder above it that is there."""
    place, mounts = folder.resolve(), {}
    if sys.platform == "darwin":
        import subprocess

        listed = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False).stdout
        mounts = {found[1]: found[2] for found in re.finditer(r" on (.+) \((\w+)", listed)}
    else:
        # The last of several mounts on one folder is the one that is seen (proc_pid_mountinfo(5)).
        with suppress(OSError):
            listed = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
            rows = (line.partition(" - ") for line in listed.splitlines())
            mounts = {_plain(left.split()[4]): right.split()[0] for left, _, right in rows}
    return next((mounts[str(above)] for above in (place, *place.parents) if str(above) in mounts), None)


def _plain(mount: str) -> str:
    """Return a mount point's path: the kernel writes blanks in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), mount)


def long_paths() -> bool:
    """Return True: no path here is too long for the system that fits into a placeholder."""
    return True


def flush_file_system(root: Path) -> bool:
    """Wait until all that was written to the file system of `root` has reached the disk; False where that failed."""
    import subprocess

    # It calls syncfs(2), which Python has not: ctypes, for this alone, would be loaded at every start of the stub.
    with suppress(OSError):
        return subprocess.run([_SYNC, "-f", root], env={}, capture_output=True, check=False).returncode == 0
    return False


def begin_to_keep(descriptor: int) -> None:
    """Have a file's bytes be written to the disk from now on, and return at once, where the system has a way to ask."""
    if sys.platform == "linux":
        # "Not needed in memory" lets Linux begin to write what is not written yet; what it writes stays in memory.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def flush_to_the_medium(descriptor: int) -> None:
    """Wait until a file's bytes, and all that the disk was given before, are where no power cut reaches them."""
    if sys.platform == "darwin":
        # Its fsync leaves them in the disk's own memory (fcntl(2)); not every file system knows better.
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def end_with_stdin(last_words: str, status: int) -> None:
    """From now on end this process, as if killed, once whoever holds the other end of standard input is gone.

    Nothing is read: it is the backend's to read. The watch ends with exec.
    """
    # poll() says so of pipes and, where Linux has a word for half a socket, of sockets; files and terminals never end.
    half_closed = getattr(select, "POLLRDHUP", 0)
    poll = select.poll()
    poll.register(0, half_closed)

    def ended(wait: int) -> bool:
        return any(found & (select.POLLHUP | half_closed) for _, found in poll.poll(wait))

    def end() -> NoReturn:
        # Not by an exception: frames under way and a flush of the disk would be waited for, and need not be.
        try:
            os.write(2, f"{last_words}\n".encode())
        finally:
            os._exit(status)

    def watch() -> None:
        while not ended(_WATCH):
            pass
        end()

    if ended(0):
        end()
    # Not threading's: that would keep the interpreter from ending.
    _thread.start_new_thread(watch, ())


def spawn_behind(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Start a program whose standard input ends when this process has, or the program that this one becomes.

    It is nobody's child, so that whatever this process becomes has none that it does not know, and it yields the
    processor and the disk to all others. Returns once it runs; raises OSError where the system refuses.
    """
    reading, writing = os.pipe()
    hearing, telling = os.pipe()  # ends with exec, and says before that what kept it from coming
    if middle := os.fork():
        os.close(reading)
        os.close(telling)
        os.waitpid(middle, 0)
        refusal = os.read(hearing, 16)
        os.close(hearing)
        if refusal:
            os.close(writing)
            raise OSError(int(refusal), os.strerror(int(refusal)))
        os.set_inheritable(writing, True)  # noqa: FBT003
        return
    try:
        if os.fork() == 0:
            os.dup2(reading, 0)
            _die_with_stdin()
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            os.nice(_BEHIND)
            os.execve(argv[0], list(argv), dict(environment))  # noqa: S606 -- as in become
    except OSError as error:
        os.write(telling, b"%d" % (error.errno or 0))
    finally:
        os._exit(0)


def _die_with_stdin() -> None:
    """Have the kernel kill this process, or what it becomes, once nobody holds the other end of standard input.

    A program that yields to all others would take seconds of a busy machine to see the end by itself. It is for pipes
    that nobody writes to: a byte would kill, too. macOS has no such signal: there `end_with_stdin` sees it alone.
    """
    if sys.platform == "linux":
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)


def become(argv: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by another program, under the same PID; raise OSError where the system refuses."""
    os.execve(argv[0], list(argv), dict(environment))  # noqa: S606 -- no shell is wanted: argv comes from run.py
