"""Endpoints over time, in Chromium: what is drawn, how it is chosen, and that a live page keeps what was chosen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from fastload.model.timeline.timeline import Timeline
from fastload.model.units import format_count, format_ms
from fastload.outputs.page.page_data import live_data
from tests.browser import open_page, overflow_px, shoot_part
from tests.conftest import wait_until
from tests.outputs.page.made_reports import data_of, timeline_of, write
from tests.outputs.page.shown_page import traces, within
from tests.outputs.seconds import Made, closed_run, made_run

NAMES = ("/users", "/orders/{id}", "/search?q=shoes", "/cart", "/checkout/payment", "/static/app.js", "/login")
SECTION = "#endpoints-over-time"
CHART = "[data-chart=chart-endpoints]"


@pytest.fixture(scope="module")
def many() -> Made:
    return made_run(seconds=30, names=NAMES, warmup_s=2.0)


@pytest.fixture
def page(chromium: Browser, many: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    url = write(many, tmp_path_factory.mktemp("many") / "report.html")
    with open_page(chromium, url) as page:
        yield page


def lines_of(made: Made) -> dict[str, dict[str, Any]]:
    return {f"GET {line['name']}": line for line in timeline_of(made).columns()["endpoints"]["lines"]}


def chosen(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        ".choices input", "all => all.filter(one => one.checked).map(one => one.value)"
    )
    return found


def show_section(page: Page) -> None:
    page.evaluate("document.querySelector('#endpoints-over-time').scrollIntoView()")


def test_the_most_frequent_are_chosen_at_first_and_their_lines_are_the_columns(page: Page, many: Made) -> None:
    lines = lines_of(many)
    assert chosen(page) == list(lines)[:5]
    drawn = traces(page, "endpoints")
    assert list(drawn) == list(lines)[:5]
    for name, trace in drawn.items():
        assert within(trace["y"]) == lines[name]["p95"]
        # Nothing is counted in the warm-up.
        assert trace["y"][:3] == [None, None, None]
    row = next(one for one in many.summary["endpoints"] if one["name"] == "/cart")
    legend = page.locator(f"{CHART} .legend li", has_text="GET /cart").locator(".value")
    expect(legend).to_have_text(format_ms(row["http_req_duration"]["p(95)"]))
    assert "of GET /" in page.inner_text(f"{CHART} figcaption")
    show_section(page)
    shoot_part(page, SECTION, "endpoints-light-1280")


def test_metric_and_endpoints_are_chosen_by_keyboard(page: Page, many: Made) -> None:
    lines = lines_of(many)
    page.get_by_label("Metric", exact=True).focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator(f"{CHART} h3")).to_have_text("Failures")
    page.get_by_role("button", name="Choose no endpoint").press("Enter")
    expect(page.locator(f"{CHART} .reason")).to_have_text("Choose an endpoint, or several.")
    page.locator(".choices input[value='GET /users']").press(" ")
    page.locator(".choices input[value='GET /login']").press(" ")
    assert list(traces(page, "endpoints")) == [name for name in lines if name in ("GET /users", "GET /login")]
    assert within(traces(page, "endpoints")["GET /users"]["y"]) == lines["GET /users"]["failed_rate"]
    row = next(one for one in many.summary["endpoints"] if one["name"] == "/users")
    legend = page.locator(f"{CHART} .legend li", has_text="GET /users").locator(".value")
    expect(legend).to_have_text(format_count(row["failed"]))
    page.get_by_role("button", name="Choose the endpoints with failures").press("Enter")
    assert chosen(page) == ["GET /users"]
    page.get_by_role("button", name="Choose all endpoints").press("Enter")
    assert chosen(page) == list(lines)
    page.get_by_label("Metric", exact=True).select_option("rate")
    assert within(traces(page, "endpoints")["GET /cart"]["y"]) == lines["GET /cart"]["rate"]
    assert "Highest rate: 28/s" in page.inner_text(f"{CHART} figcaption")


def test_its_time_axis_is_that_of_the_other_charts(page: Page) -> None:
    page.locator("#chart-endpoints").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    ranges = page.evaluate(
        "fastload.plot.figures.filter(one => one.group).map(one => one.plot._fullLayout.xaxis.range)"
    )
    assert {tuple(one) for one in ranges} == {tuple(ranges[0])}
    assert ranges[0] != [0, 30]


def test_on_a_phone_and_in_the_dark(chromium: Browser, many: Made, tmp_path_factory: pytest.TempPathFactory) -> None:
    url = write(many, tmp_path_factory.mktemp("phone") / "report.html")
    for width in (390, 1280):
        with open_page(chromium, url, width=width, height=900, scheme="dark") as page:
            show_section(page)
            page.get_by_label("Metric", exact=True).select_option("p99")
            assert overflow_px(page) == 0
            box = page.locator(".picker fieldset").bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= width
            shoot_part(page, SECTION, f"endpoints-dark-{width}")


def test_one_endpoint_has_no_section_of_its_own_and_calls_have_one(page: Page) -> None:
    page.evaluate("data => fastload.render(data)", data_of(made_run(seconds=4, names=("/only",))))
    expect(page.locator("#endpoints-over-time")).to_be_hidden()
    assert "By endpoint" not in page.inner_text("nav")
    data = data_of(closed_run(seconds=4, calls=True))
    [work] = data["timeline"]["endpoints"]["lines"]
    data["timeline"]["endpoints"]["lines"].append(work | {"name": "other", "label": "call other"})
    page.evaluate("data => fastload.render(data)", data)
    expect(page.locator(f"{CHART} .legend .name")).to_have_text(["call work", "call other"])
    assert "By endpoint" in page.inner_text("nav")


def test_more_than_can_be_followed_are_said(page: Page) -> None:
    data = data_of(made_run(seconds=4, requests_per_s=300, names=[f"/{number}" for number in range(100)]))
    page.evaluate("data => fastload.render(data)", data)
    assert page.inner_text("#endpoints-over-time-title small") == "the 20 most frequent of 100"
    assert page.locator(".choices input").count() == 20


def test_a_live_page_keeps_what_was_chosen(page: Page) -> None:
    made, few = made_run(seconds=24, names=NAMES), made_run(seconds=10, names=NAMES[:5])
    timeline = Timeline(made.header, most_rows=8)
    for number, snapshot in enumerate([*few.seconds, *made.seconds[10:]]):
        timeline.add(snapshot)
        if number == 12:
            # From now on a row has two seconds, and is sent again when its second one has come.
            timeline.halve()
        state = {"phase": "running", "progress": number / 23, "elapsed_s": number, "complete": False}
        data = live_data(made.header, timeline, made.summary, state=state, changes=number > 0)
        page.evaluate(f"data => fastload.{'update' if number else 'render'}(data)", json.loads(json.dumps(data)))
        if number == 3:
            show_section(page)
            page.get_by_role("button", name="Choose no endpoint").click()
            page.get_by_label("GET /cart").check()
            page.get_by_label("Metric", exact=True).select_option("p50")
    assert data["timeline"]["endpoints"]["first"] == len(timeline.columns()["endpoints"]["t"]) - 1 > 10
    assert page.locator(".choices input").count() == len(NAMES)
    assert chosen(page) == ["GET /cart"]
    columns = json.loads(json.dumps(timeline.columns()["endpoints"]))
    shown = page.evaluate("fastload.data.timeline.endpoints")
    assert (shown["t"], shown["span"]) == (columns["t"], columns["span"])
    assert [{name: one[name] for name in one.keys() - {"label"}} for one in shown["lines"]] == columns["lines"]
    cart = next(line for line in columns["lines"] if line["name"] == "/cart")
    wait_until(lambda: within(traces(page, "endpoints")["GET /cart"]["y"]) == cart["p50"])
