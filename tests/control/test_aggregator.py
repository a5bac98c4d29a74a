"""Merging deltas: exact, once each, and kept when a worker is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastload.control.aggregator import Aggregator
from fastload.model.metrics import Series
from fastload.model.records import Delta, ErrorTable, WorkerStats
from fastload.model.series import SeriesTable


def delta(worker: int, seq: int, values_us: list[int], **stats: int) -> Delta:
    table = SeriesTable()
    table.counter(Series("http_reqs")).value = len(values_us)
    table.trend(Series("http_req_duration")).fold(np.array(values_us, dtype=np.int64))
    errors = ErrorTable()
    errors.count("reset", f"first of {worker}.{seq}")
    return Delta(worker, seq, table, errors, ErrorTable(), WorkerStats(finished=len(values_us), **stats))


@given(st.lists(st.lists(st.integers(0, 10**7), max_size=20), min_size=1, max_size=12))
def test_totals_are_those_of_all_values_however_they_were_split(parts: list[list[int]]) -> None:
    aggregator = Aggregator(3)
    for number, values in enumerate(parts):
        body = delta(number % 3, number // 3, values).to_body()
        aggregator.add(Delta.from_body(body))
    pooled = SeriesTable()
    pooled.trend(Series("http_req_duration")).fold(np.array([v for part in parts for v in part], dtype=np.int64))
    merged, expected = aggregator.table.get("http_req_duration"), pooled.get("http_req_duration")
    assert merged.count == expected.count == sum(map(len, parts))
    assert (merged.sum, merged.max) == (expected.sum, expected.max)
    for q in (0.5, 0.9, 0.99):
        assert merged.quantile(q) == expected.quantile(q)
    assert aggregator.total("finished") == expected.count


def test_a_delta_that_comes_twice_counts_once() -> None:
    aggregator = Aggregator(1)
    aggregator.add(delta(0, 0, [1, 2]))
    aggregator.add(delta(0, 0, [1, 2]))
    aggregator.add(delta(0, 1, [3]))
    assert aggregator.total("finished") == 3
    assert aggregator.errors.entries == {"reset": (2, "first of 0.0")}


def test_states_are_the_last_and_counts_add_up() -> None:
    aggregator = Aggregator(2)
    aggregator.add(delta(0, 0, [], vus=5, in_flight=3, lag_max_us=70))
    aggregator.add(delta(0, 1, [], vus=4, in_flight=1, lag_max_us=20))
    aggregator.add(delta(1, 0, [], vus=2, in_flight=2, offered=9))
    assert aggregator.total("vus") == 6
    assert aggregator.total("in_flight") == 3
    assert aggregator.total("offered") == 9
    assert aggregator.workers[0].stats.lag_max_us == 70
    aggregator.update_gauges(10)
    assert aggregator.table.get("vus").value == 6
    assert aggregator.table.get("vus_max").value == 10


def test_a_window_is_what_came_since_the_last() -> None:
    aggregator = Aggregator(1)
    aggregator.add(delta(0, 0, [100, 200], warmup=5))
    first = aggregator.take_window()
    assert (first.requests, first.duration.count) == (7, 2)
    aggregator.add(delta(0, 1, [300], failed=1))
    second = aggregator.take_window()
    assert (second.requests, second.failed, second.duration.max) == (2, 1, 300)
    assert aggregator.take_window().requests == 0


def test_a_lost_worker_keeps_its_counts_and_loses_its_vus() -> None:
    aggregator = Aggregator(2)
    aggregator.add(delta(0, 0, [5], vus=3, in_flight=2))
    aggregator.lose(0, "killed")
    assert aggregator.total("finished") == 1
    assert aggregator.total("vus") == 0
    assert aggregator.workers[0].stats.in_flight == 2
