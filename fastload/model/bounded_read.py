"""Bounded read: the content of a file that somebody names, which may be a pipe, a device, or endless."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from pathlib import Path

from fastload.model.units import format_bytes

MOST_OF_FILE_BYTES = 4_000_000_000
"""The most that is read of a regular file, which is kept in memory."""
MOST_OF_STREAM_BYTES = 64_000_000
"""The most that is read of a pipe or a device, whose size nobody knows."""
SILENCE_S = 10.0
"""How long a pipe may be silent."""
_PIECE_BYTES = 1 << 20


def read_bounded(path: Path) -> bytes:
    """Return the content of *path*: a file, or a pipe or device that ends, as of a shell's ``<(command)``.

    Raises:
        OSError: it cannot be read, has more than `MOST_OF_FILE_BYTES` or `MOST_OF_STREAM_BYTES`, or is a pipe that is
            silent for `SILENCE_S`; the ``strerror`` says which.
    """
    try:
        # A named pipe that nobody writes to would wait for its writer.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _no_socket(path, error) from error
    try:
        return read_descriptor(fd)
    finally:
        os.close(fd)


def read_descriptor(fd: int, *, silence_s: float | None = None) -> bytes:
    """Return what is left of *fd*, as `read_bounded`."""
    is_file = stat.S_ISREG(os.fstat(fd).st_mode)
    most = MOST_OF_FILE_BYTES if is_file else MOST_OF_STREAM_BYTES
    pieces: list[bytes] = []
    size = 0
    while piece := _next(fd, SILENCE_S if silence_s is None else silence_s):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise OSError(errno.EFBIG, f"it has more than {format_bytes(most)}, the most that is read of {_kind(fd)}")
    return b"".join(pieces)


def _next(fd: int, silence_s: float) -> bytes:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    ends_s = time.monotonic() + silence_s
    while True:
        if not poll.poll(max(0.0, ends_s - time.monotonic()) * 1000 if silence_s < float("inf") else None):
            raise OSError(errno.ETIMEDOUT, f"nothing was written to it for {silence_s:g} s")
        try:
            return os.read(fd, _PIECE_BYTES)
        except BlockingIOError:
            continue


def _kind(fd: int) -> str:
    mode = os.fstat(fd).st_mode
    return "a file" if stat.S_ISREG(mode) else "a device" if stat.S_ISCHR(mode) else "a pipe"


def _no_socket(path: Path, error: OSError) -> OSError:
    is_socket = error.errno == errno.ENXIO and stat.S_ISSOCK(path.stat().st_mode)
    return OSError(error.errno, "it is a socket, and no file") if is_socket else error
