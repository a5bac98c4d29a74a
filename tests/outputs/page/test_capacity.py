"""The page of a capacity search: the answer that leads it, the charts over the load, the law, and the steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Locator, Page

from fastload.dashboard.live_run import LiveRun
from fastload.model.capacity.result import CapacityResult, SearchProgress
from fastload.model.capacity.search import Found
from fastload.model.records import Event
from fastload.outputs.page.page_data import live_data, report_data
from tests.browser import open_page, overflow_px, shoot, shoot_part
from tests.model.capacity.made import SETTINGS, made_result
from tests.outputs.page.made_reports import timeline_of, write
from tests.outputs.seconds import Made, made_run

SECONDS = 75


def searched(result: CapacityResult | None, *, seconds: int = SECONDS) -> Made:
    """A run of a search with *result*; None for one whose file breaks off."""
    made, told = made_run(seconds=seconds, requests_per_s=20), made_result()
    settings = (result or told).settings.to_dict()
    plan = {**made.header.plan, "capacity": settings}
    events = [Event(step.begin_s + step.figures.seconds, "step", step.text("rate")) for step in told.steps]
    shown = [
        replace(one, events=tuple(event for event in events if one.t_s - 1 < event.t_s <= one.t_s))
        for one in made.seconds
    ]
    ended = {"thresholds": [], "passed": True, "stopped_by": "", "notes": []}
    summary = made.summary | ended | {"plan": plan, "capacity": result.to_dict() if result else None}
    return Made(replace(made.header, plan=plan, thresholds=()), shown, summary)


@pytest.fixture(scope="module")
def page(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    path = tmp_path_factory.mktemp("search") / "report.html"
    with open_page(chromium, write(searched(made_result()), path)) as page:
        assert path.stat().st_size < 2_000_000
        yield page


def lines_of(shown: Locator) -> list[str]:
    return [line for line in shown.inner_text().splitlines() if line]


def text(page: Page, selector: str) -> str:
    return page.inner_text(selector)


def test_the_answer_leads_the_page(page: Page) -> None:
    shoot(page, "capacity-light-1280")
    first = page.locator("#outcome .card").first
    assert lines_of(first) == [
        "381/s within the objectives, and less than 398/s",
        "Objectives: http_req_response_time: p(95)<60",
        "At 398/s: p(95) 85.7ms, not p(95)<60",
        "At least 300/s asked for: shown",
    ]
    assert "good" in (first.get_attribute("class") or "")
    assert text(page, "#outcome .about").startswith("search from 10/s on")
    assert text(page, "#result") == "Passed"
    assert text(page, "#nav a").startswith("Capacity")


def test_the_steps_are_a_table_by_load(page: Page) -> None:
    rows = page.locator("#steps-table tbody tr").all()
    assert [row.locator("th").inner_text() for row in rows] == [
        *(f"✓ {load}/s" for load in (10, 20, 40, 80, 160, 320, 381, 381)),
        *(f"✗ {load}/s" for load in (398, 398, 415, 453, 640)),
    ]
    told = [cell.inner_text() for cell in rows[-1].locator("td").all()]
    expected = ["7", "400", "812ms", "1.43s", "1.52s", "0.00%", "21.4", "48%", "1.21ms"]
    assert told == [*expected, "CPU of the target, 2 cores 24%", "p(95) 1.43s, not p(95)<60"]
    assert rows[7].inner_text().endswith("good: confirms the capacity")


def test_the_charts_mark_the_capacity_its_interval_and_the_bound(page: Page) -> None:
    assert text(page, "[data-chart=chart-capacity-latency] .legend").split("\n") == [
        "at the capacity", "p50", "24.1ms", "p95", "54.2ms", "p99", "69.3ms", "at most: p(95)<60", "60.0ms",
    ]  # fmt: skip
    drawn = page.evaluate(
        """() => {
          const {layout, data} = document.getElementById("chart-capacity-latency");
          return {shapes: layout.shapes.map((one) => [one.type, one.x0, one.x1]),
                  texts: layout.annotations.map((one) => one.text),
                  bound: data.find((one) => one.name.startsWith("at most")).y,
                  loads: Array.from(data[0].x)};
        }"""
    )
    assert drawn["shapes"] == [["rect", 381, 398], ["line", 381, 381]]
    assert drawn["texts"] == ["capacity 381/s"]
    assert drawn["bound"] == [60, 60]
    # The longest step of each load.
    assert drawn["loads"] == [10, 20, 40, 80, 160, 320, 381, 398, 415, 453, 640]


def test_the_law_has_its_parameters_with_errors_and_its_peak(page: Page) -> None:
    facts = {
        row.locator("dt").inner_text(): row.locator("dd").inner_text()
        for row in page.locator("#capacity-law dl > div").all()
    }
    assert facts == {
        "One at a time, λ": "51.3/s ± 0.8/s",
        "Contention, σ": "0",
        "Coherence, κ": "0.00409 ± 0.000136",
        "Fit": "R² 0.995",
        "Peak": "415/s at 15.6 requests in flight",
        "Twice the cores": "at most 1.98 times as much",
        "Residuals": "-2.2%, -2.6%, +3.3%, +2.9%, +2.9%, -0.1%, -0.1%, -1.7%, -3.6%, +0.8%",
    }
    assert page.evaluate("document.getElementById('chart-capacity-law').data.map((one) => one.mode)") == [
        "markers",
        "lines",
    ]


def test_what_mixes_all_loads_is_said_to(page: Page) -> None:
    tiles = page.locator("#numbers dt").all_inner_texts()
    assert "Requests" in tiles
    assert not {"p50", "p95", "p99", "Longest"} & set(tiles)
    assert page.locator("#percentiles").is_hidden()
    for section in ("numbers", "endpoints"):
        assert text(page, f"#{section} h2 small").endswith("over all steps, whose loads differ")
    # Over time each step is where it was.
    assert page.locator(".timebar .event").count() == 13


def test_arrows_go_from_step_to_step(page: Page) -> None:
    plot = page.locator("#chart-capacity-rate")
    plot.focus()
    for _ in range(2):
        plot.press("ArrowRight")
    said = page.locator("[data-chart=chart-capacity-rate] .unseen")
    assert said.inner_text() == "at 20, answered well 20/s, offered 20/s"
    plot.press("Escape")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light"), (390, "dark")])
def test_it_fits_every_screen(page: Page, chromium: Browser, width: int, scheme: Literal["light", "dark"]) -> None:
    with open_page(chromium, page.url, width=width, scheme=scheme) as small:
        shoot_part(small, "#capacity", f"capacity-{scheme}-{width}")
        assert overflow_px(small) == 0
        assert small.locator("#capacity-answer").is_visible()


@pytest.mark.parametrize(
    ("result", "tone", "lines"),
    [
        (
            made_result(settings=replace(SETTINGS, at_least=400.0)),
            "bad",
            ["381/s within the objectives, and less than 398/s", "At least 400/s asked for: not shown"],
        ),
        (
            made_result(
                found=Found("at_least", 320.0, None, "its CPU was full"),
                settings=replace(SETTINGS, at_least=None),
                remedy="give it more cores",
                scalability="only 3 steps had a request in flight all the time, and the law needs 5",
            ),
            "warn",
            ["At least 320/s: its CPU was full", "give it more cores"],
        ),
        (
            made_result(found=Found("failing", None, 10.0, "p(95) 80ms, not p(95)<60")),
            "bad",
            ["Not even the lightest load, 10/s, met the objectives: p(95) 80ms, not p(95)<60"],
        ),
    ],
)
def test_other_ends_read_so(
    chromium: Browser, tmp_path: Path, result: CapacityResult, tone: str, lines: list[str]
) -> None:
    with open_page(chromium, write(searched(result), tmp_path / "report.html")) as page:
        answer = page.locator("#capacity-answer")
        assert set(lines) <= set(lines_of(answer))
        assert tone in (answer.get_attribute("class") or "").split()
        if isinstance(result.scalability, str):
            assert text(page, "#capacity-law") == f"No law of scalability: {result.scalability}."


def test_a_file_that_breaks_off_has_what_was_told_of_its_steps(chromium: Browser, tmp_path: Path) -> None:
    with open_page(chromium, write(searched(None), tmp_path / "report.html", summary=False)) as page:
        assert text(page, "#capacity-word") == "The search has no result"
        told = page.locator("#capacity .told li").all_inner_texts()
        assert len(told) == 13
        assert "p95" not in page.locator("#numbers dt").all_inner_texts()
        assert told[6].endswith("step 7: 640/s, 400/s answered well: p(95) 1.43s, not p(95)<60")


def test_a_live_page_follows_the_search(chromium: Browser, tmp_path: Path) -> None:
    made, result = searched(made_result()), made_result()
    so_far = replace(result, state="unfinished", capacity=160.0, high=None, why="", steps=result.steps[:5])
    live = LiveRun(made.header)
    live.listen(lambda: None)
    sizes = []
    for one in made.seconds[:6]:
        live.add(replace(one, search=SearchProgress("step 6: 320/s", so_far)))
        _, message = live.message_after(live.number - 1)
        sizes.append(len(message))
    # The steps are sent when there is a new one, and to whoever comes later.
    assert sizes[0] > sizes[1] + 1000
    whole = live.data()
    assert len(whole["summary"]["capacity"]["steps"]) == 5
    with open_page(chromium, write(made, tmp_path / "report.html")) as page:
        page.evaluate("(data) => fastload.render(data)", whole)
        assert lines_of(page.locator("#capacity-answer")) == [
            "Searching, step 6: 320/s",
            "good so far: 160/s",
            "Objectives: http_req_response_time: p(95)<60",
        ]
        assert text(page, "#result") == "Searching"
        assert text(page, "#verdict").strip() == "Generator judged in each step"
        assert page.locator("#steps-table tbody tr").count() == 5
        new = replace(so_far, steps=result.steps[:6])
        live.add(replace(made.seconds[6], search=SearchProgress("step 7: 640/s", new)))
        page.evaluate("(text) => fastload.update(JSON.parse(text))", live.message_after(live.number - 1)[1].decode())
        assert page.locator("#steps-table tbody tr").count() == 6
        assert text(page, "#capacity-word") == "Searching, step 7: 640/s"
        # A second without a new step leaves the steps there.
        live.add(replace(made.seconds[7], search=SearchProgress("step 7: 640/s", new)))
        page.evaluate("(text) => fastload.update(JSON.parse(text))", live.message_after(live.number - 1)[1].decode())
        assert page.locator("#steps-table tbody tr").count() == 6
        live.end(made.summary)
        page.evaluate("(text) => fastload.update(JSON.parse(text))", live.message_after(live.number - 1)[1].decode())
        assert text(page, "#capacity-word") == "381/s within the objectives, and less than 398/s"
        assert page.locator("#steps-table tbody tr").count() == 13


def test_of_very_many_steps_a_page_has_the_first() -> None:
    result = made_result()
    many = replace(result, steps=result.steps * 200)
    made = searched(many)
    data: dict[str, Any] = report_data(made.header, timeline_of(made), made.summary)
    assert data["left_out"]["capacity"] == len(many.steps) - len(data["summary"]["capacity"]["steps"]) > 0
    live = live_data(made.header, timeline_of(made), made.summary, state={})
    assert len(live["summary"]["capacity"]["steps"]) <= 200
