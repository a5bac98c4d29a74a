"""Each page as people see it, in a wide window and on a phone, light and dark: what is on it, and its contrasts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict
from tests.browser import chromium, open_page
from tests.conftest import DEADLINE_S, Nginx, wait_until
from tests.dashboard.serving import RUN, Served, serving
from tests.dashboard.ui_process import Ui
from tests.looks import WINDOWS, contrasts, in_each_window
from tests.model.runs import lognormal, save
from tests.outputs.page.made_reports import write
from tests.outputs.seconds import made_run

__all__ = ["chromium"]

expect.set_options(timeout=DEADLINE_S * 1000)

SCRIPT = """
import fastload as fl


@fl.scenario(iterations=20, thresholds={"http_req_failed": "rate<0.1"})
async def visit(vu: fl.VU) -> None:
    await vu.get("/json")
    await vu.get("/status/404", name="nowhere")
    if vu.iteration % 3 == 0:
        raise LookupError("nothing is here")
"""
FIRST = ("#live-phase", ".now-tiles", "#result", "#verdict", ".thresholds", "#chart-overview")
LONG = (
    "the workers waited for a CPU up to 33.85% of the time, and it is told in a sentence that takes more than one line "
)
REASONS = tuple(f"{number}: {LONG * 3}" for number in range(6))
METRIC = "http_req_duration{{name:/api/v1/a/very/long/path/of/an/endpoint/with/many/parts/{}}}"
THRESHOLDS = tuple(
    ThresholdResult(METRIC.format(number), "p(95)<500", number % 7 != 6, 0.25, "p(95)", "trend", "ms")
    for number in range(20)
)


def lowest_px(page: Page) -> float:
    """The lower end of what is to be seen first, in a page that is not scrolled."""
    page.evaluate("scrollTo(0, 0)")
    ends = [page.locator(one).first.evaluate("one => one.getBoundingClientRect().bottom") for one in FIRST]
    return float(max(ends))


def status(phase: str) -> dict[str, Any]:
    one = {"name": "browse", "executor": "constant-vus", "vus": 64, "max_vus": 1000, "can_scale": True}
    return {"phase": phase, "elapsed_s": 0.0, "vus": 64, "workers_alive": 2, "scenarios": [one]}


class Steered:
    """The control of a run that is told its *phase*."""

    phase = "ready"

    def ask(self, name: str, /, *, timeout_s: float, **_: Any) -> dict[str, Any]:  # noqa: ARG002 - as a run is asked
        return status(self.phase)


@pytest.fixture
def served() -> Iterator[tuple[Served, Steered]]:
    """The dashboard of a run with twenty thresholds that waits to be told to begin."""
    run = Steered()
    thresholds = tuple(f"{one.metric}: {one.expression}" for one in THRESHOLDS)
    with serving(ask=run.ask, plan={"paused": True}, thresholds=thresholds) as one:
        yield one, run


def test_the_dashboard_before_during_and_after_a_run(served: tuple[Served, Steered], chromium: Browser) -> None:
    dashboard, run = served
    with open_page(chromium, f"http://127.0.0.1:{dashboard.port}/", expected=("ERR_CONNECTION_REFUSED",)) as page:
        expect(page.locator("#live-phase")).to_have_text("Ready")
        for window in in_each_window(page, "dashboard-ready"):
            expect(page.locator("#result")).to_have_text("Ready")
            expect(page.locator("#verdict")).to_have_text("Generator not judged yet")
            assert page.locator("#outcome > div > .thresholds b").all_inner_texts() == ["waiting"] * 4
            expect(page.locator(".fold:visible summary")).to_have_text("16 more: 16 waiting")
            assert window in WINDOWS
        run.phase = "running"
        verdict = Verdict("INVALID", REASONS, LONG * 3, LONG * 3)
        dashboard.feed(8, thresholds=THRESHOLDS, verdict=verdict)
        expect(page.locator("#live-phase")).to_have_text("Running")
        expect(page.locator("#verdict")).to_contain_text("INVALID")
        wait_until(lambda: page.evaluate("fastload.data.timeline.t.length") == 8)
        for window in in_each_window(page, "dashboard-running"):
            names = page.locator(".now-tiles dt").all_inner_texts()
            assert names == ["Requests/s", "Failures/s", "p50", "p95", "p99"]
            assert "-" not in page.locator(".now-tiles dd").all_inner_texts()
            # What failed is seen without looking for it.
            assert page.locator("#outcome > div > .thresholds > li.bad").count() == 2
            if window == "wide":
                assert lowest_px(page) <= WINDOWS["wide"][1]
        page.set_viewport_size({"width": 1280, "height": 900})
        reasons, thresholds = page.locator(".fold summary:visible").all()
        expect(reasons).to_have_text("All 6 reasons, and what to do")
        expect(thresholds).to_have_text("16 more: 16 hold")
        thresholds.focus()
        page.keyboard.press("Enter")
        # It stays open, and keeps the focus, while the page is drawn anew.
        dashboard.feed(1, thresholds=THRESHOLDS, verdict=verdict)
        wait_until(lambda: page.evaluate("fastload.data.timeline.t.length") == 9)
        expect(page.locator("#outcome .thresholds > li:visible")).to_have_count(20)
        expect(thresholds).to_be_focused()
        dashboard.output.close(RUN.to_dict())
        expect(page.locator("#live-phase")).to_have_text("Over")
        for _ in in_each_window(page, "dashboard-over"):
            expect(page.locator("#now")).to_be_hidden()
            expect(page.locator("#result")).to_have_text("Failed")
            assert page.locator("#chart-overview .scatterlayer path").count() > 0


def test_contrasts_are_those_of_the_colours_that_are_seen(tmp_path: Path, chromium: Browser) -> None:
    path = tmp_path / "page.html"
    grey = '<p style="color: #777">grey</p><p style="color: #000; opacity: 0.5">faint</p><button disabled>off</button>'
    card = '<div style="background: rgb(0 0 0 / 50%)"><b style="color: #fff">on a shade</b></div>'
    path.write_text(f'<body style="background: #fff">{grey}{card}<svg><text y="20" fill="#767676">drawn</text></svg>')
    with open_page(chromium, path.as_uri()) as page:
        found = {text: round(contrast, 2) for text, contrast in contrasts(page)}
    # As the formula of WCAG 2 has them; half of black on white is #808080.
    assert found == pytest.approx({"grey": 4.48, "faint": 3.95, "on a shade": 3.95, "drawn": 4.54}, abs=0.06)


def test_a_report(tmp_path: Path, chromium: Browser) -> None:
    made = made_run(seconds=20, names=("/users", "/orders/{id}"), warmup_s=2.0)
    with open_page(chromium, write(made, tmp_path / "report.html")) as page:
        page.wait_for_selector("#chart-rate .scatterlayer path", state="attached")
        for _ in in_each_window(page, "report"):
            expect(page.locator("#verdict")).to_contain_text("Generator")
            assert page.locator(".fold:visible").count() == 0, "a report has all at once"


@pytest.fixture
def ui(tmp_path: Path, nginx: Nginx) -> Iterator[Ui]:
    (tmp_path / "visit.py").write_text(SCRIPT)
    runs = tmp_path / "runs"
    runs.mkdir()
    save(runs / "before.fastload", lognormal(), 1, seconds=12)
    save(runs / "after.fastload", lognormal(factor=1.5), 2, seconds=12)
    started = Ui(tmp_path, "visit.py", "--base-url", nginx.url, "-w", "1", "--save", "runs")
    try:
        yield started
    finally:
        started.end()


def test_the_runs_of_the_ui_their_failures_and_exceptions_and_a_comparison(ui: Ui, chromium: Browser) -> None:
    assert ui.ask("/api/start", ui.form()).status == 201
    ui.wait_end(1)
    with open_page(chromium, f"{ui.url}/") as page:
        # A comparison is a command of its own, which takes a while on a busy machine.
        page.set_default_timeout(60_000)
        rows = page.locator("#saved-list tbody tr")
        expect(rows).to_have_count(2)
        for _ in in_each_window(page, "ui-runs", whole=True):
            expect(page.locator("[data-run='1'] .badge")).to_have_text("failed")
            expect(rows.locator("a", has_text="before").first).to_be_visible()
        page.goto(f"{ui.url}/runs/1/")
        page.wait_for_selector("#chart-rate .scatterlayer path", state="attached")
        for part, told in (("failures", "http_404"), ("exceptions", "nothing is here")):
            tab = page.locator(f"#tabs [data-part={part}]")
            tab.click()
            expect(tab).to_have_attribute("aria-current", "page")
            for _ in in_each_window(page, f"ui-{part}"):
                expect(page.locator("main")).to_contain_text(told)
        page.goto(f"{ui.url}/")
        for name in ("before", "after"):
            page.get_by_label(f"Compare {name}").check()
        page.click("#compare-start")
        page.wait_for_url("**/comparisons/*")
        page.wait_for_selector("#chart-rate .scatterlayer path", state="attached")
        for _ in in_each_window(page, "compare"):
            expect(page.locator("[data-verdict]")).to_be_visible()
