"""Requests with options or defaults: the layers of run, scenario, VU and request, merged into a `PreparedRequest`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from fastload.load.client.bodies import body_of
from fastload.load.client.context import WorkerContext, joined
from fastload.load.client.cookies import cookie_line
from fastload.load.client.expected_statuses import ExpectedStatuses, expected_statuses
from fastload.load.client.request_options import (
    RequestOptions,
    VUDefaults,
    as_auth,
    as_request_settings,
    unknown_option,
)
from fastload.load.engine.header_lines import Headers, merged
from fastload.load.engine.option_checks import check_request_settings, check_version_of
from fastload.load.recording.scope import Scope
from fastload.model.argument_types import CallArguments, check_types
from fastload.model.errors import PlanError, nearest
from fastload.model.http_settings import Auth, Body, Multipart, RequestSettings
from fastload.model.units import parse_duration_s
from fastload.model.urls import encode_url, leaves_segment
from fastload.model.wire_text import LENIENT

_NAME_IN_URL = re.compile(r"\{(\w+)\}")
_SETTINGS = tuple(field.name for field in fields(RequestSettings))
_KNOWN = frozenset(RequestOptions.__annotations__)


class PreparedRequest(NamedTuple):
    """A request with all its layers merged, ready to be sent.

    *lines* are the header lines. *cookie* has the cookies of this request, like ``a=1; b=2``, without those of the VU.
    """

    url: str
    endpoint: int
    lines: tuple[str, ...]
    body: Body | None
    settings: RequestSettings | None
    cookie: str
    expected: ExpectedStatuses | None


def prepare_request(
    context: WorkerContext, vu_defaults: VUDefaults, scope: Scope, method: str, url: str, options: dict[str, Any]
) -> PreparedRequest:
    """Merge the *options* of a request with the defaults of its VU, its scenario and the run.

    Raises:
        PlanError: an option is unknown or not valid.
    """
    given = options.get
    for option in options:
        if option not in _KNOWN:
            raise unknown_option(option)
    if (path := given("path")) is None:
        full_url = context.absolute(url, None, vu_defaults.base_url)
    else:
        full_url = encode_url(filled_url(joined(vu_defaults.base_url or context.base_url, url), path))
    full_url = context.with_params(full_url, given("params"))
    settings = _settings(vu_defaults, given("http"), given("auth"), given("timeout"), given("max_redirects"))
    if settings is not None and settings.http_version:
        check_version_of(full_url, settings.http_version)
    body, content_type = body_of(given("json"), given("data"), given("files"))
    headers = _headers(vu_defaults, given("headers"))
    lines = context.header_lines(content_type, headers, keep=not isinstance(body, Multipart))
    expected = given("expected")
    return PreparedRequest(
        full_url,
        context.endpoint(scope, method, url, given("name") or "", given("tags")),
        lines,
        body,
        settings,
        "" if (cookies := given("cookies")) is None else cookie_line(cookies),
        (vu_defaults.scenario_defaults.expected or context.expected)
        if expected is None
        else expected_statuses(expected),
    )


def _headers(vu_defaults: VUDefaults, given: Headers | None) -> Headers:
    layers = [layer for layer in (vu_defaults.scenario_defaults.headers, vu_defaults.headers, given) if layer]
    return layers[0] if len(layers) == 1 else merged(*layers)


def _settings(
    vu_defaults: VUDefaults,
    http: RequestSettings | None,
    auth: Auth | tuple[str, str] | None,
    timeout: str | float | None,
    max_redirects: int | None,
) -> RequestSettings | None:
    if http is not None:
        http = as_request_settings(http)
    if auth is None and timeout is None and max_redirects is None:
        if http is None and vu_defaults.http is None:
            return vu_defaults.scenario_defaults.http
        return merged_settings((vu_defaults.scenario_defaults.http, vu_defaults.http, http))
    try:
        short = _settings_of_options(as_auth(auth), timeout, max_redirects)
    except TypeError as error:
        if isinstance(auth, Auth):
            check_types(CallArguments.of("fl.Auth", auth), cause=error)
        given = {"timeout": timeout, "max_redirects": max_redirects}
        check_types(CallArguments("a request", _settings_of_options, given), cause=error)
        raise
    return merged_settings((vu_defaults.scenario_defaults.http, vu_defaults.http, http, short))


@lru_cache(maxsize=1000)
def _settings_of_options(auth: Auth | None, timeout: str | float | None, max_redirects: int | None) -> RequestSettings:
    timeout_s = None if timeout is None else _seconds(timeout)
    if max_redirects is not None and max_redirects < 0:
        raise PlanError(f"max_redirects {max_redirects} is below 0", hint="0 follows none")
    settings = RequestSettings(timeout_s=timeout_s, max_redirects=max_redirects, auth=auth)
    check_request_settings(settings)
    return settings


@lru_cache(maxsize=1000)
def merged_settings(layers: tuple[RequestSettings | None, ...]) -> RequestSettings | None:
    """Merge *layers*, from the lowest to the highest precedence. The same layers give the same object."""
    given = [layer for layer in layers if layer is not None]
    if len(given) <= 1:
        return given[0] if given else None
    values = {name: getattr(layer, name) for layer in given for name in _SETTINGS if getattr(layer, name) is not None}
    return RequestSettings(**values)


def filled_url(url: str, values: Mapping[str, Any]) -> str:
    """Return *url* with its ``{names}`` replaced by *values*, encoded so that each value stays one path segment.

    Raises:
        PlanError: a name has no value, a value has no name, or a value would make its segment "." or "..".
    """
    if not isinstance(values, Mapping):
        raise PlanError(f"path is a {type(values).__name__}", hint='write path={"user": 7}')
    names = _NAME_IN_URL.findall(url)
    for name in names:
        if name not in values:
            hint = nearest(name, values) or f'give path={{"{name}": ...}}'
            raise PlanError(f"{url!r} has {{{name}}}, and path= has no value for it", hint=hint)
    for name in values:
        if name not in names:
            raise PlanError(f"path= has {name!r}, and {url!r} has no {{{name}}}", hint=nearest(name, names))
    filled = _NAME_IN_URL.sub(lambda found: quote(str(values[found[1]]), safe="", errors=LENIENT), url)
    if "/." in filled or "%2e" in filled or "%2E" in filled:
        _check_segments(url, filled)
    return filled


def _check_segments(url: str, filled: str) -> None:
    """Check that no value led to another place in the path, with segments that mean "here" or "one above"."""
    for before, after in zip(_segments(url), _segments(filled), strict=True):
        if before != after and leaves_segment(after):
            raise PlanError(
                f"path= makes {before!r} of {url!r} to {after!r}, which is another place in the path",
                hint='a segment cannot be "." or "..": leave such values out, or write the path without path=',
            )


def _segments(url: str) -> list[str]:
    return url.partition("#")[0].partition("?")[0].split("/")


def _seconds(timeout: str | float) -> float:
    seconds = parse_duration_s(timeout, what="timeout") if isinstance(timeout, str) else float(timeout)
    if not 0 < seconds < math.inf:
        raise PlanError(f"timeout {timeout!r} is not above 0 and finite", hint='give it some time, like "5s"')
    return seconds
