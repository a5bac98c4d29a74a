"""Reports of runs of all kinds, in Chromium: what they show, what they say is missing, and the file they are."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

import fastload as fl
from fastload.model.errors import PlanError
from fastload.model.metrics import Series
from fastload.model.records import ErrorTable
from fastload.model.saved.replay import Replay
from fastload.model.series import SeriesTable
from fastload.model.timeline.timeline import REQUEST_PHASES
from fastload.model.units import format_count
from fastload.outputs.page.render import plotly_js
from fastload.outputs.page.truncation import MOST_NAME
from fastload.outputs.streams.registry import make_sink_outputs
from tests.browser import shoot
from tests.conftest import Nginx
from tests.outputs.page.made_reports import data_of, write
from tests.outputs.page.packed_page import data_in, packed_text, unpack
from tests.outputs.page.shown_page import cells, tiles_of, traces, within
from tests.outputs.samples import fill
from tests.outputs.seconds import Made, closed_run, made_run, ramp, second


def test_the_file_needs_nobody(url: str) -> None:
    text = Path(url.removeprefix("file://")).read_text(encoding="utf-8")
    library = packed_text(text, "library")
    assert unpack(library).decode() == plotly_js()
    own = text.replace(library, "").replace(packed_text(text, "scripts"), "").replace(packed_text(text, "data"), "")
    assert len(own) < 100_000
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


def long_run() -> Made:
    """The worst that is expected: 900 seconds of all latencies, and names without end."""
    made = made_run(seconds=2)
    table = SeriesTable()
    times = np.random.default_rng(1).lognormal(9, 2, 5000).astype(np.int64).tolist()
    for metric in ("http_req_duration", "http_req_response_time", *REQUEST_PHASES.values()):
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
    assert path.stat().st_size < 2_000_000
    data = data_in(text)
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


def test_the_report_of_a_real_run_has_its_numbers(shown: Page, nginx: Nginx, tmp_path: Path) -> None:
    path = tmp_path / "report.html"

    async def visit(vu: fl.VU) -> None:
        await vu.get("/")

    summary = fl.run(visit, vus=2, duration="1s", workers=1, base_url=nginx.url, html=path)
    page = path.read_text(encoding="utf-8")
    data = data_in(page)
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
    data = data_in(path.read_text(encoding="utf-8"))
    assert data["summary"]["stopped_by"] == "unknown"
    shown.evaluate("data => fastload.render(data)", data)
    assert shown.inner_text("#result") == "Incomplete"
    assert "800" in shown.inner_text("#numbers")


def test_a_run_that_broke_off_before_its_first_second_has_one(shown: Page, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write(closed_run(seconds=1)._replace(seconds=[]), path, summary=False)
    data = data_in(path.read_text(encoding="utf-8"))
    shown.evaluate("data => fastload.render(data)", data)
    assert shown.inner_text("#result") == "Incomplete"
    assert "No latency: no request and no measured call ended." in shown.inner_text("[data-chart=chart-latency]")
    assert "No request ended." in shown.inner_text("#endpoints")


def test_where_the_report_cannot_go_is_told_before_the_run(tmp_path: Path) -> None:
    (stream,) = make_sink_outputs([f"html={tmp_path / 'missing' / 'report.html'}"])
    assert stream.required
    with pytest.raises(PlanError, match=r"--html '.*missing/report.html' has no directory"):
        stream.check()
    with pytest.raises(PlanError, match="no file is named"):
        make_sink_outputs(["html="])
