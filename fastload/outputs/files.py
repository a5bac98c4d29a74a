"""Files that outputs write: checked before the run, and replaced whole or not at all. The file ``-`` is stdout."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from fastload.model.errors import PlanError
from fastload.outputs.base import mute

STDOUT = "-"
_STDOUTS = {STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}
_EFFECTIVE = os.access in os.supports_effective_ids


def is_stdout(path: str | Path) -> bool:
    """Whether *path* means the stdout of this process."""
    return os.path.normpath(path) in _STDOUTS


_kept: BinaryIO | None = None


def keep_stdout() -> None:
    """From now on, `data_stdout` is alone on stdout: what anybody else prints goes to stderr, for the rest of this
    process, and of those that it starts.

    It is done to the descriptor, because libraries and programs that a script calls do not ask `sys.stdout`.
    """
    global _kept
    if _kept is None and sys.__stdout__ is not None:
        sys.__stdout__.flush()
        # As the standard streams, it is there until the process ends.
        _kept = os.fdopen(os.dup(1), "wb", closefd=False)
        os.dup2(2, 1)
        # It was made for another descriptor, and a pipe's would keep what is printed until the end.
        sys.__stdout__.reconfigure(line_buffering=True)


def data_stdout() -> BinaryIO:
    """The stdout that this process began with, whatever `sys.stdout` is meanwhile.

    Raises:
        OSError: it was closed.
    """
    if _kept is not None:
        return _kept
    stdout: TextIO | None = sys.__stdout__
    if stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return stdout.buffer


def write_stdout(data: bytes) -> None:
    """*data* on `data_stdout`, at once; a reader that went away is no error.

    Raises:
        OSError: it cannot be written; what comes after is lost without a word.
    """
    stream = data_stdout()
    try:
        stream.write(data)
        stream.flush()
    except BrokenPipeError:
        mute(stream)
    except OSError:
        # What is left in the buffer would fail once more when the interpreter closes it, and change the exit code.
        mute(stream)
        raise


def check_file(path: Path, option: str, *, example: str) -> None:
    """Find out, before the run, whether a file can be written; an existing one stays as it is.

    *option* is what a `PlanError` calls it, *example* a name that such a file may have.

    Raises:
        PlanError: its directory is missing, it is a directory itself, or it may not be written.
    """
    if is_stdout(path):
        return
    target = _target(path)
    try:
        if target.is_dir():
            raise _impossible(path, option, "is a directory", f"add a file name: {path / example}")
        if not target.parent.is_dir():
            raise _impossible(path, option, "has no directory to be in", f"create it: mkdir -p {path.parent}")
        if target.exists() and not os.access(target, os.W_OK, effective_ids=_EFFECTIVE):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if _is_replaceable(target):
            probe = _beside(target)
            os.close(_create(probe))
            probe.unlink()
    except OSError as error:
        hint = "choose a path that you may write to"
        raise _impossible(path, option, f"cannot be written: {error.strerror}", hint) from error


def replace_file(path: Path, data: bytes) -> None:
    """Write *data*: readers see the old content, or all of the new. Devices and pipes are written into.

    Raises:
        OSError: it cannot be written.
    """
    if is_stdout(path):
        write_stdout(data)
        return
    target = _target(path)
    if _is_replaceable(target):
        _replace(target, data)
    else:
        target.write_bytes(data)


def _target(path: Path) -> Path:
    """Where the bytes go: a link stays a link."""
    return Path(os.path.realpath(path))


def _impossible(path: Path, option: str, reason: str, hint: str) -> PlanError:
    return PlanError(f"{option} {str(path)!r} {reason}", hint=hint)


def _is_replaceable(target: Path) -> bool:
    """Whether *target* is a file, or nothing yet. Devices and pipes, like /dev/null, are written into."""
    return target.is_file() or not target.exists()


def _beside(target: Path) -> Path:
    """A new name in the same directory, which is on the same file system."""
    return target.with_name(f".fastload-{secrets.token_hex(8)}.tmp")


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _replace(target: Path, data: bytes) -> None:
    temporary = _beside(target)
    try:
        with os.fdopen(_create(temporary), "wb") as file:
            file.write(data)
            if target.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
