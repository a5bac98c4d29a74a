"""Servers that the tests of the transport need: an nginx that says how it was reached, proxies, and others that nobody
ships: digest authentication, encodings, answers that stall."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import ipaddress
import os
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import trustme
from cryptography.hazmat.primitives import serialization

from fastload.load.engine.curl import CurlEngine
from fastload.load.engine.curl_handle import ConnectionCache
from fastload.load.engine.curl_transfer import Transfer
from fastload.load.engine.error_kinds import error_kind
from fastload.load.engine.transfer_future import TransferFuture
from fastload.model.http_settings import Body, HttpSettings, RequestSettings
from tests.conftest import answers, free_port, wait_until

KEY_PASSWORD = "open sesame"
_SAYS = (
    'return 200 "connection=$connection request=$connection_requests host=$http_host from=$remote_addr '
    "protocol=$server_protocol tls=$ssl_protocol cipher=$ssl_cipher name=$ssl_server_name "
    'client=$ssl_client_verify auth=$http_authorization";'
)
_CONF = """
{user} worker_processes 1; daemon off; pid {root}/nginx.pid; error_log {root}/error.log;
events {{ worker_connections 1000; }}
http {{
  access_log off; keepalive_requests 100000;
  client_body_temp_path {root}/b; proxy_temp_path {root}/p;
  fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
  gzip on; gzip_types *; gzip_min_length 1000;
  server {{ listen 127.0.0.1:{plain}; listen [::1]:{plain}; root {root}/files; default_type text/plain;
           location / {{ {says} }} location /files/ {{ alias {root}/files/; }}
           location /to/ {{ return 302 /files/hello; }} }}
  server {{ listen 127.0.0.1:{h2c} http2; location / {{ {says} }} }}
  server {{ listen 127.0.0.1:{tls12} ssl; ssl_protocols TLSv1.2; location / {{ {says} }} }}
  server {{ listen 127.0.0.1:{tls13} ssl; ssl_protocols TLSv1.3; location / {{ {says} }} }}
  server {{ listen 127.0.0.1:{both} ssl http2; ssl_protocols TLSv1.2 TLSv1.3; location / {{ {says} }} }}
  server {{ listen 127.0.0.1:{mutual} ssl; ssl_verify_client on; ssl_client_certificate {root}/ca.pem;
           location / {{ {says} }} }}
}}
"""
LARGE = b"a line of text that compresses well\n" * 2000


@dataclass(frozen=True)
class Web:
    """An nginx. The answer to ``/`` says how it was asked; ``/files/large`` is `LARGE`."""

    ports: dict[str, int]
    root: Path

    def url(self, server: str, path: str = "/", host: str = "127.0.0.1") -> str:
        scheme = "http" if server in ("plain", "h2c") else "https"
        return f"{scheme}://{host}:{self.ports[server]}{path}"

    def file(self, name: str) -> str:
        return str(self.root / name)


@contextmanager
def web(root: Path) -> Iterator[Web]:
    """That nginx, with its files below *root*."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    server = authority.issue_cert("127.0.0.1", "::1", "localhost", "shop.example.com", "other.example.com")
    server.private_key_pem.write_to_path(str(root / "key.pem"))
    server.cert_chain_pems[0].write_to_path(str(root / "cert.pem"))
    client = authority.issue_cert("client.example.com")
    client.cert_chain_pems[0].write_to_path(str(root / "client.pem"))
    client.private_key_pem.write_to_path(str(root / "client.key"))
    key = serialization.load_pem_private_key(client.private_key_pem.bytes(), None)
    (root / "client.secret.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(KEY_PASSWORD.encode()),
        )
    )
    (root / "files").mkdir()
    (root / "files" / "large").write_bytes(LARGE)
    (root / "files" / "hello").write_bytes(b"hello")
    ports = {name: free_port() for name in ("plain", "h2c", "tls12", "tls13", "both", "mutual")}
    # Its workers may read what the tests write.
    user = "" if os.geteuid() else "user root;"
    (root / "nginx.conf").write_text(_CONF.format(root=root, user=user, says=_SAYS, **ports))
    process = subprocess.Popen(
        ["nginx", "-c", str(root / "nginx.conf"), "-p", str(root), "-e", str(root / "error.log")],
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/sbin:/usr/bin:/bin"},
    )
    try:
        wait_until(lambda: all(answers(port) for port in ports.values()))
        yield Web(ports, root)
    finally:
        process.terminate()
        process.wait(10)


class Got(NamedTuple):
    """What came of a request: *error* is its kind; *said* what the nginx above says of it."""

    status: int
    body: bytes
    error: str
    message: str
    headers: str
    measured: tuple[int, ...]

    @property
    def said(self) -> dict[str, str]:
        return dict(word.partition("=")[::2] for word in self.body.decode().split(" ") if "=" in word)


class Client:
    """One VU's handles on an engine: what the client of a scenario does with them, without a scenario."""

    def __init__(self, settings: HttpSettings, number: int = 1, resolve: tuple[str, ...] = ()) -> None:
        self.settings, self.number, self.resolve = settings, number, resolve
        self.loop = asyncio.get_running_loop()
        self.engine = CurlEngine(self.loop)
        self.cache = ConnectionCache()
        self.all: list[Transfer] = []
        self.free: list[Transfer] = []

    async def ask(
        self,
        url: str,
        *headers: str,
        method: str = "GET",
        body: Body | None = None,
        request: RequestSettings | None = None,
    ) -> Got:
        transfer = self.free.pop() if self.free else self.new()
        transfer.apply(request)
        transfer.prepare(method, url, headers, body)
        response: TransferFuture = transfer.owner
        self.engine.submit(transfer)
        async with asyncio.timeout(20):
            await response
        kind, message = (error_kind(transfer, response.error[0]), response.error[1]) if response.error else ("", "")
        measured = transfer.measure()
        head = b"".join(transfer.take_headers()).decode()
        got = Got(0 if kind else measured[0], transfer.take_body(), kind, message, head, measured)
        self.free.append(transfer)
        return got

    def new(self) -> Transfer:
        transfer = Transfer()
        transfer.configure(self.settings, cache=self.cache, resolve=self.resolve, keep_body=True, number=self.number)
        transfer.keep_headers()
        self.engine.adopt(transfer)
        transfer.owner = TransferFuture(self.engine, transfer, self.loop)
        self.all.append(transfer)
        return transfer

    @property
    def last(self) -> Transfer:
        """The handle of the last request."""
        return self.free[-1]

    def close(self) -> None:
        for transfer in self.all:
            self.engine.cancel(transfer)
            transfer.close()
        self.cache.close()
        self.engine.close()


@asynccontextmanager
async def client(*, number: int = 1, resolve: tuple[str, ...] = (), **settings: Any) -> AsyncIterator[Client]:
    """A client with these fields of `HttpSettings`."""
    made = Client(HttpSettings(**({"timeout_s": 15.0} | settings)), number, resolve)
    try:
        yield made
    finally:
        made.close()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handle: Serve, address: str = "127.0.0.1") -> AsyncIterator[int]:
    """A server on *address* whose connections are each given to *handle*; yields its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handle(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(connection, address, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for _ in range(10):
            # What was accepted just now becomes a task first: asyncio forgets it if the server is closed before.
            await asyncio.sleep(0)
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


class Asked(NamedTuple):
    """A request as a server got it; headers by lower-case name."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Asked:
    """The next request.

    Raises:
        IncompleteReadError: the other side is gone.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, target, headers, body)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers everything with "ok"."""
    while True:
        await read_request(reader)
        writer.write(answer())


def answer(body: bytes = b"ok", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int, first: bytes = b""
) -> None:
    """Carry bytes both ways until one side ends."""
    far_reader, far_writer = await asyncio.open_connection(host, port)
    far_writer.write(first)
    ways = [asyncio.create_task(pipe(reader, far_writer)), asyncio.create_task(pipe(far_reader, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        far_writer.close()
        with contextlib.suppress(OSError):
            await far_writer.wait_closed()


@dataclass
class HttpProxy:
    """A forward proxy that also makes tunnels (CONNECT). It wants *credentials* (``user:password``) if it has any."""

    credentials: str = ""
    seen: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await read_request(reader)
            self.seen.append(f"{asked.method} {asked.target}")
            wanted = f"Basic {base64.b64encode(self.credentials.encode()).decode()}"
            if self.credentials and asked.headers.get("proxy-authorization") != wanted:
                writer.write(answer(b"", "407 Who are you", 'Proxy-Authenticate: Basic realm="p"'))
                continue
            if asked.method == "CONNECT":
                host, _, port = asked.target.rpartition(":")
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await tunnel(reader, writer, host.strip("[]"), int(port))
                return
            host, _, path = asked.target.removeprefix("http://").partition("/")
            name, _, port = host.partition(":")
            head = f"{asked.method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            await tunnel(reader, writer, name, int(port or 80), head.encode())
            return


@dataclass
class Socks5Proxy:
    """A SOCKS5 proxy (RFC 1928), with a user and password (RFC 1929) if it has *credentials*."""

    credentials: str = ""
    seen: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        wanted = 2 if self.credentials else 0
        writer.write(bytes((5, wanted if wanted in methods else 255)))
        if wanted == 2:
            _, size = await reader.readexactly(2)
            user = await reader.readexactly(size)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            right = f"{user.decode()}:{password.decode()}" == self.credentials
            writer.write(bytes((1, 0 if right else 1)))
            if not right:
                return
        kind = (await reader.readexactly(4))[3]
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.seen.append(f"{'name' if kind == 3 else 'address'} {host}:{port}")
        writer.write(bytes((5, 0, 0, 1)) + socket.inet_aton("127.0.0.1") + bytes(2))
        await tunnel(reader, writer, "127.0.0.1" if kind == 3 else host, port)


@dataclass
class DigestServer:
    """Digest authentication as RFC 7616 has it, with SHA-256 and qop=auth, for ada:lovelace."""

    seen: list[Asked] = field(default_factory=list)
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await read_request(reader)
            self.seen.append(asked)
            if self._is_right(asked):
                writer.write(answer(b"welcome " + asked.body))
            else:
                stale = self.nonce not in asked.headers.get("authorization", self.nonce)
                challenge = f'Digest realm="here", nonce="{self.nonce}", qop="auth", algorithm=SHA-256, stale={stale}'
                writer.write(answer(b"who", "401 Unauthorized", f"WWW-Authenticate: {challenge}"))

    def _is_right(self, asked: Asked) -> bool:
        scheme, _, rest = asked.headers.get("authorization", "").partition(" ")
        if scheme != "Digest":
            return False
        pairs = (part.strip().partition("=") for part in rest.split(","))
        given = {name: value.strip('"') for name, _, value in pairs}
        user = _sha256("ada:here:lovelace")
        what = _sha256(f"{asked.method}:{asked.target}")
        wanted = _sha256(f"{user}:{self.nonce}:{given['nc']}:{given['cnonce']}:auth:{what}")
        return given["username"] == "ada" and given["uri"] == asked.target and given["response"] == wanted


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
