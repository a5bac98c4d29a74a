"""The virtual user that a scenario drives: requests on its own connections, checks, pauses."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from urllib.parse import urlencode, urlsplit

import orjson

from fastload.load.curl import ConnectionCache, CurlEngine, Measurement, Response, Transfer
from fastload.load.failures import error_kind
from fastload.load.outcome import FAILED_FROM_STATUS, response_us
from fastload.load.usage import ReplyUsage
from fastload.model.errors import FastloadError, PlanError
from fastload.model.plan import HttpSettings, without_credentials

if TYPE_CHECKING:
    from fastload.load.recorder import Recorder

FIRST_BACK_OFF_S = 0.01
LONGEST_BACK_OFF_S = 1.0

_ID_SEGMENT = re.compile(
    r"(?<=/)(?:\d+|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,})(?=/|$)"
)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://").match
_MAX_CACHED_URLS = 10_000
_JSON_HEADER = "Content-Type: application/json"
_FORM_HEADER = "Content-Type: application/x-www-form-urlencoded"


class ReplyError(FastloadError):
    """A reply was asked for something that it did not keep or does not have."""


class Reply:
    """What came back. A failed request is a reply too: ``ok`` is False, ``status`` 0 if there was no response.

    Times are milliseconds. ``duration_ms`` is k6's: sending, waiting and receiving, without connecting.
    """

    __slots__ = ("_body", "_header_lines", "_measurement", "error", "message", "method", "status", "url")

    def __init__(self, method: str, url: str, measurement: Measurement) -> None:
        self.method = method
        self.url = url
        self.status = measurement[0]
        self.error = ""
        self.message = ""
        self._measurement = measurement
        self._body: bytes | None = None
        self._header_lines: list[bytes] | None = None

    def __repr__(self) -> str:
        outcome = self.error or str(self.status)
        return f"<Reply {self.method} {self.url} {outcome} {self.duration_ms:.3f} ms>"

    @property
    def ok(self) -> bool:
        """A response came, with a status below 400."""
        return not self.error and 0 < self.status < FAILED_FROM_STATUS

    @property
    def duration_ms(self) -> float:
        """From sending the first byte to receiving the last."""
        return (self._measurement[7] - self._measurement[4]) / 1000

    @property
    def waiting_ms(self) -> float:
        """From the request sent to the first byte of the response."""
        return max(0, self._measurement[6] - self._measurement[5]) / 1000

    @property
    def total_ms(self) -> float:
        """All of it, looking up the name, connecting and TLS included."""
        return self._measurement[7] / 1000

    @property
    def body(self) -> bytes:
        """The whole body.

        Raises:
            ReplyError: bodies were dropped, because nothing in the scenario's code seemed to read them.
        """
        if self._body is None:
            raise ReplyError(
                "the body of this reply was not kept", hint="pass keep_body=True to the request or to the scenario"
            )
        return self._body

    @property
    def text(self) -> str:
        """The body as UTF-8; bytes that are not become U+FFFD. Raises as `body`."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body parsed as JSON.

        Raises:
            ReplyError: it is not JSON, or as `body`.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise ReplyError(
                f"the body of {self.method} {self.url} ({self.status}) is not JSON: {error}",
                hint=f"it begins with {self.body[:60]!r}",
            ) from error

    @property
    def headers(self) -> Mapping[str, str]:
        """The response's headers by lower-case name; values of a repeated one are joined by ", ".

        Raises:
            ReplyError: headers were dropped, because nothing in the scenario's code seemed to read them.
        """
        if self._header_lines is None:
            raise ReplyError("the headers of this reply were not kept", hint="pass keep_headers=True to the scenario")
        found: dict[str, str] = {}
        for raw in self._header_lines:
            line = raw.decode("latin-1").strip()
            name, colon, value = line.partition(":")
            if line.startswith("HTTP/"):
                found.clear()
            elif colon:
                key = name.lower()
                found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
        return found


@dataclass(frozen=True, slots=True)
class ScenarioContext:
    """What all VUs of one scenario share: its name, what its code reads of replies, its tags, and the names of its
    environment, those of the run included."""

    name: str
    usage: ReplyUsage
    tags: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


class RequestOptions(TypedDict, total=False):
    """What every request method takes; see `VU.request`."""

    name: str
    params: Mapping[str, Any] | None
    headers: Mapping[str, str] | None
    json: Any
    data: bytes | str | Mapping[str, Any] | None
    keep_body: bool | None


class VU:
    """A virtual user, handed to the scenario: ``await vu.get("/")``.

    ``id`` is unique in the whole run, from 1; ``iteration`` counts this VU's own, from 0; ``state`` is the script's
    to keep things in between iterations; ``env`` holds what was given by -e/--env; ``random`` is the VU's own
    source of chance.
    """

    def __init__(self, number: int, context: Context, scenario: ScenarioContext) -> None:
        self.id = number
        self.iteration = 0
        self.env = scenario.env
        self.state: dict[str, Any] = {}
        self.random = random.Random(number)
        self._context = context
        self._scenario = scenario
        self._usage = scenario.usage
        self._cache = ConnectionCache()
        self._free: list[Transfer] = []
        self._transfers: list[Transfer] = []
        self._due_ns = 0
        self.requests = 0
        self.in_flight = 0
        self.back_off_s = 0.0

    def get(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """GET *url*, relative to the base URL or absolute; the options are those of `request`."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """POST; as `get`."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """PUT; as `get`."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """PATCH; as `get`."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """DELETE; as `get`."""
        return self.request("DELETE", url, **options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """HEAD; as `get`."""
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """OPTIONS; as `get`."""
        return self.request("OPTIONS", url, **options)

    async def request(
        self,
        method: str,
        url: str,
        *,
        name: str = "",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | str | Mapping[str, Any] | None = None,
        keep_body: bool | None = None,
    ) -> Reply:
        """Send one request and return its reply, also when it failed.

        Args:
            name: what the statistics call it; by default the path with numbers, UUIDs and long hex as ``{id}``.
            params: the query string.
            headers: added to the run's; a name given here replaces the run's.
            json: a body to encode; bytes are taken as encoded already.
            data: a raw body, or a mapping to send as a form.
            keep_body: keep the response's body although nothing seems to read it, or drop it although it does.

        Raises:
            PlanError: a relative *url* without a base URL.
        """
        context = self._context
        if context.stopping:
            raise asyncio.CancelledError
        if params is None and headers is None and json is None and data is None:
            full_url, endpoint, lines = context.plain_request(method, url, name)
            body = None
        else:
            full_url = context.absolute(url, params)
            endpoint = context.endpoint(name or url, method, named=bool(name))
            body, lines = context.body_and_headers(json, data, headers)
        transfer = self._free.pop() if self._free else self._new_transfer()
        keep = self._usage.body if keep_body is None else keep_body
        if keep_body is not None:
            transfer.keep_body(keep)
        transfer.prepare(method, full_url, lines, body)
        due_ns, self._due_ns = self._due_ns, 0
        stats = context.recorder.stats
        stats.started += 1
        self.requests += 1
        response: Response = transfer.owner
        self.in_flight += 1
        try:
            context.engine.submit(transfer)
            await response
        except asyncio.CancelledError:
            context.recorder.stats.interrupted += 1
            transfer.chunks.clear()
            if keep_body is not None:
                transfer.keep_body(self._usage.body)
            raise
        finally:
            self.in_flight -= 1
            self._free.append(transfer)
        reply = self._finish(transfer, response.error, endpoint, due_ns, method, full_url)
        if keep:
            reply._body = transfer.take_body()
        if keep_body is not None:
            transfer.keep_body(self._usage.body)
        return reply

    def check(self, _subject: Any, checks: Mapping[str, bool | Callable[[Any], bool]]) -> bool:
        """Count each named condition, given as a bool or as a function of *subject*; True when all hold.

        A failed check never fails the run by itself: put a threshold on ``checks`` for that.
        """
        all_hold = True
        for name, condition in checks.items():
            holds = bool(condition(_subject)) if callable(condition) else bool(condition)
            self._context.recorder.record_check(name, holds)
            all_hold = all_hold and holds
        return all_hold

    async def sleep(self, least_s: float, most_s: float | None = None) -> None:
        """Think: pause for *least_s* seconds, or for a random time between the two."""
        if self._context.stopping:
            raise asyncio.CancelledError
        await asyncio.sleep(least_s if most_s is None else self.random.uniform(least_s, most_s))

    def _finish(
        self, transfer: Transfer, error: tuple[int, str] | None, endpoint: int, due_ns: int, method: str, url: str
    ) -> Reply:
        recorder = self._context.recorder
        measurement = transfer.measure()
        reply = Reply(method, url, measurement)
        if self._usage.headers:
            reply._header_lines = transfer.take_headers()
        if error is None:
            recorder.record(endpoint, response_us(due_ns, transfer.done_ns), measurement)
            self.back_off_s = 0.0
        else:
            reply.status = 0
            reply.error = error_kind(transfer, error[0])
            reply.message = error[1]
            recorder.record_no_response(endpoint, reply.error, f"{method} {without_credentials(url)}: {error[1]}")
            refused = not transfer.connected()
            self.back_off_s = min(LONGEST_BACK_OFF_S, max(FIRST_BACK_OFF_S, 2 * self.back_off_s)) if refused else 0.0
        return reply

    def _new_transfer(self) -> Transfer:
        context = self._context
        transfer = Transfer()
        transfer.configure(context.http, cache=self._cache, resolve=context.resolve, keep_body=self._usage.body)
        if self._usage.headers:
            transfer.keep_headers()
        context.engine.adopt(transfer)
        transfer.owner = Response(context.engine, transfer, context.loop)
        self._transfers.append(transfer)
        return transfer

    def begin_iteration(self, due_ns: int) -> int:
        """For the engine: the next request counts from *due_ns*. Returns how many requests there were so far."""
        self._due_ns = due_ns
        return self.requests

    def end_iteration(self) -> int:
        """For the engine: how many requests there were so far."""
        self.iteration += 1
        return self.requests

    def back_off(self) -> None:
        """For the engine: pause before the next iteration, for twice as long as the last time, up to a second."""
        self.back_off_s = min(LONGEST_BACK_OFF_S, max(FIRST_BACK_OFF_S, 2 * self.back_off_s))

    def close(self) -> None:
        """For the engine: the user leaves, and closes its connections."""
        for transfer in self._transfers:
            self._context.engine.cancel(transfer)
            transfer.close()
        self._transfers.clear()
        self._free.clear()
        self._cache.close()


class Context:
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
        self.base_url = base_url
        self.resolve = resolve
        self.stopping = False
        self._plain: dict[tuple[str, str, str], tuple[str, int, tuple[str, ...]]] = {}
        self._urls: dict[str, str] = {}
        self._endpoints: dict[tuple[str, str, bool], int] = {}
        self._header_lines: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def plain_request(self, method: str, url: str, name: str) -> tuple[str, int, tuple[str, ...]]:
        """The URL, endpoint and header lines of a request that has nothing else: one look-up when it was seen."""
        key = (method, url, name)
        known = self._plain.get(key)
        if known is None:
            _, lines = self.body_and_headers(None, None, None)
            known = self.absolute(url, None), self.endpoint(name or url, method, named=bool(name)), lines
            if len(self._plain) < _MAX_CACHED_URLS:
                self._plain[key] = known
        return known

    def absolute(self, url: str, params: Mapping[str, Any] | None) -> str:
        """The URL to ask for.

        Raises:
            PlanError: it is relative and there is no base URL.
        """
        full = self._urls.get(url)
        if full is None:
            full = url if _ABSOLUTE(url) else self._join(url)
            if len(self._urls) < _MAX_CACHED_URLS:
                self._urls[url] = full
        if params:
            full += ("&" if "?" in full else "?") + urlencode(params, doseq=True)
        return full

    def endpoint(self, label: str, method: str, *, named: bool) -> int:
        """The number under which a request is recorded: by its name, or by the URL's folded path."""
        key = (label, method, named)
        number = self._endpoints.get(key)
        if number is None:
            number = self.recorder.endpoint(label if named else fold_path(label), method)
            if len(self._endpoints) < _MAX_CACHED_URLS:
                self._endpoints[key] = number
        return number

    def body_and_headers(
        self, json: Any, data: bytes | str | Mapping[str, Any] | None, headers: Mapping[str, str] | None
    ) -> tuple[bytes | None, tuple[str, ...]]:
        """The encoded body and the header lines of a request."""
        body: bytes | None = None
        content_type = ""
        if json is not None:
            body = json if isinstance(json, bytes) else orjson.dumps(json)
            content_type = _JSON_HEADER
        elif data is not None:
            if isinstance(data, Mapping):
                body, content_type = urlencode(data, doseq=True).encode(), _FORM_HEADER
            else:
                body = data.encode() if isinstance(data, str) else data
        if headers is None:
            key: tuple[Any, ...] = (content_type,)
        else:
            key = (content_type, *headers.items())
        lines = self._header_lines.get(key)
        if lines is None:
            lines = self._build_header_lines(content_type, headers or {})
            if len(self._header_lines) < _MAX_CACHED_URLS:
                self._header_lines[key] = lines
        return body, lines

    def _build_header_lines(self, content_type: str, headers: Mapping[str, str]) -> tuple[str, ...]:
        own = {name.lower() for name in headers}
        lines = [line for line in self.http.headers if line.partition(":")[0].strip().lower() not in own]
        given = own | {line.partition(":")[0].strip().lower() for line in lines}
        if content_type and "content-type" not in given:
            lines.append(content_type)
        return (*lines, *(f"{name}: {value}" for name, value in headers.items()))

    def _join(self, url: str) -> str:
        if not self.base_url:
            raise PlanError(f"{url!r} is relative and there is no base URL", hint="pass --base-url or base_url=")
        return self.base_url + (url if url.startswith("/") else "/" + url)


def fold_path(url: str) -> str:
    """The path of *url* for statistics: numbers, UUIDs and hex of 16 digits and more become ``{id}``, no query."""
    return _ID_SEGMENT.sub("{id}", urlsplit(url).path or "/")
