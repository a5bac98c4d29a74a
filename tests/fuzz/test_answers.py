"""What servers answer, and where it is shown: compressed bodies, URLs, ``--http-debug``, texts with secrets."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import zlib
from collections.abc import Callable
from typing import Any

from fastload.cli.ctl import Client, status_lines
from fastload.load.client.redirects import url_error
from fastload.load.engine.body_decoder import BodyDecoder
from fastload.load.engine.http_debug import DebugPrinter
from fastload.model.redaction import REDACTED, redacted, shortened
from fastload.model.urls import add_query, encode_url, path_of, with_ascii_host
from fastload.model.wire_text import read_text, shown
from tests.fuzz.mutations import mutated
from tests.fuzz.parsing import fuzz
from tests.fuzz.source import NUMBERS, Source

_URL = (
    "http", "https", "://", "//", "a.test", "bücher.example", "[::1]", "[", "]", "@", ":", "/", "..", "%2e", "?",
    "#", "&", "=", "%", "%zz", "\\", " ", "\t", "é", "\udc80", "\ud800", "token=abc", "user:pw", "{id}", *NUMBERS,
)  # fmt: skip
_COMPRESS: tuple[Callable[[bytes], bytes], ...] = (
    gzip.compress,
    zlib.compress,
    lambda data: data,
    lambda data: zlib.compress(data)[2:-4],
)
_URLS = (
    "http://a.test/b?c=d#e", "https://user:pw@bücher.example:8443/ü?token=secret", "http://[::1]:80/../x", "//a.test/b",
    "/a/%2e%2e/b", "http://xn--bcher-kva.example/",
)  # fmt: skip


def test_any_compressed_body_is_decoded_or_an_error() -> None:
    def run(source: Source) -> None:
        plain = source.text(8).encode("utf-8", "replace") * source.choice((1, 1, 50))
        packed = source.choice(_COMPRESS)(plain)
        if source.randrange(2):
            at = source.randrange(len(packed) + 1)
            packed = packed[:at] + source.binary(6) + packed[at + source.randrange(4) :]
        name = source.choice(("gzip", "deflate", "GZIP", "x-gzip", "br", "identity", "gzip, deflate", source.text(4)))
        lines = [b"HTTP/1.1 200 OK\r\n", f"Content-Encoding: {name}\r\n".encode("utf-8", "replace"), b"\r\n"]
        size, most_bytes = source.randint(1, 9), source.choice((0, 0, 10))

        def decoded(pieces: list[bytes]) -> tuple[bytes, tuple[int, str] | None]:
            got: list[bytes] = []
            decoder = BodyDecoder(lines, got.append, most_bytes)
            # libcurl ends the transfer at the first 0.
            all(decoder.feed(piece) is None for piece in pieces)
            return b"".join(got), decoder.end(None)

        # libcurl has no piece of a body without bytes.
        whole, error = decoded([packed] if packed else [])
        in_pieces, error_of_pieces = decoded([packed[begin : begin + size] for begin in range(0, len(packed), size)])
        assert (error is None) == (error_of_pieces is None)
        if error is None:
            assert in_pieces == whole

    fuzz(run)


def test_any_url_is_sent_in_ascii_and_once_only() -> None:
    def run(source: Source) -> None:
        url = source.like(_URLS, _URL)
        sent = encode_url(url)
        assert sent.isascii()
        assert not set(sent) & set("\r\n\t ")
        assert encode_url(sent) == sent
        assert shown(path_of(url)) == path_of(url)
        assert add_query(url, "q=1")
        url_error(url)
        with contextlib.suppress(ValueError):
            with_ascii_host(url)

    fuzz(run)


def test_no_text_keeps_the_secret_of_a_url_or_a_header() -> None:
    def run(source: Source) -> None:
        text = source.like(_URLS, _URL)
        for one in (redacted(text), shortened(text * 20)):
            one.encode("utf-8", "surrogatepass")
        assert "s3cr3t" not in redacted(
            f"{text} http://u:s3cr3t@a.test/ ?token=s3cr3t&a=b Authorization: Bearer s3cr3t0123456789abc"
        )
        assert "s3cr3t" not in shortened(f"http://a.test/?api_key=s3cr3t {text * 20} http://a.test/?sid=s3cr3t")

    fuzz(run)


def test_any_data_is_lines_of_debug_without_secrets() -> None:
    def run(source: Source) -> None:
        stream = io.StringIO()
        before = source.like(_URLS, _URL, 4).encode("utf-8", "replace") + source.binary(9)
        kind = source.choice((0, 1, 2, 3, 4, 5, 9))
        data = before + b"\r\nAuthorization: s3cr3t\r\nX-Api-Key:s3cr3t\r\nCookie : s3cr3t"
        DebugPrinter(full=kind > 2, stream=stream)(
            kind, data if kind else before + b"\n[HTTP/2] [1] [authorization: s3cr3t]"
        )
        assert kind > 2 or ("s3cr3t" not in stream.getvalue() and REDACTED in stream.getvalue())
        assert read_text(data)

    fuzz(run)


_STATUS: dict[str, Any] = {
    "phase": "running", "elapsed_s": 1.5, "progress": 0.5, "vus": 3, "workers_alive": 2, "requests_per_s": 10.5,
    "requests": 100, "failed": 1,
    "scenarios": [
        {"name": "a", "executor": "constant-vus", "vus": 3, "max_vus": 3, "can_scale": True},
        {"name": "b", "executor": "constant-arrival-rate", "rate_per_s": 2.5, "max_vus": 9, "can_scale": False},
    ],
}  # fmt: skip


def test_any_answer_to_ctl_is_shown_or_an_error() -> None:
    client = Client("http://127.0.0.1:1", "", as_json=False)

    def run(source: Source) -> None:
        body = json.dumps(mutated(_STATUS, source), default=str, skipkeys=True)
        if not source.randrange(9):
            body = source.choice(("[" * 50_000, "9" * 5_000, '{"a": 1e999}', "{}", body[:-9], "null"))
        answer = client.object_of(body.encode())
        with client.readable():
            assert status_lines(answer)

    fuzz(run)
