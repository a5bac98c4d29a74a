"""Recordings of browsers and proxies: HTTP Archive (HAR) 1.2, as JSON.

Programs differ in what they leave out or write as null, so an entry is read as far as it goes, and one that cannot be
read is left out with a note. The HAR libraries on PyPI have had no release in years; they return
dictionaries and do not locate missing fields.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from fastload.convert.locations import json_path, malformed_json, refuse
from fastload.convert.source_request import Pair, SourceRequest, header_of
from fastload.model.errors import PlanError

_Decoded = TypeVar("_Decoded")
_AT = re.compile(r" - at `\$([^`]*)`$")
_HINT = "record it anew: in a browser's developer tools, Network, 'Save all as HAR'"
_MOST_NAMED = 3
"""How many of the entries that cannot be read a note names."""


class Content(msgspec.Struct, rename="camel"):
    """The body of a response, with its media type."""

    mime_type: str = ""
    text: str = ""
    encoding: str = ""

    @property
    def decoded(self) -> str:
        """The text; "" for a body that is not UTF-8."""
        if self.encoding.lower() != "base64":
            return self.text
        try:
            return base64.b64decode(self.text).decode()
        except (binascii.Error, ValueError):
            return ""


class HarResponse(msgspec.Struct, rename={"redirect_url": "redirectURL"}):
    """A response; status 0 means that none came."""

    status: int = 0
    redirect_url: str = ""
    headers: list[Pair] = []
    cookies: list[Pair] = []
    content: Content = msgspec.field(default_factory=Content)

    def __post_init__(self) -> None:
        if not self.content.mime_type:
            self.content.mime_type = header_of(self.headers, "content-type")
        if not self.redirect_url and 300 <= self.status < 400:
            self.redirect_url = header_of(self.headers, "location")


class HarEntry(
    msgspec.Struct, rename={"started": "startedDateTime", "time_ms": "time", "resource_type": "_resourceType"}
):
    """One request with its response, the time when it was sent, and its duration."""

    started: datetime
    request: SourceRequest
    time_ms: float = 0.0
    response: HarResponse = msgspec.field(default_factory=HarResponse)
    pageref: str | None = None
    resource_type: str | None = None

    @property
    def start_s(self) -> float:
        """Time when the request was sent, in seconds since the epoch."""
        return self.started.timestamp()

    @property
    def end_s(self) -> float:
        """Time of the last byte of the response, in seconds since the epoch."""
        return self.start_s + max(0.0, self.time_ms) / 1000


class Page(msgspec.Struct):
    """A page that was visited."""

    id: str
    title: str = ""


class Recording(msgspec.Struct):
    """The pages of a recording, and its requests in the order in which they were sent.

    ``notes`` says which entries could not be read.
    """

    pages: list[Page]
    entries: list[HarEntry]
    notes: list[str] = []


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw]
    pages: list[msgspec.Raw] | None = None


class _File(msgspec.Struct):
    log: _Log


def read_har(name: str, data: bytes) -> Recording:
    """Return the recording in *data*, the JSON of the file *name*.

    Raises:
        PlanError: the file is no recording, nothing was recorded, or none of its entries can be read (with the path in
            the JSON of what is missing in the first one, or of a wrong type).
    """
    log = _log(name, data)
    if not log.entries:
        raise PlanError(f"{name}: log.entries is empty: nothing was recorded", hint=_HINT)
    unread: list[PlanError] = []
    entries = _readable(name, log.entries, HarEntry, "entries", unread)
    if not entries:
        raise unread[0]
    pages = _readable(name, log.pages or [], Page, "pages", unread)
    notes = []
    if unread:
        told = "; ".join(error.message.removeprefix(f"{name}: ") for error in unread[:_MOST_NAMED])
        more = f"; and {len(unread) - _MOST_NAMED} more" if len(unread) > _MOST_NAMED else ""
        notes.append(f"left out, {len(unread)} in all: what cannot be read: {told}{more}")
    return Recording(pages, sorted(entries, key=lambda entry: entry.start_s), notes)


def _log(name: str, data: bytes) -> _Log:
    try:
        return msgspec.json.decode(data, type=_File).log
    except msgspec.ValidationError as error:
        _refuse(name, [], str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed_json(name, data, str(error)) from error


def _readable(
    name: str, items: list[msgspec.Raw], of: type[_Decoded], part: str, unread: list[PlanError]
) -> list[_Decoded]:
    """Return the *items* of that *part* of the log that can be read; errors of the others go to *unread*."""
    found: list[_Decoded] = []
    for number, raw in enumerate(items):
        steps: list[str | int] = ["log", part, number]
        try:
            item = _decode(name, raw, of, steps)
            if isinstance(item, HarEntry):
                _check_entry(name, item, steps)
        except PlanError as error:
            unread.append(error)
        else:
            found.append(item)
    return found


def _check_entry(name: str, entry: HarEntry, steps: list[str | int]) -> None:
    """Check the URLs of *entry* and its time, whose texts the decoder takes as they are."""
    try:
        url = urlsplit(entry.request.url)
        _ = url.port
        if url.scheme in ("http", "https") and not url.hostname:
            raise ValueError(f"{entry.request.url!r} has no host")
        urljoin(entry.request.url, entry.response.redirect_url)
    except ValueError as error:
        refuse(name, json_path([*steps, "request", "url"]), str(error), hint=_HINT)
    try:
        _ = entry.end_s
    except (ValueError, OverflowError) as error:
        refuse(name, json_path([*steps, "startedDateTime"]), str(error), hint=_HINT)


def _decode(name: str, raw: msgspec.Raw, of: type[_Decoded], steps: list[str | int]) -> _Decoded:
    try:
        # Not strict: some programs write numbers as texts.
        return msgspec.convert(_without_nulls(msgspec.json.decode(raw)), of, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, msgspec.ValidationError) as error:
        _refuse(name, steps, str(error))


def _refuse(name: str, steps: Iterable[str | int], message: str) -> NoReturn:
    inside = _AT.search(message)
    where = json_path(steps) + (inside[1] if inside else "")
    refuse(name, where.lstrip("."), _AT.sub("", message), hint=_HINT)


def _without_nulls(value: Any) -> Any:
    """Return *value* without members that are null, and without items that are null: they say nothing."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value if item is not None] if isinstance(value, list) else value
