"""Answers that come compressed, and what is asked for."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from fastload.load.engine.curl_options import ENCODINGS, supports
from fastload.model.http_settings import RequestSettings
from tests.load.client.transport_servers import LARGE, Web, answer, client, read_request, serving
from tests.load.harness import Run


async def encodings(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with `LARGE` in the encoding that the path names."""
    while True:
        asked = await read_request(reader)
        name = asked.target.strip("/")
        body = zlib.compress(LARGE) if name == "deflate" else gzip.compress(LARGE)
        writer.write(
            answer(body, "200 OK", f"Content-Encoding: {name}", f"X-Asked: {asked.headers['accept-encoding']}")
        )


class TestEncodings:
    def test_gzip_of_nginx(self, run: Run, site: Web) -> None:
        async def main() -> None:
            url = site.url("plain", "/files/large")
            async with client(accept_encoding="") as one:
                packed = await one.ask(url)
                assert packed.body == LARGE
                assert "content-encoding: gzip" in packed.headers.lower()
                assert packed.measured[10] < len(LARGE) / 10
                plain = await one.ask(url, request=RequestSettings(accept_encoding="identity"))
                assert plain.body == LARGE
                assert plain.measured[10] > len(LARGE)
            async with client() as one:
                assert "content-encoding" not in (await one.ask(url)).headers.lower()

        run(main())

    def test_deflate_and_what_is_asked_for(self, run: Run) -> None:
        async def main() -> None:
            async with serving(encodings) as port, client(accept_encoding="") as one:
                for name in ("deflate", "gzip"):
                    got = await one.ask(f"http://127.0.0.1:{port}/{name}")
                    assert got.body == LARGE
                    offered = {word.strip() for word in got.headers.split("X-Asked: ")[1].split("\r\n")[0].split(",")}
                    assert offered == {name for name in ENCODINGS if supports(name)}

        run(main())

    @pytest.mark.parametrize("name", ["br", "zstd", "gzip"])
    def test_one_that_is_broken(self, run: Run, name: str) -> None:
        if not supports(name):
            pytest.skip(f"this libcurl has no {name}")

        async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer(b"\xff" * 100, "200 OK", f"Content-Encoding: {name}"))

        async def main() -> None:
            async with serving(broken) as port, client(accept_encoding="") as one:
                assert (await one.ask(f"http://127.0.0.1:{port}/")).error == "decompress"

        run(main())

    def test_brotli(self, run: Run) -> None:
        if not supports("br"):
            pytest.skip("this libcurl has no br")
        # One uncompressed meta-block of a brotli stream (RFC 7932, section 9.2), and the empty last one.
        text = b"hello brotli"
        head = (len(text) - 1) << 4 | 1 << 20
        packed = head.to_bytes(3, "little") + text + b"\x03"

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer(packed, "200 OK", "Content-Encoding: br"))

        async def main() -> None:
            async with serving(serve) as port, client(accept_encoding="br") as one:
                assert (await one.ask(f"http://127.0.0.1:{port}/")).body == text

        run(main())
