"""Words of memory that all server processes of a target share, in a file of its folder, with a lock."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

_WORD_BYTES = 8


class SharedWords:
    """*count* words of 64 bits in the file *path*, zeroed at the start of the target.

    They live as long as the process.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._fd, count * _WORD_BYTES)
        self._words = memoryview(mmap.mmap(self._fd, count * _WORD_BYTES)).cast("Q")

    @contextlib.contextmanager
    def locked(self) -> Iterator[memoryview]:
        """Yield the words; no other process has them meanwhile. Never await within the block."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            yield self._words
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)
