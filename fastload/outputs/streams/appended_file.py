"""A file with atomic appends: if a piece of data does not fit on the disk, no part of it stays in the file."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from fastload.outputs.files import is_special, is_stdout, open_stream, write_stdout, write_stream


class AppendedFile:
    """A new, empty file at *path* with unbuffered appends, so that readers see each piece at once; ``-`` is stdout.
    What is written to a pipe or a device stays there, also if the rest cannot be written.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._stream = open_stream(path) if not is_stdout(path) and is_special(path) else -1
        self._file = None if is_stdout(path) or self._stream >= 0 else path.open("wb", buffering=0)
        self._size = 0

    def append(self, piece: bytes) -> None:
        """Write all of *piece*, or nothing.

        Raises:
            OSError: *piece* cannot be written.
        """
        if self._stream >= 0:
            write_stream(self._stream, piece)
            return
        if self._file is None:
            write_stdout(piece)
            return
        try:
            written = self._file.write(piece)
            if written != len(piece):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                self._file.seek(self._size)
                self._file.truncate()
            raise
        self._size += len(piece)

    def close(self) -> None:
        if self._stream >= 0:
            os.close(self._stream)
            self._stream = -1
        if self._file is not None:
            self._file.close()
