"""How long the server of a dashboard stays when the run is over."""

from __future__ import annotations

import http.client
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

import fastload as fl
from fastload.dashboard.dashboard_output import DashboardOutput
from fastload.outputs.streams.sink_output import SinkOutput
from fastload.targets import RunningTarget
from tests.browser import chromium, open_page
from tests.conftest import DEADLINE_S, Cli, answers, wait_until
from tests.dashboard.command_run import Run, Start, runs_of

__all__ = ["chromium"]

expect.set_options(timeout=DEADLINE_S * 1000)

SCRIPT = """
import fastload as fl


@fl.scenario(vus=1, duration="2s", thresholds={"http_req_duration": "p(99)<0.001ms"})
async def visit(vu: fl.VU) -> None:
    await vu.get("/health")
    await vu.sleep(0.05)
"""
LONG = ("--dashboard-linger", "1h")


@pytest.fixture
def start(tmp_path: Path, sequencer: RunningTarget) -> Iterator[Start]:
    with runs_of(SCRIPT, tmp_path, sequencer.base_url) as start:
        yield start


class Watcher:
    """Somebody who watches without a browser, until `close`."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        self._connection.request("GET", "/events")
        self._response = self._connection.getresponse()

    def until_end(self) -> None:
        while (line := self._response.readline()) != b"event: end\n":
            assert line, "the stream ended before the run"

    def until_left(self) -> None:
        """Wait until the server has ended the stream."""
        while self._response.readline():
            pass

    def close(self) -> None:
        self._response.close()
        self._connection.close()


@contextmanager
def page_of(chromium: Browser, run: Run) -> Iterator[Page]:
    """The page when the run is over. Somebody watches until it is there: a browser may take longer than the run."""
    watcher = Watcher(run.port)
    with open_page(chromium, run.url) as page:
        expect(page.locator("#live-phase")).to_have_text("Over")
        watcher.close()
        yield page


def test_a_page_can_be_loaded_again_until_it_is_closed(start: Start, chromium: Browser, tmp_path: Path) -> None:
    run = start(*LONG, "--summary", "summary.json")
    with page_of(chromium, run) as page:
        expect(page.locator("#live-more")).to_have_text("These figures are final")
        # The results are there while the command waits.
        wait_until((tmp_path / "summary.json").exists)
        assert run.process.poll() is None
        page.reload()
        expect(page.locator("#live-phase")).to_have_text("Over")
        expect(page.locator("#chart-overview .main-svg").first).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Report", exact=True).click()
        assert b"<title>" in Path(download.value.path()).read_bytes()
    summary = run.end(99)
    assert "dashboard: stays while a page of it is open, at most 1h00m; Ctrl-C ends it" in run.err
    assert summary["stopped_by"] == ""


def test_ctrl_c_ends_the_wait_and_changes_no_result(start: Start, chromium: Browser) -> None:
    run = start(*LONG)
    with page_of(chromium, run) as page:
        assert run.process.stderr is not None
        assert any("stays while" in line for line in run.process.stderr)
        run.process.send_signal(signal.SIGINT)
        expect(page.locator("#live-more")).to_have_text("These figures are final; the server has ended")
        expect(page.locator("#live-report")).to_be_hidden()
        # What is there needs no server.
        page.locator("#time").scroll_into_view_if_needed()
        expect(page.locator("#chart-latency .main-svg").first).to_be_visible()
        summary = run.end(99)
    assert (summary["stopped_by"], summary["passed"]) == ("", False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_ended_by_others_does_not_wait(start: Start, number: signal.Signals) -> None:
    run = start(*LONG)
    watcher = Watcher(run.port)
    run.process.send_signal(number)
    watcher.until_end()
    watcher.until_left()
    watcher.close()
    assert run.end(105)["stopped_by"] == "interrupt"


def test_it_waits_no_longer_than_asked_and_not_for_nobody(start: Start) -> None:
    run = start("--dashboard-linger", "1s")
    watcher = Watcher(run.port)
    watcher.until_end()
    watcher.until_left()
    run.end(99)
    assert "at most 1s" in run.err
    watcher.close()
    alone = start(*LONG)
    alone.end(99)
    assert "stays while" not in alone.err


def test_a_wrong_time_is_told_before_anything_is_sent(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = cli("run", "script.py", "--base-url", "http://127.0.0.1:9", "--dashboard", "0", "--dashboard-linger", "5")
    assert (done.returncode, "dashboard-linger '5' is not a duration" in done.stderr) == (104, True), done.stderr


def test_a_program_waits_for_those_who_watch(sequencer: RunningTarget) -> None:
    output = DashboardOutput("127.0.0.1", 0, linger_s=3600.0)
    waits = threading.Event()
    output.on_linger = waits.set
    found: list[Any] = []

    async def visit(vu: fl.VU) -> None:
        await vu.get("/health")
        await vu.sleep(0.05)

    def run() -> None:
        outputs = [SinkOutput("dashboard", output)]
        found.append(fl.run(visit, vus=1, duration="2s", workers=1, base_url=sequencer.base_url, outputs=outputs))

    thread = threading.Thread(target=run)
    thread.start()
    assert output.wait(DEADLINE_S)
    port = int(output.address.rpartition(":")[2])
    watcher = Watcher(port)
    watcher.until_end()
    assert waits.wait(DEADLINE_S)
    assert (answers(port), found) == (True, [])
    watcher.close()
    thread.join(DEADLINE_S)
    assert found
    assert found[0].passed
    assert not answers(port)
