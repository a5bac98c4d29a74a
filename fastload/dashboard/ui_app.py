"""The ASGI application of `fastload ui`: the form, the list of runs, and a dashboard for each at ``/runs/N/``."""

from __future__ import annotations

import asyncio
from html import escape
from http import HTTPStatus
from pathlib import PurePath
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from fastload.control.commands.http_checks import RequestRefused, arguments_of, check_json, plain
from fastload.dashboard.access_guard import error_handlers, refusal_response
from fastload.dashboard.app import Dashboard, dashboard_asset, live_bar, live_scripts, plotly_path, send_plotly
from fastload.dashboard.command_routes import receive_body
from fastload.dashboard.live_run import LiveRun
from fastload.dashboard.ui_form import FormError
from fastload.dashboard.ui_reports import REPORTS
from fastload.dashboard.ui_run import UiRun
from fastload.dashboard.ui_session import UiSession
from fastload.model.errors import FastloadError
from fastload.outputs.page.render import asset as page_asset
from fastload.outputs.page.render import render_page

_OWN_ASSETS = ("common.js", "form.js", "compare.js", "runs.js", "saved.js", "ui.js", "common.css", "ui.css")
_PAGE_ASSETS = ("dom.js", "units.js", "page.css", "parts.css")
_TYPES = {".js": "text/javascript", ".css": "text/css"}


class UiApp:
    """The routes of the ui to *session*. ``app`` is the ASGI application."""

    def __init__(self, session: UiSession) -> None:
        self._session = session
        self._dashboards: dict[int, Dashboard] = {}
        handlers = {**error_handlers(), FormError: _form_error, FastloadError: _error}
        self.app = Starlette(routes=self._routes(), exception_handlers=handlers)

    def _routes(self) -> list[Route | Mount]:
        return [
            Route("/", self._page),
            Route("/favicon.ico", _no_icon),
            Route("/assets/{name:path}", _send_asset),
            Route("/api/form", self._form, methods=["GET", "POST"]),
            Route("/api/plan", self._plan, methods=["POST"]),
            Route("/api/start", self._start, methods=["POST"]),
            Route("/api/runs", self._runs),
            Route("/api/saved", self._saved),
            Route("/api/compare", self._compare, methods=["POST"]),
            Route("/api/runs/{number:int}/stop", self._stop, methods=["POST"]),
            Route("/runs/{number:int}", self._to_run),
            Route("/runs/{number:int}/", self._run_page),
            Route("/runs/{number:int}/log", self._log),
            Route("/runs/{number:int}/reports/{name}", self._report),
            # To make one of these costs CPU. They do not end in /: links of other sites do not open them.
            Route("/saved/{saved_id}", self._saved_page),
            Route("/saved/{saved_id}/reports/{name}", self._saved_report),
            Route("/comparisons/{number:int}", self._comparison),
            Mount("/runs/{number:int}", app=self._dashboard),
        ]

    async def _page(self, _request: Request) -> Response:
        page = dashboard_asset("ui/page.html").replace("{script}", escape(self._session.script))
        return Response(page, media_type="text/html")

    async def _form(self, request: Request) -> Response:
        """Answer with the form. POST also reads the script again; as a POST it is safe from pages of other sites."""
        again = request.method == "POST" and (await _object_in(request)) == {}
        return JSONResponse(plain(await asyncio.to_thread(self._session.form, again=again)))

    async def _plan(self, request: Request) -> Response:
        return JSONResponse(plain(await asyncio.to_thread(self._session.preview, await _object_in(request))))

    async def _start(self, request: Request) -> Response:
        run = await asyncio.to_thread(self._session.start, await _object_in(request))
        headers = {"Location": f"/runs/{run.number}/"}
        return JSONResponse(plain(run.describe()), HTTPStatus.CREATED, headers)

    async def _runs(self, _request: Request) -> Response:
        return JSONResponse(plain(self._session.describe()))

    async def _stop(self, request: Request) -> Response:
        now = (await _object_in(request)).get("now", False)
        if not isinstance(now, bool):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, f"stop: now {now!r} is not true or false")
        run = self._run_of(request)
        if run.is_over:
            raise RequestRefused(HTTPStatus.CONFLICT, f"run {run.number} is over")
        await asyncio.to_thread(run.stop, now=now)
        return JSONResponse(plain(run.describe()))

    async def _to_run(self, request: Request) -> Response:
        return RedirectResponse(f"/runs/{self._run_of(request).number}/")

    async def _run_page(self, request: Request) -> Response:
        run = self._run_of(request)
        if run.has_dropped_live_page:
            path, _ = await asyncio.to_thread(self._session.report, run.number, "html")
            return FileResponse(path, media_type="text/html")
        return Response(_page_of(run, _live_of(run), self._session.script), media_type="text/html")

    async def _log(self, request: Request) -> Response:
        return PlainTextResponse(await asyncio.to_thread(self._run_of(request).log))

    async def _report(self, request: Request) -> Response:
        number, name = request.path_params["number"], request.path_params["name"]
        path, title = await asyncio.to_thread(self._session.report, number, name)
        return FileResponse(path, filename=title, media_type="application/octet-stream")

    async def _saved(self, _request: Request) -> Response:
        return JSONResponse(plain(await asyncio.to_thread(self._session.saved)))

    async def _saved_page(self, request: Request) -> Response:
        path, _ = await asyncio.to_thread(self._session.saved_report, request.path_params["saved_id"], "html")
        return FileResponse(path, media_type="text/html")

    async def _saved_report(self, request: Request) -> Response:
        saved_id, name = request.path_params["saved_id"], request.path_params["name"]
        path, title = await asyncio.to_thread(self._session.saved_report, saved_id, name)
        return FileResponse(path, filename=title, media_type="application/octet-stream")

    async def _compare(self, request: Request) -> Response:
        return JSONResponse(plain(await asyncio.to_thread(self._session.compare, await _object_in(request))))

    async def _comparison(self, request: Request) -> Response:
        return FileResponse(self._session.comparison(request.path_params["number"]), media_type="text/html")

    async def _dashboard(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the dashboard of the run in the path: its events, its data and its commands."""
        run = self._run_of(Request(scope, receive))
        try:
            live = _live_of(run)
        except RequestRefused as refusal:
            await refusal_response(refusal)(scope, receive, send)
            return
        if run.number not in self._dashboards:
            kept = {
                number: one
                for number, one in self._dashboards.items()
                if not self._session.run(number).has_dropped_live_page
            }
            self._dashboards = {**kept, run.number: Dashboard(live, run.ask)}
        await self._dashboards[run.number].app(scope, receive, send)

    def _run_of(self, request: Request) -> UiRun:
        return self._session.run(request.path_params["number"])


def _live_of(run: UiRun) -> LiveRun:
    """Return the live data of *run*.

    Raises:
        RequestRefused: the run has not begun, or it is too old to have a live page.
    """
    live = run.live
    if live is not None:
        return live
    if run.has_dropped_live_page:
        raise RequestRefused(HTTPStatus.GONE, f"run {run.number} is too old for a live page", "see its reports")
    raise RequestRefused(HTTPStatus.CONFLICT, f"run {run.number} is starting", "load the page again in a second")


def _page_of(run: UiRun, live: LiveRun, script: str) -> bytes:
    """Return the page of the dashboard, with the bar of the ui above the bar of the dashboard."""
    reports = "".join(
        f'<li><a href="reports/{name}" download>{escape(report.title)}</a></li>' for name, report in REPORTS.items()
    )
    bar = dashboard_asset("ui/bar.html").replace("{number}", str(run.number)).replace("{script}", escape(script))
    return render_page(
        live.data(),
        title=f"run {run.number} of {live.header.title}",
        plotly_url=plotly_path(),
        scripts=[*live_scripts(), *map(dashboard_asset, ("ui/common.js", "ui/bar.js", "ui/tabs.js"))],
        styles=[dashboard_asset("live.css"), dashboard_asset("ui/common.css"), dashboard_asset("ui/bar.css")],
        bar=bar.replace("{reports}", reports) + live_bar(steered=True, stays=True) + dashboard_asset("ui/tabs.html"),
        connect="'self'",
    )


async def _object_in(request: Request) -> dict[str, Any]:
    check_json(request.headers.get("content-type", ""))
    return arguments_of(await receive_body(request))


async def _send_asset(request: Request) -> Response:
    name = request.path_params["name"]
    if request.url.path == plotly_path():
        return await send_plotly(request)
    if name in _PAGE_ASSETS:
        text = page_asset(name)
    elif name in _OWN_ASSETS:
        text = dashboard_asset(f"ui/{name}")
    else:
        raise RequestRefused(HTTPStatus.NOT_FOUND, f"there is no {request.url.path}", "GET / is the page")
    return Response(text, media_type=_TYPES[PurePath(name).suffix])


async def _no_icon(_request: Request) -> Response:
    """Answer with no icon. Browsers request one for pages that are not HTML, and log an error if it is missing."""
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _form_error(_request: Request, error: Any) -> Response:
    # Status 200, not 422: browsers log failed requests on their console, and incomplete input is no failure.
    return JSONResponse(error.to_dict())


async def _error(_request: Request, error: Any) -> Response:
    return JSONResponse({"error": error.message, "hint": error.hint}, HTTPStatus.INTERNAL_SERVER_ERROR)
