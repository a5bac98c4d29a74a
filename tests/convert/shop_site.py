"""A shop with a login, of two servers: it answers with 2xx only to what its own pages and answers say."""

from __future__ import annotations

import json
import re
import secrets
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

PASSWORD = "open sesame"

_LOGIN = """<!doctype html>
<html><head><title>Log in</title><meta name="csrf-param" content="csrf"></head>
<body><form method="post" action="/login">
<input type="hidden" value="{csrf}" name="csrf"><input name="user"><input name="password" type="password">
<button>Log in</button></form></body></html>
"""
_ACCOUNT = """<!doctype html>
<html><head><title>Account</title></head><body><p id="state">working</p>
<script>
const config = {{"api": "{api}", "nonce": "{nonce}"}};
const cookie = name => decodeURIComponent(document.cookie.split("; ").find(one => one.startsWith(name)).split("=")[1]);
const ticket = new URLSearchParams(location.search).get("ticket");
async function send(method, url, headers, body) {{
  const reply = await fetch(url, {{method, headers, body}});
  if (!reply.ok) throw new Error(`${{method}} ${{url}}: ${{reply.status}}`);
  return reply.status === 204 ? null : reply.json();
}}
async function work() {{
  const token = await send("POST", "/token", {{"X-XSRF-TOKEN": cookie("XSRF-TOKEN"), "X-Nonce": config.nonce}});
  const authorization = {{"Authorization": `Bearer ${{token.data.access_token}}`}};
  const json = {{...authorization, "Content-Type": "application/json"}};
  const order = await send("POST", `${{config.api}}/orders`, json, JSON.stringify(
    {{customer: token.data.customer.id, ticket, items: [{{sku: "blue-shirt", count: 2}}]}}));
  const form = new FormData();
  form.append("order", order.order.id);
  form.append("note", "at the door");
  await Promise.all([
    send("GET", `${{config.api}}/orders/${{order.order.id}}?customer=${{token.data.customer.id}}`, authorization),
    send("POST", `${{config.api}}/notes`, authorization, form),
  ]);
  await send("DELETE", `${{config.api}}/orders/${{order.order.id}}`, authorization);
}}
work().then(() => "done", error => String(error)).then(text => document.getElementById("state").textContent = text);
</script></body></html>
"""


@dataclass(slots=True)
class Session:
    """What the shop gave to one client."""

    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    # Of base64, as several frameworks make them: they are escaped in a cookie.
    xsrf: str = field(default_factory=lambda: secrets.token_hex(12) + "+/=")
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    ticket: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    customer: int = field(default_factory=lambda: secrets.randbelow(10**9) + 10**9)
    orders: set[str] = field(default_factory=set)
    user: str = ""


class Shop:
    """Both servers, ``url`` for the pages and ``api_url`` for the API, and what they were asked.

    ``sessions`` has those of all clients by their cookie; ``refused`` has each request that was not as it should be.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.refused: list[str] = []
        self.answered: list[str] = []
        self.servers = [_Server(self, kind) for kind in (_Pages, _Api)]
        self.url, self.api_url = (f"http://127.0.0.1:{server.server_address[1]}" for server in self.servers)


@contextmanager
def running_shop() -> Iterator[Shop]:
    """A shop that nobody has visited yet."""
    shop = Shop()
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in shop.servers]
    for thread in threads:
        thread.start()
    try:
        yield shop
    finally:
        for server, thread in zip(shop.servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, shop: Shop, kind: type[_Handler]) -> None:
        super().__init__(("127.0.0.1", 0), kind)
        self.shop = shop


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        answer = self.answer(self.command, url.path)
        line = f"{self.command} {self.path}"
        (self.server.shop.answered if answer else self.server.shop.refused).append(line)
        status, headers, body = answer or (403, [], b"refused")
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, method: str, path: str) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Status, headers and body; None refuses the request."""
        raise NotImplementedError

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Nothing: stderr is the test's."""


class _Pages(_Handler):
    def answer(self, method: str, path: str) -> tuple[int, list[tuple[str, str]], bytes] | None:
        shop = self.server.shop
        cookies = {name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()}
        html = [("Content-Type", "text/html; charset=utf-8")]
        if (method, path) == ("GET", "/favicon.ico"):
            return 204, [], b""
        if (method, path) == ("GET", "/login"):
            sid, session = secrets.token_hex(16), Session()
            shop.sessions[sid] = session
            page = _LOGIN.format(csrf=session.csrf).encode()
            return 200, [*html, ("Set-Cookie", f"sid={sid}; HttpOnly; Path=/")], page
        known = shop.sessions.get(cookies.get("sid", ""))
        if known is None:
            return None
        if (method, path) == ("POST", "/login"):
            form = {name: values[0] for name, values in parse_qs(self.body.decode()).items()}
            if (form.get("csrf"), form.get("password")) != (known.csrf, PASSWORD):
                return None
            known.user = form["user"]
            xsrf = f"XSRF-TOKEN={quote(known.xsrf, safe='')}; Path=/"
            return 303, [("Location", f"/account?ticket={known.ticket}"), ("Set-Cookie", xsrf)], b""
        if not known.user:
            return None
        if (method, path) == ("GET", "/account"):
            if self.query.get("ticket") != known.ticket:
                return None
            return 200, html, _ACCOUNT.format(api=shop.api_url, nonce=known.nonce).encode()
        if (method, path) == ("POST", "/token"):
            sent = self.headers.get("X-XSRF-TOKEN"), self.headers.get("X-Nonce"), unquote(cookies.get("XSRF-TOKEN", ""))
            if sent != (known.xsrf, known.nonce, known.xsrf):
                return None
            data = {"access_token": known.token, "kind": "Bearer", "customer": {"id": known.customer, "name": "Ada"}}
            return 200, [("Content-Type", "application/json")], json.dumps({"data": data}).encode()
        return None


class _Api(_Handler):
    def answer(self, method: str, path: str) -> tuple[int, list[tuple[str, str]], bytes] | None:
        shop = self.server.shop
        cors = [
            ("Access-Control-Allow-Origin", shop.url),
            ("Access-Control-Allow-Headers", "authorization, content-type"),
            ("Access-Control-Allow-Methods", "GET, POST, DELETE"),
        ]
        if method == "OPTIONS":
            return (204, cors, b"") if self.headers.get("Access-Control-Request-Method") else None
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        session = next((one for one in shop.sessions.values() if one.token == token), None)
        if session is None:
            return None
        answer = self._of(session, method, path)
        headers = [("Content-Type", "application/json"), *cors]
        return answer and (answer[0], headers, json.dumps(answer[1]).encode() if answer[1] else b"")

    def _of(self, session: Session, method: str, path: str) -> tuple[int, object] | None:
        found = re.fullmatch(r"/orders/([\w-]+)", path)
        order = found[1] if found else ""
        if (method, path) == ("POST", "/orders"):
            sent = json.loads(self.body)
            if (sent["customer"], sent["ticket"]) != (session.customer, session.ticket):
                return None
            made = str(uuid.uuid4())
            session.orders.add(made)
            return 201, {"order": {"id": made, "state": "open"}, "items": sent["items"]}
        if (method, path) == ("POST", "/notes"):
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            form: EmailMessage = BytesParser(EmailMessage).parsebytes(head + self.body)
            fields = {part.get_param("name", header="content-disposition"): part.get_payload() for part in form.walk()}
            right = fields.get("order") in session.orders and fields.get("note") == "at the door"
            return (201, {"note": "stored"}) if right else None
        if order not in session.orders:
            return None
        if method == "GET" and self.query.get("customer") == str(session.customer):
            return 200, {"id": order, "state": "open"}
        if method == "DELETE":
            session.orders.discard(order)
            return 204, None
        return None
