"""Streamed request bodies: files and multipart bodies, read while they are sent."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from fastload.model.http_settings import TO_THE_END, FileBody, Multipart, StreamedBody

_Version = tuple[int, int, int, int]


class _OpenFile:
    """Open file shared by all bodies of the same path that were made of the same content. The descriptor is closed when
    the last body is freed."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.version = _version(os.fstat(self.fd))

    @property
    def size_bytes(self) -> int:
        return self.version[2]

    @property
    def changed(self) -> bool:
        """Whether the file was written to since it was opened. (One that was replaced by another still has its
        content.)"""
        return _version(os.fstat(self.fd)) != self.version

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


def _version(status: os.stat_result) -> _Version:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


_OPEN: weakref.WeakValueDictionary[tuple[str, _Version], _OpenFile] = weakref.WeakValueDictionary()


class BodyReader:
    """Reader of a streamed body for libcurl, which reads piece by piece and may seek to any position.

    A file is sent as it was when the request began, also if another one takes its place meanwhile. If it is written to,
    the request fails: what it sent would be a part of the old content and a part of the new.

    Raises:
        OSError: a file of the body cannot be opened.
    """

    def __init__(self, body: StreamedBody) -> None:
        segments: Sequence[bytes | FileBody] = body.segments() if isinstance(body, Multipart) else [body]
        self._files = {one.path: _opened(one.path) for one in segments if isinstance(one, FileBody)}
        self._segments = [(one, len(one) if isinstance(one, bytes) else self._size(one)) for one in segments]
        self.size_bytes = sum(size for _, size in self._segments)
        self._at = 0

    def _size(self, part: FileBody) -> int:
        return part.size_bytes if part.size_bytes != TO_THE_END else self._files[part.path].size_bytes - part.offset

    def read(self, most_bytes: int) -> bytes:
        """Return the next bytes, at most *most_bytes*; none at the end, or if a file was written to."""
        start = 0
        for segment, size in self._segments:
            within = self._at - start
            if within < size:
                wanted = min(most_bytes, size - within)
                if isinstance(segment, bytes):
                    chunk = segment[within : within + wanted]
                else:
                    file = self._files[segment.path]
                    chunk = os.pread(file.fd, wanted, segment.offset + within)
                    if file.changed:
                        return b""
                self._at += len(chunk)
                return chunk
            start += size
        return b""

    def seek(self, offset: int, origin: int) -> int:
        """Continue at *offset*: libcurl sends the body again after a 401 or a redirect. Return 0; 1 if impossible."""
        if origin != os.SEEK_SET or not 0 <= offset <= self.size_bytes:
            return 1
        self._at = offset
        return 0


def _opened(path: str) -> _OpenFile:
    file = _OPEN.get((path, _version(Path(path).stat())))
    if file is None:
        file = _OpenFile(path)
        file = _OPEN.setdefault((path, file.version), file)
    return file
