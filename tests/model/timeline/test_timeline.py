"""Rows for charts: what they say of a second, that merging them loses nothing, and what happened when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from fastload.model.load_models import ConstantVUs, RampingArrivalRate, RampingVUs
from fastload.model.metrics import Series
from fastload.model.plan import ScenarioPlan
from fastload.model.records import ErrorTable, Event
from fastload.model.run_header import RunHeader
from fastload.model.series import SeriesTable, TrendValue
from fastload.model.timeline.curves import BANDS, band_bounds_ms, band_counts, percentile_curve
from fastload.model.timeline.timeline import MOST_EVENTS, MOST_KINDS, REQUEST_PHASES, Timeline
from tests.outputs.samples import add_calls, add_requests, fill, make_plan
from tests.outputs.seconds import START_NS, Made, closed_run, made_run, make_header, ramp, second

NOT_ROWS = {"first", "step_s", "wall_ms", "of", "open", "bounds", "phases", "events", "events_left_out", "curves"} | {
    "headline",
    "errors_left_out",
    "endpoints",
}


def timeline_of(made: Made, **options: Any) -> Timeline:
    timeline = Timeline(made.header, **options)
    for snapshot in made.seconds:
        timeline.add(snapshot)
    return timeline


def total(columns: dict[str, Any], name: str) -> float:
    return float(sum(value * span for value, span in zip(columns[name], columns["span"], strict=True)))


def bands_of(columns: dict[str, Any]) -> dict[int, int]:
    found: dict[int, int] = {}
    for row in columns["heat"]:
        for band, count in enumerate(row[1:], row[0] if row else 0):
            found[band] = found.get(band, 0) + count
    return found


def lists_of(columns: dict[str, Any]) -> list[list[Any]]:
    nested = [column for name in ("workers", "errors") for column in columns[name].values()]
    return [*(columns[name] for name in columns.keys() - NOT_ROWS - {"workers", "errors"}), *nested]


def test_a_row_says_what_its_second_says() -> None:
    made = made_run(seconds=3)
    snapshot = made.seconds[1]
    response, service = (snapshot.table.get(f"http_req_{name}") for name in ("response_time", "duration"))
    columns = timeline_of(made).columns()
    row = {name: columns[name][1] for name in columns.keys() - NOT_ROWS - {"workers", "errors"}}
    waiting = snapshot.table.get("http_req_waiting")
    expected = {
        "t": 2.0,
        "span": 1.0,
        "vus": 10,
        "rate": 200.0,
        "failed_rate": 2.0,
        "iterations_rate": 200.0,
        "offered": 200.0,
        "dropped_rate": 0.0,
        "calls_rate": None,
        "response_p50": response.quantile(0.5) / 1000,
        "response_p99": response.quantile(0.99) / 1000,
        "service_p95": service.quantile(0.95) / 1000,
        "waiting": round(waiting.sum / waiting.count / 1000, 4),
        "lag": 2.4,
        "host_cpu": 62.0,
        "host_memory": 3_100_000_000,
        "net_received": 6.2e6,
        "target_cpu": 82.0,
        "target_memory": 50_000_000,
    }
    assert {name: row[name] for name in expected} == expected
    assert {index: column[1] for index, column in columns["workers"].items()} == {"0": 42.0, "1": 47.0}
    assert columns["errors"]["http_500"] == [2.0, 2.0, 2.0]
    assert set(REQUEST_PHASES) <= columns.keys()
    orjson.dumps(columns)


def test_a_closed_model_has_no_offered_rate_and_no_response_times() -> None:
    columns = timeline_of(closed_run(seconds=3)).columns()
    assert columns["open"] is False
    assert columns["offered"] == columns["response_p99"] == [None] * 3
    assert columns["curves"]["response"] == {"x": [], "y": []}
    assert None not in columns["service_p99"]
    assert sum(bands_of(columns).values()) == 600


def test_calls_stand_in_where_there_are_no_requests() -> None:
    columns = timeline_of(closed_run(seconds=2, calls=True)).columns()
    assert columns["of"] == "call"
    assert columns["calls_rate"] == [201.0, 201.0]
    assert None not in columns["service_p50"]
    assert columns["rate"] == [0.0, 0.0]


def test_requests_that_come_later_take_the_place_of_calls() -> None:
    header = make_header(make_plan(ConstantVUs(1, 5.0)))
    timeline = Timeline(header)
    calls, both = SeriesTable(), SeriesTable()
    add_calls(calls, "work", [1000])
    add_calls(both, "work", [1000])
    add_requests(both, [2000])
    timeline.add(second(1, calls))
    assert timeline.take_changes()["service_p50"] == [1.0]
    timeline.add(second(2, both))
    changes = timeline.take_changes()
    assert (changes["first"], changes["of"]) == (0, "http_req")
    assert changes["service_p50"] == [None, 2.0]
    assert changes["calls_rate"] == [1.0, 1.0]


def test_websockets_and_streams_stand_in_where_there_is_nothing_else() -> None:
    for of, metric, counted, column in (
        ("ws", "ws_connecting", "ws_sessions", "sessions_rate"),
        ("stream", "stream_first_event", "stream_events", "events_rate"),
    ):
        made = made_run(seconds=2)
        table = SeriesTable()
        fill(table, metric, [1000, 2000, 3000])
        table.counter(Series(counted)).value = 3
        columns = timeline_of(made._replace(seconds=[second(number, table) for number in (1, 2)])).columns()
        # There are no due times of these, although starts come by the clock.
        assert (columns["of"], columns["open"]) == (of, False)
        assert columns["service_p50"] == pytest.approx([2, 2], rel=0.01)
        assert columns["response_p50"] == [None, None]
        assert columns[column] == [3, 3]
        assert sum(bands_of(columns).values()) == 6
        assert columns["curves"]["service"]["x"][-1] == 6


def test_of_many_kinds_of_errors_the_most_frequent_have_a_column() -> None:
    timeline = Timeline(make_header(make_plan(ConstantVUs(1, 5.0))))
    errors = ErrorTable({f"kind {number}": (number, "") for number in range(1, MOST_KINDS + 4)})
    timeline.add(second(1, SeriesTable(), errors=errors))
    first = timeline.take_changes()
    assert list(first["errors"])[-1] == "kind 4"
    assert (first["errors_other"], first["errors_left_out"]) == ([1 + 2 + 3], 3)
    timeline.add(second(2, SeriesTable(), errors=ErrorTable({"kind 1": (9, "")})))
    changes = timeline.take_changes()
    assert changes["first"] == 0
    assert changes["errors"]["kind 1"] == [1, 9]
    assert changes["errors_other"] == [2 + 3 + 4, 0]


def test_merged_rows_lose_nothing() -> None:
    made = made_run(seconds=37)
    whole, merged = timeline_of(made).columns(), timeline_of(made, most_rows=10).columns()
    assert (len(whole["t"]), len(merged["t"]), merged["step_s"]) == (37, 10, 4)
    assert merged["t"] == [4.0 * row for row in range(1, 10)] + [37.0]
    assert {len(column) for column in lists_of(merged)} == {10}
    for name in ("rate", "failed_rate", "iterations_rate", "offered"):
        assert total(merged, name) == pytest.approx(total(whole, name))
    assert bands_of(merged) == bands_of(whole)
    assert merged["curves"] == whole["curves"]
    sink = TrendValue()
    for snapshot in made.seconds[4:8]:
        sink.merge(snapshot.table.get("http_req_duration"))
    assert merged["service_p99"][1] == (sink.quantile(0.99) or 0) / 1000
    assert merged["lag"][0] == max(whole["lag"][:4])
    assert merged["workers"]["1"][0] == pytest.approx(sum(whole["workers"]["1"][:4]) / 4)
    assert merged["errors"]["http_500"] == [2.0] * 10


def test_a_copy_can_be_made_coarser_while_the_run_goes_on() -> None:
    made = made_run(seconds=21)
    timeline = timeline_of(made._replace(seconds=made.seconds[:20]))
    before = timeline.columns()
    coarser = timeline.copy()
    coarser.halve()
    assert len(coarser) == 10
    assert timeline.columns() == before
    timeline.add(made.seconds[20])
    assert timeline.columns() == timeline_of(made).columns()


def test_rows_stay_bounded() -> None:
    timeline = Timeline(make_header(make_plan(ConstantVUs(1, 5000.0))), most_rows=16)
    for number in range(1, 1001):
        timeline.add(second(number, SeriesTable(), requests_per_s=3.0))
    columns = timeline.columns()
    assert len(timeline) <= 16
    assert columns["step_s"] == 64
    assert columns["t"][-1] == 1000.0
    assert total(columns, "rate") == pytest.approx(3000)


@pytest.mark.parametrize("most_rows", [900, 4])
def test_the_recent_figures_are_those_of_the_last_seconds_together(most_rows: int) -> None:
    made = made_run(seconds=23)
    timeline = timeline_of(made, most_rows=most_rows)
    last = made.seconds[-5:]
    whole = TrendValue.pooled([one.table.get("http_req_response_time") for one in last])
    recent = timeline.recent()
    assert recent is not None
    assert recent["span_s"] == pytest.approx(sum(one.span_s for one in last), abs=1e-3)
    ended = sum(one.requests_per_s * one.span_s for one in last)
    failed = sum(one.failed_per_s * one.span_s for one in last)
    assert recent["rate"] * recent["span_s"] == pytest.approx(ended, rel=1e-3)
    assert recent["failed_rate"] * recent["span_s"] == pytest.approx(failed, rel=1e-3, abs=1e-3)
    expected = [value / 1000 for value in whole.quantiles((0.5, 0.95, 0.99))]
    assert [recent[name] for name in ("p50", "p95", "p99")] == expected
    assert Timeline(made.header).recent() is None


def test_the_recent_figures_of_calls_are_theirs() -> None:
    made = closed_run(seconds=2, calls=True)
    recent = timeline_of(made).recent()
    assert recent is not None
    assert recent["rate"] == 201.0
    failed = sum(count for one in made.seconds for count, _ in one.errors.entries.values())
    assert recent["failed_rate"] == pytest.approx(failed / recent["span_s"])
    assert recent["p99"] > recent["p50"] > 0


def test_who_follows_has_what_who_comes_late_gets() -> None:
    made = made_run(seconds=41)
    timeline = Timeline(made.header, most_rows=12)
    followed: dict[str, Any] = {}
    for number, snapshot in enumerate(made.seconds):
        timeline.add(snapshot)
        if number % 3:
            continue
        # Endpoints have rows of their own: see test_endpoints.py.
        followed = join(followed, timeline.take_changes())
        assert followed | {"endpoints": None} == timeline.columns() | {"endpoints": None}
    assert timeline.take_changes()["first"] > 0
    again = timeline.take_changes()
    assert again["first"] == len(timeline)
    assert again["t"] == []


def join(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What the page's `joined` does."""
    first = after["first"]
    joined = {
        name: before[name][:first] + column if isinstance(column, list) and name not in NOT_ROWS else column
        for name, column in after.items()
        if first
    }
    for name in ("workers", "errors"):
        if first:
            joined[name] = {key: before[name][key][:first] + column for key, column in after[name].items()}
    return joined | {"first": 0} if first else after


def test_the_snapshots_stay_as_they_were() -> None:
    made = made_run(seconds=3)
    before = [snapshot.table.to_plain() for snapshot in made.seconds]
    timeline_of(made, most_rows=2).columns()
    assert [snapshot.table.to_plain() for snapshot in made.seconds] == before


def test_phases_are_the_stages_of_the_plan() -> None:
    made = made_run(ramp(), seconds=28, warmup_s=2.0)
    phases = timeline_of(made).columns()["phases"]
    assert [(one["from"], one["to"], one["name"], one["kind"]) for one in phases] == [
        (0.0, 2.0, "warm-up", "warm-up"),
        (2.0, 12.0, "to 40 VUs", "stage"),
        (12.0, 22.0, "40 VUs", "stage"),
        (22.0, 27.0, "to 0 VUs", "stage"),
        (27.0, 28.0, "graceful stop", "stop"),
    ]


def test_nothing_is_offered_in_the_warm_up() -> None:
    columns = timeline_of(made_run(seconds=4, warmup_s=2.0)).columns()
    assert columns["offered"] == [None, None, 200.0, 200.0]


def test_phases_of_rates_and_of_a_run_that_was_stopped() -> None:
    plan = RampingArrivalRate(((10.0, 1500.0), (0.0, 50.0), (10.0, 50.0)), 0.0, 10)
    made = made_run(plan, seconds=8)
    made.seconds[-1] = replace(made.seconds[-1], events=(Event(7.25, "stop", "control"),))
    columns = timeline_of(made).columns()
    assert [(one["from"], one["to"], one["name"]) for one in columns["phases"]] == [
        (0.0, 7.25, "to 1,500/s"),
        (7.25, 8.0, "graceful stop"),
    ]
    assert columns["events"] == [{"t": 7.25, "kind": "stop", "text": "control"}]


def test_several_scenarios_have_a_lane_each() -> None:
    browse = ScenarioPlan("browse", ConstantVUs(5, 10.0), work=None)
    buy = ScenarioPlan("buy", RampingVUs(((3.0, 5),)), work=None, after="browse", graceful_stop_s=2.0)
    made = closed_run(seconds=20, scenarios=(replace(browse, graceful_stop_s=4.0), replace(buy, start_s=1.0)))
    phases = timeline_of(made).columns()["phases"]
    assert [(one["lane"], one["from"], one["to"], one["name"]) for one in phases] == [
        (1, 0.0, 10.0, "browse"),
        (2, 15.0, 18.0, "buy"),
        (0, 18.0, 20.0, "graceful stop"),
    ]


def test_a_pause_takes_time_on_the_axis_and_none_of_the_run() -> None:
    made = closed_run(seconds=6)
    # Paused 2.4 s after the start, for 3 s: the run's own time stands still in the third to the fifth second.
    own_s = [1.0, 2.0, 2.4, 2.4, 2.4, 3.0]
    seconds = [replace(one, t_s=t_s, elapsed_s=t_s) for one, t_s in zip(made.seconds, own_s, strict=True)]
    seconds[-1] = replace(seconds[-1], events=(Event(2.9, "control", "scale vus=3"),))
    columns = timeline_of(made._replace(seconds=seconds)).columns()
    assert columns["t"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert columns["phases"] == [
        {"from": 0.0, "to": 6.0, "name": "10 VUs", "kind": "stage", "lane": 0},
        {"from": 2.4, "to": 5.4, "name": "paused", "kind": "paused", "lane": 0},
    ]
    assert columns["events"] == [{"t": 5.9, "kind": "control", "text": "scale vus=3"}]


def test_the_wall_clock_at_the_start_is_known() -> None:
    assert timeline_of(closed_run(seconds=2)).columns()["wall_ms"] == START_NS / 1e6


def test_events_are_bounded_and_the_others_counted() -> None:
    timeline = Timeline(make_header(make_plan(ConstantVUs(1, 5.0))))
    events = tuple(Event(0.5, "control", f"scale vus={number}") for number in range(MOST_EVENTS + 3))
    timeline.add(second(1, SeriesTable(), events=events))
    columns = timeline.columns()
    assert (len(columns["events"]), columns["events_left_out"]) == (MOST_EVENTS, 3)


def test_a_run_of_nothing_has_columns_too() -> None:
    columns = Timeline(RunHeader(plan={}, started_at="", run_id="")).columns()
    assert {len(column) for column in lists_of(columns)} == {0}
    assert columns["curves"]["service"] == {"x": [], "y": []}


def test_errors_of_which_there_are_most_come_first() -> None:
    timeline = Timeline(make_header(make_plan(ConstantVUs(1, 5.0))))
    timeline.add(second(1, SeriesTable(), errors=ErrorTable({"dns": (1, ""), "reset": (4, "")}), span_s=0.5))
    columns = timeline.columns()
    assert list(columns["errors"].items()) == [("reset", [8.0]), ("dns", [2.0])]


def test_a_short_last_row_has_rates_of_its_own_length() -> None:
    table = SeriesTable()
    table.counter(Series("iterations")).value = 5
    timeline = Timeline(make_header(make_plan(ConstantVUs(1, 5.0))))
    timeline.add(second(1, table, span_s=0.25, requests_per_s=20.0))
    columns = timeline.columns()
    assert (columns["iterations_rate"], columns["rate"], columns["span"]) == ([20.0], [20.0], [0.25])


def test_the_percentile_curve_has_the_histogram_s_own_percentiles() -> None:
    values = np.random.default_rng(3).lognormal(8, 1, 20_000).astype(np.int64)
    sink = TrendValue()
    sink.fold(values)
    curve = percentile_curve(sink)
    at = dict(zip(curve["x"], curve["y"], strict=True))
    assert curve["x"] == sorted(curve["x"])
    assert curve["y"] == sorted(curve["y"])
    for level, q in ((2.0, 0.5), (10.0, 0.9), (20.0, 0.95), (100.0, 0.99), (1000.0, 0.999)):
        assert at[level] == (sink.quantile(q) or 0) / 1000
    assert (at[1.0], at[20_000.0]) == (values.min() / 1000, values.max() / 1000)


@pytest.mark.parametrize("values", [[5], [5, 7]])
def test_the_percentile_curve_of_very_few_values(values: list[int]) -> None:
    sink = TrendValue()
    sink.fold(np.array(values, dtype=np.int64))
    curve = percentile_curve(sink)
    assert curve["x"][-1] == len(values)
    assert curve["y"][-1] == max(values) / 1000


def test_bands_hold_all_values_where_they_belong() -> None:
    bounds = band_bounds_ms()
    sink = TrendValue()
    fill_us = [0, 1, 999, 1_000_000, 3_600_000_000]
    sink.fold(np.array(fill_us, dtype=np.int64))
    first, *counts = band_counts(sink)
    bands = [band for band, count in enumerate(counts, first) if count]
    assert sum(counts) == len(fill_us)
    assert counts[-1]
    assert len(bounds) == BANDS + 1
    assert bounds == sorted(bounds)
    for value_us in fill_us[1:]:
        assert any(bounds[band] * 0.999 <= value_us / 1000 <= bounds[band + 1] * 1.001 for band in bands)
    assert band_counts(TrendValue()) == []


def test_a_run_of_an_hour_keeps_its_size() -> None:
    table = SeriesTable()
    fill(table, "http_req_duration", range(100, 5_000_000, 2500))
    table.counter(Series("http_reqs")).value = 2000
    timeline = Timeline(make_header(make_plan(ConstantVUs(1, 3600.0))))
    for number in range(1, 901):
        timeline.add(second(number, table))
    assert len(orjson.dumps(timeline.columns())) < 700_000
