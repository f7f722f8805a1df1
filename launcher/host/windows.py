"""Windows: LockFileEx, and a child in a kill-on-close job in the place of exec.

Written from Microsoft's reference of the calls named; checked by mypy for win32, not yet run on Windows
(docs/platforms.md).
"""

from __future__ import annotations

import ctypes
import msvcrt
import os
import signal
import subprocess
import sys
import threading
import winreg
from contextlib import suppress
from ctypes import wintypes
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

assert sys.platform == "win32"

_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
# Handles have 64 bits, and ctypes gives and takes 32 where nothing is said: this process's own is the number -1.
_kernel32.GetCurrentProcess.restype = wintypes.HANDLE
_kernel32.GetStdHandle.argtypes, _kernel32.GetStdHandle.restype = (wintypes.DWORD,), wintypes.HANDLE
_kernel32.GetFileType.argtypes = (wintypes.HANDLE,)
_kernel32.PeekNamedPipe.argtypes = (wintypes.HANDLE, ctypes.c_void_p, wintypes.DWORD, *[ctypes.c_void_p] * 3)
_kernel32.CreateJobObjectW.argtypes = (ctypes.c_void_p, wintypes.LPCWSTR)
_kernel32.CreateJobObjectW.restype = wintypes.HANDLE
_kernel32.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)
_kernel32.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
_kernel32.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
_kernel32.OpenProcess.restype = wintypes.HANDLE
_kernel32.WaitForSingleObject.argtypes = (wintypes.HANDLE, wintypes.DWORD)
_kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)
_SYNCHRONIZE, _WAIT_TIMEOUT, _ERROR_ACCESS_DENIED = 0x100000, 258, 5
_LOCKFILE_FAIL_IMMEDIATELY, _LOCKFILE_EXCLUSIVE_LOCK = 1, 2
_ERROR_LOCK_VIOLATION = 33
_LOCKED_BYTE = 1 << 30  # far behind the PID: a locked range cannot be read by others
_STD_INPUT_HANDLE, _FILE_TYPE_PIPE, _ERROR_BROKEN_PIPE = 2**32 - 10, 3, 109
_JOB_EXTENDED_LIMITS, _KILL_ON_JOB_CLOSE = 9, 0x2000
_SYSTEM_TIME_OF_DAY = 3
_FILE_SYSTEM = r"SYSTEM\CurrentControlSet\Control\FileSystem"
_DISPLAYS = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
_WATCH = 0.1  # seconds between two questions whether standard input has ended
_over = threading.Event()  # set once this process only waits for its backend, which ends by itself
_behind: list[tuple[subprocess.Popen[bytes], int]] = []  # kept open as long as this process lives


class _Overlapped(ctypes.Structure):
    _fields_ = (
        ("Internal", ctypes.c_void_p),
        ("InternalHigh", ctypes.c_void_p),
        ("Offset", wintypes.DWORD),
        ("OffsetHigh", wintypes.DWORD),
        ("hEvent", wintypes.HANDLE),
    )


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", wintypes.DWORD),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", wintypes.DWORD),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", wintypes.DWORD),
        ("SchedulingClass", wintypes.DWORD),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class Lock:
    """A kernel lock on a file: held until closed, or until its process ends, however that ends."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_BINARY, 0o644)

    def take(self, *, shared: bool, wait: bool) -> bool:
        """Take the lock; return whether it is held now, which without `wait` it may not be."""
        flags = (0 if shared else _LOCKFILE_EXCLUSIVE_LOCK) | (0 if wait else _LOCKFILE_FAIL_IMMEDIATELY)
        where = _Overlapped(Offset=_LOCKED_BYTE)
        handle = wintypes.HANDLE(msvcrt.get_osfhandle(self._descriptor))
        if _kernel32.LockFileEx(handle, flags, 0, 1, 0, ctypes.byref(where)):
            return True
        error = ctypes.get_last_error()
        if error == _ERROR_LOCK_VIOLATION and not wait:
            return False
        raise ctypes.WinError(error)

    def sign(self) -> None:
        """Leave this process's PID in the file, for the message of whoever finds it locked."""
        # Always the same length: writing over what is there needs no room, so a full disk stops no start.
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, b"%-10d\n" % os.getpid())

    def holder(self) -> int | None:
        """Return the PID last left in the file, None where that process has ended."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        text = os.read(self._descriptor, 32).strip()
        return int(text) if text.isdigit() and _lives(int(text)) else None

    def is_at(self, _path: Path) -> bool:
        """Return True: here nobody can remove a file that is open."""
        return True

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Nothing: here a lock belongs to one process, and a child cannot hold it on."""
        return ()

    def keep_through_exec(self) -> None:
        """Do nothing: here the launcher stays while its backend runs, and so does its lock."""

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._descriptor)


def _lives(pid: int) -> bool:
    """Whether a process of this number lives, also one of another user."""
    process = _kernel32.OpenProcess(_SYNCHRONIZE, False, pid)  # noqa: FBT003
    if not process:
        return bool(ctypes.get_last_error() == _ERROR_ACCESS_DENIED)
    try:
        return bool(_kernel32.WaitForSingleObject(process, 0) == _WAIT_TIMEOUT)
    finally:
        _kernel32.CloseHandle(process)


def boot_identity() -> str | None:
    """Return when the system started; None where it does not say. Setting the clock makes it another time."""
    # SYSTEM_TIMEOFDAY_INFORMATION begins with the time of the boot, in units of 100 ns.
    answer = (ctypes.c_int64 * 6)()
    status = ctypes.WinDLL("ntdll").NtQuerySystemInformation(
        _SYSTEM_TIME_OF_DAY, answer, ctypes.sizeof(answer), ctypes.byref(wintypes.ULONG())
    )
    return f"{answer[0]:x}" if status == 0 and answer[0] else None


def cuda_driver() -> str | None:
    """Return the version of NVIDIA's driver, "" where it is there and does not tell, None where there is none."""
    with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _DISPLAYS) as displays:
        for number in range(winreg.QueryInfoKey(displays)[0]):
            with suppress(OSError), winreg.OpenKey(displays, winreg.EnumKey(displays, number)) as display:
                if winreg.QueryValueEx(display, "ProviderName")[0] == "NVIDIA":
                    # NVIDIA's own number is the end of Windows': 31.0.15.3623 is 536.23.
                    digits = str(winreg.QueryValueEx(display, "DriverVersion")[0]).replace(".", "")[-5:]
                    return f"{digits[:3]}.{digits[3:]}" if digits.isdecimal() else ""
    return None


def file_system(folder: Path) -> str | None:
    """Return the name of the file system of `folder`."""
    name = ctypes.create_unicode_buffer(64)
    told = _kernel32.GetVolumeInformationW(folder.anchor, None, 0, None, None, None, name, len(name))
    return name.value if told else None


def long_paths() -> bool:
    """Whether the machine's setting lets paths be longer than 260 characters."""
    with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _FILE_SYSTEM) as settings:
        return bool(winreg.QueryValueEx(settings, "LongPathsEnabled")[0])
    return False


def flush_file_system(_root: Path) -> bool:
    """Return False: FlushFileBuffers takes a whole volume from administrators only."""
    return False


def begin_to_keep(descriptor: int) -> None:
    """Do nothing: there is no way to ask for a file to be written soon."""


def flush_to_the_medium(descriptor: int) -> None:
    """Wait until a file's bytes are where no power cut reaches them; it asks the disk to empty its own memory too."""
    os.fsync(descriptor)


def end_with_stdin(last_words: str, status: int) -> None:
    """From now on end this process, as if killed, once whoever holds the other end of standard input is gone.

    Nothing is read: it is the backend's to read. Once the backend runs, it does the watching.
    """
    handle = _kernel32.GetStdHandle(_STD_INPUT_HANDLE)
    if _kernel32.GetFileType(handle) != _FILE_TYPE_PIPE:
        return

    def ended() -> bool:
        alive = _kernel32.PeekNamedPipe(handle, None, 0, None, None, None)
        return not alive and ctypes.get_last_error() == _ERROR_BROKEN_PIPE

    def watch() -> None:
        # The system tells nobody that a pipe has ended: it has to be asked.
        while not ended():
            if _over.wait(_WATCH):
                return
        try:
            os.write(2, f"{last_words}\n".encode())
        finally:
            os._exit(status)

    _die_together()
    threading.Thread(target=watch, daemon=True).start()


def spawn_behind(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Start a program whose standard input ends when this process has, which stays while its backend runs."""
    reading, writing = os.pipe()
    quietly = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    child = subprocess.Popen(
        list(argv),
        env=dict(environment),
        stdin=reading,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=quietly,
    )
    os.close(reading)
    _behind.append((child, writing))


def become(argv: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Run another program in this one's place: it dies with us, gets our signals, and its exit status is ours.

    It has our standard streams, and our console where we have one. Raises OSError where the system refuses.
    """
    _die_together()
    # The console sends Ctrl-C and Ctrl-Break to the child too: it decides, we wait for what it decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGBREAK, signal.SIG_IGN)
    # PyInstaller's bootloader set a DLL directory of its own, which children would inherit.
    _kernel32.SetDllDirectoryW(None)
    _over.set()
    # A console of the child's own, which nobody sees, would take Ctrl-C from it; without any it would open a window.
    has_console = _kernel32.GetConsoleProcessList(ctypes.byref(wintypes.DWORD()), 1)
    stdin, stdout, stderr = map(_inherited, range(3))
    with subprocess.Popen(
        list(argv),
        env=dict(environment),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        creationflags=0 if has_console else subprocess.CREATE_NO_WINDOW,
    ) as child:
        sys.exit(child.wait())


def _inherited(descriptor: int) -> int:
    """Return one of this process's own streams for a child, which gets only those named; nothing where it has none."""
    try:
        os.fstat(descriptor)
    except OSError:
        return subprocess.DEVNULL
    return descriptor


def _die_together() -> None:
    """Let no process that this one starts outlive it; raise OSError where the system refuses.

    The job is entered by this process itself, before any child exists: no moment is left in which one could.
    """
    job = _kernel32.CreateJobObjectW(None, None)
    limits = _ExtendedLimits()
    limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
    if (
        not job
        or not _kernel32.SetInformationJobObject(job, _JOB_EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))
        or not _kernel32.AssignProcessToJobObject(job, _kernel32.GetCurrentProcess())
    ):
        raise ctypes.WinError(ctypes.get_last_error())
