"""The ASGI application of every target: routing, API key, rate limit, counters and error answers."""

from __future__ import annotations

import dataclasses
import hmac
import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import unquote

from fastload.targets.messages import (
    ApiError,
    ClientGoneError,
    Handler,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    answer,
    error_answer,
)
from fastload.targets.options import TargetOptions
from fastload.targets.registry import RouteSpec, TargetSpec
from fastload.targets.shared import SharedMemory

_LOGGER = logging.getLogger(__name__)
_MINUTE_NS = 60_000_000_000


class Service(Protocol):
    """What a target does; its handlers are methods named in the routes of its ``TargetSpec``."""

    async def start(self) -> None:
        """Called in the event loop before the first request."""

    async def stop(self) -> None:
        """Called after the last request."""


@dataclasses.dataclass(frozen=True)
class ServiceContext:
    """What a service is made with. ``run_dir`` is deleted when the target has stopped."""

    options: TargetOptions
    shared: SharedMemory
    run_dir: Path
    workers: int


@dataclasses.dataclass(frozen=True, slots=True)
class _Route:
    handler: Handler
    guarded: bool
    counter: int


class Application:
    """Answers the requests of one server process. Rejected requests are counted like all others."""

    def __init__(self, spec: TargetSpec, service: Service, context: ServiceContext, worker: int) -> None:
        self._service = service
        self._shared = context.shared
        self._worker = worker
        self._workers = context.workers
        self._auth = f"{spec.auth_scheme} {context.options.api_key}" if context.options.api_key else ""
        self._limit_per_minute = context.options.rate_limit_per_minute or 0
        self._unmatched = context.shared.counter_base(worker, -1)
        self._static: dict[str, dict[str, _Route]] = {}
        self._templates: list[tuple[re.Pattern[str], dict[str, _Route]]] = []
        for index, route in enumerate(spec.routes):
            self._add_route(index, route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        counter = self._unmatched
        try:
            route, parameters = self._find(scope)
            counter = route.counter
            request = Request(scope, receive, parameters)
            if route.guarded:
                self._admit(request)
            response = await route.handler(request)
        except ApiError as error:
            response = error_answer(error)
        except ClientGoneError:
            return
        except Exception:
            _LOGGER.exception("%s %s failed", scope["method"], scope["path"])
            response = error_answer(ApiError(500, "internal", "the server failed; see its log"))
        self._shared.count(counter, response.status)
        await _send(response, send)

    async def health(self, request: Request) -> Response:
        """200: the process answers."""
        del request
        return answer({"status": "ok"})

    async def stats(self, request: Request) -> Response:
        """All requests answered before this one; one that is in flight elsewhere is not in it."""
        del request
        routes = self._shared.totals()
        total = sum(sum(classes.values()) for classes in routes.values())
        return answer({"processes": self._workers, "requests": total, "routes": routes})

    def _add_route(self, index: int, route: RouteSpec) -> None:
        owner = self if route.handler in ("health", "stats") else self._service
        handler = cast(Handler, getattr(owner, route.handler))
        entry = _Route(handler, route.guarded, self._shared.counter_base(self._worker, index))
        if "{" not in route.path:
            self._static.setdefault(route.path, {})[route.method] = entry
            return
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path))
        for known, methods in self._templates:
            if known == pattern:
                methods[route.method] = entry
                return
        self._templates.append((pattern, {route.method: entry}))

    def _find(self, scope: Scope) -> tuple[_Route, Mapping[str, str]]:
        methods = self._static.get(scope["path"])
        parameters: Mapping[str, str] = {}
        if methods is None:
            # The raw path keeps a slash that is part of a segment ("%2F") apart from those between segments.
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

    def _admit(self, request: Request) -> None:
        # A request without the key must not use up the limit of those who have it.
        if self._auth and not hmac.compare_digest(
            request.header(b"authorization").encode("latin-1"), self._auth.encode()
        ):
            raise ApiError(401, "unauthorized", "the Authorization header carries no valid key")
        if self._limit_per_minute:
            wait_ns = self._shared.take_permit(self._limit_per_minute, _MINUTE_NS, time.monotonic_ns())
            if wait_ns:
                raise ApiError(
                    429,
                    "rate_limited",
                    f"over {self._limit_per_minute} requests a minute",
                    headers={"retry-after": str(-(-wait_ns // 1_000_000_000))},
                )

    async def _lifespan(self, receive: Receive, send: Send) -> None:
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


async def _send(response: Response, send: Send) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(response.body)).encode()),
        *((name.encode(), value.encode()) for name, value in response.headers.items()),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
