"""Access control in front of an ASGI application: checks host, token and origin of every request."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastload.control.commands.http_checks import (
    RequestRefused,
    check_bearer,
    check_host,
    check_origin,
    check_site,
)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Each page sets its policy for scripts in a meta element; frame-ancestors works only in a header.
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'",
    "Cache-Control": "no-store",
}
"""Default headers of every response."""
_LOGIN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>fastload: token</title>
<style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:15vh auto;
padding:0 1rem}}input,button{{font:inherit;padding:.4rem .6rem}}</style></head>
<body><h1>fastload</h1><p role="alert">{message}.</p>
<form action="{path}"><label>Token <input name="token" type="password" autocomplete="off" required autofocus></label>
<button>Open</button></form></body></html>
"""


class Guard:
    """An ASGI application that checks each request before it passes it to *app*.

    A request must name *host* as its host, carry the *token* if there is one, and not come from a page of another
    site, whose links may open a page and nothing else. Programs send the token as ``Authorization: Bearer TOKEN``. A
    browser opens the page once with ``?token=TOKEN``; the response sets a cookie and redirects to the page without the
    token. The cookie is valid for this server alone, until the server ends. `login_url` contains a different token,
    which is valid for one request.
    """

    def __init__(self, app: ASGIApp, *, host: str, token: str = "") -> None:
        self._app = app
        self._host = host.lower()
        self._token = token
        self._session = secrets.token_urlsafe(32)
        self._tickets: set[str] = set()

    def login_url(self, address: str) -> str:
        """Return *address* with a token for one request. The real token stays secret: other users of the machine may
        see the command line of the browser.
        """
        if not self._token:
            return f"{address}/"
        ticket = secrets.token_urlsafe(32)
        self._tickets.add(ticket)
        return f"{address}/?token={ticket}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        try:
            app = self._admit(request) or self._app
        except RequestRefused as refusal:
            app = refusal_response(refusal)
            if refusal.status is HTTPStatus.UNAUTHORIZED and "text/html" in request.headers.get("accept", ""):
                app = _login(request, refusal)
        await app(scope, receive, send_with_headers)

    def _admit(self, request: Request) -> Response | None:
        """Return None to pass the request to the application, or the response to send instead.

        Raises:
            RequestRefused: the request is not allowed.
        """
        host = request.headers.get("host", "")
        check_host(host, self._host)
        check_origin(request.headers.get("origin"), host)
        check_site(request.headers.get("sec-fetch-site", ""), opens_page=_opens_page(request))
        if not self._token:
            return None
        cookie = _cookie_of(host)
        if hmac.compare_digest(request.cookies.get(cookie, "").encode(), self._session.encode()):
            return self._without_token(request) if "token" in request.query_params else None
        given = request.query_params.get("token")
        if given is None or request.method not in ("GET", "HEAD"):
            check_bearer(self._token, request.headers.get("authorization", ""))
            return None
        if given in self._tickets:
            self._tickets.remove(given)
        elif not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token.encode()):
            raise RequestRefused(HTTPStatus.UNAUTHORIZED, "the token is wrong", "open it with ?token=TOKEN")
        response = self._without_token(request)
        response.set_cookie(cookie, self._session, httponly=True, samesite="strict")
        return response

    def _without_token(self, request: Request) -> Response:
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        # Exactly one slash: a path with two would redirect to another host.
        path = "/" + request.url.path.lstrip("/")
        return RedirectResponse(f"{path}?{urlencode(rest)}" if rest else path, HTTPStatus.SEE_OTHER)


def _opens_page(request: Request) -> bool:
    """Return whether the request opens a page in a window of its own, as a link does. Paths of pages end in /."""
    headers = request.headers
    opens = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
    return opens and request.method == "GET" and request.url.path.endswith("/")


def _cookie_of(host: str) -> str:
    """Return the cookie name for *host*. It contains the port, because cookies of one host are shared by all ports."""
    port = host.rpartition(":")[2]
    return f"fastload-{port}" if port.isascii() and port.isdecimal() else "fastload"


def refusal_response(refusal: RequestRefused) -> Response:
    """Return the response for a refused request, in the JSON form of the control API."""
    return JSONResponse(refusal.to_dict(), refusal.status, refusal.headers)


def error_handlers() -> Mapping[Any, Any]:
    """Return error handlers for refused requests, 404 and 405. They answer in the JSON form of the control API."""

    async def refused(_request: Request, error: Any) -> Response:
        return refusal_response(error)

    async def failed(request: Request, error: Any) -> Response:
        allow = (error.headers or {}).get("Allow", "")
        hint = f"use {allow}" if allow else "GET / is the page"
        said = f"{request.url.path} does not take {request.method}" if allow else f"there is no {request.url.path}"
        return JSONResponse({"error": said, "hint": hint}, error.status_code, error.headers)

    return {RequestRefused: refused, HTTPStatus.NOT_FOUND: failed, HTTPStatus.METHOD_NOT_ALLOWED: failed}


def _login(request: Request, refusal: RequestRefused) -> Response:
    page = _LOGIN.format(message=escape(refusal.message.capitalize()), path=escape(request.url.path))
    return HTMLResponse(page, refusal.status, refusal.headers)
