"""Faults of the machine and of fastload itself in a worker: nothing is lost silently, and nothing is called valid."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from fastload.load.executors.request_sources import FixedRequest
from fastload.load.recording.recorder import Recorder
from fastload.model import load_models
from fastload.model.records import Delta
from tests.conftest import REPO, Nginx
from tests.load.worker_talk import plan_of, talk

FEW_FILES = 64
SLOW_S = 1.0


@pytest.fixture
def slow_url() -> Iterator[str]:
    """A server that answers each request after `SLOW_S`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(SLOW_S)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
        port.append(server.sockets[0].getsockname()[1])
        stop.append((asyncio.get_running_loop(), asyncio.Event()))
        begun.set()
        await stop[0][1].wait()
        server.close()

    port: list[int] = []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    begun = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    begun.wait()
    yield f"http://127.0.0.1:{port[0]}"
    loop, event = stop[0]
    loop.call_soon_threadsafe(event.set)
    thread.join()


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))


def test_a_worker_without_descriptors_loses_no_count_and_is_not_valid(slow_url: str, tmp_path: Path) -> None:
    script = tmp_path / "visit.py"
    script.write_text("import fastload as fl\n\n@fl.scenario\nasync def visit(vu):\n    await vu.get('/')\n")
    load = ("--rate", "200", "-d", "2s", "--max-vus", "500", "-w", "1")
    done = subprocess.run(
        [sys.executable, "-m", "fastload", "run", str(script), "--base-url", slow_url, *load, "-q", "--json"],
        cwd=REPO,
        preexec_fn=few_files,
        capture_output=True,
        text=True,
        timeout=60,
    )
    summary = json.loads(done.stdout)
    assert [error["kind"] for error in summary["errors"]] == ["generator_fd"]
    verdict = summary["verdict"]
    assert verdict["state"] == "INVALID"
    assert any("ran out of file descriptors" in reason for reason in verdict["reasons"]), verdict
    requests, metrics = summary["requests"], summary["metrics"]
    assert requests["started"] == sum(requests[name] for name in ("finished", "failed", "interrupted"))
    assert metrics["http_reqs"]["count"] == requests["finished"] + requests["failed"]
    assert metrics["iterations"]["count"] + requests["iterations_interrupted"] == requests["started"]
    assert metrics["http_req_failed"]["rate"] > 0
    assert requests["finished"] > 0


NOTHING_IS_IMPORTED = """
import sys

import fastload as fl

opened = fl.Trend("opened")


class Importing:
    \"\"\"Notes what is imported once a VU runs.\"\"\"

    runs = False

    def find_spec(self, name, path=None, target=None):
        if Importing.runs:
            with open({log!r}, "a") as log:
                log.write(name + "\\n")


sys.meta_path.insert(0, Importing())


async def begin(vu):
    Importing.runs = True


@fl.scenario(on_start=begin, vus=2, duration="1.2s")
async def visit(vu):
    async with vu.group("all"):
        reply = await vu.get("/json", name="page", tags={{"kind": "read"}})
        vu.check(reply, {{"ok": reply.ok}})
        await vu.get("/status/500")
        async with fl.measure("block"):
            opened.add(1.5)
        await vu.sleep(0.05)
"""


@pytest.mark.parametrize(
    "options", [(), ("--out", "json=points.json"), ("--threshold", "http_reqs{kind:read}: count>0")]
)
def test_nothing_is_imported_while_load_is_made(nginx: Nginx, tmp_path: Path, options: tuple[str, ...]) -> None:
    log = tmp_path / "imported.txt"
    (tmp_path / "visit.py").write_text(NOTHING_IS_IMPORTED.format(log=str(log)))
    done = subprocess.run(
        [sys.executable, "-m", "fastload", "run", "visit.py", "--base-url", nginx.url, "-w", "1", "-q", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not log.exists(), log.read_text()


async def visit(vu: fl.VU) -> None:
    await vu.get("/")


class Broken(Exception):
    """A defect of fastload."""


def error_of(plan: Any) -> str:
    """The message of the frame ``error`` that its worker ends with."""
    with talk(plan) as worker:
        worker.start()
        worker.until(lambda: "error" in worker.kinds())
        worker.until_ended()
        return str(worker.body("error")["message"])


@pytest.mark.usefixtures("no_leaks")
class TestADefect:
    def test_in_the_report_of_a_second(self, nginx: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
        taken = Recorder.take

        def take(self: Recorder, **states: Any) -> Delta:
            if "at_ns" in states:
                raise Broken("no report")
            return taken(self, **states)

        monkeypatch.setattr(Recorder, "take", take)
        message = error_of(plan_of(fl.scenario(visit), load_models.ConstantVUs(1, 30.0), base_url=nginx.url))
        assert "Broken: no report" in message
        assert "line" in message, "with the traceback"

    def test_in_a_callback_of_the_engine(self, nginx: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
        def record(self: Recorder, endpoint: int, response_us: int, measurement: Any) -> None:
            raise Broken("no record")

        monkeypatch.setattr(Recorder, "record", record)
        source = FixedRequest("GET", nginx.url)
        assert "Broken: no record" in error_of(plan_of(source, load_models.ConstantVUs(1, 30.0), base_url=nginx.url))

    def test_in_a_task_of_the_script_ends_nothing(self, nginx: Nginx) -> None:
        async def forgets(vu: fl.VU) -> None:
            asyncio.get_running_loop().call_soon(lambda: 1 / 0)
            await vu.get("/")

        plan = plan_of(fl.scenario(forgets), load_models.PerVUIterations(1, 2, 30.0), base_url=nginx.url)
        with talk(plan) as worker:
            worker.start()
            worker.until_all("done")
            assert worker.total("finished") == 2


def test_rows_stay_when_folding_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(0)
    endpoint = recorder.endpoint("page", "GET")
    recorder.record(endpoint, 1, (200, 0, 0, 0, 1, 2, 3, 4, 0, 1, 1))
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "_fold_rows", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            recorder.take(vus=0, in_flight=0, offered=0)
    delta = recorder.take(vus=0, in_flight=0, offered=0)
    assert delta.table.get("http_reqs").value == 1
