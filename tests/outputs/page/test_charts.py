"""The charts of the page, in Chromium: what is drawn, and how it is zoomed and read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page

from fastload.model.timeline.timeline import Timeline
from fastload.model.units import format_count, format_ms
from fastload.outputs.page.page_data import live_data
from tests.conftest import wait_until
from tests.outputs.page.made_reports import data_of, timeline_of
from tests.outputs.page.shown_page import traces, within
from tests.outputs.seconds import Made, closed_run, made_run

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
    "endpoints",
    "curve",
)


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


def test_the_ticks_of_a_scale_can_be_told_apart(shown: Page) -> None:
    texts = shown.evaluate(
        "[0, 0.3, 1, 2, 7, 1500].map(most => fastload.axes.linear(most, 4, fastload.columns.bytesPerSecond).ticktext)"
    )
    assert [len(set(one)) == len(one) >= 2 for one in texts] == [True] * 6
    assert texts[0] == ["0 B/s", "1 B/s"]


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
