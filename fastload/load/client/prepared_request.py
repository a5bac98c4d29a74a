"""Requests with options or defaults: the layers of run, scenario, VU and request, merged into a `PreparedRequest`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from fastload.load.client.bodies import body_of
from fastload.load.client.context import WorkerContext
from fastload.load.client.expected_statuses import ExpectedStatuses, expected_statuses
from fastload.load.client.request_options import RequestOptions, VUDefaults, as_auth
from fastload.load.engine.header_lines import Headers, merged
from fastload.load.recording.scope import Scope
from fastload.model.errors import PlanError, nearest
from fastload.model.http_settings import Auth, Body, Multipart, RequestSettings
from fastload.model.names import as_text
from fastload.model.units import parse_duration_s

_ENCODE = "encode the value, as by urllib.parse.quote"
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
            raise PlanError(f"a request has no option {option!r}", hint=nearest(option, _KNOWN))
    full_url = context.absolute(url, None, vu_defaults.base_url)
    if (path := given("path")) is not None:
        full_url = filled_url(full_url, path)
    full_url = context.with_params(full_url, given("params"))
    body, content_type = body_of(given("json"), given("data"), given("files"))
    headers = _headers(vu_defaults, given("headers"))
    lines = context.header_lines(content_type, headers, keep=not isinstance(body, Multipart))
    expected = given("expected")
    return PreparedRequest(
        full_url,
        context.endpoint(scope, method, url, given("name") or "", given("tags")),
        lines,
        body,
        _settings(vu_defaults, given("http"), given("auth"), given("timeout"), given("max_redirects")),
        cookie_line(given("cookies") or {}),
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
    if auth is None and timeout is None and max_redirects is None:
        if http is None and vu_defaults.http is None:
            return vu_defaults.scenario_defaults.http
        return merged_settings((vu_defaults.scenario_defaults.http, vu_defaults.http, http))
    short = _settings_of_options(as_auth(auth), timeout, max_redirects)
    return merged_settings((vu_defaults.scenario_defaults.http, vu_defaults.http, http, short))


@lru_cache(maxsize=1000)
def _settings_of_options(auth: Auth | None, timeout: str | float | None, max_redirects: int | None) -> RequestSettings:
    timeout_s = None if timeout is None else _seconds(timeout)
    if max_redirects is not None and max_redirects < 0:
        raise PlanError(f"max_redirects {max_redirects} is below 0", hint="0 follows none")
    return RequestSettings(timeout_s=timeout_s, max_redirects=max_redirects, auth=auth)


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
        PlanError: a name has no value, or a value has no name.
    """
    names = _NAME_IN_URL.findall(url)
    for name in names:
        if name not in values:
            hint = nearest(name, values) or f'give path={{"{name}": ...}}'
            raise PlanError(f"{url!r} has {{{name}}}, and path= has no value for it", hint=hint)
    for name in values:
        if name not in names:
            raise PlanError(f"path= has {name!r}, and {url!r} has no {{{name}}}", hint=nearest(name, names))
    return _NAME_IN_URL.sub(lambda found: quote(str(values[found[1]]), safe=""), url)


def cookie_line(cookies: Mapping[str, Any]) -> str:
    """Return *cookies* as the value of the header Cookie: ``a=1; b=2``.

    Raises:
        PlanError: *cookies* is no mapping, or a name or a value is no text that a cookie can have.
    """
    try:
        line = "; ".join([name + "=" + value for name, value in cookies.items()])
    except (AttributeError, TypeError):
        # Not all are texts: this may be mended.
        if not isinstance(cookies, Mapping):
            hint = 'write cookies={"id": "7"}'
            raise PlanError(f"cookies is a {type(cookies).__name__}", hint=hint) from None
        texts = [(as_text(name, "a name in cookies"), value) for name, value in cookies.items()]
        line = "; ".join(f"{name}={as_text(value, f'the cookie {name!r}')}" for name, value in texts)
    if line and not (line.isascii() and line.isprintable()):
        raise PlanError(f"cookies: {line!r:.80} has characters that a cookie cannot have", hint=_ENCODE)
    return line


def _seconds(timeout: str | float) -> float:
    seconds = parse_duration_s(timeout, what="timeout") if isinstance(timeout, str) else float(timeout)
    if not seconds > 0:
        raise PlanError(f"timeout {timeout!r} is not above 0", hint='give it some time, like "5s"')
    return seconds
