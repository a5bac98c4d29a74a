"""Output files: checks before the run, and atomic replacement. The file name ``-`` is stdout."""

from __future__ import annotations

import errno
import os
import secrets
import select
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from fastload.model.errors import PlanError
from fastload.outputs.base import mute

STDOUT = "-"
_STDOUTS = {STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}
READER_S = 5.0
"""How long a pipe may be without a reader, or its reader may take nothing."""
_LOOK_S = 0.05
_EFFECTIVE = os.access in os.supports_effective_ids


def is_stdout(path: str | Path) -> bool:
    """Whether *path* means the stdout of this process."""
    return os.path.normpath(path) in _STDOUTS


_reserved_stdout: BinaryIO | None = None


def reserve_stdout() -> None:
    """Reserve stdout for `data_stdout`: everything else that this process and its children print goes to stderr.

    There is no way back. The function replaces file descriptor 1, because libraries and programs that a script calls
    do not use `sys.stdout`.
    """
    global _reserved_stdout
    if _reserved_stdout is None and sys.__stdout__ is not None:
        sys.__stdout__.flush()
        # Never closed before the process ends, like the standard streams.
        _reserved_stdout = os.fdopen(os.dup(1), "wb", closefd=False)
        os.dup2(2, 1)
        # If descriptor 1 was a pipe, this text stream is block-buffered: its text would reach stderr only at the end.
        sys.__stdout__.reconfigure(line_buffering=True)


def data_stdout() -> BinaryIO:
    """Return the stdout with which this process started, even if `sys.stdout` was replaced.

    Raises:
        OSError: stdout is closed.
    """
    if _reserved_stdout is not None:
        return _reserved_stdout
    stdout: TextIO | None = sys.__stdout__
    if stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return stdout.buffer


def write_stdout(data: bytes) -> None:
    """Write *data* to `data_stdout` and flush it. A closed pipe is no error.

    Raises:
        OSError: the data cannot be written. The stream is muted then: later data is lost without an error.
    """
    stream = data_stdout()
    try:
        stream.write(data)
        stream.flush()
    except BrokenPipeError:
        mute(stream)
    except OSError:
        # Otherwise the buffered data fail again when the interpreter closes the stream, which changes the exit code.
        mute(stream)
        raise


def write_lines(fd: int, lines: bytes) -> None:
    """Write all of *lines* to descriptor *fd*, in pieces that a pipe takes whole: no other line gets in between.

    Raises:
        OSError: they cannot be written.
    """
    while lines:
        end = lines.rfind(b"\n", 0, select.PIPE_BUF) + 1 or lines.find(b"\n") + 1 or len(lines)
        piece, lines = lines[:end], lines[end:]
        while piece:
            try:
                piece = piece[os.write(fd, piece) :]
            except BlockingIOError:
                # Another program has made the terminal non-blocking.
                select.select((), (fd,), (), 1.0)


def check_file(path: Path, option: str, *, example: str) -> None:
    """Check, before the run, that a file can be written. An existing file is not changed.

    *option* names the file in a `PlanError`; *example* is a file name for its hint.

    Raises:
        PlanError: the directory of the file is missing, *path* is a directory, or there is no permission to write.
    """
    if is_stdout(path):
        return
    target = target_of(path)
    try:
        if target.is_dir():
            raise _impossible(path, option, "is a directory", f"add a file name: {path / example}")
        if not target.parent.is_dir():
            raise _impossible(path, option, "has no directory to be in", f"create it: mkdir -p {path.parent}")
        if target.exists() and not os.access(target, os.W_OK, effective_ids=_EFFECTIVE):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if _is_replaceable(target):
            probe = _temporary_path(target)
            os.close(_create(probe))
            probe.unlink()
    except OSError as error:
        hint = "choose a path that you may write to"
        raise _impossible(path, option, f"cannot be written: {error.strerror}", hint) from error


def replace_file(path: Path, data: bytes) -> None:
    """Replace the content of a file atomically: readers see the old content or all of *data*.

    Stdout, devices and pipes cannot be replaced: *data* is written into them, as by `write_stream`.

    Raises:
        OSError: the file cannot be written.
    """
    if is_stdout(path):
        write_stdout(data)
        return
    target = target_of(path)
    if _is_replaceable(target):
        _replace(target, data)
    else:
        stream = open_stream(target)
        try:
            write_stream(stream, data)
        finally:
            os.close(stream)


def is_special(path: Path) -> bool:
    """Whether *path* is a pipe, a device or the like, which is written to as a stream."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def target_of(path: Path) -> Path:
    """Resolve links, so that the target of a link is replaced and not the link itself.

    A pipe keeps its path: an open descriptor, like /dev/fd/63 of a shell's ``>(command)``, is a link to no other path.
    """
    return path if is_special(path) else Path(os.path.realpath(path))


def open_stream(target: Path) -> int:
    """Open a pipe or a device for writing and return its descriptor, for `write_stream`.

    Raises:
        OSError: it cannot be opened, or it is a pipe that nobody reads, for `READER_S`.
    """
    ends_s = time.monotonic() + READER_S
    while True:
        try:
            # Without O_NONBLOCK, a pipe that nobody reads waits for its reader, and nothing ends this process.
            return os.open(target, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() >= ends_s:
                raise OSError(errno.ENXIO, f"nobody has read it for {READER_S:g} s") from error
        time.sleep(_LOOK_S)


def write_stream(stream: int, data: bytes) -> None:
    """Write all of *data* to the descriptor that `open_stream` returned.

    Raises:
        OSError: it cannot be written, or the reader takes nothing for `READER_S`.
    """
    poll = select.poll()
    poll.register(stream, select.POLLOUT)
    view = memoryview(data)
    while view:
        if not poll.poll(READER_S * 1000):
            raise OSError(errno.ETIMEDOUT, f"its reader has taken nothing for {READER_S:g} s")
        with suppress(BlockingIOError):
            view = view[os.write(stream, view) :]


def _impossible(path: Path, option: str, reason: str, hint: str) -> PlanError:
    return PlanError(f"{option} {str(path)!r} {reason}", hint=hint)


def _is_replaceable(target: Path) -> bool:
    """Whether *target* is a regular file or does not exist. Devices and pipes, like /dev/null, are not replaceable."""
    return target.is_file() or not target.exists()


def _temporary_path(target: Path) -> Path:
    """Return a new temporary name in the same directory: a rename works only within one file system."""
    return target.with_name(f".fastload-{secrets.token_hex(8)}.tmp")


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _replace(target: Path, data: bytes) -> None:
    temporary = _temporary_path(target)
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
