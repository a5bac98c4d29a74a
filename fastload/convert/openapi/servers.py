"""Servers of an API description: to which origin, and below which path, an operation goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from fastload.convert.openapi.description import ApiDescription, Steps

# Where relative URLs lead to: a name that nobody has (RFC 2606).
_HERE = "http://here.invalid"
_VARIABLE = re.compile(r"\{([^}]*)\}")
_HOST = re.compile(r"[\w.-]+(:\d{1,5})?|\[[\da-fA-F:.]+\](:\d{1,5})?")
_LOCAL = re.compile(r"(localhost|127\.[\d.]+|\[::1\])(:\d+)?")
_HINT = "write it like https://api.example.com/v1, or like /v1"


class ServerAddress(NamedTuple):
    """Where a server is: its *origin*, like ``https://api.example.com``, and the *prefix* of all paths, like ``/v1``.

    The origin of a relative URL is that of the description itself (RFC 3986): empty of a file, which has none.
    """

    origin: str
    prefix: str


def server_of(
    api: ApiDescription, operation: Mapping[str, Any], item: Mapping[str, Any], steps: Steps
) -> ServerAddress:
    """Return the server of *operation*, which is at *steps*: the first of its own, of its path, or of all.

    Raises:
        PlanError: its URL is none, or has a variable that is not described.
    """
    for holder, place in ((operation, steps), (item, steps[:-1]), (api.document, ())):
        if holder.get("servers"):
            return _server(api, holder["servers"][0], (*place, "servers", 0, "url"))
    # The default of OpenAPI: the root of the host that the description came from.
    return _server(api, {"url": "/"}, (*steps, "servers"))


def _server(api: ApiDescription, server: Mapping[str, Any], steps: Steps) -> ServerAddress:
    url = _filled(api, server, steps)
    try:
        parts = urlsplit(urljoin(api.url or f"{_HERE}/", url))
        host = parts.netloc.rpartition("@")[2]
    except ValueError as error:
        api.refuse(steps, str(error), _HINT)
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        api.refuse(steps, f"{url!r} is no address of HTTP", _HINT)
    prefix = parts.path.rstrip("/")
    if f"{parts.scheme}://{host}" == _HERE:
        return ServerAddress("", prefix)
    # Without a scheme, it is the one by which the description was read, which is not known of a file.
    is_open = url.startswith("//") and not api.url
    scheme = "https" if is_open and not _LOCAL.fullmatch(host) else parts.scheme
    return ServerAddress(f"{scheme}://{host}", prefix)


def _filled(api: ApiDescription, server: Mapping[str, Any], steps: Steps) -> str:
    """Return the URL of *server* with the defaults of its variables."""
    variables = server.get("variables") or {}

    def default(found: re.Match[str]) -> str:
        if found[1] not in variables:
            api.refuse(steps, f"the variable {found[0]} has no default", f"describe it in 'variables': {found[1]}: ...")
        return str(variables[found[1]]["default"])

    return _VARIABLE.sub(default, str(server["url"]).strip())
