"""Option checks: refuse the HTTP settings that libcurl would refuse with an error of its own, before a request.

A setting of the run, of a scenario, of a VU and of a request has the same checks. *what* is how the user wrote it, like
``--proxy`` or ``proxy``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, get_args
from urllib.parse import urlsplit

from fastload.load.engine.curl_options import ENCODINGS, MOST_BYTES, source_address, supports
from fastload.model.argument_types import CallArguments, check_types
from fastload.model.errors import PlanError, nearest
from fastload.model.http_settings import Auth, AuthScheme, HttpVersion, RequestSettings, without_credentials

_PROXIES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_PROXY_EXAMPLE = "write it like http://127.0.0.1:3128"
_AMOUNTS = ("max_redirects", "upload_bytes_per_s", "download_bytes_per_s", "max_body_bytes")
AUTH_EXAMPLE = "write it like basic:USER:PASSWORD, digest:USER:PASSWORD or bearer:TOKEN"
_AUTH_ARGUMENTS = 'write ("user", "password"), fl.Auth("digest", "user", "password") or fl.Auth("bearer", token="...")'
_MOST_CHECKED = 4096
_CHECKED: dict[int, RequestSettings] = {}


def check_request_settings(settings: RequestSettings, where: str = "") -> None:
    """Check the *settings* of a request, a VU or a scenario; *where* begins the message. The same object is checked
    once.

    Raises:
        PlanError: a value has a wrong type, is out of its range, or is nothing that this libcurl has.
    """
    if _CHECKED.get(id(settings)) is settings:
        return
    check_types(CallArguments.of(f"{where}http", settings))
    for name in _AMOUNTS:
        check_amount(getattr(settings, name), f"{where}{name}")
    if settings.http_version:
        check_choice(settings.http_version, get_args(HttpVersion), f"{where}http_version")
        check_version(settings.http_version)
    if settings.accept_encoding:
        check_encodings(settings.accept_encoding, f"{where}accept_encoding")
    if settings.auth is not None:
        check_types(CallArguments.of(f"{where}fl.Auth", settings.auth))
        check_auth(settings.auth, f"{where}auth", _AUTH_ARGUMENTS)
    if settings.proxy and settings.proxy != "env":
        check_proxy(settings.proxy, f"{where}proxy")
    if settings.source_address is not None:
        parse_source(settings.source_address, f"{where}source_address")
    if len(_CHECKED) >= _MOST_CHECKED:
        _CHECKED.clear()
    # Kept, so that no other object gets its id.
    _CHECKED[id(settings)] = settings


def check_amount(value: Any, what: str) -> None:
    """Check a number of bytes or redirects, which libcurl takes from 0 to 2^63 - 1."""
    if value is None:
        return
    if value < 0:
        hint = "0 follows none" if what.endswith("max_redirects") else "0 is no limit"
        raise PlanError(f"{what} {value} is below 0", hint=hint)
    if value > MOST_BYTES:
        raise PlanError(f"{what} {value:.3g} is above 2^63 - 1", hint="0 is no limit")


def check_choice(value: Any, choices: Sequence[str], what: str) -> None:
    """Check that *value* is one of *choices*."""
    if value not in choices:
        hint = nearest(str(value), choices) or f"one of {', '.join(filter(None, choices))}"
        raise PlanError(f"{what} {value!r} is unknown", hint=hint)


def check_version(version: str) -> None:
    """Check that this libcurl speaks the HTTP *version*."""
    if not supports(version):
        raise PlanError(f"this libcurl does not speak HTTP/{version}", hint="install a pycurl wheel that does")


def check_version_of(url: str, version: str) -> None:
    """Check that *url* can be reached with the HTTP *version*."""
    if version == "3" and url[:7].lower() == "http://":
        raise PlanError(
            f"{without_credentials(url)!r} is a URL without TLS, and HTTP/3 has always TLS",
            hint="write https://, or leave the HTTP version out",
        )


def check_encodings(text: str, what: str) -> None:
    """Check the encodings that are asked for."""
    for name in text.replace(",", " ").split():
        if name not in (*ENCODINGS, "identity"):
            hint = nearest(name, ENCODINGS) or f"one of {', '.join(ENCODINGS)}"
            raise PlanError(f"{what} {name!r} is unknown", hint=hint)
        if not supports(name):
            has = ", ".join(one for one in ENCODINGS if supports(one))
            raise PlanError(f"this libcurl cannot undo {name!r}", hint=f"it has {has}")


def check_auth(auth: Auth, what: str, example: str) -> None:
    """Check credentials; *example* is how they are written."""
    if auth.scheme not in get_args(AuthScheme):
        hint = nearest(str(auth.scheme), get_args(AuthScheme)) or example
        raise PlanError(f"{what} has the unknown scheme {auth.scheme!r}", hint=hint)
    missing = "token" if auth.scheme == "bearer" else "user"
    if not getattr(auth, missing):
        raise PlanError(f"{what} {auth.scheme} has no {missing}", hint=example)
    check_ntlm(auth.scheme)


def check_ntlm(scheme: str) -> None:
    """Check that this libcurl has the authentication *scheme*."""
    if scheme == "ntlm" and not supports("ntlm"):
        raise PlanError("this libcurl has no NTLM", hint="use basic or digest, or a libcurl that was built with NTLM")


def check_proxy(proxy: str, what: str) -> None:
    """Check the URL of a proxy."""
    shown = without_credentials(proxy)
    try:
        parts = urlsplit(proxy)
        _ = parts.port
    except ValueError as error:
        raise PlanError(f"{what} {shown!r} is no URL: {error}", hint=_PROXY_EXAMPLE) from error
    if parts.scheme not in _PROXIES:
        hint = f"{_PROXY_EXAMPLE}; there are {', '.join(_PROXIES)}"
        raise PlanError(f"{what} {shown!r} has no scheme that is known", hint=hint)
    if not parts.hostname:
        raise PlanError(f"{what} {shown!r} has no host", hint=_PROXY_EXAMPLE)
    if parts.scheme == "https" and not supports("https proxy"):
        raise PlanError("this libcurl does not speak TLS with proxies", hint="use an http:// or socks5:// proxy")


def parse_source(text: str, what: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the first of the source addresses *text*: an address, a range or a network."""
    try:
        return ipaddress.ip_address(source_address((text,), 1))
    except ValueError as error:
        hint = "write it like 10.0.0.7, 10.0.0.7-10.0.0.9 or 10.0.0.0/28"
        raise PlanError(f"{what} {text!r} is no address, range or network", hint=hint) from error
