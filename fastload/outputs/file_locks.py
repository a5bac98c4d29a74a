"""Locks of output files: while one run writes a file, no other run of fastload may begin to write it.

A file's lock is an empty file beside it, because an output file itself is replaced at the end. The kernel releases a
lock when its process dies. A file system without locks has none.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from fastload.model.errors import PlanError
from fastload.outputs.destinations import WrittenFile
from fastload.outputs.files import is_special, is_stdout, target_of

_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)


class FileLocks:
    """The locks of one run or report. Release them, or use the object as a context."""

    def __init__(self) -> None:
        self._held: list[tuple[Path, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self, written: Iterable[WrittenFile]) -> Self:
        """Lock all files of *written*. Directories for new files, stdout, devices and pipes need no lock.

        Raises:
            PlanError: another run, or another report, is writing one of the files. Nothing is locked then.
        """
        try:
            for file in written:
                self._take(file)
        except BaseException:
            self.release()
            raise
        return self

    def release(self) -> None:
        """Release all locks and remove their files. Calling it again does no harm."""
        while self._held:
            path, fd = self._held.pop()
            with suppress(OSError):
                path.unlink()
            # Workers have inherited the descriptor: only an explicit unlock releases the lock for all of them.
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def _take(self, file: WrittenFile) -> None:
        target = target_of(Path(file.path))
        if is_stdout(file.path) or target.is_dir() or is_special(target):
            return
        path = _lock_path(target)
        while True:
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError:
                # There is no such directory yet, or no room: the file itself has its own check.
                return
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = _holder(fd)
                os.close(fd)
                if error.errno in _TAKEN:
                    raise _taken(file, holder) from error
                return
            if _is_at(path, fd):
                break
            # Its last holder has removed it since.
            os.close(fd)
        self._held.append((path, fd))
        with suppress(OSError):
            os.pwrite(fd, b"%-20d" % os.getpid(), 0)


def _lock_path(target: Path) -> Path:
    # Not the name itself, which may be as long as a name can be.
    return target.with_name(f".fastload-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}.lock")


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _holder(fd: int) -> str:
    with suppress(OSError):
        pid = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
        if pid.isdecimal():
            return f" (process {pid})"
    return ""


def _taken(file: WrittenFile, holder: str) -> PlanError:
    return PlanError(
        f"{file.option} {file.path!r} is being written by another run{holder}",
        hint="wait for its end, or give this run another file",
    )
