"""The ASGI application of every target: routing, API key, limits, injected faults, counters, error responses."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hmac
import logging
import random
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import unquote

from fastload.model.units import format_number_of
from fastload.targets.distributions import parse_distribution
from fastload.targets.messages import (
    ApiError,
    AsgiScope,
    AsgiSend,
    ClientGoneError,
    Gate,
    Receive,
    Request,
    Response,
    RouteHandler,
    answer,
    error_answer,
    limit_error,
)
from fastload.targets.options import TargetOptions
from fastload.targets.shared import SharedMemory
from fastload.targets.spec import RouteSpec, TargetSpec

_LOGGER = logging.getLogger(__name__)
_MINUTE_NS = 60_000_000_000
_INJECTED_STATUSES = (500, 503)


class Service(Protocol):
    """The service of a target. Its handlers are the methods that the routes of its ``TargetSpec`` name."""

    async def start(self) -> None:
        """Called in the event loop before the first request."""

    async def stop(self) -> None:
        """Called after the last request."""


@dataclasses.dataclass(frozen=True)
class ServiceContext:
    """The context of a service in one server process: options, shared memory, index of the process.

    ``run_dir`` is deleted after the target has stopped.
    """

    options: TargetOptions
    shared: SharedMemory
    run_dir: Path
    worker: int
    workers: int

    def chance(self, purpose: str) -> random.Random:
        """Return a random generator for *purpose*. With the option ``seed``, a process draws the same in every run."""
        seed = self.options.seed
        return random.Random(None if seed is None else f"{seed} {self.worker} {purpose}")


@dataclasses.dataclass(frozen=True, slots=True)
class _Route:
    handler: RouteHandler
    limited: bool
    needs_api_key: bool
    counter: int


class Application:
    """The application of one server process. Rejected requests are counted like all others.

    Each limited request passes *gates* before its handler.
    """

    def __init__(self, spec: TargetSpec, service: Service, context: ServiceContext, gates: Sequence[Gate] = ()) -> None:
        options = context.options
        self._service = service
        self._gates = gates
        self._shared = context.shared
        self._worker = context.worker
        self._workers = context.workers
        self._keys = [(name.encode(), f"{before}{options.api_key}".encode()) for name, before in spec.key_headers]
        self._limit_per_minute = options.rate_limit_per_minute or 0
        self._latency = parse_distribution(options.latency, what="latency") if options.latency else None
        self._latency_chance = context.chance("latency")
        self._failure_rate = options.failure_rate
        self._failure_chance = context.chance("failures")
        self._unmatched = context.shared.counter_base(context.worker, -1)
        self._outcomes = context.shared.outcome_words(context.worker)
        self._needs_key = bool(options.api_key)
        self._static: dict[str, dict[str, _Route]] = {}
        self._templates: list[tuple[re.Pattern[str], dict[str, _Route]]] = []
        for index, route in enumerate(spec.routes):
            self._add_route(index, route)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: AsgiSend) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        counter = self._unmatched
        try:
            route, parameters = self._find(scope)
            counter = route.counter
            request = Request(scope, receive, parameters)
            if route.limited:
                await self._admit(request, route)
            response = await route.handler(request)
        except ApiError as error:
            response = error_answer(error)
        except ClientGoneError:
            return
        except Exception:
            _LOGGER.exception("%s %s failed", scope["method"], scope["path"])
            response = error_answer(ApiError(500, "internal", "the server failed; see its log"))
        self._shared.count(counter, response.status)
        if response.outcome:
            self._shared.count_outcome(self._outcomes[response.outcome])
        await (_send(response, send) if response.stream is None else _send_stream(response, receive, send))

    async def health(self, request: Request) -> Response:
        """Answer with 200 as soon as the process answers requests."""
        del request
        return answer({"status": "ok"})

    async def stats(self, request: Request) -> Response:
        """Answer with the counts of all earlier answers of all processes, without requests still in progress."""
        del request
        routes = self._shared.totals()
        total = sum(sum(classes.values()) for classes in routes.values())
        return answer(
            {
                "processes": self._workers,
                "requests": total,
                "routes": routes,
                "outcomes": self._shared.outcome_totals(),
            }
        )

    def _add_route(self, index: int, route: RouteSpec) -> None:
        owner = self if route.handler in ("health", "stats") else self._service
        handler = cast(RouteHandler, getattr(owner, route.handler))
        if self._gates and route.limited:
            handler = _behind(self._gates, handler)
        entry = _Route(handler, route.limited, route.needs_api_key, self._shared.counter_base(self._worker, index))
        if "{" not in route.path:
            self._static.setdefault(route.path, {})[route.method] = entry
            return
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path))
        for known, methods in self._templates:
            if known == pattern:
                methods[route.method] = entry
                return
        self._templates.append((pattern, {route.method: entry}))

    def _find(self, scope: AsgiScope) -> tuple[_Route, Mapping[str, str]]:
        methods = self._static.get(scope["path"])
        parameters: Mapping[str, str] = {}
        if methods is None:
            # Use the raw path, in which a slash within a segment is "%2F" and differs from a separator.
            path = str(scope.get("raw_path") or scope["path"].encode(), "latin-1").partition("?")[0]
            for pattern, candidates in self._templates:
                match = pattern.fullmatch(path)
                if match:
                    methods = candidates
                    parameters = {name: unquote(text) for name, text in match.groupdict().items()}
                    break
            else:
                raise ApiError(404, "not_found", f"no route {scope['path']}")
        route = methods.get(scope["method"])
        if route is None:
            allowed = ", ".join(sorted(methods))
            raise ApiError(405, "method_not_allowed", f"{scope['path']} takes {allowed}", headers={"allow": allowed})
        return route, parameters

    async def _admit(self, request: Request, route: _Route) -> None:
        if self._latency is not None:
            await asyncio.sleep(self._latency.sample_s(self._latency_chance))
        # Check the key before the limit: a request without the key must not use up the limit.
        if self._needs_key and route.needs_api_key and not self._has_key(request):
            raise ApiError(401, "unauthorized", "no header carries a valid key")
        if self._limit_per_minute:
            wait_ns = self._shared.acquire_rate_limit_ns(self._limit_per_minute, _MINUTE_NS, time.monotonic_ns())
            if wait_ns:
                raise limit_error(
                    "rate_limited", f"over {format_number_of(self._limit_per_minute, 'request')} a minute", wait_ns
                )
        if self._failure_rate and self._failure_chance.random() < self._failure_rate:
            raise ApiError(self._failure_chance.choice(_INJECTED_STATUSES), "injected", "")

    def _has_key(self, request: Request) -> bool:
        return any(
            hmac.compare_digest(request.header(name).encode("latin-1"), expected) for name, expected in self._keys
        )

    async def _lifespan(self, receive: Receive, send: AsgiSend) -> None:
        await receive()
        try:
            await self._service.start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            return
        self._shared.mark_ready(self._worker)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._service.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _behind(gates: Sequence[Gate], handler: RouteHandler) -> RouteHandler:
    async def handle(request: Request) -> Response:
        for gate in gates:
            await gate()
        return await handler(request)

    return handle


async def _send(response: Response, send: AsgiSend) -> None:
    headers = [*_headers(response), (b"content-length", str(len(response.body)).encode())]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _send_stream(response: Response, receive: Receive, send: AsgiSend) -> None:
    """Send each piece of the stream, until the stream ends or the client disconnects."""
    sender = asyncio.ensure_future(_send_pieces(response, send))
    watcher = asyncio.ensure_future(_wait_gone(receive))
    try:
        await asyncio.wait((sender, watcher), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sender, watcher):
            task.cancel()
        results = await asyncio.gather(sender, watcher, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]


async def _send_pieces(response: Response, send: AsgiSend) -> None:
    assert response.stream is not None
    async with contextlib.aclosing(response.stream) as stream:
        await send({"type": "http.response.start", "status": response.status, "headers": _headers(response)})
        async for piece in stream:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _wait_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(response: Response) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", response.content_type.encode()),
        *((name.encode(), value.encode()) for name, value in response.headers.items()),
    ]
