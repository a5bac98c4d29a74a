"""`--dashboard` end to end: a real run, and a real browser that watches and steers it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from fastload.cli.dashboard import DashboardAddress, fill_address
from fastload.targets import RunningTarget
from tests.browser import chromium, open_page, overflow_px, shoot
from tests.conftest import DEADLINE_S, Cli, answers, free_port, wait_until
from tests.dashboard.command_run import Run, Start, runs_of

__all__ = ["chromium"]

expect.set_options(timeout=DEADLINE_S * 1000)

PATH = "/api/v1/head?tenant_id=00000000-0000-0000-0000-000000000000&store_id=00000000-0000-0000-0000-000000000000"
SCRIPT = f"""
import os

import fastload as fl
import psutil


@fl.scenario(executor="externally-controlled", vus=2, max_vus=20, duration="60s", graceful_stop="2s")
async def browse(vu: fl.VU) -> None:
    reply = await vu.get("{PATH}", name="</script><b>head</b>")
    listening = [c for c in psutil.Process().net_connections() if c.status == psutil.CONN_LISTEN]
    vu.check(reply, {{"ok": reply.ok, "nothing inherited": not listening}})
    await vu.sleep(0.05)


@fl.scenario(executor="externally-controlled", rate="20/s", max_vus=10, duration="60s", graceful_stop="2s")
async def search(vu: fl.VU) -> None:
    await vu.get("{PATH}", name="search")
"""


@pytest.fixture
def start(tmp_path: Path, sequencer: RunningTarget) -> Iterator[Start]:
    with runs_of(SCRIPT, tmp_path, sequencer.base_url) as start:
        yield start


def is_at(page: Page, phase: str) -> None:
    expect(page.locator("#live-phase")).to_have_text(phase)


def requests_shown(page: Page) -> int:
    """The number of requests that the page tells first of all."""
    tile = page.locator(".tiles div", has=page.get_by_text("Requests", exact=True))
    return int(tile.locator("dd").inner_text().split()[0].replace(",", ""))


def vus_running(page: Page) -> int:
    return int(page.evaluate("fastload.data.timeline.vus.at(-1) ?? 0"))


def rows_served(run: Run) -> int:
    with urllib.request.urlopen(f"{run.url}/data.json", timeout=DEADLINE_S) as reply:
        return len(json.load(reply)["timeline"]["t"])


def set_hidden(page: Page, *, hidden: bool) -> None:
    """As when somebody goes to another tab, and comes back."""
    shown = "true" if hidden else "false"
    page.evaluate(f"Object.defineProperty(document, 'hidden', {{value: {shown}, configurable: true}})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def chart(page: Page, name: str) -> dict[str, list[list[float]]]:
    """x and y by series of a chart that is looked at; it is drawn then."""
    page.locator(f'figure[data-chart="{name}"]').scroll_into_view_if_needed()
    data = f"(document.getElementById('{name}').data || [])"
    found: dict[str, list[list[float]]] = page.evaluate(
        f"Object.fromEntries({data}.filter(one => one.name).map(one => [one.name, [one.x, one.y]]))"
    )
    return found


def test_two_watch_and_steer_to_the_end_and_see_what_the_summary_says(start: Start, chromium: Browser) -> None:
    run = start("--control", "0")
    refused = ("status of 400",)
    with (
        open_page(chromium, run.url, expected=refused) as page,
        open_page(chromium, run.url, scheme="dark", width=390) as phone,
    ):
        is_at(page, "Running")
        before = requests_shown(page)
        wait_until(lambda: requests_shown(page) > before > 0 or requests_shown(page) > before + 1)
        expect(page.locator("#live-more")).to_contain_text("2 watch")
        shoot(page, "dashboard-light")
        shoot(phone, "dashboard-phone-dark")
        assert overflow_px(phone) == 0
        assert phone.locator("b", has_text="head").count() == 0
        scale(page, phone)
        page.get_by_role("button", name="Pause").click()
        is_at(page, "Paused")
        is_at(phone, "Paused")
        phone.get_by_role("button", name="Resume").click()
        is_at(page, "Running")
        stop_by_keyboard(page)
        for one in (page, phone):
            is_at(one, "Over")
            expect(one.locator("#live-stop")).to_be_hidden()
            expect(one.locator("#live-scenarios")).to_be_hidden()
        summary = run.end()
        assert summary["stopped_by"] == "control"
        assert {check["name"]: check["fails"] for check in summary["checks"]} == {"ok": 0, "nothing inherited": 0}
        assert summary["metrics"]["vus"]["max"] >= 9
        for one in (page, phone):
            check_final(one, summary)
        rows = page.evaluate("fastload.data.timeline")
        ended = sum(rate * span for rate, span in zip(rows["rate"], rows["span"], strict=True))
        assert ended == pytest.approx(summary["metrics"]["http_reqs"]["count"], abs=0.5)
        # The charts have it all, also those that were out of sight while it came.
        # Each value stands for its second; the chart may add the bounds of the first and the last one.
        wait_until(lambda: rows["rate"] in (drawn := requests_drawn(page), drawn[1:-1]))
        curve = rows["curves"]["service"]
        assert curve["x"][-1] == summary["metrics"]["http_reqs"]["count"]
        wait_until(lambda: [curve["x"], curve["y"]] in chart(page, "chart-curve").values())


def requests_drawn(page: Page) -> list[float]:
    """The requests per second in their chart."""
    return chart(page, "chart-rate").get("requests", [[], []])[1]


def scale(page: Page, other: Page) -> None:
    """VUs and rate by the fields of *page*, also to what the run refuses. *other* sees it, too."""
    field = page.get_by_label("browse: VUs")
    field.fill("9")
    field.press("Enter")
    expect(other.locator('[data-scenario="browse"] output')).to_have_text("9 VUs")
    wait_until(lambda: vus_running(page) >= 9)
    page.get_by_role("button", name="browse: 1 less").click()
    expect(page.locator('[data-scenario="browse"] output')).to_have_text("8 VUs")
    field.fill("21")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("over the max_vus of browse, 20 (ask for fewer")
    # What is no number is told here: the run's own words are for programs.
    for text in ("", "2.5"):
        field.fill(text)
        field.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("browse: give a whole number of VUs, like 50")
        expect(field).to_be_focused()
        field.fill("8")
        field.press("Enter")
        expect(page.locator("#live-said")).to_be_empty()
    rate = page.get_by_label("search: starts per second")
    rate.fill("fast")
    page.locator('[data-scenario="search"]').get_by_role("button", name="Set").click()
    expect(page.get_by_role("alert")).to_contain_text("fast")
    shoot(page, "dashboard-refused")
    rate.fill("0.05k/s")
    rate.press("Enter")
    expect(page.locator('[data-scenario="search"] output')).to_have_text("50/s")
    expect(page.locator("#live-said")).to_be_empty()


def stop_by_keyboard(page: Page) -> None:
    """By keyboard alone: the question whether to stop has the focus on its answer."""
    page.locator("#live-stop").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#live-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#live-dialog")).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")


def check_final(page: Page, summary: dict[str, Any]) -> None:
    """That it has the figures of *summary*, and the clock of its end."""
    shown = page.evaluate("fastload.data.summary")
    for key in ("metrics", "endpoints", "checks", "errors", "requests", "verdict", "scenarios", "stopped_by"):
        assert shown[key] == summary[key], key
    assert requests_shown(page) == summary["metrics"]["http_reqs"]["count"]
    elapsed_s = page.evaluate("fastload.data.state.elapsed_s")
    assert elapsed_s >= 1
    expect(page.locator("#live-clock")).to_have_text(page.evaluate(f"fastload.units.clock({elapsed_s})"))
    expect(page.locator("#live-clock")).not_to_have_text("0:00")


def test_without_control_it_only_shows_and_is_lost_and_found(start: Start, chromium: Browser) -> None:
    port = str(free_port())
    run = start("--dashboard", port)
    with open_page(chromium, run.url, expected=("ERR_",)) as page:
        is_at(page, "Running")
        assert page.get_by_role("button", name=re.compile("Pause|Stop")).count() == 0
        first = page.evaluate("fastload.data.run.run_id")
        with page.expect_download() as download:
            page.get_by_role("link", name="Report so far").click()
        assert download.value.suggested_filename.startswith(f"fastload-{first}")
        # What nobody sees is not drawn, and is there all the same when somebody looks.
        set_hidden(page, hidden=True)
        drawn = page.evaluate("fastload.data.timeline.t")
        wait_until(lambda: rows_served(run) > len(drawn))
        assert page.evaluate("fastload.data.timeline.t") == drawn
        set_hidden(page, hidden=False)
        wait_until(lambda: len(page.evaluate("fastload.data.timeline.t")) > len(drawn))
        rows = page.evaluate("fastload.data.timeline.t")
        assert rows == sorted(set(rows))
        run.process.send_signal(signal.SIGKILL)
        is_at(page, "Connection lost, trying again")
        # Another run on the same port: another page.
        again = start("--dashboard", port)
        expect(page.locator("#foot")).not_to_contain_text(first)
        is_at(page, "Running")
        again.process.send_signal(signal.SIGINT)
        is_at(page, "Over")
        assert page.evaluate("fastload.data.summary.stopped_by") == "interrupt"
    again.end(105)


def test_a_paused_run_begins_in_the_browser_that_has_the_token(start: Start, chromium: Browser) -> None:
    run = start("--control", "0", "--paused", FASTLOAD_DASHBOARD_TOKEN="s3cret")
    with open_page(chromium, run.url, expected=("status of 401",)) as page:
        expect(page.get_by_role("alert")).to_have_text("A token is needed.")
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("The token is wrong.")
        page.get_by_label("Token").fill("s3cret")
        page.keyboard.press("Enter")
        is_at(page, "Ready")
        assert "token" not in page.url
        assert page.evaluate("document.cookie") == ""
        shoot(page, "dashboard-waiting")
        page.get_by_role("button", name="Begin").click()
        is_at(page, "Running")
        wait_until(lambda: requests_shown(page) > 0)
        page.get_by_role("button", name="Stop", exact=True).click()
        shoot(page, "dashboard-stop")
        page.get_by_role("button", name="Stop now").click()
        is_at(page, "Over")
    run.end()


@pytest.mark.parametrize(
    ("args", "filled"),
    [
        ("run s.py --dashboard", "run s.py --dashboard=5665"),
        ("run --dashboard s.py", "run --dashboard=5665 s.py"),
        ("run --dashboard 0 s.py", "run --dashboard 0 s.py"),
        ("run s.py --dashboard 0.0.0.0:80 -q", "run s.py --dashboard 0.0.0.0:80 -q"),
        ("run s.py --dashboard [::1]:80", "run s.py --dashboard [::1]:80"),
        ("run s.py --dashboard=80", "run s.py --dashboard=80"),
        ("bench --dashboard http://localhost:80/", "bench --dashboard=5665 http://localhost:80/"),
        ("run --dashboard localhost:abc s.py", "run --dashboard localhost:abc s.py"),
        ("run --dashboard :80 s.py", "run --dashboard :80 s.py"),
        ("run --dashboard scenario:ingest", "run --dashboard=5665 scenario:ingest"),
        ("run --dashboard scripts/a:b.py", "run --dashboard=5665 scripts/a:b.py"),
        ("run s.py --dashboard --open", "run s.py --dashboard=5665 --open"),
        ("run s.py --dashboard --dashboard 1", "run s.py --dashboard=5665 --dashboard 1"),
    ],
)
def test_the_address_may_be_left_out(args: str, filled: str) -> None:
    assert list(fill_address(args.split())) == filled.split()


def test_what_is_wrong_is_told_before_anything_is_sent(cli: Cli, sequencer: RunningTarget, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        wrong = {
            str(port): f"dashboard port {port} is in use by ",
            "0.0.0.0:0": "dashboard on 0.0.0.0 can be reached from other machines and has no token",
        }
        for given, words in wrong.items():
            done = cli("run", "script.py", "--base-url", sequencer.base_url, f"--dashboard={given}")
            assert (done.returncode, words in done.stderr) == (104, True), done.stderr
        done = cli("plan", "script.py", FASTLOAD_DASHBOARD="nowhere")
        assert (done.returncode, "'nowhere' is not PORT or HOST:PORT" in done.stderr) == (104, True), done.stderr


def test_bench_has_one_and_open_opens_it(cli: Cli, sequencer: RunningTarget, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\necho $1 > opened\n")
    browser.chmod(0o755)
    args = ("bench", f"{sequencer.base_url}/health", "-n", "20", "-w", "1", "-q", "--open")
    done = cli(*args, "--dashboard", "0", BROWSER=f"{browser} %s", FASTLOAD_CONTROL_TOKEN="s3cret")
    assert done.returncode == 0, done.stderr
    said = re.search(r"^dashboard: (http://127\.0\.0\.1:\d+)$", done.stderr, re.MULTILINE)
    assert said
    wait_until(lambda: (tmp_path / "opened").exists() and bool((tmp_path / "opened").read_text()))
    opened = (tmp_path / "opened").read_text().strip()
    assert opened.startswith(f"{said[1]}/?token=")
    assert "s3cret" not in opened
    quiet = cli(*args, "--dashboard", "0", BROWSER="no-such-browser %s")
    assert quiet.returncode == 0
    assert quiet.stderr.splitlines() == [f"dashboard: {quiet.stderr.split()[1]}"]


def test_no_thread_is_left_in_a_program(sequencer: RunningTarget, capsys: pytest.CaptureFixture[str]) -> None:
    import fastload as fl
    from fastload.dashboard.dashboard_output import DashboardOutput
    from fastload.outputs.streams.sink_output import SinkOutput

    output = DashboardOutput("127.0.0.1", 0)
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    shown = DashboardAddress(output, opens=False)

    async def visit(vu: fl.VU) -> None:
        await vu.get("/health")

    summary = fl.run(
        visit, iterations=5, workers=1, base_url=sequencer.base_url, outputs=[SinkOutput("dashboard", output), shown]
    )
    assert summary.passed
    assert summary.notes == ()
    # What an earlier test left may end in this one.
    assert threading.active_count() <= before[0]
    assert len(os.listdir("/proc/self/fd")) <= before[1]  # noqa: PTH208
    assert not answers(int(capsys.readouterr().err.rpartition(":")[2]))
