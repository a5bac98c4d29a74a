"""Bodies as a server sees them: multipart forms, files that are streamed, and what is refused."""

from __future__ import annotations

import asyncio
import email.policy
import json
import resource
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from fastload.load.engine.curl_options import SMALL_UPLOAD_BYTES
from tests.load.harness import Connection, Peer, Run, harness, lines_of

MB = 1 << 20


def echo(connection: Connection, head: bytes) -> None:
    """Answer with the content type, the content length and the body of the request."""
    lines = lines_of(head.decode("latin-1"))
    seen = {
        "method": head.split()[0].decode(),
        "type": lines.get("content-type"),
        "length": lines.get("content-length"),
        "chunked": "transfer-encoding" in lines,
        "body": connection.body.decode("latin-1"),
    }
    connection.reply(json.dumps(seen).encode())


async def sent(vu: fl.VU, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await vu.post("/", **options)).json()
    return found


def parts_of(seen: dict[str, Any]) -> list[tuple[str | None, str | None, str, bytes]]:
    """(name, filename, content type, content) of each part, as the parser of the standard library reads them."""
    raw = f"Content-Type: {seen['type']}\r\n\r\n{seen['body']}".encode("latin-1")
    message = BytesParser(policy=email.policy.HTTP).parsebytes(raw)
    assert message.is_multipart()
    found: list[tuple[str | None, str | None, str, bytes]] = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((str(name), part.get_filename(), part.get_content_type(), content))
    return found


class TestMultipart:
    def test_fields_and_files(self, run: Run, tmp_path: Path) -> None:
        photo = tmp_path / "photo.png"
        photo.write_bytes(bytes(range(256)))

        async def main() -> None:
            async with Peer(echo) as peer, harness(peer.url) as made:
                files = {
                    "photo": photo,
                    "raw": b"\r\n--x\r\n",
                    "named": ("a b.txt", "käse"),
                    "typed": ("x.bin", photo, "application/x-own"),
                }
                seen = await sent(made.vu(), data={"user": "ada", "tag": ["a", "b"], "n": 1}, files=files)
                assert int(seen["length"]) == len(seen["body"])
                assert not seen["chunked"]
                assert parts_of(seen) == [
                    ("user", None, "text/plain", b"ada"),
                    ("tag", None, "text/plain", b"a"),
                    ("tag", None, "text/plain", b"b"),
                    ("n", None, "text/plain", b"1"),
                    ("photo", "photo.png", "image/png", bytes(range(256))),
                    ("raw", "raw", "application/octet-stream", b"\r\n--x\r\n"),
                    ("named", "a b.txt", "text/plain", "käse".encode()),
                    ("typed", "x.bin", "application/x-own", bytes(range(256))),
                ]

        run(main())

    def test_pairs_repeat_a_name(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(echo) as peer, harness(peer.url) as made:
                seen = await sent(made.vu(), files=[("f", b"1"), ("f", b"2")])
                assert [part[3] for part in parts_of(seen)] == [b"1", b"2"]

        run(main())

    def test_a_plain_request_after_it_has_nothing_of_it(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(echo) as peer, harness(peer.url) as made:
                vu = made.vu()
                for _ in range(2):
                    await sent(vu, files={"f": b"1"}, headers={"X-Own": "1"})
                    plain = (await vu.get("/")).json()
                    assert plain == {"method": "GET", "type": None, "length": None, "chunked": False, "body": ""}
                    assert (await sent(vu, json={"a": 1}))["body"] == '{"a":1}'
                assert all("x-own" in lines_of(head) for _, head in peer.requests[::3])
                assert not any("x-own" in lines_of(head) for _, head in peer.requests[1::3])

        run(main())


async def head_of(reader: asyncio.StreamReader) -> bytes:
    """The head of the next request; empty when there is none."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


class TestFiles:
    def test_as_the_body(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "events.json"
        path.write_text('[1, "ü"]')

        async def main() -> None:
            async with Peer(echo) as peer, harness(peer.url) as made:
                vu = made.vu()
                seen = await sent(vu, data=path)
                assert (seen["method"], seen["type"]) == ("POST", "application/json")
                assert (seen["body"].encode("latin-1"), seen["length"]) == (path.read_bytes(), "9")
                put = (await vu.put("/", data=path, headers={"Content-Type": "text/plain"})).json()
                assert (put["method"], put["type"], put["length"]) == ("PUT", "text/plain", "9")
                path.write_text("other")
                assert (await sent(vu, data=path))["body"] == "other"
                path.write_text("")
                assert (await sent(vu, data=path))["length"] == "0"

        run(main())

    def test_fifty_megabytes_are_streamed(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "large.bin"
        with path.open("wb") as file:
            file.truncate(50 * MB)

        async def main() -> None:
            received = []

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                while head := await head_of(reader):
                    left = length = int(lines_of(head.decode("latin-1"))["content-length"])
                    while left:
                        left -= len(await reader.read(min(left, 65536)))
                    received.append(length)
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                writer.close()
                all_read.set()

            all_read = asyncio.Event()
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            try:
                async with harness(url) as made:
                    vu = made.vu()
                    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    for options in ({"data": path}, {"files": {"f": path}}, {"data": path, "retry": fl.Retry()}):
                        reply = await vu.put("/", **options)
                        assert (reply.ok, reply.message) == (True, "")
                        assert reply.bytes_sent > 50 * MB
                    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
                    assert grown_kb < 20 * 1024, "a file is never in memory as a whole"
                    assert made.take().table.get("data_sent").value > 150 * MB
            finally:
                async with asyncio.timeout(10):
                    await all_read.wait()
                server.close()
                await server.wait_closed()
            assert received[0] == received[2] == 50 * MB
            assert received[1] > 50 * MB

        run(main())


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"data": Path("nowhere/x.bin")}, "data: the file 'nowhere/x.bin' cannot be sent: No such file"),
            ({"files": {"f": Path("nowhere.bin")}}, "files: f: the file 'nowhere.bin' cannot be sent: No such file"),
            ({"data": Path("/")}, "data: '/' is no file"),
            ({"files": {"f": "photo.png"}}, "files: f is a str"),
            ({"files": {"f": ("x", 3)}}, "files: f is a int"),
            ({"data": 3}, "data is a int"),
            ({"data": b"x", "files": {"f": b"1"}}, "data beside files is a bytes"),
            ({"json": {}, "files": {"f": b"1"}}, "json and files are both given"),
            ({"json": {}, "data": b"1"}, "json and data are both given"),
        ],
    )
    def test_are_told_before_anything_is_sent(self, options: dict[str, Any], said: str) -> None:
        async def main() -> None:
            async with harness("http://127.0.0.1:9") as made:
                with pytest.raises(fl.PlanError) as caught:
                    await made.vu().post("/", **options)
                assert said in caught.value.message
                assert made.take().stats.started == 0

        asyncio.run(main())

    def test_a_file_that_may_not_be_found_says_where_it_was_looked_for(self) -> None:
        async def main() -> None:
            async with harness("http://127.0.0.1:9") as made:
                with pytest.raises(fl.PlanError) as caught:
                    await made.vu().post("/", data=Path("x.bin"))
                assert 'Path(__file__).parent / "x.bin"' in caught.value.hint

        asyncio.run(main())


def test_only_a_handle_that_sends_large_bodies_makes_room_for_them(run: Run) -> None:
    """The large buffer is 48 KB more for each VU; a body of 60 KB costs twice the CPU with the small one."""

    async def main() -> None:
        async with Peer(lambda connection, _head: connection.reply(connection.body)) as peer, harness(peer.url) as made:
            vu = made.vu()
            for size, roomy in ((100, False), (SMALL_UPLOAD_BYTES, False), (SMALL_UPLOAD_BYTES + 1, True), (100, True)):
                body = bytes(size)
                assert (await vu.post("/", data=body)).body == body
                (transfer,) = vu._transfers
                assert transfer._has_large_buffer is roomy

    run(main())
