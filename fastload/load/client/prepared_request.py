"""What a request needs that has more than a URL: options of its own, of its VU, of its scenario."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict
from urllib.parse import quote

from fastload.load.client.bodies import Data, Files, body_of
from fastload.load.client.expected_statuses import Expected, expecting
from fastload.load.client.retry import Retry
from fastload.load.engine.header_lines import Headers, merged
from fastload.load.recording.scope import Place
from fastload.model.errors import PlanError, nearest
from fastload.model.http_settings import Auth, Body, Multipart, RequestSettings, check_base_url
from fastload.model.statuses import StatusSpec
from fastload.model.units import parse_duration_s

if TYPE_CHECKING:
    from fastload.load.client.context import Context

_NAME_IN_URL = re.compile(r"\{(\w+)\}")
_SETTINGS = tuple(field.name for field in fields(RequestSettings))


class RequestOptions(TypedDict, total=False):
    """What every request method takes.

    Args:
        name: what the statistics call it; by default the path with numbers, UUIDs and long hex as ``{id}``.
        path: values for ``{names}`` in the URL, which then is the name: ``vu.get("/users/{user}", path={"user": 7})``.
        params: the query string.
        headers: added to those of the VU, the scenario and the run, and over them; None takes one away.
        cookies: sent with this request, beside those that the VU has.
        json: a body to encode; bytes are taken as encoded already.
        data: a raw body, the `pathlib.Path` of a file to stream, or a mapping to send as a form.
        files: a multipart form: by name a `pathlib.Path` to stream, bytes, or ``(filename, content, content type)``;
            *data* has its other fields.
        auth: ``("user", "password")`` for basic, or an `Auth`.
        timeout: for connecting and the whole response, like "5s"; a number is seconds.
        max_redirects: how many are followed; 0 for none.
        http: more `RequestSettings`.
        expected: the statuses that are a success, like ``(200, 404)`` or "200-299"; any other one is a failure.
        retry: send it again when it fails in a way that may pass.
        keep_body: keep the response's body although nothing seems to read it, or drop it although it does.
        tags: for thresholds on some requests only, like ``http_req_duration{kind:read}``.
    """

    name: str
    path: Mapping[str, Any] | None
    params: Mapping[str, Any] | None
    headers: Headers | None
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
    """What all requests of a scenario have, unless they or their VU say otherwise. *clear_cookies*: after each
    iteration."""

    headers: Headers | None = None
    http: RequestSettings | None = None
    expected: Expected | None = None
    clear_cookies: bool = False

    @property
    def touch_requests(self) -> bool:
        """Whether a plain request is not like that of any other scenario."""
        return self.headers is not None or self.http is not None or self.expected is not None


def defaults_of(
    scenario: str,
    headers: Headers | None,
    http: RequestSettings | None,
    expected: StatusSpec | None,
    cookies: str | None,
) -> RequestDefaults:
    """What the options of *scenario* say of all its requests.

    Raises:
        PlanError: one that makes no sense; the message begins with the scenario's name.
    """
    whose = f"{scenario}: " if scenario else ""
    if headers is not None and not isinstance(headers, Mapping):
        raise PlanError(f"{whose}headers is a {type(headers).__name__}", hint='write headers={"X-Team": "checkout"}')
    if http is not None and not isinstance(http, RequestSettings):
        raise PlanError(f"{whose}http is a {type(http).__name__}", hint="write http=fl.RequestSettings(timeout_s=5)")
    if cookies not in (None, "keep", "clear"):
        raise PlanError(
            f"{whose}cookies {cookies!r} is unknown",
            hint=nearest(str(cookies), ("keep", "clear")) or 'write "keep" or "clear"',
        )
    judge = None if expected is None else expecting(expected, what=f"{whose}expected")
    return RequestDefaults(headers or None, http, judge, clear_cookies=cookies == "clear")


class Asked(NamedTuple):
    """A request, ready to be sent."""

    url: str
    endpoint: int
    lines: tuple[str, ...]
    body: Body | None
    settings: RequestSettings | None
    cookie: str
    expected: Expected | None


class Own:
    """What the requests of one VU have: what its scenario says, and over it what the script sets for the VU."""

    __slots__ = ("base_url", "defaults", "headers", "http")

    def __init__(self, defaults: RequestDefaults) -> None:
        self.defaults = defaults
        self.headers: dict[str, str | None] = {}
        self.http: RequestSettings | None = None
        self.base_url = ""


NOTHING = Own(RequestDefaults())
"""Of a VU of which nothing is said."""


def ask(context: Context, own: Own, place: Place, method: str, url: str, options: dict[str, Any]) -> Asked:
    """Put together what the run, the scenario, the VU and the *options* say of a request.

    Raises:
        PlanError: an option that there is not, or one that makes no sense.
    """
    given = options.get
    for option in options:
        if option not in _KNOWN:
            raise PlanError(f"a request has no option {option!r}", hint=nearest(option, _KNOWN))
    full_url = context.absolute(url, None, own.base_url)
    if (path := given("path")) is not None:
        full_url = filled(full_url, path)
    full_url = context.with_params(full_url, given("params"))
    body, content_type = body_of(given("json"), given("data"), given("files"))
    headers = _headers(own, given("headers"))
    lines = context.header_lines(content_type, headers, keep=not isinstance(body, Multipart))
    expected = given("expected")
    return Asked(
        full_url,
        context.endpoint(place, method, url, given("name") or "", given("tags")),
        lines,
        body,
        _settings(own, given("http"), given("auth"), given("timeout"), given("max_redirects")),
        "; ".join(f"{name}={value}" for name, value in (given("cookies") or {}).items()),
        (own.defaults.expected or context.expected) if expected is None else expecting(expected),
    )


_KNOWN = frozenset(RequestOptions.__annotations__)


def _headers(own: Own, given: Headers | None) -> Headers:
    layers = [layer for layer in (own.defaults.headers, own.headers, given) if layer]
    return layers[0] if len(layers) == 1 else merged(*layers)


def _settings(
    own: Own,
    http: RequestSettings | None,
    auth: Auth | tuple[str, str] | None,
    timeout: str | float | None,
    max_redirects: int | None,
) -> RequestSettings | None:
    if auth is None and timeout is None and max_redirects is None:
        if http is None and own.http is None:
            return own.defaults.http
        return joined((own.defaults.http, own.http, http))
    short = _short(as_auth(auth), timeout, max_redirects)
    return joined((own.defaults.http, own.http, http, short))


@lru_cache(maxsize=1000)
def _short(auth: Auth | None, timeout: str | float | None, max_redirects: int | None) -> RequestSettings:
    timeout_s = None if timeout is None else _seconds(timeout)
    if max_redirects is not None and max_redirects < 0:
        raise PlanError(f"max_redirects {max_redirects} is below 0", hint="0 follows none")
    return RequestSettings(timeout_s=timeout_s, max_redirects=max_redirects, auth=auth)


@lru_cache(maxsize=1000)
def joined(layers: tuple[RequestSettings | None, ...]) -> RequestSettings | None:
    """One of all *layers*, from the lowest to the highest. The same layers give the same object."""
    given = [layer for layer in layers if layer is not None]
    if len(given) <= 1:
        return given[0] if given else None
    values = {name: getattr(layer, name) for layer in given for name in _SETTINGS if getattr(layer, name) is not None}
    return RequestSettings(**values)


def as_auth(auth: Auth | tuple[str, str] | None) -> Auth | None:
    """*auth*, of which a pair is a user and a password.

    Raises:
        PlanError: it is something else.
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
    """*url* as relative ones are put behind it. Raises PlanError as `check_base_url`."""
    return check_base_url(url, what="vu.base_url")


def filled(url: str, values: Mapping[str, Any]) -> str:
    """*url* with *values* for its ``{names}``, encoded so that each stays one segment of the path.

    Raises:
        PlanError: a name without a value, or a value without a name.
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


def _seconds(timeout: str | float) -> float:
    seconds = parse_duration_s(timeout, what="timeout") if isinstance(timeout, str) else float(timeout)
    if not seconds > 0:
        raise PlanError(f"timeout {timeout!r} is not above 0", hint='give it some time, like "5s"')
    return seconds
