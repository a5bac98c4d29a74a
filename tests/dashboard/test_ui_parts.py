"""The parts of a run's page in `fastload ui`, and the thresholds of its form: Failures, Exceptions, and what passes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium, open_page, overflow_px, shoot, shoot_window
from tests.conftest import DEADLINE_S, Nginx, wait_until
from tests.dashboard.ui_process import Ui

__all__ = ["chromium"]

expect.set_options(timeout=DEADLINE_S * 1000)

SCRIPT = """
import fastload as fl

THRESHOLDS = {
    "http_reqs": "count>1",
    "http_req_failed": {"threshold": "rate<0.001", "abort_on_fail": False},
    "iterations": {"threshold": "count>0", "optional": True},
}


@fl.scenario(executor="externally-controlled", vus=1, max_vus=10, duration="60s", thresholds=THRESHOLDS)
async def shop(vu: fl.VU) -> None:
    await vu.get("/status/404", name="nowhere")
    await vu.get("/status/500", name="broken")
    if vu.iteration % 3 == 0:
        raise LookupError("nothing <b>here</b>")
    await vu.sleep(0.02)
"""
NOTHING_FAILS = """
import fastload as fl


@fl.scenario(iterations=3)
async def shop(vu: fl.VU) -> None:
    await vu.get("/json")
"""
TWO = """
import fastload as fl


@fl.scenario(iterations=3, thresholds={"checks": "rate>0.9"})
async def look(vu: fl.VU) -> None:
    await vu.get("/json")


@fl.scenario(iterations=3, thresholds={"http_reqs": "count>1"})
async def buy(vu: fl.VU) -> None:
    await vu.get("/json")
"""
FIRST = ["http_reqs: count>1", "http_req_failed: rate<0.001", "iterations: count>0 optional"]


@pytest.fixture
def ui(nginx: Nginx, tmp_path: Path) -> Iterator[Ui]:
    (tmp_path / "shop.py").write_text(SCRIPT)
    started = Ui(tmp_path, "shop.py", "--base-url", nginx.url, "-w", "1", "--threshold", "vus: value<99")
    try:
        yield started
    finally:
        code, said = started.end()
        assert code == 0, said


def lines(page: Page) -> list[str]:
    return page.input_value("#field-thresholds").split("\n")


def test_thresholds_are_edited_and_removed(ui: Ui, chromium: Browser) -> None:
    with open_page(chromium, f"{ui.url}/") as page:
        page.wait_for_selector("#plan dt")
        assert lines(page) == [*FIRST, "vus: value<99"]
        expect(page.locator("#plan")).to_contain_text("http_reqs: count>1 and http_req_failed: rate<0.001")
        for text, message in (
            ("http_reqs: cuont>1", "Threshold 'cuont>1': a counter like http_reqs has no 'cuont'."),
            ("http_req: count>1", "Threshold on 'http_req': there is no metric of that name."),
            ("p(95)<500", "Threshold 'p(95)<500' has no metric."),
            ("http_reqs{nmae:x}: count>1", "Threshold on 'http_reqs{nmae:x}': http_reqs has no tag 'nmae'."),
            ("checks: rate>5", "Threshold 'rate>5' on checks can never hold"),
        ):
            page.fill("#field-thresholds", f"iterations: count>0\n{text}")
            expect(page.locator("#error-thresholds")).to_contain_text(message)
            assert page.get_attribute("#field-thresholds", "aria-invalid") == "true"
            expect(page.locator("#fault")).to_be_hidden()
        shoot(page, "ui-thresholds-mistake")
        # It is refused at a start as well, and the field gets the focus.
        page.focus("#field-users")
        page.click("#start")
        expect(page.locator("#field-thresholds")).to_be_focused()
        assert ui.ask("/api/runs").data["runs"] == []
        # In place of four that hold or fail: one that fails.
        page.fill("#field-thresholds", "\n http_reqs: count>1000000 \n\n")
        expect(page.locator("#error-thresholds")).to_be_empty()
        expect(page.locator("#plan")).to_contain_text("It passes if http_reqs: count>1000000 holds.")
        page.click("#start")
        page.wait_for_url("**/runs/1/")
        expect(page.locator(".thresholds .metric")).to_have_text(["http_reqs"])
    ui.wait_requests(1, 4)
    assert ui.ask("/api/runs/1/stop", {"now": True}).status == 200
    ended = ui.wait_end(1)
    assert (ended["meaning"], ended["form"]["thresholds"]) == ("a threshold failed", ["http_reqs: count>1000000"])
    # None at all: nothing to pass.
    assert ui.ask("/api/start", ui.form(thresholds=[])).status == 201
    ui.wait_requests(2, 4)
    assert ui.ask("/api/runs/2/stop", {"now": True}).status == 200
    assert ui.wait_end(2)["outcome"] == "finished"
    summary = ui.ask("/runs/2/reports/json").data
    assert (summary["thresholds"], summary["requests"]["failed"] > 0) == ([], True)


def test_thresholds_are_those_of_the_chosen_scenarios_until_they_are_changed(ui: Ui, chromium: Browser) -> None:
    (ui.folder / "shop.py").write_text(TWO)
    with open_page(chromium, f"{ui.url}/") as page:
        page.wait_for_selector("#plan dt")
        assert lines(page) == ["checks: rate>0.9", "http_reqs: count>1", "vus: value<99"]
        page.uncheck("input[value=buy]")
        expect(page.locator("#field-thresholds")).to_have_value("checks: rate>0.9\nvus: value<99")
        page.check("input[value=buy]")
        expect(page.locator("#field-thresholds")).to_have_value("checks: rate>0.9\nhttp_reqs: count>1\nvus: value<99")
        # What somebody wrote stays.
        page.fill("#field-thresholds", "http_reqs: count>7")
        page.uncheck("input[value=buy]")
        expect(page.locator("#plan")).not_to_contain_text("buy")
        expect(page.locator("#plan")).to_contain_text("It passes if http_reqs: count>7 holds.")
        assert lines(page) == ["http_reqs: count>7"]


def test_a_form_without_thresholds_keeps_those_of_the_script(ui: Ui) -> None:
    form = ui.form()
    assert form.pop("thresholds") is None
    assert ui.ask("/api/plan", form).data["thresholds"] == [*FIRST, "vus: value<99"]
    assert ui.ask("/api/plan", form | {"thresholds": None}).data["thresholds"] == [*FIRST, "vus: value<99"]
    assert ui.ask("/api/plan", form | {"thresholds": []}).data["thresholds"] == []
    assert ui.ask("/api/plan", form | {"thresholds": "checks: rate>0"}).data["error"]


def test_failures_and_exceptions_have_parts_of_their_own(ui: Ui, chromium: Browser) -> None:
    assert ui.ask("/api/start", ui.form()).status == 201
    ui.wait_requests(1, 12)
    run = f"{ui.url}/runs/1/"
    with (
        open_page(chromium, run) as page,
        open_page(chromium, f"{run}#failures", width=390, height=844, scheme="dark") as phone,
    ):
        check_failures(phone)
        assert overflow_px(phone) == 0
        shoot(phone, "ui-failures-phone-dark")
        check_by_keyboard(page, run)
        check_ways_back(page)
        page.locator("[data-scenario=shop] input").fill("2")
        page.click("[data-scenario=shop] [type=submit]")
        expect(page.locator("[data-scenario=shop] output")).to_have_text("2 VUs")
        assert ui.ask("/api/runs/1/stop", {"now": True}).status == 200
        page.wait_for_selector("#ui-again:not([hidden])")
        for one in (page, phone):
            one.goto(f"{run}#exceptions")
            one.reload()
            check_exceptions(one)
            one.goto(f"{run}#failures")
            check_failures(one)
        page.emulate_media(color_scheme="dark")
        shoot(page, "ui-failures-dark")
        assert (overflow_px(page), overflow_px(phone)) == (0, 0)
    summary = ui.ask("/runs/1/reports/json").data
    assert {one["kind"]: [name["name"] for name in one["names"]] for one in summary["errors"]} == {
        "http_404": ["nowhere"],
        "http_500": ["broken"],
    }
    [change] = summary["load_changes"]
    assert (change["after"], change["who"]) == (2, "fastload ui")


TOO_WIDE = """(() => {
  const plot = document.getElementById("chart-rate");
  return plot.querySelector("svg").getBoundingClientRect().width - plot.clientWidth;
})()"""


def times(page: Page, part: str) -> int:
    return int(page.inner_text(f"#tabs [data-part={part}] .times").replace(",", ""))


def check_by_keyboard(page: Page, run: str) -> None:
    """The parts while the run lasts, by keyboard alone; the address has each, and so has the history."""
    links = page.locator("#tabs a")
    expect(links.nth(0)).to_have_attribute("aria-current", "page")
    links.nth(0).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url == f"{run}#failures"
    check_failures(page)
    was = times(page, "failures")
    expect(links.nth(1).locator(".times")).not_to_have_text(f"{was:,}")
    shoot_window(page, "ui-failures")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url == f"{run}#exceptions"
    check_exceptions(page)
    shoot_window(page, "ui-exceptions")
    page.go_back()
    check_failures(page)


def check_ways_back(page: Page) -> None:
    """Other sections are in the whole page; its charts are as wide as if they had been seen all the time."""
    links = page.locator("#tabs a")
    page.locator("#nav a", has_text="Endpoints").click()
    expect(page.locator("#endpoints")).to_be_in_viewport()
    expect(links.nth(0)).to_have_attribute("aria-current", "page")
    page.locator("#nav a", has_text="Errors").click()
    check_failures(page)
    page.set_viewport_size({"width": 1000, "height": 900})
    links.nth(0).click()
    expect(page.locator("#outcome")).to_be_visible()
    expect(page.locator("#chart-rate .scatterlayer path").first).to_be_attached()
    page.locator("#chart-rate").scroll_into_view_if_needed()
    wait_until(lambda: page.evaluate(TOO_WIDE) <= 0)


def check_failures(page: Page) -> None:
    """Nothing else is there, and it says of what there were how many, where, why, and what to do."""
    expect(page.locator("#errors")).to_be_visible()
    expect(page.locator("#tabs [data-part=failures]")).to_have_attribute("aria-current", "page")
    expect(page.locator("main > *:visible")).to_have_count(1)
    row = page.locator("#errors tbody tr", has_text="http_404")
    expect(row).to_contain_text("GET nowhere × ")
    expect(row).to_contain_text(re.compile(r"\d{2}(\.\d+)?%"))
    assert page.locator("#errors tbody tr").count() == 2


def check_exceptions(page: Page) -> None:
    expect(page.locator("#exceptions")).to_be_visible()
    expect(page.locator("main > *:visible")).to_have_count(1)
    expect(page.locator("#exceptions summary")).to_contain_text(re.compile(r"LookupError.* times? at shop.py:\d+"))
    expect(page.locator("#exceptions pre")).to_contain_text("nothing <b>here</b>")
    expect(page.locator("#exceptions pre")).to_contain_text("Traceback")


def test_nothing_failed_is_said(ui: Ui, chromium: Browser, nginx: Nginx) -> None:
    (ui.folder / "shop.py").write_text(NOTHING_FAILS)
    assert ui.ask("/api/form", {}).status == 200
    assert ui.ask("/api/start", ui.form()).status == 201
    ui.wait_end(1)
    with open_page(chromium, f"{ui.url}/runs/1/#failures") as page:
        expect(page.locator("main")).to_have_text(re.compile("Nothing failed"))
        expect(page.locator("main > *:visible")).to_have_count(1)
        page.locator("#tabs [data-part=exceptions]").click()
        expect(page.locator("#no-exceptions")).to_be_visible()
        expect(page.locator("main > *:visible")).to_have_count(1)
        assert times(page, "failures") == times(page, "exceptions") == 0
