"""A change of the load from the browser: what is asked before, and what all reports tell of it."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from fastload.targets import RunningTarget
from tests.browser import chromium, open_page, shoot_window
from tests.conftest import DEADLINE_S, Cli
from tests.dashboard.command_run import Run

__all__ = ["chromium"]

expect.set_options(timeout=DEADLINE_S * 1000)

SCRIPT = """
import fastload as fl


@fl.scenario(vus=2, duration="60s", graceful_stop="2s")
async def browse(vu: fl.VU) -> None:
    await vu.get("/health")
    await vu.sleep(0.1)


@fl.scenario(rate="3/s", max_vus=10, duration="60s", graceful_stop="2s")
async def search(vu: fl.VU) -> None:
    await vu.get("/health", name="search")
"""


def ask_for(page: Page, field: str, value: str) -> None:
    page.get_by_label(field).fill(value)
    page.get_by_label(field).press("Enter")


def test_ten_times_more_is_asked_first_and_each_change_is_told(
    tmp_path: Path, sequencer: RunningTarget, chromium: Browser, cli: Cli
) -> None:
    outputs = ("--save", "run.fastload", "--out", "md=run.md", "--html", "run.html")
    run = Run(tmp_path, sequencer.base_url, "--control", "0", *outputs, script=SCRIPT)
    try:
        with open_page(chromium, run.url) as page:
            expect(page.locator("#live-phase")).to_have_text("Running")
            vus, rate = (page.locator(f'[data-scenario="{name}"] output') for name in ("browse", "search"))
            # Not asked: less than ten times as much.
            ask_for(page, "browse: VUs", "4")
            expect(vus).to_have_text("4 VUs")
            # Enter once more does not agree, it keeps what there is.
            ask_for(page, "browse: VUs", "40")
            dialog = page.locator("#live-scale")
            expect(dialog).to_contain_text("Scale browse to 40 VUs?")
            expect(dialog).to_contain_text("That is 10 times as much as now: 4 VUs.")
            shoot_window(page, "scale-asks")
            page.keyboard.press("Enter")
            expect(dialog).to_be_hidden()
            expect(vus).to_have_text("4 VUs")
            ask_for(page, "browse: VUs", "40")
            dialog.get_by_role("button", name="Scale").click()
            expect(vus).to_have_text("40 VUs")
            ask_for(page, "search: starts per second", "1800/min")
            expect(dialog).to_contain_text("Scale search to 30 starts/s?")
            page.keyboard.press("Escape")
            expect(rate).to_have_text("3/s")
            ask_for(page, "search: starts per second", "120/min")
            expect(rate).to_have_text("2/s")
            changed = "browse: 4 → 40 VUs, by the dashboard"
            expect(page.locator("#events")).to_contain_text(changed)
            expect(page.locator("#outcome .about")).to_contain_text(
                re.compile(r"2 scenarios at first, changed 3 times, last to search 2 starts/s at \d+s")
            )
            page.locator("#live-stop").click()
            page.get_by_role("button", name="Stop now").click()
            expect(page.locator("#live-phase")).to_have_text("Over")
        summary = run.end()
    finally:
        run.close()
    assert [{**change, "t_s": 0} for change in summary["load_changes"]] == [
        {
            "t_s": 0,
            "scenario": name,
            "before": before,
            "after": after,
            "unit": unit,
            "who": "the dashboard",
            "number": at,
        }
        for name, before, after, unit, at in (
            ("browse", 2, 4, "VUs", 1),
            ("browse", 4, 40, "VUs", 2),
            ("search", 3.0, 2.0, "starts/s", 1),
        )
    ]
    headline = "2 VUs for 1m at first; changed 2 times, last to 40 VUs at "
    text = cli("report", str(tmp_path / "run.fastload")).stdout
    markdown = (tmp_path / "run.md").read_text()
    for report in (text, markdown):
        assert headline in report
        assert changed in report
    with open_page(chromium, f"file://{tmp_path / 'run.html'}") as page:
        expect(page.locator("#outcome .about")).to_contain_text("changed 3 times, last to search 2 starts/s")
        expect(page.locator("#events")).to_contain_text(changed)


def test_the_control_api_says_that_it_was_it(tmp_path: Path, sequencer: RunningTarget, cli: Cli) -> None:
    run = Run(tmp_path, sequencer.base_url, "--control", "0", script=SCRIPT, FASTLOAD_CONTROL_TOKEN="")
    try:
        control = next(line.split()[1] for line in run.control_lines() if line.startswith("control: "))
        for path, body in (("scale", b'{"scenario": "browse", "vus": 3}'), ("stop", b'{"now": true}')):
            request = urllib.request.Request(f"{control}/v1/{path}", body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=DEADLINE_S).close()
        summary = run.end()
    finally:
        run.close()
    [change] = summary["load_changes"]
    assert (change["before"], change["after"], change["who"]) == (2, 3, "the control API")
