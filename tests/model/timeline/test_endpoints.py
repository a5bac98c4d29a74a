"""Endpoints over time: each row is the sum of its seconds, and of many endpoints the most frequent ones have a line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastload.model.metrics import Series
from fastload.model.series import SeriesTable, TrendValue
from fastload.model.timeline.endpoints import EndpointLines
from tests.outputs.samples import add_calls, add_requests


def table_of(counts: dict[str, int], seed: int = 0) -> SeriesTable:
    """A second with so many requests to each name; the first one of each failed."""
    source = np.random.default_rng(seed)
    table = SeriesTable()
    for name, count in counts.items():
        times = source.lognormal(8, 1, count).astype(int).tolist()
        add_requests(table, times, name=name, statuses={"500": 1, "200": count - 1})
    return table


def line_of(columns: dict[str, Any], name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [one for one in columns["lines"] if one["name"] == name]
    (line,) = found
    return line


@pytest.mark.parametrize("most_rows", [300, 16, 3])
def test_a_row_has_the_sum_of_its_seconds(most_rows: int) -> None:
    lines = EndpointLines(most_rows=most_rows)
    tables = [table_of({"/a": 30 + number, "/b": 5}, number) for number in range(50)]
    for number, table in enumerate(tables, 1):
        lines.add(table, float(number), 1.0)
    columns = lines.columns()
    assert len(columns["t"]) <= most_rows
    for name in ("/a", "/b"):
        line = line_of(columns, name)
        assert line["method"] == "GET"
        for index, (end, span) in enumerate(zip(columns["t"], columns["span"], strict=True)):
            some = tables[round(end - span) : round(end)]
            times = TrendValue()
            for table in some:
                times.merge(table.series_values[Series.of("http_req_duration", method="GET", name=name)])
            assert line["rate"][index] == pytest.approx(times.count / span, abs=1e-4)
            assert line["failed_rate"][index] == pytest.approx(len(some) / span, abs=1e-4)
            assert [line[each][index] for each in ("p50", "p95", "p99")] == [
                value / 1000 for value in times.quantiles((0.5, 0.95, 0.99))
            ]


def test_calls_are_endpoints_without_a_method() -> None:
    lines = EndpointLines()
    table = SeriesTable()
    add_calls(table, "work", [1000, 2000, 3000], raised=1)
    lines.add(table, 2.0, 2.0)
    assert lines.columns()["lines"] == [
        {"method": "", "name": "work", "rate": [2.0], "failed_rate": [0.5], "p50": [2.0], "p95": [3.0], "p99": [3.0]}
    ]


def test_a_second_without_requests_is_0_and_has_no_latency() -> None:
    lines = EndpointLines()
    for number, counts in enumerate(({"/a": 4}, {}, {"/b": 2}), 1):
        lines.add(table_of(counts), float(number), 1.0)
    a, b = (line_of(lines.columns(), name) for name in ("/a", "/b"))
    assert (a["rate"], b["rate"]) == ([4.0, 0.0, 0.0], [0.0, 0.0, 2.0])
    assert (a["p99"][1:], b["p99"][:2]) == ([None, None], [None, None])


def test_the_warm_up_has_no_rate_because_nothing_was_counted() -> None:
    lines = EndpointLines(most_rows=2)
    for number in range(1, 5):
        table = table_of({"/a": 6} if number > 1 else {})
        lines.add(table, float(number), 1.0, is_measured=number > 1)
    assert line_of(lines.columns(), "/a")["rate"] == [6.0, 6.0]
    lines = EndpointLines()
    for number in (1, 2):
        lines.add(table_of({"/a": 6} if number > 1 else {}), float(number), 1.0, is_measured=number > 1)
    assert line_of(lines.columns(), "/a")["rate"] == [None, 6.0]


def test_of_many_endpoints_the_most_frequent_have_a_line() -> None:
    lines = EndpointLines(most_endpoints=3)
    lines.add(table_of({f"/{number}": 2 + number for number in range(10)}), 1.0, 1.0)
    columns = lines.columns()
    assert [line["name"] for line in columns["lines"]] == ["/9", "/8", "/7"]
    assert columns["left_out"] == 7


def test_one_that_becomes_frequent_takes_a_place_and_has_no_rate_before() -> None:
    lines = EndpointLines(most_endpoints=2, most_rows=4)
    first = {"/a": 50, "/b": 10}
    for number in range(1, 9):
        lines.add(table_of(first | ({"/late": 40} if number > 4 else {})), float(number), 1.0)
    columns = lines.columns()
    assert [line["name"] for line in columns["lines"]] == ["/a", "/late"]
    # It has twice as many as /b in the eighth second: 120 against 70 is not enough, 160 against 80 is.
    assert columns["t"] == [2.0, 4.0, 6.0, 8.0]
    assert line_of(columns, "/late")["rate"] == [None, None, None, None]
    for number in range(9, 13):
        lines.add(table_of(first | {"/late": 40}), float(number), 1.0)
    assert line_of(lines.columns(), "/late")["rate"][-1] == 40.0
    assert line_of(lines.columns(), "/late")["rate"][0] is None
    assert line_of(lines.columns(), "/a")["rate"] == [50.0] * 3


def test_of_equally_frequent_endpoints_none_takes_the_place_of_another() -> None:
    lines = EndpointLines(most_endpoints=2)
    source = np.random.default_rng(3)
    for number in range(1, 60):
        counts = {f"/{name}": int(count) for name, count in enumerate(source.integers(40, 60, 20))}
        lines.add(table_of(counts), float(number), 1.0)
    assert all(None not in line["rate"] for line in lines.columns()["lines"])


def test_who_follows_has_what_who_comes_late_gets() -> None:
    lines = EndpointLines(most_endpoints=2, most_rows=8)
    shown: dict[str, Any] = {}
    firsts = []
    for number in range(1, 40):
        counts = {"/a": 20, "/b": 4} | ({"/late": 30} if number > 20 else {})
        lines.add(table_of(counts, number), float(number), 1.0)
        changes = lines.take_changes()
        firsts.append(changes["first"])
        if first := changes["first"]:
            before = {line["name"]: line for line in shown["lines"]}
            for line in changes["lines"]:
                for name in ("rate", "failed_rate", "p50", "p95", "p99"):
                    line[name] = before[line["name"]][name][:first] + line[name]
            changes |= {name: shown[name][:first] + changes[name] for name in ("t", "span")} | {"first": 0}
        shown = changes
        assert shown == lines.columns()
    assert max(firsts) >= 7
    assert firsts.count(0) < 10


def test_a_copy_can_be_made_coarser_while_the_run_goes_on() -> None:
    lines = EndpointLines()
    for number in range(1, 9):
        lines.add(table_of({"/a": 5}, number), float(number), 1.0)
    before = lines.columns()
    copy = lines.copy()
    copy.halve()
    copy.add(table_of({"/b": 500}), 9.0, 1.0)
    assert len(copy.columns()["t"]) == 5
    assert lines.columns() == before
