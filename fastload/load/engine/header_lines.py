"""Header lines: merging the layers of a request's headers, and parsing the headers of responses."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urljoin

from fastload.load.engine.pairs import pairs_of
from fastload.model.errors import PlanError
from fastload.model.names import as_text
from fastload.model.statuses import MOST
from fastload.model.units import parse_whole
from fastload.model.wire_text import check_line, read_text

Headers = Mapping[str, str | None]
"""Headers of a request by name; None removes a header that would be sent otherwise."""
HeaderOptions = Headers | Iterable[tuple[str, str | None]]
"""Headers as a script gives them: by name, or as pairs of name and value."""
# RFC 9110, section 5.1. Few names are used again and again.
is_token = lru_cache(1024)(re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch)
REDIRECTS = (
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
)


class Redirect(NamedTuple):
    """Followed redirect: *url* answered with *status* and led to *location*, an absolute URL."""

    status: int
    url: str
    location: str


def merged(*layers: Any) -> dict[str, str | None]:
    """Return one mapping of all *layers*, `HeaderOptions` or None, given from lowest to highest: the highest wins.

    Names ignore case.
    """
    found: dict[str, tuple[str, str | None]] = {}
    for layer in layers:
        with contextlib.suppress(AttributeError):
            for name, value in (layer or {}).items():
                found[name.lower()] = (name, value)
            continue
        # A name that is not yet a text, pairs, or neither.
        found.update({name.lower(): (name, value) for name, value in header_texts(layer).items()})
    return dict(found.values())


def header_texts(headers: Any) -> dict[str, str | None]:
    """Return *headers* with names and values as of `as_text`; None stays None.

    Raises:
        PlanError: *headers* has no names and values, a name or a value is no text, pairs have a name twice, or as
            `check_header`.
    """
    texts: dict[str, str | None] = {}
    pairs = pairs_of(headers, "headers", 'headers={"X-Team": "checkout"}')
    for given, value in pairs:
        name = as_text(given, "a name in headers")
        # A text is sent with any bytes that it stands for.
        text = value if value is None or type(value) is str else as_text(value, f"the header {name!r}")
        check_header(name, text or "")
        texts[name] = text
    if len(texts) < len(pairs) and not isinstance(headers, Mapping):
        raise PlanError(
            f"headers has {_first_twice(pairs)!r} twice", hint='join its values: ("Accept", "text/html, */*")'
        )
    return texts


def _first_twice(pairs: Sequence[tuple[Any, Any]]) -> str:
    names = [as_text(name, "a name in headers") for name, _ in pairs]
    return next(name for at, name in enumerate(names) if name in names[:at])


def request_lines(run: Iterable[str], content_type: str, headers: Headers) -> tuple[str, ...]:
    """Return the lines to send: those of the *run*, the *content_type* line of the body if no header sets one, and
    *headers*.

    A header of *headers* replaces the run's line with the same name.

    Raises:
        PlanError: as `header_texts`.
    """
    headers = header_texts(headers)
    own = {name.lower() for name in headers}
    lines = [line for line in run if _name(line) not in own]
    given = own | {_name(line) for line in lines}
    if content_type and "content-type" not in given:
        lines.append(content_type)
    return (*lines, *(_line(name, value) for name, value in headers.items()))


def last_headers(lines: Iterable[bytes]) -> dict[str, str]:
    """Return the headers of the last response in the raw *lines*, by lower-case name; ", " joins repeated values."""
    found: dict[str, str] = {}
    for name, value in _last_response(lines):
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def has_end_of_headers(lines: Sequence[bytes]) -> bool:
    """Return whether the headers of the last response in the raw *lines* are complete; trailers may follow them."""
    for line in reversed(lines):
        if not line.strip():
            return True
        if line.startswith(b"HTTP/"):
            return False
    return False


def content_encodings(lines: Sequence[bytes]) -> list[str]:
    """Return the content encodings of the last response in the raw *lines*, in the order in which they were applied."""
    found: list[str] = []
    for line in reversed(lines):
        if line.startswith(b"HTTP/"):
            break
        if line[:17].lower() == b"content-encoding:":
            names = line[17:].decode("latin-1").lower().split(",")
            found[:0] = [name.strip() for name in names if name.strip()]
    return found


def cookies_set(lines: Iterable[bytes]) -> dict[str, str]:
    """Return the cookies that the last response in the raw *lines* sets, by name, without their attributes."""
    found = {}
    for header, text in _last_response(lines):
        if header == "set-cookie":
            name, _, value = text.partition(";")[0].partition("=")
            found[name.strip()] = value.strip()
    return found


def redirects(url: str, lines: Iterable[bytes]) -> tuple[Redirect, ...]:
    """Return the redirects between the request of *url* and the last response in the raw *lines*."""
    found: list[Redirect] = []
    for status, headers in list(_responses(lines))[:-1]:
        location = dict(headers).get("location")
        if status in REDIRECTS and location is not None:
            at = found[-1].location if found else url
            found.append(Redirect(status, at, _joined(at, location)))
    return tuple(found)


def _last_response(lines: Iterable[bytes]) -> list[tuple[str, str]]:
    responses = [headers for _, headers in _responses(lines)]
    return responses[-1] if responses else []


def _responses(lines: Iterable[bytes]) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Yield status and headers of every response in *lines*: the last one, and redirects and others before it."""
    status, headers = 0, list[tuple[str, str]]()
    for raw in lines:
        line = read_text(raw).strip()
        if line.startswith("HTTP/"):
            if status:
                yield status, headers
            status, headers = status_of(line), []
            continue
        name, colon, value = line.partition(":")
        if colon:
            headers.append((name.lower(), value.strip()))
    if status:
        yield status, headers


def _joined(url: str, location: str) -> str:
    """Return *location* as an absolute URL; as the server sent it, if it is none."""
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def status_of(line: str) -> int:
    """Return the status of the status line *line*; 0 if it has none."""
    words = line.split(maxsplit=2)
    return parse_whole(words[1], MOST) or 0 if len(words) > 1 else 0


def _name(line: str) -> str:
    return line.partition(":")[0].strip().lower()


def _line(name: str, value: str | None) -> str:
    """Return the header line for libcurl: ``Name:`` removes a header of libcurl's own, ``Name;`` sends an empty one."""
    if value is None:
        return f"{name}:"
    return f"{name}: {value}" if value != "" else f"{name};"


def check_header(name: str, value: str) -> None:
    """Check that the header *name* with *value* is one header.

    Raises:
        PlanError: the name is no name of a header, or the value has a line break or a NUL.
    """
    if not is_token(name):
        raise PlanError(
            f"{name!r} is no name of a header", hint="a name has letters, digits and dashes, like X-Request-Id"
        )
    check_line(value, f"the header {name!r}")


def check_header_lines(lines: Iterable[str]) -> None:
    """Check *lines* as `HttpSettings` has them: ``Name: value``; with ``Name:`` or ``Name;`` as libcurl takes them.

    Raises:
        PlanError: as `check_header`.
    """
    for line in lines:
        name, _, value = line.partition(":")
        check_header(name.strip().removesuffix(";"), value)
