"""A worker that is ready imports nothing more: an import stops its loop, and fails where no descriptor is left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO, Nginx, cli_command, cli_env, free_port

WATCHES_IMPORTS = """
import gc
import os
import sys

# The last thing that a worker does before it is ready.
freeze = gc.freeze
state = {"ready": False, "file": -1}


def freeze_and_watch():
    freeze()
    state["file"] = os.open(os.environ["IMPORTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(state["file"], b"ready\\n")
    state["ready"] = True


def on_event(event, arguments):
    # Only modules that are not loaded yet raise this event.
    if state["ready"] and event == "import":
        frame, stack = sys._getframe(1), []
        while frame is not None and len(stack) < 12:
            stack.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
            frame = frame.f_back
        os.write(state["file"], f"imported {arguments[0]} at {' '.join(stack)}\\n".encode())


gc.freeze = freeze_and_watch
sys.addaudithook(on_event)
"""

EVERYTHING = """
import fastload as fl

opened, sizes, good, level = fl.Trend("opened"), fl.Counter("sizes"), fl.Rate("good"), fl.Gauge("level")
reached = fl.Counter("reached")


async def begin(vu):
    vu.headers = {{"X-A": "1"}}


async def end(vu):
    await vu.get("/")


class Mine(Exception):
    pass


@fl.scenario({load}, thresholds={{"reached": "count>0"}}, on_start=begin, on_stop=end)
async def visit(vu):
    async with vu.group("all"):
        reply = await vu.get("/json", name="page", tags={{"kind": "read"}}, keep_body=True)
        vu.check(reply, {{"ok": reply.ok, "json": bool(reply.json() is not None)}})
        await vu.get("/status/500")
        async with fl.measure("block"):
            opened.add(1.5, tags={{"region": "eu"}})
        sizes.add(2)
        good.add(True)
        level.add(3)
    await vu.get("/status/503", retry=fl.Retry(times=1, on=(503,), wait="1ms", jitter=0.5))
    await vu.post("/", json={{"a": 1}})
    await vu.post("/", data={{"a": "b"}})
    await vu.post("/", files={{"a": ("a.txt", b"text", "text/plain")}})
    await vu.get("/", auth=("a", "b"))
    await vu.get("/", auth=fl.Auth("bearer", token="t"), timeout=5)
    await vu.get("http://127.0.0.1:{refused}/refused")
    await vu.get("http://127.0.0.1:{silent}/silent", timeout=0.05)
    await vu.get("http://no-such-host.invalid/")
    async with vu.expect("GET", "/json") as judged:
        judged.failure("not good enough")
    async with vu.stream("GET", "/json") as streamed:
        async for _ in streamed.lines():
            pass
    await vu.batch(["/", "/json"])
    vu.random.random()
    try:
        async with fl.measure("raises"):
            raise KeyError("inner")
    except KeyError:
        pass
    try:
        async with vu.websocket("ws://127.0.0.1:{sockets}/echo") as ws:
            await ws.send("hello")
            await ws.receive(timeout_s=5)
            await ws.ping(timeout_s=5)
    except fl.WebSocketError:
        pass
    try:
        async with vu.websocket("ws://127.0.0.1:{sockets}/forbidden"):
            pass
    except fl.WebSocketError:
        pass
    await vu.sleep(0.01, 0.02)
    reached.add(1)
    if vu.iteration % 3 == 1:
        raise Mine("of the script")
    if vu.iteration % 3 == 2:
        fl.fail("enough")
"""

CLOSED = 'vus=2, duration="1.5s", graceful_stop="20s"'
ARRIVALS = 'rate=20, arrivals="poisson", max_vus=20, duration="1.5s", graceful_stop="20s", when_busy="drop"'
RAMPING = 'stages=["500ms:3", "500ms:1"], pacing="50ms", iteration_timeout="20s", graceful_stop="20s"'


@pytest.fixture(scope="module")
def sockets() -> Iterator[int]:
    command = [sys.executable, "-m", "tests.load.client.websocket_server"]
    with subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.terminate()


@pytest.fixture
def silent() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        yield server.getsockname()[1]


def imports(folder: Path, *arguments: str) -> list[str]:
    """What the workers of a run imported once they were ready, after a line for each worker."""
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(WATCHES_IMPORTS)
    env = cli_env(IMPORTS=str(folder / "imports"))
    env["PYTHONPATH"] = os.pathsep.join((str(folder / "hook"), env["PYTHONPATH"]))
    command = cli_command(*arguments, "-w", "1", "-q")
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 108), done.stdout + done.stderr
    return (folder / "imports").read_text().splitlines()


@pytest.mark.parametrize(
    ("load", "options"),
    [
        (CLOSED, ()),
        (CLOSED, ("--out", "csv=points.csv", "--out", "json=points.json")),
        (ARRIVALS, ("--threshold", "http_reqs{kind:read}: count>0", "--out", "statsd=127.0.0.1:9")),
        (RAMPING, ("--warmup", "300ms", "--threshold", "opened{region:eu}: p(95)<100 for 1s")),
    ],
    ids=["closed", "points", "arrivals", "ramping"],
)
def test_nothing_is_imported_by_a_script_that_uses_everything(
    nginx: Nginx, sockets: int, silent: int, tmp_path: Path, load: str, options: tuple[str, ...]
) -> None:
    script = EVERYTHING.format(load=load, refused=free_port(), silent=silent, sockets=sockets)
    (tmp_path / "everything.py").write_text(script)
    found = imports(tmp_path, "run", "everything.py", "--base-url", nginx.url, *options)
    assert found == ["ready"], "\n".join(found)


@pytest.mark.parametrize(
    "options",
    [("-n", "200"), ("-r", "100", "-d", "1500ms"), ("-d", "1500ms", "--out", "csv=points.csv", "--warmup", "500ms")],
    ids=["closed", "arrivals", "points"],
)
def test_nothing_is_imported_by_bench(nginx: Nginx, tmp_path: Path, options: tuple[str, ...]) -> None:
    found = imports(tmp_path, "bench", nginx.url + "/status/500", "-c", "4", *options)
    assert found == ["ready"], "\n".join(found)


def test_nothing_is_imported_by_a_bench_that_fails(tmp_path: Path) -> None:
    found = imports(tmp_path, "bench", f"http://127.0.0.1:{free_port()}", "-c", "4", "-d", "1500ms")
    assert found == ["ready"], "\n".join(found)
