"""What the dashboard shows before anybody scrolls: a window of 1280 by 900 pixels, and a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fastload.targets import RunningTarget
from tests.browser import chromium, open_page, overflow_px, shoot_window
from tests.conftest import DEADLINE_S, wait_until
from tests.dashboard.command_run import Start, runs_of
from tests.outputs.page.packed_page import data_in

__all__ = ["chromium"]

expect.set_options(timeout=DEADLINE_S * 1000)

SCRIPT = """
import fastload as fl

THRESHOLDS = {"http_req_duration": ["p(95)<5s", "p(99)<0.001ms"], "http_req_failed": "rate<90%", "checks": "rate>0.9"}


@fl.scenario(executor="externally-controlled", vus=2, max_vus=500, duration="60s", thresholds=THRESHOLDS)
async def browse(vu: fl.VU) -> None:
    await vu.get("/health")
    await vu.get("/nowhere", name="nowhere")
    await vu.sleep(0.05)
"""
FIRST = ("#live-phase", ".now-tiles", "#result", "#verdict", ".thresholds", "#chart-overview")


@pytest.fixture
def start(tmp_path: Path, sequencer: RunningTarget) -> Iterator[Start]:
    with runs_of(SCRIPT, tmp_path, sequencer.base_url) as start:
        yield start


def now_shown(page: Page) -> dict[str, str]:
    found: dict[str, str] = page.eval_on_selector_all(
        ".now-tiles div",
        "all => Object.fromEntries(all.map(one => [one.children[0].innerText, one.children[1].innerText]))",
    )
    return found


def lowest_px(page: Page) -> float:
    """The lower end of what is to be seen first."""
    ends = [page.locator(one).first.evaluate("one => one.getBoundingClientRect().bottom") for one in FIRST]
    return float(max(ends))


def test_before_begin_it_is_ready_and_then_all_that_counts_is_on_the_first_screen(
    start: Start, chromium: Browser
) -> None:
    run = start("--control", "0", "--paused")
    with (
        open_page(chromium, run.url) as page,
        open_page(chromium, run.url, scheme="dark", width=390, height=844) as phone,
    ):
        expect(page.locator("#live-phase")).to_have_text("Ready")
        expect(page.locator("#result")).to_have_text("Ready")
        expect(page.locator("#verdict")).to_have_text("Generator not judged yet")
        expect(page.locator(".thresholds b")).to_have_text(["waiting"] * 4)
        expect(page.locator("main")).not_to_contain_text("SUSPECT")
        for data in (json.loads(run.read("data.json")), data_in(run.read("report.html"))):
            assert (data["state"]["phase"], data["state"]["progress"]) == ("ready", 0)
            assert (data["summary"]["verdict"], data["summary"]["passed"]) == (None, None)
            assert [one["observed"] for one in data["summary"]["thresholds"]] == [None] * 4
        shoot_window(page, "first-ready")
        shoot_window(phone, "first-ready-phone-dark")
        page.get_by_role("button", name="Begin").click()
        expect(page.locator("#live-phase")).to_have_text("Running")
        wait_until(lambda: page.evaluate("fastload.data.timeline.t.length") >= 4)
        # One threshold has failed, one has no data in the whole run, and two hold.
        expect(page.locator(".thresholds li.bad")).to_have_count(1)
        expect(page.locator(".thresholds li.plain b")).to_have_text("waiting")
        expect(page.locator(".thresholds li.good")).to_have_count(2)
        shown = now_shown(page)
        assert list(shown) == ["Requests/s", "Failures/s", "p50", "p95", "p99"]
        assert all(text != "-" for text in shown.values())
        now = page.evaluate("fastload.data.state.now")
        assert 0 < now["failed_rate"] < now["rate"]
        assert page.locator(".now-tiles polyline").count() == 5
        lanes = page.evaluate("document.getElementById('chart-overview').data.map(one => [one.name, one.yaxis])")
        assert [lane for lane in lanes if lane[0]] == [
            *(["requests", "y"], ["failures", "y"], ["p50", "y2"], ["p95", "y2"], ["p99", "y2"], ["VUs", "y3"]),
        ]
        assert lowest_px(page) <= 900
        assert (overflow_px(page), overflow_px(phone)) == (0, 0)
        for one, name in ((page, "first"), (phone, "first-phone-dark")):
            shoot_window(one, name)
        page.emulate_media(color_scheme="dark")
        shoot_window(page, "first-dark")
        page.locator("#live-stop").click()
        page.get_by_role("button", name="Stop now").click()
        expect(page.locator("#live-phase")).to_have_text("Over")
        # The figures of the last seconds are those of nothing then.
        expect(page.locator("#now")).to_be_hidden()
    run.end(99)
