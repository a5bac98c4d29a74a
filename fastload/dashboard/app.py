"""The ASGI application of one run's dashboard: the page, its data, its events, and its commands."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from fastload.control.commands.http_checks import RequestRefused
from fastload.dashboard.access_guard import error_handlers
from fastload.dashboard.command_routes import CommandRoutes, SendCommand, command_routes
from fastload.dashboard.live_run import OVER, LiveRun
from fastload.dashboard.viewers import MOST_VIEWERS, Viewers
from fastload.model.errors import ControlError
from fastload.outputs.page.render import plotly_js, render_page
from fastload.outputs.summary_json import dump_json

# Longest wait for a status. A busy or suspended (Ctrl-Z) run is asked again in the next second.
_STATUS_PATIENCE_S = 3.0
_A_YEAR_S = 31_536_000


class Dashboard:
    """A dashboard that shows *live*, and sends commands with *ask* if given. ``app`` is the ASGI application."""

    def __init__(self, live: LiveRun, ask: SendCommand | None = None) -> None:
        self._live = live
        self._steering = CommandRoutes(ask) if ask is not None else None
        self._viewers = Viewers(live, self._status)
        self.app = Starlette(routes=self._routes(), exception_handlers=error_handlers())

    @property
    def viewers(self) -> int:
        """How many pages are open now. Any thread may ask."""
        return len(self._viewers)

    def _routes(self) -> list[Route]:
        routes = [
            Route("/", self._page),
            Route("/data.json", self._data),
            Route("/events", self._events),
            Route("/report.html", self._report),
            Route(plotly_path(), send_plotly),
        ]
        return routes + (command_routes(self._command) if self._steering is not None else [])

    async def _page(self, _request: Request) -> Response:
        page = live_page(self._live, steered=self._steering is not None)
        return Response(page, media_type="text/html")

    async def _data(self, _request: Request) -> Response:
        return Response(dump_json(self._live.data()), media_type="application/json")

    async def _report(self, _request: Request) -> Response:
        page = await asyncio.to_thread(self._live.report)
        name = f"fastload-{self._live.header.run_id}.html"
        return Response(page, media_type="text/html", headers={"Content-Disposition": f'inline; filename="{name}"'})

    async def _events(self, _request: Request) -> Response:
        return watch(self._viewers)

    async def _command(self, request: Request) -> Response:
        assert self._steering is not None
        response = await self._steering.serve(request)
        # Send the new status to all viewers at once.
        await self._viewers.refresh()
        return response

    async def _status(self) -> dict[str, Any]:
        state = self._live.state()
        if self._steering is None or self._live.is_over:
            return state
        try:
            return state | await self._steering.ask("status", timeout_s=_STATUS_PATIENCE_S)
        except ControlError as error:
            return state | ({"phase": OVER} if error.reason == "over" else {"trouble": error.message})


def live_page(live: LiveRun, *, steered: bool) -> bytes:
    """Return the page that shows *live* and follows it; *steered*: with the buttons that send commands."""
    return render_page(
        live.data(),
        title=live.header.title,
        plotly_url=plotly_path().lstrip("/"),
        scripts=live_scripts(),
        styles=[dashboard_asset("live.css")],
        bar=live_bar(steered=steered, stays=False),
        connect="'self'",
    )


def live_bar(*, steered: bool, stays: bool) -> str:
    """Return the bar of a run. *steered*: with buttons; *stays*: the server goes on when the run is over, anyway."""
    words = {True: "true", False: "false"}
    return dashboard_asset("bar.html").replace("{steered}", words[steered]).replace("{stays}", words[stays])


def live_scripts() -> list[str]:
    """Return the texts of the scripts that a page needs to follow a run."""
    return [dashboard_asset("now.js"), dashboard_asset("live.js")]


class _Events(StreamingResponse):
    """A response of server-sent events. It closes the generator of the events when the viewer disconnects."""

    async def stream_response(self, send: Send) -> None:
        assert isinstance(self.body_iterator, AsyncIterator)
        async with aclosing(self.body_iterator):  # type: ignore[type-var]
            await super().stream_response(send)


def watch(viewers: Viewers) -> Response:
    """Return a response that streams events to one more viewer.

    Raises:
        RequestRefused: 503, there are too many viewers.
    """
    if viewers.is_full:
        raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_VIEWERS} watch already", "close another page")
    return _Events(viewers.watch(), media_type="text/event-stream")


@cache
def dashboard_asset(name: str) -> str:
    """Return the text of the dashboard's asset file *name*."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


@cache
def plotly_path() -> str:
    """Return the path of the chart library. It contains a hash of the content, so browsers may cache it forever."""
    return f"/assets/plotly-{hashlib.sha256(plotly_js().encode()).hexdigest()[:16]}.min.js"


async def send_plotly(request: Request) -> Response:
    """Answer with the chart library, gzip-compressed if the client accepts gzip."""
    headers = {"Cache-Control": f"public, max-age={_A_YEAR_S}, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = await asyncio.to_thread(_plotly_gzip)
        headers["Content-Encoding"] = "gzip"
    else:
        body = plotly_js().encode()
    return Response(body, media_type="text/javascript", headers=headers)


@cache
def _plotly_gzip() -> bytes:
    return gzip.compress(plotly_js().encode(), 6, mtime=0)
