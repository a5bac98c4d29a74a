"""State that VUs share: `ScenarioContext` for the VUs of a scenario, `WorkerContext` for all VUs of a worker."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from fastload.load.client.bodies import JSON_LINE, Data, body_of, encode_unusual
from fastload.load.client.expected_statuses import expected_statuses
from fastload.load.client.handle_pool import HandlePool
from fastload.load.client.reply_parts import ReplyParts
from fastload.load.client.request_options import RequestDefaults
from fastload.load.engine.curl import CurlEngine
from fastload.load.engine.curl_handle import ConnectionCache
from fastload.load.engine.header_lines import header_texts, request_lines
from fastload.load.engine.pairs import Params, pairs_of
from fastload.load.recording.scope import Scope
from fastload.model.errors import PlanError
from fastload.model.http_settings import Body, HttpSettings, check_scheme
from fastload.model.names import are_plain, as_name, as_text, tag_texts
from fastload.model.statuses import is_default
from fastload.model.tags import check_own_tags
from fastload.model.urls import add_query, encode_url, path_of, trim_url
from fastload.model.wire_text import LENIENT

if TYPE_CHECKING:
    from fastload.load.recording.recorder import Recorder

_ID_SEGMENT = re.compile(
    r"(?<=/)(?:\d+|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,})(?=/|$)"
)
_ABSOLUTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://").match
_MAX_CACHED_URLS = 10_000


@dataclass(frozen=True, slots=True)
class ScenarioContext:
    """State that all VUs of one scenario share.

    *reply_parts*: the parts of replies that its code reads. *env*: environment values of the scenario and of the run.
    *seed*: the run's random seed. *requests*: defaults of its requests. *handle_pool*: handles of paused VUs.
    """

    name: str
    reply_parts: ReplyParts
    tags: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    requests: RequestDefaults = field(default_factory=RequestDefaults)
    handle_pool: HandlePool = field(default_factory=HandlePool)


class WorkerContext:
    """State that all VUs of a worker share: engine, recorder, settings of the run, and caches of URLs and headers."""

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
        self.expected = None if is_default(http.expected) else expected_statuses(http.expected)
        self.base_url = base_url
        self.resolve = resolve
        self._by_address = _settings_by_address(http, resolve)
        self._random_offset = random.getrandbits(32)
        self.stopping = self.aborting = self.skip_on_stop = False
        self.setup_data: Any = None
        self.on_abort: Callable[[str], None] = _nobody_listens
        self.on_data_end: Callable[[str, str], None] = _nobody_listens
        self.on_vu_without_data: Callable[[str, str], None] = _nobody_listens
        self._cached = 0
        self._urls: dict[str, str] = {}
        self._header_lines: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def connection_cache(self) -> ConnectionCache:
        """Return a connection cache for one VU.

        It has no TLS sessions if the base URL is ``http://``, and no cookies if the run keeps none.
        """
        return ConnectionCache(tls=not self.base_url.startswith("http://"), cookies=self.http.cookies)

    def http_of(self, number: int) -> HttpSettings:
        """Return the settings of VU *number* (from 1): those of the run, with the address that the VU connects to if
        VUs share several."""
        settings = self._by_address
        if not settings:
            return self.http
        at = number - 1
        if self.http.dns_select == "random":
            at = random.Random(self._random_offset + number).randrange(len(settings))
        return settings[at % len(settings)]

    def abort(self, reason: str) -> None:
        """Abort the whole test, as the script asked for; only the first *reason* counts."""
        if not self.aborting:
            self.aborting = True
            self.on_abort(reason)

    def scenario_scope(self, scenario: ScenarioContext) -> Scope:
        """Return the scope of *scenario* outside of groups."""
        return self.recorder.scope(scenario.name, scenario.tags)

    def plain_request(self, scope: Scope, method: str, url: str, name: str) -> tuple[str, int, tuple[str, ...]]:
        """Return URL, endpoint number and header lines of a request without options.

        A repeated request costs one dict look-up.
        """
        key = (method, url, name)
        try:
            known = scope.plain_requests.get(key)
        except TypeError:
            # What cannot be hashed is no text: the error says which it is.
            known = None
        if known is None:
            _, lines = self.body_and_headers(None, None, None)
            known = self.absolute(url, None), self.endpoint(scope, method, url, name), lines
            if are_plain((url, "" if name is None else name)) and self._reserve_cache_entry():
                scope.plain_requests[key] = known
        return known

    def _reserve_cache_entry(self) -> bool:
        """Count one more cache entry of a scope; return False if the limit is reached and it must not be kept."""
        self._cached += 1
        return self._cached <= _MAX_CACHED_URLS

    def absolute(self, url: str, params: Params | None, base_url: str = "") -> str:
        """Return the absolute URL as it is sent, with *params* in its query.

        *base_url* takes precedence over that of the run.

        Raises:
            PlanError: *url* is relative and there is no base URL, or its scheme is not http or https.
        """
        if base_url:
            text = url if type(url) is str else as_text(url, "the URL")
            return self.with_params(encode_url(joined(base_url, text)), params)
        try:
            full = self._urls.get(url)
        except TypeError:
            full = None
        if full is None:
            full = encode_url(joined(self.base_url, url if type(url) is str else as_text(url, "the URL")))
            if len(self._urls) < _MAX_CACHED_URLS and are_plain((url,)):
                self._urls[url] = full
        return full if params is None else self.with_params(full, params)

    def relative(self, url: str) -> str:
        """Return *url* without the base URL of the run, if it begins with it."""
        base = self.base_url
        return url[len(base) :] if base and url.startswith(base + "/") else url

    def with_params(self, url: str, params: Params | None) -> str:
        """Return *url* with *params* added to its query.

        Raises:
            PlanError: *params* has no names and values.
        """
        if params is None:
            return url
        # A mapping is encoded as it is; `urlencode` takes a text of two characters for a pair.
        pairs = params if type(params) is dict else pairs_of(params, "params", 'params={"page": 1}')
        if not pairs:
            return url
        query = urlencode(pairs, doseq=True, errors=LENIENT)
        return add_query(url, query) if "#" in url else url + ("&" if "?" in url else "?") + query

    def endpoint(self, scope: Scope, method: str, url: str, name: str, tags: Mapping[str, str] | None = None) -> int:
        """Return the endpoint number under which the recorder counts a request.

        The endpoint depends on *method*, *tags*, and *name*. Without a *name*, the path of *url* is the name (folded as
        by `fold_path`, unless the run switches that off).

        Raises:
            PlanError: *name* or one of *tags* is no text (see `as_text`), or a tag has the name of a built-in tag.
        """
        try:
            key = (method, url, name, *tags.items()) if tags else (method, url, name)
            number = scope.endpoints.get(key)
        except (AttributeError, TypeError):
            # No mapping, or what cannot be hashed: the error says which it is.
            key, number = (), None
        if number is None:
            # Texts only: 1 and True are one key, and two names.
            own = tag_texts(tags) if tags else {}
            check_own_tags(own)
            is_named = name is not None and not (isinstance(name, str) and not name)
            text = as_name(name if is_named else self._name_of(as_text(url, "the URL")), "name=")
            number = self.recorder.endpoint(text, method, {**scope.tags, **own})
            given = (url, "" if name is None else name, *(tags or {}), *(tags or {}).values())
            if are_plain(given) and self._reserve_cache_entry():
                scope.endpoints[key] = number
        return number

    def body_and_headers(self, json: Any, data: Data | None, headers: Any) -> tuple[Body | None, tuple[str, ...]]:
        """Return the encoded body and the header lines of a request. *headers*: `HeaderOptions`, or None."""
        body: Body | None = None
        content_type = ""
        if data is not None:
            body, content_type = body_of(json, data, None)
        elif json is not None:
            try:
                body = json if isinstance(json, bytes) else orjson.dumps(json)
            except TypeError:
                body = encode_unusual(json)
            content_type = JSON_LINE
        # The same look-up as in `header_lines`: made here, it saves a call for every body that is sent.
        try:
            lines = self._header_lines.get((content_type,) if headers is None else (content_type, *headers.items()))
        except (AttributeError, TypeError):
            lines = None
        return body, self.header_lines(content_type, headers) if lines is None else lines

    def header_lines(self, content_type: str, headers: Any, *, keep: bool = True) -> tuple[str, ...]:
        """Return the header lines of a request, those of the run included. *headers*: `HeaderOptions`, or None.

        *keep* caches the lines; pass False if no later request has the same headers.

        Raises:
            PlanError: as `header_texts`.
        """
        is_plain = True
        try:
            key = (content_type,) if headers is None else (content_type, *headers.items())
            lines = self._header_lines.get(key)
        except (AttributeError, TypeError):
            # Pairs, or what cannot be hashed.
            key, lines, keep, is_plain = (), None, False, False
        if not is_plain:
            # Not in the block: its error is no part of what header_texts says.
            headers = header_texts(headers)
        if lines is None:
            lines = request_lines(self.http.headers, content_type, headers or {})
            texts = (part for pair in (headers or {}).items() for part in pair if part is not None)
            if keep and len(self._header_lines) < _MAX_CACHED_URLS and are_plain(texts):
                self._header_lines[key] = lines
        return lines

    def _name_of(self, url: str) -> str:
        return fold_path(url) if self.http.fold_paths else path_of(url)


def _settings_by_address(http: HttpSettings, resolve: tuple[str, ...]) -> list[HttpSettings]:
    """Return *http* for each address of the base URL's host in *resolve*; none if VUs do not share them."""
    if not resolve or http.dns_select == "first":
        return []
    host, port, addresses = resolve[0].split(":", 2)
    usable = [one for one in addresses.split(",") if http.ip_version in ("", "6" if ":" in one else "4")]
    return [replace(http, hosts={**http.hosts, f"{host}:{port}": one}) for one in usable]


def fold_path(url: str) -> str:
    """Return the path of *url* without query; numbers, UUIDs and hex of 16 digits or more become ``{id}``."""
    return _ID_SEGMENT.sub("{id}", path_of(url))


def joined(base_url: str, url: str) -> str:
    """Return *url* as an absolute URL, not encoded yet; a relative one is below *base_url*.

    Raises:
        PlanError: *url* is relative and there is no base URL, or its scheme is not http or https.
    """
    if base_url and url.startswith("/"):
        return base_url + url
    if scheme := _ABSOLUTE(url):
        check_scheme(url, scheme[1])
        return url
    if url[:1] <= " " and (trimmed := trim_url(url)) != url:
        return joined(base_url, trimmed)
    if not base_url:
        raise PlanError(f"{url!r} is relative and there is no base URL", hint="pass --base-url, --target or base_url=")
    return f"{base_url}/{url}"


def _nobody_listens(*_reason: str) -> None:
    """Ignore an abort or an end of data: outside of a worker there is no test to end."""
