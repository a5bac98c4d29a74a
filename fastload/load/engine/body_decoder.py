"""Body decoder: undoes gzip and deflate, and tells whether a compressed body is complete, which libcurl does not."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

from fastload.load.engine.header_lines import content_encodings

DECODED = ("gzip", "deflate")
"""Encodings that fastload itself undoes. All others are left to libcurl."""
_PARTIAL, _BAD_ENCODING, _TOO_LARGE = 18, 61, 63
_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = 31, 15, -15
_CALLED_SO = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}


def decodes(accept_encoding: str | None) -> bool:
    """Return whether fastload itself decodes the responses to requests with this ``accept_encoding``."""
    if accept_encoding is None:
        return False
    names = accept_encoding.replace(",", " ").split()
    return not names or (names != ["identity"] and set(names) <= {*DECODED, "identity"})


class BodyDecoder:
    """Decoder of the bodies of one handle, which come to `feed` in pieces and go to *sink*.

    ``lines`` are where the handle keeps the header lines of responses. *most_bytes* limits a decoded body; 0: no limit.
    """

    __slots__ = ("_begun", "_decoded_bytes", "_error", "_inflate", "_most_bytes", "lines", "sink")

    def __init__(self, lines: Sequence[bytes], sink: Callable[[bytes], Any], most_bytes: int) -> None:
        self.lines = lines
        self.sink = sink
        self._most_bytes = most_bytes
        self.reset()

    def reset(self) -> None:
        """Forget the body so far."""
        self._begun = False
        self._inflate: _Inflate | None = None
        self._decoded_bytes = 0
        self._error: tuple[int, str] | None = None

    def feed(self, data: bytes) -> int | None:
        """Decode a piece of the body; libcurl's write callback. The result 0 ends the transfer."""
        try:
            if not self._begun:
                self._begun = True
                self._inflate = _inflate_of(content_encodings(self.lines))
            if self._inflate is not None:
                data = self._inflate.feed(data)
        except zlib.error as error:
            self._error = (_BAD_ENCODING, f"the body is not compressed as its header says: {error}")
            return 0
        self._decoded_bytes += len(data)
        if self._most_bytes and self._decoded_bytes > self._most_bytes:
            self._error = (_TOO_LARGE, f"the decoded body is longer than {self._most_bytes} bytes")
            return 0
        if data:
            self.sink(data)
        return None

    def end(self, error: tuple[int, str] | None) -> tuple[int, str] | None:
        """End the body, and return its error: libcurl's *error* of the transfer, or what is wrong with the body."""
        if self._error is not None:
            error = self._error
        elif error is None and self._inflate is not None and not self._inflate.is_complete:
            error = (_PARTIAL, "the compressed body ended too early")
        self.reset()
        return error


def _inflate_of(encodings: list[str]) -> _Inflate | None:
    """Return what undoes *encodings*; None if there is nothing to undo.

    Raises:
        zlib.error: they were not asked for.
    """
    names = [name for name in encodings if name != "identity"]
    if not names:
        return None
    if len(names) > 1 or names[0] not in _CALLED_SO:
        raise zlib.error(f"the content encoding {', '.join(names)!r} was not asked for")
    return _Inflate(_CALLED_SO[names[0]])


class _Inflate:
    """Decompressor. A gzip body may have several members, one after the other (RFC 1952, section 2.2)."""

    __slots__ = ("_head", "_is_gzip", "_stream")

    def __init__(self, encoding: str) -> None:
        self._head = b""
        self._is_gzip = encoding == "gzip"
        self._stream: Any = zlib.decompressobj(_GZIP_BITS) if self._is_gzip else None

    @property
    def is_complete(self) -> bool:
        return self._stream is not None and self._stream.eof

    def feed(self, data: bytes) -> bytes:
        if self._stream is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            data, self._stream = self._head, zlib.decompressobj(_bits_of_deflate(self._head))
        pieces = []
        while data:
            if self._stream.eof:
                if not self._is_gzip:
                    raise zlib.error("there is data after its end")
                self._stream = zlib.decompressobj(_GZIP_BITS)
            pieces.append(self._stream.decompress(data))
            data = self._stream.unused_data
        return b"".join(pieces)


def _bits_of_deflate(head: bytes) -> int:
    """Return zlib's window bits for a body that begins with *head*. Some servers leave out the header that deflate has
    in HTTP (RFC 1950, section 2.2)."""
    has_header = head[0] & 15 == 8 and int.from_bytes(head[:2], "big") % 31 == 0
    return _ZLIB_BITS if has_header else _RAW_BITS
