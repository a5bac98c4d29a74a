"""The engine's hazards, each against a real server: descriptors, idle closes, timers, resolver, cancelling."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from fastload.load.engine.curl import CurlEngine
from fastload.load.engine.curl_handle import ConnectionCache
from fastload.load.engine.curl_options import supports
from fastload.load.engine.curl_transfer import Transfer
from fastload.load.engine.error_kinds import error_kind
from fastload.load.engine.poller import EpollPoller
from fastload.load.engine.transfer_future import TransferFuture
from fastload.model.http_settings import HttpSettings
from tests.conftest import Nginx, free_port

SETTINGS = HttpSettings(timeout_s=10.0)


class Bench:
    """An engine with transfers that each repeat a request; *results* collects (status, error) of every one."""

    def __init__(self, engine: CurlEngine, url: str, count: int, settings: HttpSettings = SETTINGS) -> None:
        self.engine = engine
        self.results: list[tuple[int, tuple[int, str] | None]] = []
        self.kinds: list[str] = []
        self.done = asyncio.Event()
        self._left = 0
        self._caches = [ConnectionCache() for _ in range(count)]
        self.transfers = [Transfer() for _ in range(count)]
        for transfer, cache in zip(self.transfers, self._caches, strict=True):
            transfer.configure(settings, cache=cache, keep_body=False)
            engine.adopt(transfer)
            transfer.on_done = self._on_done
            transfer.prepare("GET", url, (), None)

    async def repeat(self, requests: int, timeout_s: float = 30.0) -> None:
        """Make *requests* over all transfers."""
        self.done.clear()
        self._left = requests - len(self.transfers)
        self._running = len(self.transfers)
        for transfer in self.transfers:
            self.engine.submit(transfer)
        async with asyncio.timeout(timeout_s):
            await self.done.wait()

    def _on_done(self, transfer: Transfer, error: tuple[int, str] | None) -> None:
        self.results.append((transfer.measure()[0], error))
        if error:
            self.kinds.append(error_kind(transfer, error[0]))
        if self._left > 0:
            self._left -= 1
            self.engine.submit(transfer)
        else:
            self._running -= 1
            if not self._running:
                self.done.set()

    def close(self) -> None:
        for transfer, cache in zip(self.transfers, self._caches, strict=True):
            self.engine.cancel(transfer)
            transfer.close()
            cache.close()


def on_both_loops(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run *test* under uvloop, which the workers use, and under asyncio's own loop."""
    uvloop.run(test())
    asyncio.run(test())


def open_fds() -> set[str]:
    """The descriptors of this process by number."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server whose connections are each given to *handle* in a thread; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                thread = threading.Thread(target=handle, args=(connection,))
                thread.start()
                threads.append(thread)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


def answer(connection: socket.socket) -> bool:
    """Read one request and answer it; False at the end of the stream."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(4096)
        if not received:
            return False
        data += received
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    return True


@pytest.mark.parametrize("server", ["url", "close20", "close1"])
def test_every_request_ends_whatever_the_server_does_to_its_connections(nginx: Nginx, server: str) -> None:
    async def test() -> None:
        engine = CurlEngine(asyncio.get_running_loop())
        bench = Bench(engine, getattr(nginx, server) + "/", 16)
        await bench.repeat(1000)
        assert [result for result in bench.results if result != (200, None)] == []
        assert len(bench.results) == 1000
        assert engine.in_flight == 0
        bench.close()
        engine.close()

    on_both_loops(test)


def test_descriptor_numbers_are_reused_by_new_connections(nginx: Nginx) -> None:
    """The server closes after every request, so libcurl gets the same numbers again and again."""
    opened: list[int] = []

    class Watching(CurlEngine):
        def announce_socket(self, fd: int) -> None:
            opened.append(fd)
            super().announce_socket(fd)

    async def test() -> None:
        opened.clear()
        engine = Watching(asyncio.get_running_loop())
        bench = Bench(engine, nginx.close1 + "/", 4)
        await bench.repeat(200)
        assert len(opened) == 200
        assert len(set(opened)) < 20
        assert bench.results == [(200, None)] * 200
        bench.close()
        engine.close()

    on_both_loops(test)


def test_a_server_that_closes_an_idle_connection_does_not_spin_the_loop() -> None:
    close_now = threading.Event()
    closed = threading.Event()

    def handle(connection: socket.socket) -> None:
        with connection:
            answer(connection)
            close_now.wait(10)
        closed.set()

    async def test() -> None:
        close_now.clear()
        closed.clear()
        wake_ups = 0

        class Counting(CurlEngine):
            def _drain(self) -> None:
                nonlocal wake_ups
                wake_ups += 1
                super()._drain()

        loop = asyncio.get_running_loop()
        with serving(handle) as port:
            engine = Counting(loop)
            bench = Bench(engine, f"http://127.0.0.1:{port}/", 1)
            await bench.repeat(1)
            before = wake_ups
            close_now.set()
            await loop.run_in_executor(None, closed.wait, 10)
            for _ in range(200):
                await asyncio.sleep(0)
            assert wake_ups - before <= 2
            await bench.repeat(1)
            assert bench.results == [(200, None)] * 2
            bench.close()
            engine.close()

    on_both_loops(test)


def test_an_unasked_byte_on_an_idle_connection_does_not_spin_the_loop() -> None:
    write_now = threading.Event()

    def handle(connection: socket.socket) -> None:
        with connection:
            answer(connection)
            write_now.wait(10)
            connection.sendall(b"x")
            connection.recv(1)

    async def test() -> None:
        wake_ups = 0

        class Counting(CurlEngine):
            def _drain(self) -> None:
                nonlocal wake_ups
                wake_ups += 1
                super()._drain()

        with serving(handle) as port:
            engine = Counting(asyncio.get_running_loop())
            bench = Bench(engine, f"http://127.0.0.1:{port}/", 1)
            await bench.repeat(1)
            before = wake_ups
            write_now.set()
            async with asyncio.timeout(20):
                while wake_ups == before:
                    await asyncio.sleep(0.001)
            for _ in range(200):
                await asyncio.sleep(0)
            assert wake_ups - before <= 2
            bench.close()
            engine.close()

    uvloop.run(test())


def test_a_timeout_fires_and_leaves_no_timer_behind() -> None:
    hang_up = threading.Event()

    def handle(connection: socket.socket) -> None:
        with connection:
            connection.recv(4096)
            hang_up.wait(10)

    async def test() -> None:
        hang_up.clear()
        loop = asyncio.get_running_loop()
        with serving(handle) as port:
            engine = CurlEngine(loop)
            bench = Bench(engine, f"http://127.0.0.1:{port}/", 3, HttpSettings(timeout_s=0.2))
            before_s = loop.time()
            await bench.repeat(3)
            assert loop.time() - before_s >= 0.199
            assert bench.kinds == ["timeout"] * 3
            hang_up.set()
            # libcurl took its timer back with -1: nothing may fire for it any more.
            assert engine._deadline_s is None
            bench.close()
            engine.close()

    on_both_loops(test)


def test_an_earlier_deadline_replaces_an_armed_timer() -> None:
    """One transfer may take 60 s, the next only 0.2 s: the second's timeout must not wait for the first's."""
    hang_up = threading.Event()

    def handle(connection: socket.socket) -> None:
        with connection:
            connection.recv(4096)
            hang_up.wait(10)

    async def test() -> None:
        with serving(handle) as port:
            engine = CurlEngine(asyncio.get_running_loop())
            slow = Bench(engine, f"http://127.0.0.1:{port}/", 1, HttpSettings(timeout_s=60.0))
            quick = Bench(engine, f"http://127.0.0.1:{port}/", 1, HttpSettings(timeout_s=0.2))
            first = asyncio.create_task(slow.repeat(1))
            await asyncio.sleep(0.05)
            await quick.repeat(1, timeout_s=20)
            assert quick.kinds == ["timeout"]
            hang_up.set()
            await first
            slow.close()
            quick.close()
            engine.close()

    uvloop.run(test())


def test_resolver_sockets_are_not_taken_for_connections(nginx: Nginx) -> None:
    async def test() -> None:
        engine = CurlEngine(asyncio.get_running_loop())
        bench = Bench(engine, nginx.url.replace("127.0.0.1", "localhost") + "/", 8)
        before = len(open_fds())
        await bench.repeat(200)
        assert bench.results == [(200, None)] * 200
        # Eight connections stay; whatever the lookups opened is gone, and is not remembered.
        assert len(open_fds()) - before == 8
        assert sum(mask != 0 for mask in engine._poll_masks.values()) == 8
        bench.close()
        engine.close()

    on_both_loops(test)


def test_closing_everything_gives_every_descriptor_back(nginx: Nginx) -> None:
    async def test() -> None:
        before = open_fds()
        engine = CurlEngine(asyncio.get_running_loop())
        bench = Bench(engine, nginx.url + "/", 20)
        await bench.repeat(100)
        bench.close()
        engine.close()
        assert open_fds() == before

    on_both_loops(test)


def test_close_with_requests_in_flight() -> None:
    def handle(connection: socket.socket) -> None:
        with connection:
            while connection.recv(4096):
                pass

    async def test() -> None:
        with serving(handle) as port:
            engine = CurlEngine(asyncio.get_running_loop())
            bench = Bench(engine, f"http://127.0.0.1:{port}/", 4)
            for transfer in bench.transfers:
                engine.submit(transfer)
            await asyncio.sleep(0.02)
            assert engine.in_flight == 4
            engine.close()
            assert engine.in_flight == 0
            assert bench.results == []
            bench.close()

    on_both_loops(test)


def test_a_cancelled_transfer_is_silent_and_usable_again(nginx: Nginx) -> None:
    async def test() -> None:
        engine = CurlEngine(asyncio.get_running_loop())
        bench = Bench(engine, nginx.url + "/", 1)
        engine.submit(bench.transfers[0])
        assert engine.cancel(bench.transfers[0])
        assert not engine.cancel(bench.transfers[0])
        await asyncio.sleep(0.02)
        assert bench.results == []
        await bench.repeat(1)
        assert bench.results == [(200, None)]
        bench.close()
        engine.close()

    on_both_loops(test)


def test_refused_connections_end_with_their_kind() -> None:
    async def test() -> None:
        engine = CurlEngine(asyncio.get_running_loop())
        bench = Bench(engine, f"http://127.0.0.1:{free_port()}/", 2)
        await bench.repeat(10)
        assert bench.kinds == ["connect_refused"] * 10
        bench.close()
        engine.close()

    on_both_loops(test)


def test_awaiting_a_response_wakes_the_task_and_can_be_cancelled(nginx: Nginx) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        engine = CurlEngine(loop)
        bench = Bench(engine, nginx.url + "/", 1)
        transfer = bench.transfers[0]
        response = TransferFuture(engine, transfer, loop)

        async def request() -> int:
            engine.submit(transfer)
            await response
            assert asyncio.current_task() is not None
            return transfer.measure()[0]

        assert await request() == 200
        task = asyncio.create_task(request())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.in_flight == 0
        assert await request() == 200
        bench.close()
        engine.close()

    on_both_loops(test)


def test_poller_takes_a_reused_number_as_new() -> None:
    poller = EpollPoller()
    first, other = socket.socketpair()
    poller.add(first.fileno(), 1)
    number = first.fileno()
    first.close()
    second, third = socket.socketpair()
    try:
        if second.fileno() != number:
            os.dup2(second.fileno(), number)
        poller.change(number, 1)
        third.sendall(b"x")
        assert poller.wait() == [(number, 1)]
        poller.forget(number)
        poller.forget(number)
        assert poller.wait() == []
    finally:
        if second.fileno() != number:
            os.close(number)
        for item in (other, second, third):
            item.close()
        poller.close()


def test_http_versions_that_this_libcurl_has() -> None:
    assert supports("")
    assert supports("1.1")
    assert supports("2")
    assert supports("2-prior")


def test_transfer_switches_between_methods(nginx: Nginx) -> None:
    async def test() -> None:
        engine = CurlEngine(asyncio.get_running_loop())
        bench = Bench(engine, nginx.url + "/method", 1)
        transfer = bench.transfers[0]
        transfer.keep_body(True)
        seen: list[Any] = []
        for method, body in (
            ("GET", None),
            ("POST", b"x"),
            ("GET", None),
            ("PUT", b"y"),
            ("DELETE", None),
            ("POST", None),
            ("HEAD", None),
            ("PATCH", b"z"),
            ("OPTIONS", None),
            ("GET", None),
        ):
            transfer.prepare(method, nginx.url + "/method?q=1", ("X-Test: a",), body)
            await bench.repeat(1)
            seen.append(transfer.take_body().decode())
        assert seen == [
            "GET a q=1",
            "POST a q=1",
            "GET a q=1",
            "PUT a q=1",
            "DELETE a q=1",
            "POST a q=1",
            "",
            "PATCH a q=1",
            "OPTIONS a q=1",
            "GET a q=1",
        ]
        bench.close()
        engine.close()

    on_both_loops(test)
