"""Recordings of browsers and proxies: HTTP Archive (HAR) 1.2, as JSON.

Only the fields that a script needs are decoded. Bodies of responses, most of a recording's size, are skipped. The HAR
libraries on PyPI have had no release in years; they return dictionaries and do not locate missing fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from fastload.convert.locations import json_path, refuse
from fastload.model.errors import PlanError

_Decoded = TypeVar("_Decoded")
_AT = re.compile(r" - at `\$([^`]*)`$")
_HINT = "record it anew: in a browser's developer tools, Network, 'Save all as HAR'"


class Pair(msgspec.Struct):
    """A header."""

    name: str
    value: str = ""


class Field(msgspec.Struct, rename="camel"):
    """A field of a form; an uploaded file has a ``file_name``."""

    name: str
    value: str = ""
    file_name: str = ""
    content_type: str = ""


class PostData(msgspec.Struct, rename="camel"):
    """The body of a request: text, fields of a form, or both."""

    mime_type: str = ""
    text: str = ""
    params: list[Field] = []


class HarRequest(msgspec.Struct, rename="camel"):
    """A request as it was sent."""

    method: str
    url: str
    headers: list[Pair] = []
    post_data: PostData | None = None


class Content(msgspec.Struct, rename="camel"):
    """The media type of a response."""

    mime_type: str | None = None


class HarResponse(msgspec.Struct, rename={"redirect_url": "redirectURL"}):
    """A response; status 0 means that none came."""

    status: int = 0
    redirect_url: str | None = None
    content: Content = msgspec.field(default_factory=Content)


class HarEntry(
    msgspec.Struct, rename={"started": "startedDateTime", "time_ms": "time", "resource_type": "_resourceType"}
):
    """One request with its response, the time when it was sent, and its duration."""

    started: datetime
    request: HarRequest
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
    """The pages of a recording, and its requests in the order in which they were sent."""

    pages: list[Page]
    entries: list[HarEntry]


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw]
    pages: list[msgspec.Raw] | None = None


class _File(msgspec.Struct):
    log: _Log


def read_har(name: str, data: bytes) -> Recording:
    """Return the recording in *data*, the JSON of the file *name*.

    Raises:
        PlanError: a required field is missing or has a wrong type (with its path in the JSON), or no request was
            recorded.
    """
    log = _decode(name, data, _File, []).log
    pages = [_decode(name, raw, Page, ["log", "pages", number]) for number, raw in enumerate(log.pages or [])]
    entries = [_decode(name, raw, HarEntry, ["log", "entries", number]) for number, raw in enumerate(log.entries)]
    if not entries:
        raise PlanError(f"{name}: log.entries is empty: nothing was recorded", hint=_HINT)
    for number, entry in enumerate(entries):
        _check_entry(name, entry, ["log", "entries", number])
    return Recording(pages, sorted(entries, key=lambda entry: entry.start_s))


def _check_entry(name: str, entry: HarEntry, steps: list[str | int]) -> None:
    """Check the URLs of *entry* and its time, whose texts the decoder takes as they are."""
    try:
        _ = urlsplit(entry.request.url).port
        urljoin(entry.request.url, entry.response.redirect_url or "")
    except ValueError as error:
        refuse(name, json_path([*steps, "request", "url"]), str(error), hint=_HINT)
    try:
        _ = entry.end_s
    except (ValueError, OverflowError) as error:
        refuse(name, json_path([*steps, "startedDateTime"]), str(error), hint=_HINT)


def _decode(name: str, data: bytes | msgspec.Raw, of: type[_Decoded], steps: Iterable[str | int]) -> _Decoded:
    try:
        return msgspec.json.decode(data, type=of)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = str(error)
        inside = _AT.search(message)
        where = json_path(steps) + (inside[1] if inside else "")
        refuse(name, where.lstrip("."), _AT.sub("", message), hint=_HINT)
