"""The page of a comparison in a real browser: charts of all runs, figures as in the other outputs, and no surprises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from fastload.model.compare.batches import BatchedRun
from fastload.model.compare.comparison import Comparison, ComparisonSide, compare_sides
from fastload.model.histogram import Int64Array
from fastload.model.records import ErrorTable
from fastload.model.timeline.timeline import Timeline
from fastload.model.units import format_ms
from fastload.outputs.compare.page import comparison_data, comparison_page
from fastload.outputs.compare.wording import format_change, format_difference, format_figure, format_interval
from tests.browser import chromium, open_page, overflow_px, shoot
from tests.model.runs import Draw, batched, lognormal, seconds_of, sockets_of, with_endpoint
from tests.outputs.page.packed_page import data_in

__all__ = ["chromium"]

EVIL = "</script><img src=x onerror=alert(1)>"
Made = tuple[Comparison, list[list[Timeline]], Path]


def run_of(name: str, draw: Draw, seed: int, factor: float) -> tuple[BatchedRun, Timeline]:
    seconds = list(seconds_of(draw, np.random.default_rng(seed), seconds=12, more=with_endpoint(factor)))
    run = batched(name, seconds)
    timeline = Timeline(run.header)
    for second in seconds:
        timeline.add(second)
    return run, timeline


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three runs of a baseline whose name is HTML, and three that are slower."""
    base = [run_of(f"a{seed}", lognormal(), seed, 1.0) for seed in (1, 2, 3)]
    other = [run_of(f"b{seed}", lognormal(factor=1.5), seed, 1.5) for seed in (4, 5, 6)]
    sides = [ComparisonSide(EVIL, [run for run, _ in base]), ComparisonSide("slow", [run for run, _ in other])]
    comparison = compare_sides(sides)
    timelines = [[line for _, line in base], [line for _, line in other]]
    path = tmp_path_factory.mktemp("page") / "compare.html"
    path.write_bytes(comparison_page(comparison, timelines))
    return comparison, timelines, path


@pytest.fixture(scope="module")
def page(chromium: Browser, made: Made) -> Iterator[Page]:
    with open_page(chromium, made[2].as_uri()) as page:
        page.wait_for_selector("#chart-curve .scatterlayer path", state="attached")
        yield page


def test_the_verdict_is_at_the_top(page: Page, made: Made) -> None:
    card = page.locator("[data-verdict]")
    assert card.get_attribute("data-verdict") == made[0].verdict_of(0)
    assert "http_req_duration p50" in card.inner_text()
    assert page.locator("h1").inner_text() == "B (slow) against A"
    assert EVIL in page.locator(".sides").inner_text()
    shoot(page, "compare")


def test_endpoints_of_both_sides_are_chosen_and_drawn_over_time(page: Page, made: Made) -> None:
    def drawn() -> set[str]:
        found: list[str] = page.evaluate("document.getElementById('chart-endpoints').data.map(({name}) => name)")
        return {name for name in found if name}

    labels = page.locator("#endpoints-over-time .choices label").all_inner_texts()
    lines = made[1][0][0].columns()["endpoints"]["lines"]
    assert labels == [f"{line['method']} {line['name']}" for line in lines]
    assert len(labels) >= 2
    assert drawn() == {f"{side} {label}" for side in "AB" for label in labels[:2]}
    page.get_by_label("Choose no endpoint").click()
    expect(page.locator("#endpoints-over-time")).to_contain_text("Choose an endpoint, or several.")
    page.get_by_label(labels[1], exact=True).check()
    page.get_by_label("Metric").select_option("p50")
    assert drawn() == {f"A {labels[1]}", f"B {labels[1]}"}
    points = page.evaluate("document.getElementById('chart-endpoints').data.filter(one => one.name).map(one => one.y)")
    wanted = [line.columns()["endpoints"]["lines"][1]["p50"] for side in made[1] for line in side]
    assert [[round(value, 6) for value in one if value is not None][1:-1] for one in points] == [
        [round(value, 6) for value in one if value is not None] for one in wanted
    ]
    assert page.locator("#nav a", has_text="By endpoint").count() == 1
    page.get_by_label("Choose all endpoints").click()


def test_a_page_of_many_runs_stays_small(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison, timelines, path = made
    whole = data_in(path.read_text())["sides"][0]["lines"][0]
    assert len(path.read_bytes()) < 2_000_000
    monkeypatch.setattr("fastload.outputs.compare.page._FEWEST_CHART_ROWS", 3)
    monkeypatch.setattr("fastload.outputs.compare.page.MOST_PACKED_BYTES", 1000)
    coarse = data_in(comparison_page(comparison, timelines).decode())["sides"][0]["lines"][0]
    assert (len(whole["t"]), len(coarse["t"])) == (12, 3)
    assert (len(whole["endpoints"]["t"]), len(coarse["endpoints"]["t"])) == (12, 3)
    assert len(timelines[0][0]) == 12, "those of the caller are as they were"


def test_the_figures_are_those_of_the_comparison(page: Page, made: Made) -> None:
    rows = [row for row in made[0].rows if row.is_headline]
    cells = page.locator("#headline-B-table tbody tr")
    assert cells.count() == len(rows)
    for index, row in enumerate(rows):
        text = cells.nth(index).inner_text()
        for wanted in (*(format_figure(row.figure, value) for value in row.values), row.figure.subject):
            assert wanted in text
        assert format_change(row.figure, row.changes[0]) in text
        assert format_interval(row.figure, row.changes[0]) in text


def test_the_charts_have_a_line_for_each_run(page: Page, made: Made) -> None:
    _, timelines, _ = made
    for chart, column in (("chart-rate", "rate"), ("chart-p95", "service_p95")):
        drawn = page.evaluate(f"document.getElementById('{chart}').data.map((one) => [one.name, one.x, one.y])")
        wanted = [line.columns() for side in timelines for line in side]
        assert [name for name, _, _ in drawn] == ["A", "A", "A", "B", "B", "B"]
        for (_, x, y), columns in zip(drawn, wanted, strict=True):
            assert y[1:-1] == columns[column]
            middles = [end - span / 2 for end, span in zip(columns["t"], columns["span"], strict=True)]
            assert x == [columns["t"][0] - columns["span"][0], *middles, columns["t"][-1]]
    curve = page.evaluate("document.getElementById('chart-curve').data.map((one) => one.x.length)")
    assert len(curve) == 6
    assert min(curve) > 20


def test_a_percentile_in_a_legend_is_that_of_a_run_and_no_mean_of_seconds(page: Page, made: Made) -> None:
    for side, label in zip(made[1], "AB", strict=True):
        runs = []
        for timeline in side:
            curve = timeline.columns()["curves"]["service"]
            runs.append(curve["y"][curve["x"].index(20.0)])
        assert f"{label} {format_ms(sorted(runs)[1])}" in page.locator("[data-chart=chart-p95]").inner_text()
    assert "Median run: A" in page.locator("[data-chart=chart-p95]").inner_text()


def test_details_are_filtered_and_sorted(page: Page, made: Made) -> None:
    details = [row for row in made[0].rows if not row.is_headline]
    different = [row for row in details if row.changes[0].verdict in ("worse", "better", "changed")]
    table = page.locator("#details-B-table tbody tr")
    button = page.get_by_role("button", name="Only differences")
    assert table.count() == len(different) > 0
    button.click()
    assert table.count() == len(details)
    head = page.locator("#details-B-table th", has_text="change")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    changes = [change.ratio or 0.0 for row in details for change in row.changes]
    first = page.locator("#details-B-table tbody tr").first.inner_text()
    assert f"{max(changes) * 100:+.1f}%" in first


def test_both_themes_and_a_phone(chromium: Browser, made: Made) -> None:
    with open_page(chromium, made[2].as_uri(), width=390, height=800, scheme="dark") as phone:
        phone.wait_for_selector("#chart-rate .scatterlayer path", state="attached")
        assert overflow_px(phone) <= 0
        assert phone.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
        headline = phone.locator("#headline-B-table")
        assert phone.locator("#headline-B-table td", has_text="worse").first.is_visible()
        assert headline.evaluate("(one) => one.scrollWidth <= one.parentElement.clientWidth")
        shoot(phone, "compare-390-dark")


@pytest.mark.parametrize("width", [1100, 860, 720, 560, 390])
def test_tables_need_no_scrolling_sideways(chromium: Browser, made: Made, width: int) -> None:
    with open_page(chromium, made[2].as_uri(), width=width) as page:
        page.wait_for_selector("#environment-table td")
        page.get_by_role("button", name="Only differences").click()
        tables = page.evaluate(
            "[...document.querySelectorAll('.table')].map((one) => one.scrollWidth - one.clientWidth)"
        )
        assert (len(tables), max(tables), overflow_px(page)) == (3, 0, 0)
        row = page.locator("#headline-B-table tbody tr").first
        figures = next(one for one in made[0].rows if one.is_headline)
        for text in (
            format_interval(figures.figure, figures.changes[0]),
            format_difference(figures.figure, figures.changes[0]),
        ):
            # Nothing is left out for the room: each is there, with the name of its column.
            assert row.locator("td:visible", has_text=text).count() >= 1
        shoot(page, f"compare-{width}")


def test_the_page_is_one_file_and_not_large(made: Made) -> None:
    text = made[2].read_text()
    assert made[2].stat().st_size < 2_000_000
    assert EVIL not in text
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=[\"'](?!data:)", text)


def test_websockets_have_charts_of_their_own(chromium: Browser, tmp_path: Path) -> None:
    requests = run_of("web", lognormal(), 3, 1.0)
    runs = [requests]
    for name in "ab":
        seconds = list(sockets_of(lognormal(), np.random.default_rng(1), seconds=8))
        seconds[-1] = replace(seconds[-1], errors=ErrorTable({"reset": (30, "WS /: reset"), "timeout": (12, "late")}))
        run = batched(name, seconds)
        timeline = Timeline(run.header)
        for one in seconds:
            timeline.add(one)
        runs.append((run, timeline))
    web, first, second = [(ComparisonSide(run.name, [run]), [line]) for run, line in runs]
    for name, sides in (("alike", (first, second)), ("forced", (first, web))):
        made = comparison_page(compare_sides([side for side, _ in sides]), [lines for _, lines in sides])
        (tmp_path / f"{name}.html").write_bytes(made)

    def drawn(page: Page, chart: str) -> list[list[float]]:
        ys = "id => document.getElementById(id).data.map(({y}) => y.slice(1, -1))"
        found: list[list[float]] = page.evaluate(ys, chart)
        return found

    with open_page(chromium, (tmp_path / "alike.html").as_uri()) as page:
        page.wait_for_selector("#chart-curve .scatterlayer path", state="attached")
        assert "WebSockets opened each second" in page.locator("[data-chart=chart-rate]").inner_text()
        assert drawn(page, "chart-rate") == [first[1][0].columns()["sessions_rate"]] * 2
        assert drawn(page, "chart-more-messages_rate") == [first[1][0].columns()["messages_rate"]] * 2
        assert drawn(page, "chart-failed") == [[0.0] * 7 + [42.0]] * 2
        assert "asked to open" in page.locator("[data-chart=chart-p95]").inner_text()
        page.goto((tmp_path / "forced.html").as_uri())
        page.wait_for_selector("#chart-curve .scatterlayer path", state="attached")
        # What a request took says nothing about what it took to open a WebSocket.
        charts = ("chart-rate", "chart-more-rate", "chart-p95", "chart-curve")
        assert [len(drawn(page, chart)) for chart in charts] == [1, 2, 1, 1]
        assert "Requests" in page.locator("[data-chart=chart-more-rate]").inner_text()


def test_runs_without_anything_are_a_page_too(chromium: Browser, tmp_path: Path) -> None:
    def nothing(*_: object) -> Int64Array:
        return np.array([], dtype=np.int64)

    runs = []
    for name in "ab":
        seconds = list(seconds_of(nothing, np.random.default_rng(1), seconds=6))
        run = batched(name, seconds)
        timeline = Timeline(run.header)
        for second in seconds:
            timeline.add(second)
        runs.append((run, timeline))
    sides = [ComparisonSide(run.name, [run]) for run, _ in runs]
    comparison = compare_sides(sides)
    data = comparison_data(comparison, [[line] for _, line in runs])
    assert data["verdicts"][0]["lead"]
    path = tmp_path / "empty.html"
    path.write_bytes(comparison_page(comparison, [[line] for _, line in runs]))
    with open_page(chromium, path.as_uri()) as page:
        page.wait_for_selector("#environment-table td")
        assert "against" in page.locator("h1").inner_text()
