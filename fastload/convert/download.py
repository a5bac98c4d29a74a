"""Documents of a web server, for ``fastload new --from URL``: one GET, bounded in size and time."""

from __future__ import annotations

import base64
import http.client
import threading
import urllib.error
import urllib.request
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from fastload.model.errors import PlanError
from fastload.model.units import format_bytes

MOST_BYTES = 64_000_000
"""The largest document that is read."""
LONGEST_S = 30.0
"""How long a document may take in all."""
_SILENCE_S = 10.0
_ACCEPT = "application/json, application/yaml, text/yaml;q=0.9, */*;q=0.5"
_HINT = "give the address of the document itself, or save it and give the file"


def is_url(text: str) -> bool:
    """Return whether *text* is an address of http or https."""
    return text.lower().startswith(("http://", "https://"))


def document_name(url: str) -> str:
    """Return the last part of the path of *url*, or else its host: nothing of it is secret."""
    parts = _parts(url)
    return unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.hostname or url


class Download(NamedTuple):
    """A document, *data*, and the *url* that it has after all redirects, without user, query and fragment."""

    data: bytes
    url: str


def download(url: str) -> Download:
    """Return the document at *url*. Redirects are followed to http and https only.

    Raises:
        PlanError: it cannot be had: no answer, a status that is no success, too large, or too slow.
    """
    parts = _parts(url)
    user, _, host = parts.netloc.rpartition("@")
    shown = urlunsplit((parts.scheme, host, parts.path, "", ""))
    request = urllib.request.Request(urlunsplit((parts.scheme, host, parts.path or "/", parts.query, "")))
    request.add_header("Accept", _ACCEPT)
    request.add_header("User-Agent", "fastload")
    if user:
        # Not sent along with a redirect, which may lead to another server.
        secret = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {secret}")
    found: list[Download | Exception] = []
    # Name look-up, headers and body may each be slow, byte by byte: only a thread can be left after a time.
    reader = threading.Thread(target=_read_into, args=(request, found), daemon=True)
    reader.start()
    reader.join(LONGEST_S)
    result = found[0] if found else TimeoutError(f"no whole answer within {LONGEST_S:g} s")
    if isinstance(result, Download):
        return result
    raise PlanError(f"--from {shown}: {_reason(result)}", hint=_HINT) from result


def _read_into(request: urllib.request.Request, found: list[Download | Exception]) -> None:
    try:
        with urllib.request.urlopen(request, timeout=_SILENCE_S) as response:
            data = response.read(MOST_BYTES + 1)
            parts = urlsplit(response.geturl())
        is_small = len(data) <= MOST_BYTES
        its_url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", "", ""))
        found.append(Download(data, its_url) if is_small else OSError(f"it has more than {format_bytes(MOST_BYTES)}"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        found.append(error)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise PlanError(
            f"--from: the URL is broken: {error}", hint="write it like http://localhost:8080/api"
        ) from error
    if not parts.hostname:
        raise PlanError("--from: the URL has no host", hint="write it like http://localhost:8080/openapi.json")
    return parts


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"the server answered {error.code}"
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    return (inner.strerror if isinstance(inner, OSError) else "") or str(inner) or type(inner).__name__
