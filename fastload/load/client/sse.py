"""Lines of a body that comes in pieces, and server-sent events among them, as the HTML standard has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from fastload.model.errors import FastloadError

MAX_LINE_BYTES = 16 * 2**20
"""A line may be so long; it is kept in memory until its end."""
_BOM = b"\xef\xbb\xbf"


class ServerEvent(NamedTuple):
    """One server-sent event. ``id`` is the last that the stream gave, ``retry`` milliseconds or None."""

    event: str
    data: str
    id: str
    retry: int | None

    def json(self) -> Any:
        """The data parsed as JSON.

        Raises:
            ValueError: it is not JSON.
        """
        return orjson.loads(self.data)


class LineSplitter:
    """Lines of what is fed, without their ends: LF and CRLF, with *cr* also a single CR.

    Raises:
        FastloadError: a line is longer than `MAX_LINE_BYTES`.
    """

    def __init__(self, *, cr: bool = False) -> None:
        self._cr = cr
        self._parts: list[bytes] = []
        self._length = 0
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in *data*."""
        if self._cr:
            data = self._with_lf(data)
        first, *rest = data.split(b"\n")
        if not rest:
            self._keep(first)
            return []
        begin = b"".join([*self._parts, first])
        self._parts, self._length = [], 0
        self._keep(rest[-1])
        lines = [begin, *rest[:-1]]
        return lines if self._cr else [line.removesuffix(b"\r") for line in lines]

    def end(self) -> bytes:
        """The last line, if nothing ends it."""
        last, self._parts, self._length = b"".join(self._parts), [], 0
        return last

    def _with_lf(self, data: bytes) -> bytes:
        if data and self._after_cr:
            # The line has ended with the CR.
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _keep(self, part: bytes) -> None:
        if part:
            self._length += len(part)
            if self._length > MAX_LINE_BYTES:
                raise FastloadError(
                    f"a line of a streamed body is longer than {MAX_LINE_BYTES} bytes", hint="read it with chunks()"
                )
            self._parts.append(part)


class EventParser:
    """Server-sent events of what is fed. An event at the end without an empty line after it is none."""

    def __init__(self) -> None:
        self._lines = LineSplitter(cr=True)
        self._is_first = True
        self._forget()
        self._id = ""
        self._retry: int | None = None

    def feed(self, data: bytes) -> Iterator[ServerEvent]:
        """The events that end in *data*."""
        for line in self._lines.feed(data):
            if self._is_first:
                line = line.removeprefix(_BOM)
                self._is_first = False
            if line:
                self._take(line.decode("utf-8", "replace"))
            else:
                event, lines = self._event or "message", self._data
                self._forget()
                if lines:
                    yield ServerEvent(event, "\n".join(lines), self._id, self._retry)

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self._retry = int(value)

    def _forget(self) -> None:
        self._event = ""
        self._data: list[str] = []
