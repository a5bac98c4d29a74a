"""Parsers for streamed bodies: lines, and server-sent events as the HTML standard defines them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from fastload.model.errors import FastloadError
from fastload.model.units import parse_whole

MAX_LINE_BYTES = 16 * 2**20
"""Maximum length of a line. A line is kept in memory until its end."""
_BOM = b"\xef\xbb\xbf"


class ServerEvent(NamedTuple):
    """A server-sent event: ``event`` is its type, ``data`` its text.

    ``id`` is the last id of the stream so far; ``retry`` is in milliseconds, or None.
    """

    event: str
    data: str
    id: str
    retry: int | None

    def json(self) -> Any:
        """Return the data parsed as JSON.

        Raises:
            ValueError: the data is not JSON.
        """
        return orjson.loads(self.data)


class LineSplitter:
    """A parser that splits chunks of bytes into lines. A line ends with LF or CRLF; with *cr* also with a single CR.

    Raises:
        FastloadError: from `feed`, if a line is longer than `MAX_LINE_BYTES`.
    """

    def __init__(self, *, cr: bool = False) -> None:
        self._cr = cr
        self._parts: list[bytes] = []
        self._length = 0
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """Parse *data*, and return the lines that end in it, without their line ends."""
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
        """Return the last line if it has no line end, otherwise b""."""
        last, self._parts, self._length = b"".join(self._parts), [], 0
        return last

    def _with_lf(self, data: bytes) -> bytes:
        if data and self._after_cr:
            # The CR at the end of the last chunk has ended the line already: this LF belongs to it.
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
    """A parser that turns chunks of bytes into server-sent events.

    A last event without an empty line after it is dropped, as the standard says.
    """

    def __init__(self) -> None:
        self._lines = LineSplitter(cr=True)
        self._is_first = True
        self._forget()
        self._id = ""
        self._retry: int | None = None

    def feed(self, data: bytes) -> Iterator[ServerEvent]:
        """Parse *data*, and yield the events that end in it."""
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
            case "retry" if (wait_ms := parse_whole(value, sys.maxsize)) is not None:
                self._retry = wait_ms

    def _forget(self) -> None:
        self._event = ""
        self._data: list[str] = []
