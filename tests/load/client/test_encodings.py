"""Answers that come compressed, and what is asked for."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from fastload.load.engine.body_decoder import DECODED
from fastload.load.engine.curl_options import supports
from fastload.model.http_settings import RequestSettings
from tests.load.client.transport_servers import LARGE, Web, answer, client, read_request, serving
from tests.load.harness import Run, harness


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
                    assert offered == set(DECODED)

        run(main())

    @pytest.mark.parametrize("name", ["br", "zstd", "gzip"])
    def test_one_that_is_broken(self, run: Run, name: str) -> None:
        if not supports(name):
            pytest.skip(f"this libcurl has no {name}")

        async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer(b"\xff" * 100, "200 OK", f"Content-Encoding: {name}"))

        async def main() -> None:
            async with serving(broken) as port, client(accept_encoding=name) as one:
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


PACKED = gzip.compress(LARGE)
RAW_DEFLATE = zlib.compressobj(wbits=-15)
DEFLATE_WITHOUT_HEADER = RAW_DEFLATE.compress(LARGE) + RAW_DEFLATE.flush()
WHOLE = {
    "gzip": ("gzip", PACKED, LARGE),
    "x-gzip": ("x-gzip", PACKED, LARGE),
    "several members": ("gzip", PACKED * 3, LARGE * 3),
    "thousands of members": ("gzip", gzip.compress(b"a") * 5000, b"a" * 5000),
    "deflate": ("deflate", zlib.compress(LARGE), LARGE),
    "deflate without its header": ("deflate", DEFLATE_WITHOUT_HEADER, LARGE),
    "identity": ("identity", b"plain", b"plain"),
    "nothing": ("gzip", b"", b""),
}
BROKEN = {
    "half": ("gzip", PACKED[: len(PACKED) // 2], "partial"),
    "without the last bytes": ("gzip", PACKED[:-4], "partial"),
    "within its header": ("gzip", PACKED[:5], "partial"),
    "within the second member": ("gzip", PACKED + PACKED[:-10], "partial"),
    "half of deflate": ("deflate", zlib.compress(LARGE)[:-20], "partial"),
    "one byte of deflate": ("deflate", b"x", "partial"),
    "data after its end": ("gzip", PACKED + b"more", "decompress"),
    "data after deflate": ("deflate", zlib.compress(LARGE) + b"more", "decompress"),
    "a wrong checksum": ("gzip", PACKED[:-8] + b"abcdefgh", "decompress"),
    "no gzip at all": ("gzip", b"plain", "decompress"),
    "not asked for": ("br", b"plain", "decompress"),
    "twice": ("gzip, gzip", gzip.compress(PACKED), "decompress"),
}


async def serve_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with the body that the path names, in a body with a length, in chunks, or up to the close."""
    while True:
        how, _, number = (await read_request(reader)).target.strip("/").partition("/")
        encoding, body, _ = [*WHOLE.values(), *BROKEN.values()][int(number)]
        line = f"Content-Encoding: {encoding}"
        if how == "length":
            writer.write(answer(body, "200 OK", line))
            continue
        chunked = how == "chunks"
        writer.write(f"HTTP/1.1 200 OK\r\n{line}\r\n{'Transfer-Encoding: chunked' * chunked}\r\n".encode())
        if chunked:
            # Each piece is small, so that the decoder sees many.
            step = max(1, len(body) // 50)
            pieces = [body[at : at + step] for at in range(0, len(body), step)]
            writer.write(b"\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n")
        else:
            writer.write(body)
            return


@pytest.mark.parametrize("how", ["length", "chunks", "close"])
class TestCompleteness:
    """libcurl takes half a compressed body for a whole one."""

    def test_whole_bodies(self, run: Run, how: str) -> None:
        async def main() -> None:
            async with serving(serve_all) as port, client(accept_encoding="") as one:
                for number, (_, _, plain) in enumerate(WHOLE.values()):
                    got = await one.ask(f"http://127.0.0.1:{port}/{how}/{number}")
                    assert (got.error, got.status, got.body) == ("", 200, plain)

        run(main())

    def test_broken_bodies(self, run: Run, how: str) -> None:
        async def main() -> None:
            async with serving(serve_all) as port, client(accept_encoding="gzip, deflate") as one:
                for number, (_, _, kind) in enumerate(BROKEN.values(), len(WHOLE)):
                    got = await one.ask(f"http://127.0.0.1:{port}/{how}/{number}")
                    assert (got.error, got.status) == (kind, 0), number
                    assert got.message
                assert (await one.ask(f"http://127.0.0.1:{port}/{how}/0")).body == LARGE

        run(main())

    def test_of_a_vu(self, run: Run, how: str) -> None:
        """Bodies that are dropped, kept and streamed; and one request that asks for what the run does not."""

        async def main() -> None:
            packed = RequestSettings(accept_encoding="gzip")
            async with serving(serve_all) as port, harness(f"http://127.0.0.1:{port}/{how}") as made:
                vu = made.vu(body=False)
                half = f"/{len(WHOLE)}"
                for url, kind in (("/0", ""), (half, "partial"), ("/0", "")):
                    for keep in (False, True):
                        reply = await vu.get(url, http=packed, keep_body=keep)
                        assert (reply.error, reply.ok) == (kind, not kind)
                    async with vu.stream("GET", url, http=packed) as streamed:
                        body = await streamed.read()
                    assert streamed.error == kind
                    assert (body == LARGE) == (not kind)
                plain = await vu.get("/0", keep_body=True)
                assert plain.body == PACKED
                assert made.errors() == {"partial": 3}

        run(main())


def test_the_limit_is_of_the_decoded_body(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_all) as port, client(accept_encoding="", max_body_bytes=len(LARGE) - 1) as one:
            got = await one.ask(f"http://127.0.0.1:{port}/length/0")
            assert (got.error, got.status) == ("too_large", 0)

    run(main())


def test_a_stream_that_the_script_ends_early_is_no_failure(run: Run) -> None:
    async def half_and_wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(PACKED, "200 OK", "Content-Encoding: gzip")[: -len(PACKED) // 2])
        await asyncio.Event().wait()

    async def main() -> None:
        packed = RequestSettings(accept_encoding="gzip")
        async with serving(half_and_wait) as port, harness(f"http://127.0.0.1:{port}") as made:
            vu = made.vu()
            for _ in range(2):
                async with vu.stream("GET", "/", http=packed) as streamed:
                    assert LARGE.startswith(await anext(streamed.chunks()))
                assert (streamed.error, streamed.ok) == ("", True)
            assert made.errors() == {}

    run(main())
