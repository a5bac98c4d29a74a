"""The page with charts, in Chromium: what is drawn, what is written, how it is used, and what it must never do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

import fastload as fl
from fastload.model.errors import PlanError
from fastload.model.metrics import Series
from fastload.model.records import ErrorTable
from fastload.model.saved.replay import Replay
from fastload.model.series import SeriesTable
from fastload.model.timeline.timeline import PHASES, Timeline
from fastload.model.units import format_bytes, format_count, format_duration_s, format_ms, format_percent
from fastload.outputs.page.page_data import live_data, page_data
from fastload.outputs.page.render import asset, plotly_js, render_page
from fastload.outputs.page.truncation import MOST_NAME
from fastload.outputs.streams.html_report import HtmlReport
from fastload.outputs.streams.plain_summary import outcome_of
from fastload.outputs.streams.registry import make_streams
from tests.browser import chromium, open_page, overflow_px, shoot
from tests.conftest import Nginx, wait_until
from tests.outputs.samples import fill
from tests.outputs.seconds import NASTY, Made, closed_run, made_run, ramp, second

__all__ = ["chromium"]

CHARTS = (
    "rate",
    "vus",
    "latency",
    "heat",
    "errors",
    "phases",
    "workers",
    "lag",
    "cpu",
    "target-memory",
    "memory",
    "network",
    "curve",
)


def write(made: Made, path: Path, *, summary: bool = True) -> str:
    """The report of *made* as a file; its URL."""
    report = HtmlReport(str(path))
    report.check()
    report.open(made.header)
    for snapshot in made.seconds:
        report.write(snapshot)
    report.close(made.summary if summary else None)
    return path.as_uri()


def timeline_of(made: Made) -> Timeline:
    timeline = Timeline(made.header)
    for snapshot in made.seconds:
        timeline.add(snapshot)
    return timeline


def data_of(made: Made, **options: Any) -> Any:
    """The data of a page, as JSON has it."""
    return json.loads(json.dumps(page_data(made.header, timeline_of(made), made.summary, **options)))


@pytest.fixture(scope="module")
def made() -> Made:
    """An open model with everything in it, and names that would be HTML if they could."""
    return made_run(seconds=40, names=("/users", "/orders/{id}", NASTY), warmup_s=2.0)


@pytest.fixture(scope="module")
def url(made: Made, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(made, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def shown(chromium: Browser, url: str) -> Iterator[Page]:
    """The page that most tests look at; those that change it put it back."""
    with open_page(chromium, url) as page:
        shoot(page, "report-light-1280")
        yield page


def traces(page: Page, chart: str) -> dict[str, dict[str, Any]]:
    """What plotly draws in a chart, by name."""
    found: list[dict[str, Any]] = page.evaluate(
        "id => document.getElementById(id).data.map(({name, x, y, z, type}) => ({name, x, y, z, type}))",
        f"chart-{chart}",
    )
    return {one["name"] or one["type"]: one for one in found}


def within(points: list[Any]) -> list[Any]:
    """What is drawn of a column, without the level ends up to the bounds of the first and the last window."""
    assert (points[0], points[-1]) == (points[1], points[-2])
    return points[1:-1]


def middles(columns: dict[str, Any]) -> list[float]:
    """Where the points of the rows are."""
    return [end - span / 2 for end, span in zip(columns["t"], columns["span"], strict=True)]


def test_every_chart_is_drawn(shown: Page) -> None:
    drawn = shown.eval_on_selector_all(
        ".plot", "plots => plots.filter(one => one.querySelector('.main-svg')).map(one => one.id)"
    )
    assert drawn == [f"chart-{name}" for name in CHARTS]


def test_the_lines_are_the_columns(shown: Page, made: Made) -> None:
    columns = timeline_of(made).columns()
    expected = {
        ("rate", "offered starts"): "offered",
        ("rate", "requests"): "rate",
        ("vus", "VUs"): "vus",
        ("latency", "response p50"): "response_p50",
        ("latency", "response p99"): "response_p99",
        ("latency", "service p95"): "service_p95",
        ("lag", "longest stall"): "lag",
        ("cpu", "host"): "host_cpu",
        ("cpu", "target"): "target_cpu",
        ("target-memory", "target"): "target_memory",
        ("memory", "host"): "host_memory",
        ("network", "received"): "net_received",
        ("phases", "wait"): "waiting",
    }
    for (chart, name), column in expected.items():
        trace = traces(shown, chart)[name]
        assert trace["x"] == [0.0, *middles(columns), columns["t"][-1]], (chart, name)
        assert within(trace["y"]) == columns[column], (chart, name)
    assert within(traces(shown, "workers")["worker 1"]["y"]) == columns["workers"]["1"]
    assert within(traces(shown, "errors")["http_500"]["y"]) == columns["errors"]["http_500"]
    curve = traces(shown, "curve")
    assert curve["response (corrected)"]["y"] == columns["curves"]["response"]["y"]
    assert curve["service (uncorrected)"]["x"] == columns["curves"]["service"]["x"]


def test_the_heat_map_has_every_value(shown: Page, made: Made) -> None:
    heat = traces(shown, "heat")["heatmap"]
    columns = timeline_of(made).columns()
    drawn = sum(round(10**value - 1) for row in heat["z"] for value in row if value is not None)
    assert drawn == sum(sum(row[1:]) for row in columns["heat"])
    assert heat["x"] == [0.0, *columns["t"]]
    assert len(heat["y"]) == len(heat["z"]) + 1


def test_the_numbers_are_those_of_the_summary(shown: Page, made: Made) -> None:
    metrics = made.summary["metrics"]
    response, requests = metrics["http_req_response_time"], metrics["http_reqs"]
    tiles = dict(
        shown.eval_on_selector_all(".tiles div", "all => all.map(one => [...one.children].map(c => c.innerText))")
    )
    expected = {
        "Requests": [format_count(requests["count"]), f"{format_count(requests['rate'])}/s"],
        "p50": [format_ms(response["med"]), "due to done"],
        "p95": [format_ms(response["p(95)"]), "due to done"],
        "p99": [format_ms(response["p(99)"]), "due to done"],
        "Longest": [format_ms(response["max"]), "due to done"],
        "Virtual users": [format_count(metrics["vus"]["max"]), "at most"],
        "Received": [
            format_bytes(metrics["data_received"]["count"]),
            f"{format_bytes(metrics['data_received']['rate'])}/s",
        ],
    }
    assert {name: tiles[name].split("\n") for name in expected} == expected
    assert tiles["Failed"].split("\n")[0] == format_percent(metrics["http_req_failed"]["rate"])


def test_the_top_says_how_it_went(shown: Page, made: Made) -> None:
    assert shown.inner_text("#result") == "Failed"
    assert shown.inner_text("#outcome .card >> nth=0").endswith("1 of 2 thresholds failed.")
    assert shown.inner_text("#verdict").startswith(f"Generator {made.summary['verdict']['state']}")
    assert made.summary["verdict"]["limit"] in shown.inner_text("#limit")
    rows = shown.eval_on_selector_all(".thresholds li", "all => all.map(one => one.className + one.innerText)")
    observed = [format_ms(one["observed"]) for one in made.summary["thresholds"]]
    assert [row.startswith("good") for row in rows] == [True, False]
    assert f"p(95)={observed[0]}" in rows[0]
    assert f"p(99)={observed[1]}" in rows[1]


def cells(page: Page, table: str) -> list[list[str]]:
    found: list[list[str]] = page.eval_on_selector_all(
        f"#{table}-table tbody tr", "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
    )
    return found


def test_tables_have_the_rows_of_the_summary(shown: Page, made: Made) -> None:
    summary = made.summary
    endpoints = {row[0]: row for row in cells(shown, "endpoints")}
    for one in summary["endpoints"]:
        row, trend = endpoints[one["name"]], one["http_req_duration"]
        assert row[2:5] == [
            format_count(one["requests"]),
            format_count(one["failed"]),
            format_percent(one["failed"] / one["requests"]),
        ]
        keys = ("avg", "med", "p(90)", "p(95)", "p(99)", "max")
        assert row[5:11] == [format_ms(trend[key]) for key in keys]
    checks = {row[0].removeprefix("✓ ").removeprefix("✗ "): row[2:4] for row in cells(shown, "checks")}
    assert checks == {
        one["name"]: [format_count(one["passes"]), format_count(one["fails"])] for one in summary["checks"]
    }
    assert [row[:3] for row in cells(shown, "errors")] == [
        [one["kind"], format_count(one["count"]), one["first"]] for one in summary["errors"]
    ]
    metrics = {row[0]: row for row in cells(shown, "metrics")}
    assert metrics["orders"][1] == format_count(summary["metrics"]["orders"]["count"])
    assert metrics["http_req_waiting"][9] == format_ms(summary["metrics"]["http_req_waiting"]["p(99)"])
    failed = summary["metrics"]["http_req_failed"]
    assert metrics["http_req_failed"][1] == f"{failed['fails']} of {format_count(failed['fails'] + failed['passes'])}"
    assert [row[0] for row in cells(shown, "metrics")][:2] == ["orders", "queue_depth"]
    resources = {row[0]: row for row in cells(shown, "resources")}
    assert resources["worker 1"][1:4] == ["47%", "48%", format_bytes(48_000_000)]
    assert resources["target nginx"][1] == f"{summary['target']['mean']['cpu_percent']:.0f}%"
    assert cells(shown, "events") == [["0:12", "control", "scale vus=20"]]
    assert "seed" in shown.inner_text("#plan")
    assert "3.11.7" in shown.inner_text("#environment")


def test_units_read_as_in_the_terminal(shown: Page) -> None:
    source = np.random.default_rng(1)
    values = [
        0.0,
        0.125,
        0.375,
        2.5,
        0.5,
        1.45,
        1.005,
        99.95,
        999.5,
        0.9995,
        59_950.0,
        59_949.0,
        119_500.0,
        1e-7,
        12_345.0,
    ]
    values += [float(value) for value in 10 ** source.uniform(-6, 9, 600)]
    values += [round(float(value), 2) for value in source.uniform(0, 200, 300)]
    values += [number / 8 for number in range(1, 400)]
    for name, function in (
        ("ms", format_ms),
        ("count", format_count),
        ("bytes", format_bytes),
        ("duration", format_duration_s),
    ):
        assert shown.evaluate(f"all => all.map(fastload.units.{name})", values) == [
            function(value) for value in values
        ], name
    shares = [0.0, 1.0, 0.00005, 0.99995, 0.00125, *(float(value) for value in source.uniform(0, 1, 400))]
    assert shown.evaluate("all => all.map(fastload.units.percent)", shares) == [
        format_percent(share) for share in shares
    ]
    assert shown.evaluate("fastload.units.ms(null)") == format_ms(None)


def test_a_table_is_sorted_by_click_and_by_keyboard(shown: Page) -> None:
    def order() -> list[str]:
        return [row[5] for row in cells(shown, "endpoints")]

    head = shown.locator("#endpoints-table th", has_text="avg")
    head.locator("button").click()
    descending = order()
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("button").focus()
    shown.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert order() == descending[::-1]
    shown.keyboard.press("Shift+Tab")
    shown.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "none"
    assert shown.evaluate("document.querySelector('#endpoints-table [aria-sort=descending]').textContent") == "failed %"


def test_what_a_script_or_a_server_says_stays_text(shown: Page, made: Made) -> None:
    assert NASTY in shown.inner_text("#endpoints-table")
    assert f"judged: {NASTY}" in shown.inner_text("#errors-table")
    assert NASTY in shown.inner_text("#exceptions pre")
    assert NASTY in shown.inner_text(".notes")
    assert shown.locator("img").count() == 0
    assert shown.locator("b", has_text="bold").count() == 0
    assert shown.evaluate("document.querySelectorAll('.plot a, .plot script').length") == 0
    assert traces(shown, "errors").keys() == {
        "http_500",
        f"judged: {NASTY}".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    }


def test_zoom_in_one_chart_is_zoom_in_all(shown: Page) -> None:
    ranges = "() => fastload.plot.figures.filter(one => one.group).map(one => one.plot._fullLayout.xaxis.range)"
    shown.locator("#chart-rate").scroll_into_view_if_needed()
    box = shown.locator("#chart-rate .nsewdrag").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    shown.mouse.move(box["x"] + box["width"] * 0.25, y)
    shown.mouse.down()
    shown.mouse.move(box["x"] + box["width"] * 0.5, y, steps=5)
    shown.mouse.up()
    wait_until(lambda: shown.evaluate("fastload.plot.figures[0].group.zoomed") is not None)
    found = shown.evaluate(ranges)
    assert {tuple(one) for one in found} == {tuple(found[0])}
    assert found[0] == pytest.approx([10, 20], abs=0.5)
    shown.mouse.dblclick(box["x"] + box["width"] * 0.5, y)
    wait_until(lambda: shown.evaluate("fastload.plot.figures[0].group.zoomed") is None)
    assert shown.evaluate(ranges)[-1] == [0, 40]
    shown.get_by_role("button", name="Zoom in").click()
    assert shown.evaluate(ranges)[-1] == [10, 30]
    shown.get_by_role("button", name="Show the whole run").click()
    assert shown.evaluate(ranges)[0] == [0, 40]


def test_a_chart_is_read_by_keyboard(shown: Page, made: Made) -> None:
    columns = timeline_of(made).columns()
    shown.locator("#chart-latency").focus()
    shown.keyboard.press("ArrowRight")
    shown.keyboard.press("ArrowRight")
    legend = "[data-chart=chart-{}] .legend li:has-text('{}') .value"
    assert shown.text_content(legend.format("latency", "response p99")) == format_ms(columns["response_p99"][1])
    assert shown.text_content(legend.format("rate", "requests")) == f"{format_count(columns['rate'][1])}/s"
    assert (shown.text_content(".timebar .now") or "").startswith("0:01 · ")
    assert "warm-up" in (shown.text_content(".timebar .now") or "")
    shown.keyboard.press("+")
    assert shown.evaluate("fastload.plot.figures[0].group.zoomed") is not None
    shown.keyboard.press("0")
    shown.keyboard.press("Escape")
    assert shown.text_content(".timebar .now") == "0:00 to 0:40"
    assert shown.evaluate("fastload.plot.figures[0].group.zoomed") is None


def test_a_series_is_hidden_and_shown_by_its_name(shown: Page) -> None:
    button = shown.locator("[data-chart=chart-latency] .legend button", has_text="service p99")
    visible = "document.getElementById('chart-latency').data.find(one => one.name === 'service p99').visible"
    button.click()
    assert (button.get_attribute("aria-pressed"), shown.evaluate(visible)) == ("false", False)
    button.press("Enter")
    assert (button.get_attribute("aria-pressed"), shown.evaluate(visible)) == ("true", True)


def test_a_latency_axis_may_be_logarithmic(shown: Page) -> None:
    button = shown.get_by_role("button", name="Log scale for Latency", exact=True)
    kind = "document.getElementById('chart-latency')._fullLayout.yaxis.type"
    before = shown.evaluate(kind)
    button.click()
    assert {before, shown.evaluate(kind)} == {"linear", "log"}
    button.click()
    assert shown.evaluate(kind) == before


def test_everything_has_a_name_for_those_who_do_not_see_it(shown: Page) -> None:
    without = shown.evaluate(
        """() => [...document.querySelectorAll('.plot')].filter(plot => {
             const by = (name) => document.getElementById(plot.getAttribute(name));
             return !by('aria-labelledby').textContent || !by('aria-describedby');
           }).map(plot => plot.id)"""
    )
    assert without == []
    captions = shown.eval_on_selector_all(
        "figure.chart", "all => all.map(one => [one.dataset.chart, one.querySelector('figcaption').textContent])"
    )
    assert [name for name, caption in captions if not re.search(r"\d|clock|due", caption)] == []
    unnamed = shown.evaluate(
        "[...document.querySelectorAll('button, a')].filter(one => !one.textContent.trim() && !one.ariaLabel).length"
    )
    assert unnamed == 0
    assert shown.evaluate(
        "document.querySelectorAll('table').length === document.querySelectorAll('table caption').length"
    )
    assert shown.evaluate("document.documentElement.lang") == "en"


def test_the_skip_link_is_first_and_leads_past_the_navigation(chromium: Browser, url: str) -> None:
    with open_page(chromium, url, scheme="dark") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        background = "getComputedStyle(document.body).backgroundColor"
        ink = "document.getElementById('chart-rate').data.at(-1).line.color"
        dark = page.evaluate(background), page.evaluate(ink)
        shoot(page, "report-dark-1280")
        switch = page.locator("#theme")
        switch.click()
        assert switch.text_content() == "Light"
        light = page.evaluate(background), page.evaluate(ink)
        assert light[0] == "rgb(255, 255, 255)"
        assert light[0] != dark[0]
        assert light[1] != dark[1]
        page.reload()
        assert page.locator("#theme").text_content() == "Light"
        assert page.evaluate(background) == light[0]


def test_on_a_phone_nothing_is_wider_than_the_screen(chromium: Browser, url: str) -> None:
    with open_page(chromium, url, width=390, height=844) as page:
        assert overflow_px(page) == 0
        wide = page.evaluate(
            """[...document.querySelectorAll('.plot .main-svg')]
               .filter(one => one.getBoundingClientRect().right > innerWidth).length"""
        )
        assert wide == 0
        shoot(page, "report-light-390")
        page.evaluate("fastload.dom.setTheme('dark')")
        shoot(page, "report-dark-390")


def is_paper(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.classList.contains('paper')"))


def test_paper_is_white_and_no_chart_is_cut(shown: Page) -> None:
    shown.evaluate("fastload.dom.setTheme('dark')")
    shown.emulate_media(media="print")
    wait_until(lambda: is_paper(shown))
    background, right, bar = shown.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
                  Math.max(...fastload.plot.figures.map(({plot}) => plot.querySelector('.main-svg')
                    .getBoundingClientRect().right)) - document.getElementById('main').getBoundingClientRect().left,
                  getComputedStyle(document.querySelector('.top')).display]"""
    )
    assert background == "rgb(255, 255, 255)"
    # A4 with its margins is 688 px wide.
    assert 500 < right <= 680
    assert bar == "none"
    shown.emulate_media(media="screen")
    wait_until(lambda: not is_paper(shown))
    shown.evaluate("fastload.dom.setTheme('auto')")
    assert shown.evaluate("document.getElementById('chart-rate').data[0].line.color") == shown.evaluate(
        "fastload.dom.color('ink')"
    )


def test_a_print_job_has_paper_too(shown: Page) -> None:
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert is_paper(shown)
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not is_paper(shown)


def test_the_file_needs_nobody(url: str) -> None:
    text = Path(url.removeprefix("file://")).read_text(encoding="utf-8")
    own = text.replace(plotly_js().replace("</script", "<\\/script").replace("<!--", "<\\!--"), "")
    assert len(own.encode()) < 1_000_000
    assert len(text) - len(own) > 1_000_000
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", own)
    assert "default-src 'none'" in own
    assert "connect-src 'none'" in own


CASES = {
    "closed": closed_run(seconds=12),
    "ramp": made_run(ramp(), seconds=27, warmup_s=2.0),
    "bench": closed_run(seconds=3, kind="bench", changes={"checks": (), "groups": ()}),
    "calls": closed_run(seconds=5, calls=True),
    "one second": made_run(seconds=1),
}


@pytest.mark.parametrize("name", CASES)
def test_other_runs_look_right_too(shown: Page, name: str) -> None:
    made = CASES[name]
    shown.evaluate("data => fastload.render(data)", data_of(made))
    closed = made.header.plan["scenarios"][0]["model"] != "open"
    assert ("response (corrected)" in traces(shown, "curve")) is not closed
    phases = shown.inner_text("[data-chart=chart-phases]")
    assert ("Measured calls have no phases." in phases) is (name == "calls")
    assert shown.locator("#checks").is_visible() is (name != "bench")
    assert shown.locator("#calls").is_visible() is (name == "calls")
    if name == "one second":
        assert traces(shown, "rate")["requests"]["x"] == [0, 0.5, 1]
    shoot(shown, f"report-{name.replace(' ', '-')}")


def test_a_run_without_an_answer_says_so(shown: Page) -> None:
    made = closed_run(seconds=3)
    nothing = [
        replace(one, table=type(one.table)(), target=None, host=None, workers=(), lag_max_ms=()) for one in made.seconds
    ]
    summary = made.summary | {"target": None, "endpoints": [], "checks": [], "errors": [], "workers": []}
    summary["metrics"] = summary["metrics"] | {
        "http_req_duration": dict.fromkeys(summary["metrics"]["http_req_duration"]) | {"count": 0}
    }
    shown.evaluate("data => fastload.render(data)", data_of(Made(made.header, nothing, summary)))
    assert "none of 600 requests got a response" in shown.inner_text("[data-chart=chart-latency]")
    assert "Not sampled" in shown.inner_text("[data-chart=chart-cpu]")
    assert "No request ended." in shown.inner_text("#endpoints")
    assert "The script checks nothing." in shown.inner_text("#checks")
    assert "Nothing failed." in shown.inner_text("#errors")


def sockets(*, opened: bool = True) -> Made:
    """A run of WebSockets only, in an open model; with *opened* false every one of them failed."""
    made = made_run(seconds=3, calls=True, changes={"calls": (), "checks": (), "groups": ()})
    table = SeriesTable()
    if opened:
        fill(table, "ws_connecting", [900, 1000, 4000])
        fill(table, "ws_ping", [2000])
        table.counter(Series("ws_sessions")).value = 3
        table.counter(Series("ws_msgs_sent")).value = 40
    failed = table.rate(Series("ws_failed"))
    failed.trues, failed.total = (0 if opened else 3), 3
    seconds = [replace(one, table=table, requests_per_s=0.0, failed_per_s=0.0) for one in made.seconds]
    replay = Replay(made.header)
    for one in seconds:
        replay.add(one)
    return Made(made.header, seconds, replay.summary() | {"stopped_by": "", "passed": True})


def tiles_of(page: Page) -> dict[str, str]:
    return dict(
        page.eval_on_selector_all(
            ".tiles div", "all => all.map(one => [one.children[0].innerText, one.children[1].innerText])"
        )
    )


def test_websockets_lead_where_there_is_nothing_else(shown: Page) -> None:
    shown.evaluate("data => fastload.render(data)", data_of(sockets()))
    tiles = tiles_of(shown)
    assert list(tiles)[:3] == ["WebSockets", "Failed", "p50"]
    assert tiles["WebSockets"] == "9\n3/s"
    assert tiles["Messages"] == "120\n40/s, both ways"
    assert tiles["Ping p95"] == "2.00ms\nping to pong"
    assert tiles["p50"] == "1.00ms\nasked to open"
    assert "Received" not in tiles
    assert within(traces(shown, "latency")["opening p99"]["y"]) == [pytest.approx(4, rel=0.01)] * 3
    assert within(traces(shown, "rate")["messages"]["y"]) == [40] * 3
    # The legend has what the summary says, and no mean of what is drawn.
    assert "messages40/s" in shown.inner_text("[data-chart=chart-rate] .legend").replace("\n", "")
    assert "WebSockets have no phases." in shown.inner_text("[data-chart=chart-phases]")
    assert not shown.locator("#endpoints").is_visible()
    shoot(shown, "report-sockets")


def test_what_does_not_lead_has_its_figures_too(shown: Page) -> None:
    data = data_of(closed_run(seconds=3))
    data["summary"]["metrics"] |= {
        "calls": {"count": 30, "rate": 10.0},
        "call_failed": {"rate": 0.1, "passes": 27, "fails": 3},
        "ws_sessions": {"count": 0, "rate": 0.0},
        "ws_failed": {"rate": 1.0, "passes": 0, "fails": 8},
        "stream_events": {"count": 75, "rate": 25.0},
    }
    shown.evaluate("data => fastload.render(data)", data)
    tiles = tiles_of(shown)
    assert next(iter(tiles)) == "Requests"
    assert (tiles["Calls"], tiles["Calls failed"]) == ("30\n10/s", "10.00%\n3 of 30")
    assert (tiles["WebSockets"], tiles["WebSockets failed"]) == ("0\n0/s", "100.00%\n8 of 8")
    assert tiles["Stream events"] == "75\n25/s"
    assert "Stream events failed" not in tiles


def test_a_setup_that_failed_is_told_at_the_top(shown: Page) -> None:
    data = data_of(closed_run(seconds=1))
    traceback = "Traceback (most recent call last):\n  File x\nValueError: no <b>database</b>.\n"
    failed = {"passed": False, "stopped_by": "error", "hook_errors": [{"hook": "setup", "message": traceback}]}
    data["summary"] |= failed | {"thresholds": []}
    shown.evaluate("data => fastload.render(data)", data)
    assert shown.inner_text(".result .card:first-child") == "Failed\n\nSetup failed: ValueError: no <b>database</b>."


def test_a_long_table_scrolls_within_the_page_but_not_on_paper(shown: Page) -> None:
    data = data_of(closed_run(seconds=1))
    one = data["summary"]["endpoints"][0]
    data["summary"]["endpoints"] = [one | {"name": f"/{number}"} for number in range(300)]
    shown.evaluate("data => fastload.render(data)", data)
    region = "document.querySelector('#endpoints .scroll')"
    assert shown.evaluate(f"{region}.clientHeight") < 800
    shown.evaluate(f"{region}.scrollTop = 3000")
    top = f"{region}.querySelector('thead th').getBoundingClientRect().top - {region}.getBoundingClientRect().top"
    assert abs(shown.evaluate(top)) < 3
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.evaluate(f"{region}.clientHeight") > 5000
    shown.evaluate("dispatchEvent(new Event('afterprint'))")


def test_arrow_keys_say_what_they_point_at_and_nothing_else_is_said(shown: Page) -> None:
    data = data_of(closed_run(seconds=4))
    shown.evaluate("data => fastload.render(data)", data)
    loud = "[aria-live]:not([aria-live=off]), [role=status], [role=alert]"
    before = shown.eval_on_selector_all(loud, "all => all.map(one => one.textContent)")
    shown.evaluate("data => fastload.update(data)", data_of(closed_run(seconds=9)))
    assert shown.eval_on_selector_all(loud, "all => all.map(one => one.textContent)") == before
    shown.focus("#chart-rate")
    shown.keyboard.press("ArrowRight")
    said = shown.inner_text("[data-chart=chart-rate] [aria-live]")
    assert said.startswith("at 0:00, requests 200/s")
    assert "".join(shown.locator(loud).all_inner_texts()) == said
    shown.keyboard.press("Escape")


def test_without_a_latency_there_are_no_dashes(shown: Page) -> None:
    shown.evaluate("data => fastload.render(data)", data_of(sockets(opened=False)))
    tiles = tiles_of(shown)
    assert (tiles["WebSockets"], tiles["Failed"]) == ("0\n0/s", "100.00%\n9 of 9")
    assert not {"p50", "p95", "p99", "Longest"} & tiles.keys()
    assert "No latency: no WebSocket was opened." in shown.inner_text("[data-chart=chart-latency]")


def test_a_percentile_of_few_requests_says_of_how_many(shown: Page) -> None:
    data = data_of(CASES["one second"])
    metrics = data["summary"]["metrics"]
    metrics["http_req_response_time"]["count"] = 40
    shown.evaluate("data => fastload.render(data)", data)
    ended = format_count(metrics["http_req_duration"]["count"])
    assert tiles_of(shown)["p99"].endswith(f"\ndue to done, 40 of {ended}")


def test_requests_are_in_flight_until_the_end(shown: Page) -> None:
    made = closed_run(seconds=2)
    made.summary["requests"] |= {"started": 400, "finished": 390, "failed": 9, "interrupted": 1}
    for complete, words in ((False, "1 in flight"), (True, "1 interrupted at the end")):
        data = data_of(made, kind="live", state={"complete": complete})
        shown.evaluate("data => fastload.render(data)", data)
        assert shown.inner_text(".account").endswith(f"+ {words}.")


OUTCOMES: dict[str, dict[str, Any]] = {
    "Failed": {"passed": False},
    "Passed": {"passed": True, "thresholds": [{"metric": "a", "expression": "count>1", "ok": True, "observed": 2}]},
    "Finished": {"passed": True, "thresholds": []},
    "Stopped": {"passed": True, "thresholds": [], "stopped_by": "control"},
    "Incomplete": {"passed": False, "stopped_by": "unknown"},
}


@pytest.mark.parametrize("word", OUTCOMES)
def test_the_outcome_is_the_word_of_all_reports(shown: Page, word: str) -> None:
    made = closed_run(seconds=1)
    summary = made.summary | {"stopped_by": ""} | OUTCOMES[word]
    shown.evaluate("data => fastload.render(data)", data_of(made._replace(summary=summary)))
    assert shown.inner_text("#result") == outcome_of(summary) == word


def test_what_was_never_sampled_is_not_zero(shown: Page) -> None:
    made = closed_run(seconds=1)
    unused: dict[str, Any] = {
        "cpu_percent": {"mean": 0.0, "max": 0.0, "series": []},
        "rss_bytes": 0,
        "run_delay_share": 0.0,
    }
    workers = [{"index": 0, "lag_max_ms": 0.0, "lost": False} | unused]
    data = data_of(made._replace(summary=made.summary | {"workers": workers}))
    assert data["summary"]["workers"][0]["cpu_percent"] == {"mean": None, "max": None}
    shown.evaluate("data => fastload.render(data)", data)
    row = next(row for row in cells(shown, "resources") if row[0] == "worker 0")
    assert row[1:] == ["-", "-", "-", "-", "0s", "not sampled"]
    assert "Not sampled" in shown.inner_text("[data-chart=chart-workers]")


def test_the_ticks_of_a_scale_can_be_told_apart(shown: Page) -> None:
    texts = shown.evaluate(
        "[0, 0.3, 1, 2, 7, 1500].map(most => fastload.axes.linear(most, 4, fastload.columns.bytesPerSecond).ticktext)"
    )
    assert [len(set(one)) == len(one) >= 2 for one in texts] == [True] * 6
    assert texts[0] == ["0 B/s", "1 B/s"]


def long_run() -> Made:
    """The worst that is expected: 900 seconds of all latencies, and names without end."""
    made = made_run(seconds=2)
    table = SeriesTable()
    times = np.random.default_rng(1).lognormal(9, 2, 5000).astype(np.int64).tolist()
    for metric in ("http_req_duration", "http_req_response_time", *PHASES.values()):
        fill(table, metric, times)
    table.counter(Series("http_reqs")).value = 5000
    errors = ErrorTable({f"{number} {'<e>' * 700}": (3 + number, "m" * 3000) for number in range(50)})
    seconds = [second(number, table, errors=errors) for number in range(1, 901)]
    one = made.summary["endpoints"][0]
    endpoints = [one | {"name": f"{'n' * 1990}{number}", "requests": 7, "failed": 0} for number in range(1000)]
    endpoints.append(one | {"name": "it failed", "requests": 5, "failed": 5})
    return Made(
        made.header,
        seconds,
        made.summary
        | {
            "endpoints": endpoints,
            "checks": [made.summary["checks"][0] | {"name": f"{'c' * 2000}{number}"} for number in range(1000)],
            "errors": errors.to_list(),
            "exceptions": [{"kind": f"E{number}", "count": 1, "first": "t" * 100_000} for number in range(200)],
        },
    )


def test_the_file_is_small_whatever_others_say(shown: Page, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write(long_run(), path)
    text = path.read_text(encoding="utf-8")
    assert len(text) - len(plotly_js()) < 1_000_000
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    shown.evaluate("data => fastload.render(data)", data)
    rows = {row[0]: row for row in cells(shown, "endpoints")}
    assert "it failed" in rows
    assert len(rows) == len(data["summary"]["endpoints"]) >= 100
    assert max(map(len, rows)) == MOST_NAME
    left = 1001 - len(rows)
    assert f"… and {left} more: the summary has them all." in shown.inner_text("#endpoints")
    assert "… and 150 more" in shown.inner_text("#exceptions")
    errors = traces(shown, "errors")
    assert len(errors) == 8
    assert within(errors["43 other kinds"]["y"])[0] == sum(3 + number for number in range(43))


def test_a_live_page_is_brought_up_to_date(shown: Page) -> None:
    made = made_run(seconds=23)
    # Few rows: each is merged with the next one, and some are sent again.
    timeline = Timeline(made.header, most_rows=8)
    for number, snapshot in enumerate(made.seconds):
        timeline.add(snapshot)
        if number % 5 == 0 or number == 22:
            state = {"phase": "running", "progress": number / 23, "elapsed_s": number, "complete": number == 22}
            data = live_data(made.header, timeline, made.summary, state=state, changes=number > 0)
            shown.evaluate(f"data => fastload.{'update' if number else 'render'}(data)", json.loads(json.dumps(data)))
            assert shown.inner_text("#result") == ("Failed" if number == 22 else "Running")
    assert data["timeline"]["first"] > 0
    # What is the same in each second came once.
    assert "plan" not in data["summary"]
    assert shown.inner_text("#plan h3") == made.summary["plan"]["scenarios"][0]["name"]
    assert shown.inner_text("h1") == made.header.title
    shown.evaluate("fastload.plot.figures.forEach(one => one.draw(fastload.data))")
    columns = timeline.columns()
    assert within(traces(shown, "rate")["requests"]["y"]) == columns["rate"]
    assert within(traces(shown, "workers")["worker 0"]["y"]) == columns["workers"]["0"]
    assert shown.evaluate("fastload.data.timeline.heat") == columns["heat"]
    assert shown.evaluate("fastload.data.timeline.first") == 0
    heat = traces(shown, "heat")["heatmap"]
    per_s = [sum(10 ** row[column] - 1 for row in heat["z"] if row[column]) for column in range(len(columns["t"]))]
    assert per_s == pytest.approx([200.0] * len(per_s))


def test_the_report_of_a_real_run_has_its_numbers(shown: Page, nginx: Nginx, tmp_path: Path) -> None:
    path = tmp_path / "report.html"

    async def visit(vu: fl.VU) -> None:
        await vu.get("/")

    summary = fl.run(visit, vus=2, duration="1s", workers=1, base_url=nginx.url, html=path)
    page = path.read_text(encoding="utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    metrics = summary.to_dict()["metrics"]
    columns = data["timeline"]
    assert data["summary"]["metrics"] == json.loads(json.dumps(metrics))
    assert sum(rate * span for rate, span in zip(columns["rate"], columns["span"], strict=True)) == pytest.approx(
        metrics["http_reqs"]["count"], rel=1e-4
    )
    assert columns["curves"]["service"]["y"][-1] == metrics["http_req_duration"]["max"]
    shown.evaluate("data => fastload.render(data)", data)
    assert format_count(metrics["http_reqs"]["count"]) in shown.inner_text("#numbers")


def test_a_run_without_an_end_has_a_report_too(shown: Page, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write(closed_run(seconds=4), path, summary=False)
    data = json.loads(path.read_text(encoding="utf-8").partition('id="data">')[2].partition("</script>")[0])
    assert data["summary"]["stopped_by"] == "unknown"
    shown.evaluate("data => fastload.render(data)", data)
    assert shown.inner_text("#result") == "Incomplete"
    assert "800" in shown.inner_text("#numbers")


def test_a_run_that_broke_off_before_its_first_second_has_one(shown: Page, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write(closed_run(seconds=1)._replace(seconds=[]), path, summary=False)
    data = json.loads(path.read_text(encoding="utf-8").partition('id="data">')[2].partition("</script>")[0])
    shown.evaluate("data => fastload.render(data)", data)
    assert shown.inner_text("#result") == "Incomplete"
    assert "No latency: no request and no measured call ended." in shown.inner_text("[data-chart=chart-latency]")
    assert "No request ended." in shown.inner_text("#endpoints")


def test_where_the_report_cannot_go_is_told_before_the_run(tmp_path: Path) -> None:
    (stream,) = make_streams([f"html={tmp_path / 'missing' / 'report.html'}"])
    assert stream.required
    with pytest.raises(PlanError, match=r"--html '.*missing/report.html' has no directory"):
        stream.check()
    with pytest.raises(PlanError, match="no file is named"):
        make_streams(["html="])


def test_data_cannot_end_its_element() -> None:
    page = render_page({"text": NASTY + "<!--", "kind": "report"}, title=NASTY).decode()
    inside = page.partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(inside)["text"] == NASTY + "<!--"
    assert "<title>&lt;/script&gt;" in page
    assert page.count("</script>") == page.count("<script")


def test_other_pages_have_their_own_parts() -> None:
    page = render_page(
        {},
        title="x",
        plotly_url="/plotly.min.js",
        scripts=["hello()"],
        styles=["b{}"],
        bar="<i>bar</i>",
        connect="'self'",
    ).decode()
    assert '<script src="/plotly.min.js"></script>' in page
    assert len(page) < 200_000
    assert page.index("fastload.charts =") < page.index("<script>hello()</script>") < page.index(asset("start.js")[:40])
    assert "connect-src 'self'" in page
    assert "<i>bar</i>" in page
    assert "b{}" in page


def test_texts_can_be_read_on_their_backgrounds() -> None:
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in asset("page.css").split("}")[:2])
    for colours in (light, light | dark):
        for ink in ("ink", "soft", "link", "good", "warn", "bad"):
            for background in ("bg", "panel", "good-bg", "warn-bg", "bad-bg"):
                assert contrast(colours[ink], colours[background]) >= 4.5, (ink, background)
        for line in (*(f"c{number}" for number in range(1, 9)), "blue-1", "blue-2", "blue-3", "over", "event"):
            assert contrast(colours[line], colours["bg"]) >= 3, line


def test_both_dark_themes_are_one() -> None:
    blocks = re.findall(r"color-scheme: dark;([^}]*)}", asset("page.css"))
    assert len(blocks) == 2
    assert len({" ".join(block.split()) for block in blocks}) == 1


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    darker, lighter = sorted(luminance(colour) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_plotly_is_not_imported_for_its_script() -> None:
    code = """
import sys
from fastload.outputs.page.render import plotly_js
assert "plotly.js" in plotly_js()[:200]
assert "plotly" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
