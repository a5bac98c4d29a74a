"""Bodies that are read while they are sent: files, and forms with files in them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from fastload.load.client.bodies import file_body
from fastload.model.http_settings import FileBody, Multipart, Part
from tests.load.client.transport_servers import answer, client, read_request, serving
from tests.load.harness import Run


class TestStreamedBodies:
    @staticmethod
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await read_request(reader)
            if asked.target == "/moved" and asked.method == "POST":
                writer.write(answer(b"", "303 See Other", "Location: /there"))
                continue
            kind = asked.headers.get("content-type", "-")
            writer.write(answer(asked.body, "200 OK", f"X-Seen: {asked.method} {asked.target} {kind}"))

    @staticmethod
    def seen(headers: str) -> str:
        return headers.rpartition("X-Seen: ")[2].split("\r\n")[0]

    def test_files(self, run: Run, tmp_path: Path) -> None:
        content = os.urandom(300_000)
        (tmp_path / "file").write_bytes(content)

        async def main() -> None:
            async with serving(self.echo) as port, client() as one:
                url = f"http://127.0.0.1:{port}/"
                kind = "Content-Type: image/png"
                for offset, size in ((0, 300_000), (1000, 250_000), (5, 0)):
                    body = FileBody(str(tmp_path / "file"), offset, size)
                    got = await one.ask(url, kind, method="POST", body=body)
                    assert got.body == content[offset : offset + size]
                    assert self.seen(got.headers) == "POST / image/png"
                # What comes before and after does not mix with it.
                assert self.seen((await one.ask(url, kind, method="PUT", body=body)).headers) == "PUT / image/png"
                assert self.seen((await one.ask(url)).headers) == "GET / -"
                got = await one.ask(url, kind, method="POST", body=b"bytes")
                assert (got.body, self.seen(got.headers)) == (b"bytes", "POST / image/png")
                assert (await one.ask(url, kind, method="PATCH", body=body)).status == 200
                assert (await one.ask(url, method="DELETE")).headers.count("DELETE / -") == 1
                with pytest.raises(FileNotFoundError):
                    await one.ask(url, method="POST", body=FileBody(str(tmp_path / "none"), 0, 1))

        run(main())

    def test_many_at_once_share_a_descriptor(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"y" * 50_000)
        body = FileBody(str(tmp_path / "file"), 0, 50_000)

        async def main() -> None:
            async with serving(self.echo) as port, client() as one:
                asking = (one.ask(f"http://127.0.0.1:{port}/", method="POST", body=body) for _ in range(20))
                asked = asyncio.gather(*asking)
                await asyncio.sleep(0)
                held = [link for link in Path("/proc/self/fd").iterdir() if link.exists()]
                assert sum(link.readlink() == tmp_path / "file" for link in held) == 1
                assert {got.body for got in await asked} == {b"y" * 50_000}

        run(main())

    def test_multipart(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"z" * 70_000)
        form = Multipart(
            (
                Part("field", b"value"),
                Part('odd"name', FileBody(str(tmp_path / "file"), 0, 70_000), "a\r\nb.bin", "application/x-z"),
            )
        )

        async def main() -> None:
            async with serving(self.echo) as port, client() as one:
                got = await one.ask(f"http://127.0.0.1:{port}/", method="POST", body=form)
                assert self.seen(got.headers) == f"POST / multipart/form-data; boundary={form.boundary}"
                parts = got.body.split(f"--{form.boundary}".encode())
                assert parts[1] == b'\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
                head, _, rest = parts[2].partition(b"\r\n\r\n")
                assert b'name="odd%22name"; filename="a%0D%0Ab.bin"\r\nContent-Type: application/x-z' in head
                assert rest == b"z" * 70_000 + b"\r\n"
                assert parts[3] == b"--\r\n"
                own = await one.ask(f"http://127.0.0.1:{port}/", "content-type: a/b", method="POST", body=form)
                assert self.seen(own.headers) == "POST / a/b"
                assert self.seen((await one.ask(f"http://127.0.0.1:{port}/")).headers) == "GET / -"

        run(main())

    @pytest.mark.parametrize("old_size", [300_000, 3_000_000])
    def test_a_file_that_is_replaced_meanwhile(self, run: Run, tmp_path: Path, old_size: int) -> None:
        """Each request sends one file from its beginning to its end, the old one or the new one."""
        file = tmp_path / "file"
        old, new = b"o" * old_size, b"n" * 1_000_000
        file.write_bytes(old)

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            begun.set()
            await replaced.wait()
            size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            body = await reader.readexactly(size)
            writer.write(answer(f"{size} {set(body.decode())}".encode()))
            await writer.drain()

        async def main() -> None:
            async with serving(slow) as port, client(timeout_s=20) as one:
                url = f"http://127.0.0.1:{port}/"
                first = asyncio.create_task(one.ask(url, method="POST", body=file_body(file, what="data")))
                await begun.wait()
                prepared = file_body(file, what="data")
                (tmp_path / "new").write_bytes(new)
                (tmp_path / "new").rename(file)
                # It was looked at before, and begins after the other one came.
                second = asyncio.create_task(one.ask(url, method="POST", body=prepared))
                form = asyncio.create_task(one.ask(url, method="POST", body=Multipart((Part("a", prepared),))))
                replaced.set()
                assert (await first).body == f"{old_size} {{'o'}}".encode()
                assert (await second).body == b"1000000 {'n'}"
                assert 1_000_000 < int((await form).body.split()[0]) < 1_001_000

        begun, replaced = asyncio.Event(), asyncio.Event()
        run(main())

    def test_a_file_that_is_written_to_meanwhile(self, run: Run, tmp_path: Path) -> None:
        """The rest would be of another file: the request fails, and the next one sends what is there now."""
        file = tmp_path / "file"
        file.write_bytes(b"o" * 20_000_000)
        begun, written = asyncio.Event(), asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                begun.set()
                await written.wait()
                size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                body = await reader.readexactly(size)
                writer.write(answer(str(set(body.decode())).encode()))
                await writer.drain()

        async def main() -> None:
            async with serving(slow) as port, client(timeout_s=20) as one:
                url = f"http://127.0.0.1:{port}/"
                first = asyncio.create_task(one.ask(url, method="POST", body=file_body(file, what="data")))
                await begun.wait()
                with file.open("r+b") as opened:
                    opened.write(b"n" * 20_000_000)
                written.set()
                assert (await first).error == "body"
                got = await one.ask(url, method="POST", body=file_body(file, what="data"))
                assert got.body == b"{'n'}"

        run(main())

    def test_a_file_that_became_shorter(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"short")

        async def main() -> None:
            async with serving(self.echo) as port, client(timeout_s=2) as one:
                body = FileBody(str(tmp_path / "file"), 0, 1000)
                got = await one.ask(f"http://127.0.0.1:{port}/", method="POST", body=body)
                assert got.error == "body"

        run(main())
