"""Recordings of browsers and proxies: HTTP Archive (HAR) 1.2, as JSON.

Only what a script needs is decoded: the bodies of responses, which are most of a recording, are skipped. The libraries
for HAR on PyPI have had no release in years, and give dictionaries without saying where one is incomplete.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

import msgspec

from fastload.convert.locations import json_path, refuse
from fastload.model.errors import PlanError

_Decoded = TypeVar("_Decoded")
_AT = re.compile(r" - at `\$([^`]*)`$")
_HINT = "record it anew: in a browser's developer tools, Network, 'Save all as HAR'"


class Pair(msgspec.Struct):
    """A header, or a field of a query."""

    name: str
    value: str = ""


class Field(msgspec.Struct, rename="camel"):
    """A field of a form; a *file_name* if it is a file."""

    name: str
    value: str = ""
    file_name: str = ""
    content_type: str = ""


class PostData(msgspec.Struct, rename="camel"):
    """The body of a request: a text, or the fields of a form, or both."""

    mime_type: str = ""
    text: str = ""
    params: list[Field] = []


class HarRequest(msgspec.Struct, rename="camel"):
    """What was sent."""

    method: str
    url: str
    headers: list[Pair] = []
    post_data: PostData | None = None


class Content(msgspec.Struct, rename="camel"):
    """Of the response, what kind of thing it is."""

    mime_type: str | None = None


class HarResponse(msgspec.Struct, rename={"redirect_url": "redirectURL"}):
    """What came back; status 0 if nothing did."""

    status: int = 0
    redirect_url: str | None = None
    content: Content = msgspec.field(default_factory=Content)


class HarEntry(
    msgspec.Struct, rename={"started": "startedDateTime", "time_ms": "time", "resource_type": "_resourceType"}
):
    """One request, when it was sent, and how long it took."""

    started: datetime
    request: HarRequest
    time_ms: float = 0.0
    response: HarResponse = msgspec.field(default_factory=HarResponse)
    pageref: str | None = None
    resource_type: str | None = None

    @property
    def start_s(self) -> float:
        """Seconds since the epoch."""
        return self.started.timestamp()

    @property
    def end_s(self) -> float:
        """When the last byte came."""
        return self.start_s + max(0.0, self.time_ms) / 1000


class Page(msgspec.Struct):
    """A page that was visited."""

    id: str
    title: str = ""


class Recording(msgspec.Struct):
    """Pages, and requests in the order in which they were sent."""

    pages: list[Page]
    entries: list[HarEntry]


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw]
    pages: list[msgspec.Raw] | None = None


class _File(msgspec.Struct):
    log: _Log


def read_har(name: str, data: bytes) -> Recording:
    """The recording in *data*, which is the JSON of the file *name*.

    Raises:
        PlanError: something that is needed is missing, or of another type: with its path in the JSON.
    """
    log = _decode(name, data, _File, []).log
    pages = [_decode(name, raw, Page, ["log", "pages", number]) for number, raw in enumerate(log.pages or [])]
    entries = [_decode(name, raw, HarEntry, ["log", "entries", number]) for number, raw in enumerate(log.entries)]
    if not entries:
        raise PlanError(f"{name}: log.entries is empty: nothing was recorded", hint=_HINT)
    return Recording(pages, sorted(entries, key=lambda entry: entry.start_s))


def _decode(name: str, data: bytes | msgspec.Raw, of: type[_Decoded], steps: Iterable[str | int]) -> _Decoded:
    try:
        return msgspec.json.decode(data, type=of)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = str(error)
        inside = _AT.search(message)
        where = json_path(steps) + (inside[1] if inside else "")
        refuse(name, where.lstrip("."), _AT.sub("", message), hint=_HINT)
