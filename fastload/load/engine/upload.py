"""Streamed request bodies: files and multipart bodies, read while they are sent."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence

from fastload.model.http_settings import FileBody, Multipart, StreamedBody


class _OpenFile:
    """Open file shared by all bodies of the same path; the descriptor is closed when the last body is freed."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


_OPEN: weakref.WeakValueDictionary[str, _OpenFile] = weakref.WeakValueDictionary()


class BodyReader:
    """Reader of a streamed body for libcurl, which reads piece by piece and may seek to any position.

    Raises:
        OSError: a file of the body cannot be opened.
    """

    def __init__(self, body: StreamedBody) -> None:
        segments: Sequence[bytes | FileBody] = body.segments() if isinstance(body, Multipart) else [body]
        self._files = {one.path: _opened(one.path) for one in segments if isinstance(one, FileBody)}
        self._segments = [(one, len(one) if isinstance(one, bytes) else one.size_bytes) for one in segments]
        self.size_bytes = sum(size for _, size in self._segments)
        self._at = 0

    def read(self, most_bytes: int) -> bytes:
        """Return the next bytes, at most *most_bytes*; none at the end, or if a file has become shorter."""
        start = 0
        for segment, size in self._segments:
            within = self._at - start
            if within < size:
                wanted = min(most_bytes, size - within)
                if isinstance(segment, bytes):
                    chunk = segment[within : within + wanted]
                else:
                    chunk = os.pread(self._files[segment.path].fd, wanted, segment.offset + within)
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
    file = _OPEN.get(path)
    if file is None:
        file = _OPEN[path] = _OpenFile(path)
    return file
