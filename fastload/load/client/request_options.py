"""What can be said of requests: options of one, and defaults that a scenario and a VU have for all of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from fastload.load.client.bodies import Data, Files
from fastload.load.client.expected_statuses import ExpectedStatuses, expected_statuses
from fastload.load.client.retry import Retry
from fastload.load.engine.header_lines import Headers
from fastload.model.errors import PlanError, nearest
from fastload.model.http_settings import Auth, RequestSettings, check_base_url
from fastload.model.statuses import StatusSpec


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
    expected: ExpectedStatuses | None = None
    clear_cookies: bool = False

    @property
    def apply_to_requests(self) -> bool:
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
    judge = None if expected is None else expected_statuses(expected, what=f"{whose}expected")
    return RequestDefaults(headers or None, http, judge, clear_cookies=cookies == "clear")


class VUDefaults:
    """What the requests of one VU have: what its scenario says, and over it what the script sets for the VU."""

    __slots__ = ("base_url", "defaults", "headers", "http")

    def __init__(self, defaults: RequestDefaults) -> None:
        self.defaults = defaults
        self.headers: dict[str, str | None] = {}
        self.http: RequestSettings | None = None
        self.base_url = ""


NO_DEFAULTS = VUDefaults(RequestDefaults())
"""Of a VU of which nothing is said."""


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
