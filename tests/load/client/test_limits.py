"""What bounds a request: its timeouts, rates, the size of its body."""

from __future__ import annotations

import asyncio
import math
import socket
from typing import Any

import pytest
import uvloop

from fastload.load.engine.curl_options import whole_units
from fastload.model.errors import PlanError
from fastload.model.http_settings import HttpSettings, RequestSettings
from fastload.planning import make_http
from tests.load.client.transport_servers import LARGE, Web, answer, client, read_request, serving
from tests.load.harness import Run


async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Half of an answer, and then nothing."""
    asked = await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf" if asked.target == "/half" else b"")
    await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ten bytes, one every 60 ms."""
    while True:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.06)
            writer.write(b".")


class TestTimeouts:
    def test_between_bytes(self, run: Run) -> None:
        async def main() -> None:
            async with serving(stall) as port, client(idle_timeout_s=0.15) as one:
                for path, so_far in (("/half", b"half"), ("/none", b"")):
                    got = await one.ask(f"http://127.0.0.1:{port}{path}")
                    assert (got.error, got.body) == ("idle_timeout", so_far)
                    assert "0.15 s" in got.message

        run(main())

    def test_a_slow_answer_that_goes_on_is_not_idle(self, run: Run) -> None:
        async def main() -> None:
            async with serving(drip) as port, client(idle_timeout_s=0.45) as one:
                for _ in range(2):
                    got = await one.ask(f"http://127.0.0.1:{port}/")
                    assert (got.error, got.body) == ("", b"..........")
                    assert got.measured[7] > 500_000

        run(main())

    def test_of_one_request(self, run: Run) -> None:
        async def main() -> None:
            async with serving(stall) as port, client() as one:
                url = f"http://127.0.0.1:{port}/none"
                assert (await one.ask(url, request=RequestSettings(idle_timeout_s=0.1))).error == "idle_timeout"
                assert (await one.ask(url, request=RequestSettings(timeout_s=0.1))).error == "timeout"
                assert one.engine.in_flight == 0

        run(main())

    @pytest.mark.parametrize("seconds", [0.0004, 0.0000001])
    def test_a_time_that_would_be_rounded_to_none(self, run: Run, seconds: float) -> None:
        """libcurl takes whole milliseconds and seconds, and 0 is no limit at all."""

        async def main() -> None:
            async with serving(stall) as port:
                url = f"http://127.0.0.1:{port}/none"
                async with client(timeout_s=seconds) as one:
                    assert (await one.ask(url)).error in ("timeout", "connect_timeout")
                async with client() as one:
                    own = RequestSettings(timeout_s=seconds)
                    assert (await one.ask(url, request=own)).error in ("timeout", "connect_timeout")
                async with client(idle_timeout_s=seconds) as one:
                    assert (await one.ask(url)).error == "idle_timeout"

        run(main())

    def test_a_connect_timeout_that_would_be_rounded_to_none(self, run: Run) -> None:
        async def main() -> None:
            # Nobody accepts: the queue of one is full, and what comes then waits.
            with socket.socket() as full:
                full.bind(("127.0.0.1", 0))
                full.listen(0)
                waiting = [socket.socket() for _ in range(8)]
                for other in waiting:
                    other.setblocking(False)
                    other.connect_ex(full.getsockname())
                async with client(connect_timeout_s=0.0004) as one:
                    got = await one.ask(f"http://127.0.0.1:{full.getsockname()[1]}/")
                for other in waiting:
                    other.close()
            assert got.error in ("connect_timeout", "timeout")

        run(main())

    @pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
    def test_what_is_no_time(self, seconds: float) -> None:
        for name in ("timeout_s", "connect_timeout_s", "idle_timeout_s"):
            given: Any = {name: seconds}
            with pytest.raises(PlanError, match=f"{name} {seconds} is no time limit"):
                RequestSettings(**given)
            with pytest.raises(PlanError, match="timeout"):
                make_http({}, HttpSettings(**given))
        with pytest.raises(PlanError, match="timeout_s 0 is no time limit"):
            RequestSettings(timeout_s=0)

    def test_whole_units(self) -> None:
        assert [whole_units(one) for one in (0, 1e-9, 0.4, 1.4, 1.6, 1e30)] == [0, 1, 1, 1, 2, 2**31 - 1]

    def test_cancelled_while_watched(self, run: Run) -> None:
        async def main() -> None:
            async with serving(stall) as port, client(idle_timeout_s=0.05) as one:
                task = asyncio.create_task(one.ask(f"http://127.0.0.1:{port}/none"))
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await asyncio.sleep(0.1)
                assert one.engine.in_flight == 0

        run(main())

    def test_to_connect(self, run: Run) -> None:
        async def main() -> None:
            with socket.socket() as full, socket.socket() as filler:
                full.bind(("127.0.0.1", 0))
                full.listen(0)
                filler.connect(full.getsockname())
                async with client(timeout_s=15, connect_timeout_s=0.2) as one:
                    got = await one.ask(f"http://127.0.0.1:{full.getsockname()[1]}/")
                    assert got.error == "connect_timeout"
                    assert got.measured[7] < 10_000_000

        run(main())


class TestLimits:
    def test_download_rate(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(download_bytes_per_s=150_000) as one:
                got = await one.ask(site.url("plain", "/files/large"))
                assert got.body == LARGE
                # 72 kB; libcurl lets the first of them pass at once.
                assert got.measured[7] > 100_000
                fast = await one.ask(
                    site.url("plain", "/files/large"), request=RequestSettings(download_bytes_per_s=10**9)
                )
                assert fast.measured[7] < got.measured[7]

        run(main())

    @pytest.mark.usefixtures("no_leaks")
    def test_upload_rate(self) -> None:
        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                asked = await read_request(reader)
                writer.write(answer(str(len(asked.body)).encode()))

        async def main() -> None:
            # libcurl lets what a second may have pass at once.
            body = b"x" * 110_000
            async with serving(count) as port, client(upload_bytes_per_s=100_000) as one:
                slow = await one.ask(f"http://127.0.0.1:{port}/", method="POST", body=body)
                assert slow.body == b"110000"
                assert slow.measured[7] > 500_000

        uvloop.run(main())

    @pytest.mark.parametrize("chunked", [False, True])
    def test_body_size(self, run: Run, chunked: bool) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                size = int((await read_request(reader)).target.strip("/"))
                if chunked:
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size))
                else:
                    writer.write(answer(b"x" * size))

        async def main() -> None:
            async with serving(serve) as port, client(max_body_bytes=1000) as one:
                assert (await one.ask(f"http://127.0.0.1:{port}/1000")).status == 200
                got = await one.ask(f"http://127.0.0.1:{port}/1001")
                assert got.error == "too_large"
                assert len(got.body) <= 1000
                more = RequestSettings(max_body_bytes=5000)
                assert (await one.ask(f"http://127.0.0.1:{port}/1001", request=more)).status == 200

        run(main())
