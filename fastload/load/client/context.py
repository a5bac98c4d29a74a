"""What VUs share: of a scenario, and of a worker."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import orjson

from fastload.load.client.bodies import JSON_LINE, Data, body_of
from fastload.load.client.expected_statuses import expected_statuses
from fastload.load.client.handle_pool import HandlePool
from fastload.load.client.reply_parts import ReplyParts
from fastload.load.client.request_options import RequestDefaults
from fastload.load.engine.curl import CurlEngine
from fastload.load.engine.curl_handle import ConnectionCache
from fastload.load.engine.header_lines import Headers, request_lines
from fastload.load.recording.scope import Scope
from fastload.model.errors import PlanError
from fastload.model.http_settings import Body, HttpSettings

if TYPE_CHECKING:
    from fastload.load.recording.recorder import Recorder

_ID_SEGMENT = re.compile(
    r"(?<=/)(?:\d+|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,})(?=/|$)"
)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://").match
_MAX_CACHED_URLS = 10_000
_BUILT_IN_TAGS = frozenset(("scenario", "group", "name", "method", "status", "error", "check"))


@dataclass(frozen=True, slots=True)
class ScenarioContext:
    """What all VUs of one scenario share: its name, what its code reads of replies, its tags, the names of its
    environment, those of the run included, the seed of the run's chance, what all its requests have, and the handles
    of those that pause."""

    name: str
    reply_parts: ReplyParts
    tags: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    requests: RequestDefaults = field(default_factory=RequestDefaults)
    handle_pool: HandlePool = field(default_factory=HandlePool)


class WorkerContext:
    """What all VUs of a worker share: the engine, the recorder, the run's settings, and caches of both."""

    def __init__(
        self,
        *,
        engine: CurlEngine,
        recorder: Recorder,
        loop: asyncio.AbstractEventLoop,
        http: HttpSettings,
        base_url: str,
        resolve: tuple[str, ...] = (),
    ) -> None:
        self.engine = engine
        self.recorder = recorder
        self.loop = loop
        self.http = http
        self.expected = expected_statuses(http.expected) if http.expected else None
        self.base_url = base_url
        self.resolve = resolve
        self.stopping = self.aborting = self.hurry = False
        self.setup_data: Any = None
        self.on_abort: Callable[[str], None] = _nobody_listens
        self._cached = 0
        self._urls: dict[str, str] = {}
        self._header_lines: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def connection_cache(self) -> ConnectionCache:
        """A cache for one VU, with room for what its requests can have."""
        return ConnectionCache(tls=not self.base_url.startswith("http://"), cookies=self.http.cookies)

    def abort(self, reason: str) -> None:
        """The script wants the whole test to end; the first reason counts."""
        if not self.aborting:
            self.aborting = True
            self.on_abort(reason)

    def scenario_scope(self, scenario: ScenarioContext) -> Scope:
        """Where the VUs of *scenario* run, outside of groups."""
        return self.recorder.scope(scenario.name, scenario.tags)

    def plain_request(self, scope: Scope, method: str, url: str, name: str) -> tuple[str, int, tuple[str, ...]]:
        """The URL, endpoint and header lines of a request that has nothing else: one look-up when it was seen."""
        key = (method, url, name)
        known = scope.plain.get(key)
        if known is None:
            _, lines = self.body_and_headers(None, None, None)
            known = self.absolute(url, None), self.endpoint(scope, method, url, name), lines
            if self._has_room():
                scope.plain[key] = known
        return known

    def _has_room(self) -> bool:
        """Whether one more look-up of a scope may be kept; it is then."""
        self._cached += 1
        return self._cached <= _MAX_CACHED_URLS

    def absolute(self, url: str, params: Mapping[str, Any] | None, base_url: str = "") -> str:
        """The URL to ask for; *base_url* goes before that of the run.

        Raises:
            PlanError: it is relative and there is no base URL.
        """
        if base_url:
            return self.with_params(url if _ABSOLUTE(url) else _join(base_url, url), params)
        full = self._urls.get(url)
        if full is None:
            full = url if _ABSOLUTE(url) else _join(self.base_url, url)
            if len(self._urls) < _MAX_CACHED_URLS:
                self._urls[url] = full
        return self.with_params(full, params) if params else full

    def with_params(self, url: str, params: Mapping[str, Any] | None) -> str:
        """*url* with *params* in its query."""
        return url + ("&" if "?" in url else "?") + urlencode(params, doseq=True) if params else url

    def endpoint(self, scope: Scope, method: str, url: str, name: str, tags: Mapping[str, str] | None = None) -> int:
        """The number under which a request is recorded: by its name, or by the URL's folded path, and its tags.

        Raises:
            PlanError: one of *tags* has the name of a built-in one.
        """
        key = (method, url, name, *tags.items()) if tags else (method, url, name)
        number = scope.endpoints.get(key)
        if number is None:
            own = {str(tag): str(value) for tag, value in (tags or {}).items()}
            check_tags(own)
            number = self.recorder.endpoint(name or self._name_of(url), method, {**scope.tags, **own})
            if self._has_room():
                scope.endpoints[key] = number
        return number

    def body_and_headers(
        self, json: Any, data: Data | None, headers: Headers | None
    ) -> tuple[Body | None, tuple[str, ...]]:
        """The encoded body and the header lines of a request."""
        body: Body | None = None
        content_type = ""
        if data is not None:
            body, content_type = body_of(json, data, None)
        elif json is not None:
            body = json if isinstance(json, bytes) else orjson.dumps(json)
            content_type = JSON_LINE
        # Looked up here too: it saves a call for every body that is sent.
        lines = self._header_lines.get((content_type,) if headers is None else (content_type, *headers.items()))
        return body, self.header_lines(content_type, headers) if lines is None else lines

    def header_lines(self, content_type: str, headers: Headers | None, *, keep: bool = True) -> tuple[str, ...]:
        """The header lines of a request, with those of the run. *keep*: there will be more with the same.

        Raises:
            PlanError: a value has a line break.
        """
        key = (content_type,) if headers is None else (content_type, *headers.items())
        lines = self._header_lines.get(key)
        if lines is None:
            lines = request_lines(self.http.headers, content_type, headers or {})
            if keep and len(self._header_lines) < _MAX_CACHED_URLS:
                self._header_lines[key] = lines
        return lines

    def _name_of(self, url: str) -> str:
        return fold_path(url) if self.http.fold_paths else urlsplit(url).path or "/"


def check_tags(tags: Mapping[str, str]) -> None:
    """That none of *tags* is one that fastload sets.

    Raises:
        PlanError: one is.
    """
    for tag in tags:
        if tag in _BUILT_IN_TAGS:
            raise PlanError(f"the tag {tag!r} is set by fastload itself", hint="give your tag a name of its own")


def fold_path(url: str) -> str:
    """The path of *url* for statistics: numbers, UUIDs and hex of 16 digits and more become ``{id}``, no query."""
    return _ID_SEGMENT.sub("{id}", urlsplit(url).path or "/")


def _join(base_url: str, url: str) -> str:
    if not base_url:
        raise PlanError(f"{url!r} is relative and there is no base URL", hint="pass --base-url or base_url=")
    return base_url + (url if url.startswith("/") else "/" + url)


def _nobody_listens(_reason: str) -> None:
    """Outside of a worker there is no test to end."""
