"""Digest in a whole run: what it sends in addition can be reconciled with the server, wherever it was sent."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import Cli
from tests.load.client.transport_servers import DigestServer, serving

SCRIPT = """
import fastload as fl

@fl.setup
async def before(vu):
    await vu.get("/setup")

@fl.teardown
async def after(vu):
    await vu.get("/teardown")

@fl.scenario(vus=2, duration="1s")
async def visit(vu):
    if vu.iteration == 3:
        # Handles of their own, so that the measured part has challenges too.
        await vu.batch(["/a"] * 4)
    await vu.post("/b", data=b"x")
    await vu.sleep(0.05)
"""


@contextmanager
def digest_server() -> Iterator[tuple[DigestServer, int]]:
    """A server in a thread of its own, and its port."""
    server, ports, end = DigestServer(), list[int](), asyncio.Event()
    began = threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving(server) as port:
            ports.append(port)
            began.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert began.wait(20)
        yield server, ports[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


def test_warm_up_setup_and_teardown(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with digest_server() as (server, port):
        url = f"http://127.0.0.1:{port}"
        options = ("--auth", "digest:ada:lovelace", "--warmup", "1s", "--json", "-q", "--workers", "1")
        done = cli("run", str(script), "--base-url", url, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        summary = json.loads(done.stdout)
        requests, seen = summary["requests"], len(server.seen)
    assert requests["failed"] == 0
    assert requests["setup"] == 2
    assert requests["warmup"] > 0
    assert seen == requests["started"] + requests["challenges"]
    measured = summary["metrics"].get("http_auth_challenges", {"count": 0})["count"]
    # One of setup, one of teardown, and one of each VU in the warm-up.
    assert requests["challenges"] >= measured + 4
