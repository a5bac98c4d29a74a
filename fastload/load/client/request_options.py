"""Options of a single request, and the request defaults of a scenario and of a VU."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypedDict

from fastload.load.client.bodies import Data, Files
from fastload.load.client.expected_statuses import ExpectedStatuses, expected_statuses
from fastload.load.client.retry import Retry
from fastload.load.engine.header_lines import HeaderOptions, Headers, header_texts
from fastload.load.engine.option_checks import check_request_settings
from fastload.load.engine.pairs import Params
from fastload.model.errors import PlanError, nearest
from fastload.model.http_settings import Auth, RequestSettings, check_base_url
from fastload.model.statuses import StatusSpec

# A token of RFC 9110, which is what a method may be.
_METHOD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_OF_OTHER_TOOLS = {
    # Of requests, httpx and Locust.
    "body": "data=...",
    "content": "data=...",
    "query": "params={...}",
    "verify": "http=fl.RequestSettings(verify_tls=False), or --insecure for all requests",
    "allow_redirects": "max_redirects=0 to follow none",
    "follow_redirects": "max_redirects=0 to follow none",
    "proxies": 'http=fl.RequestSettings(proxy="http://...")',
    "proxy": 'http=fl.RequestSettings(proxy="http://...")',
    "cert": "http=fl.HttpSettings(cert_file=..., key_file=...) in fl.run",
    "stream": "'async with vu.stream(...) as reply'",
    "catch_response": "'async with vu.expect(...) as reply'",
    # Of k6.
    "redirects": "max_redirects=0 to follow none",
    "responseCallback": "expected=(200, 404)",
    "responseType": "keep_body=False to drop the body",
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


class RequestOptions(TypedDict, total=False):
    """Options of every request method.

    Args:
        name: name of the request in the statistics; by default the path with numbers, UUIDs and long hex as ``{id}``.
        path: values for ``{names}`` in the URL: ``vu.get("/users/{user}", path={"user": 7})``. The URL with the
            ``{names}`` is then the default name.
        params: parameters of the query string: by name, or as pairs, in which a name may come twice.
        headers: headers of this request: by name, or as pairs. They override those of the VU, the scenario and the run;
            None removes a header.
        cookies: cookies of this request, sent in addition to those of the VU.
        json: a body to encode as JSON; bytes are sent as they are.
        data: a raw body, the `pathlib.Path` of a file to stream, or a form: a mapping, or pairs of names and values.
        files: files of a multipart form by field name: a `pathlib.Path` to stream, bytes, or ``(filename, content,
            content type)``. *data* has the other fields of the form.
        auth: ``("user", "password")`` for basic, or an `Auth`.
        timeout: time limit for connecting and the whole response, like "5s"; a number is in seconds.
        max_redirects: maximum number of redirects to follow; 0 follows none.
        http: other `RequestSettings`.
        expected: the statuses that are a success, like ``(200, 404)`` or "200-299"; every other status is a failure.
        retry: when to send a failed request again.
        keep_body: True keeps the response body even if no code seems to read it; False drops it in any case.
        tags: tags for thresholds on some requests only, like ``http_req_duration{kind:read}``.
    """

    name: str
    path: Mapping[str, Any] | None
    params: Params | None
    headers: HeaderOptions | None
    cookies: Mapping[str, str] | None
    json: Any
    data: Data | None
    files: Files | None
    auth: Auth | tuple[str, str] | None
    timeout: str | float | None
    max_redirects: int | None
    http: RequestSettings | None
    expected: StatusSpec | None
    retry: Retry | None
    keep_body: bool | None
    tags: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class RequestDefaults:
    """Defaults of all requests of a scenario; the VU or a request can override them.

    *clear_cookies*: delete the VU's cookies after each iteration.
    """

    headers: Headers | None = None
    http: RequestSettings | None = None
    expected: ExpectedStatuses | None = None
    clear_cookies: bool = False

    @property
    def apply_to_requests(self) -> bool:
        """Whether the defaults change a request that has no options."""
        return self.headers is not None or self.http is not None or self.expected is not None


def defaults_of(
    scenario: str,
    headers: HeaderOptions | None,
    http: RequestSettings | None,
    expected: StatusSpec | None,
    cookies: str | None,
) -> RequestDefaults:
    """Return the request defaults that the options of *scenario* give.

    Raises:
        PlanError: an option is not valid; the message begins with the scenario's name.
    """
    whose = f"{scenario}: " if scenario else ""
    texts: Headers | None = None
    if headers is not None:
        try:
            texts = header_texts(headers)
        except PlanError as error:
            raise PlanError(f"{whose}{error.message}", hint=error.hint) from error
    if http is not None and not isinstance(http, RequestSettings):
        raise PlanError(f"{whose}http is a {type(http).__name__}", hint="write http=fl.RequestSettings(timeout_s=5)")
    if http is not None:
        check_request_settings(http, whose)
    if cookies not in (None, "keep", "clear"):
        raise PlanError(
            f"{whose}cookies {cookies!r} is unknown",
            hint=nearest(str(cookies), ("keep", "clear")) or 'write "keep" or "clear"',
        )
    judge = None if expected is None else expected_statuses(expected, what=f"{whose}expected")
    return RequestDefaults(texts or None, http, judge, clear_cookies=cookies == "clear")


class VUDefaults:
    """Defaults of all requests of one VU: those of its scenario, overridden by those that the script sets."""

    __slots__ = ("base_url", "headers", "http", "scenario_defaults")

    def __init__(self, scenario_defaults: RequestDefaults) -> None:
        self.scenario_defaults = scenario_defaults
        self.headers: dict[str, str | None] = {}
        self.http: RequestSettings | None = None
        self.base_url = ""


def as_request_settings(settings: RequestSettings | None) -> RequestSettings | None:
    """Return *settings*, the ``http`` of a request or a VU.

    Raises:
        PlanError: they are no `RequestSettings`, or as `check_request_settings`.
    """
    if settings is None:
        return None
    if isinstance(settings, RequestSettings):
        check_request_settings(settings)
        return settings
    raise PlanError(f"http is a {type(settings).__name__}", hint="write http=fl.RequestSettings(timeout_s=5)")


def unknown_option(option: str) -> PlanError:
    """Return the error for an *option* that no request has, with the one that was meant."""
    hint = _OF_OTHER_TOOLS.get(option)
    hint = f"write {hint}" if hint else nearest(option, RequestOptions.__annotations__)
    return PlanError(f"a request has no option {option!r}", hint=hint)


NO_DEFAULTS = VUDefaults(RequestDefaults())
"""Defaults of a VU whose scenario has none and for which the script sets none."""


@lru_cache(maxsize=100)
def as_method(method: str) -> str:
    """Return *method* in upper case, as all methods of HTTP are written: libcurl would wait for the body of a "head".

    Raises:
        PlanError: it is no name of a method.
    """
    if isinstance(method, str) and _METHOD(method):
        return method.upper()
    hint = nearest(str(method).upper(), _METHODS) or f"write one of {', '.join(_METHODS)}, or another word"
    raise PlanError(f"{method!r} is no HTTP method", hint=hint)


def as_auth(auth: Auth | tuple[str, str] | None) -> Auth | None:
    """Return *auth* as an `Auth`; a pair is the user and the password of basic.

    Raises:
        PlanError: *auth* has another type.
    """
    match auth:
        case None | Auth():
            return auth
        case (str(user), str(password)):
            return Auth("basic", user, password)
    raise PlanError(
        f"auth is a {type(auth).__name__}", hint='give ("user", "password"), or fl.Auth("digest", "user", "password")'
    )


def as_base_url(url: str) -> str:
    """Return *url* without a slash at its end. Raises PlanError as `check_base_url`."""
    return check_base_url(url, what="vu.base_url")
