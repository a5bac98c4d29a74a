"""What the page writes, in Chromium: how the run went, the numbers that count, and the tables."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from fastload.model.units import format_bytes, format_count, format_duration_s, format_ms, format_percent
from fastload.outputs.streams.plain_summary import outcome_of
from tests.browser import open_page, overflow_px, shoot
from tests.outputs.page.made_reports import data_of
from tests.outputs.page.shown_page import cells, tiles_of, traces
from tests.outputs.seconds import NASTY, Made, closed_run


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
    further = shown.eval_on_selector_all(".limits li", "all => all.map(one => one.textContent)")
    assert further == made.summary["verdict"]["further_limits"]
    rows = shown.eval_on_selector_all(".thresholds li", "all => all.map(one => one.className + one.innerText)")
    observed = [format_ms(one["observed"]) for one in made.summary["thresholds"]]
    assert [row.startswith("good") for row in rows] == [True, False]
    assert f"p(95)={observed[0]}" in rows[0]
    assert f"p(99)={observed[1]}" in rows[1]


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
    failures = sum(one["count"] for one in summary["errors"])
    assert [[*row[:3], *row[4:6]] for row in cells(shown, "errors")] == [
        [one["kind"], format_count(one["count"]), format_percent(one["count"] / failures), one["first"], one["remedy"]]
        for one in summary["errors"]
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


def rows_shown(page: Page) -> int:
    shown: int = page.evaluate(
        "[...document.querySelectorAll('#endpoints tbody tr')].filter(row => row.getClientRects().length).length"
    )
    return shown


def test_a_long_table_shows_its_first_rows_until_all_are_wanted_or_printed(shown: Page) -> None:
    data = data_of(closed_run(seconds=1))
    one = data["summary"]["endpoints"][0]
    data["summary"]["endpoints"] = [one | {"name": f"/{number}", "requests": number} for number in range(300)]
    shown.evaluate("data => fastload.render(data)", data)
    assert rows_shown(shown) == 60
    # The first of the order that it has now.
    shown.locator("#endpoints thead button", has_text="requests").click()
    assert shown.locator("#endpoints tbody th").first.inner_text() == "/299"
    assert rows_shown(shown) == 60
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert rows_shown(shown) == 300
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    shown.get_by_role("button", name="Show all 300").click()
    assert rows_shown(shown) == 300
    shown.get_by_role("button", name="Show the first 60").click()
    assert rows_shown(shown) == 60


INNER = """[...document.querySelectorAll("main section *")].filter((one) =>
  /auto|scroll/.test(getComputedStyle(one).overflowX + getComputedStyle(one).overflowY)
  && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)).map((one) => one.outerHTML)"""


@pytest.mark.parametrize("width", [1280, 1101, 1100, 900, 390])
def test_no_section_scrolls_inside(chromium: Browser, url: str, width: int) -> None:
    scheme: Literal["light", "dark"] = "dark" if width == 390 else "light"
    with open_page(chromium, url, width=width, scheme=scheme) as page:
        data = page.evaluate("fastload.data")
        raised = {"kind": "ValueError", "count": 1, "first": "\n".join(f"line {n} {'x' * 300}" for n in range(30))}
        data["summary"]["exceptions"] = [raised]
        page.evaluate("data => fastload.render(data)", data)
        shoot(page, f"sections-{width}")
        assert page.evaluate(INNER) == []
        assert overflow_px(page) == 0
        beyond = "one => one.getBoundingClientRect().right - one.closest('section').getBoundingClientRect().right"
        assert [one.evaluate(beyond) for one in page.locator("main section table").all() if one.is_visible()] != []
        assert max(one.evaluate(beyond) for one in page.locator("main section table").all()) < 1


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
