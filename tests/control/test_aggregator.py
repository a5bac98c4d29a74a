"""Merging deltas: exact, once each, and kept when a worker is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastload.control.aggregator import Aggregator
from fastload.model.metrics import MAX_NAMES, OTHER_NAME, OTHER_TAGS, Series
from fastload.model.records import Delta, ErrorTable, WorkerStats
from fastload.model.series import SeriesTable, TrendValue


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


def test_the_gauge_of_vus_is_that_of_the_moment_and_its_greatest_value_that_of_the_second() -> None:
    aggregator = Aggregator(2)
    for seq, (at_ns, vus, peak) in enumerate(((10, 5, 7), (20, 3, 5), (30, 0, 3))):
        one = delta(0, seq, [], vus=vus, vus_peak=peak)
        one.at_ns, one.late = at_ns, at_ns > 20
        aggregator.add(one)
    other = delta(1, 0, [], vus=2, vus_peak=4)
    other.at_ns = 15
    aggregator.add(other)
    assert [aggregator.vus_at(at_ns) for at_ns in (9, 10, 19, 20, 29, 30)] == [0, 5, 7, 5, 5, 2]
    aggregator.update_gauges(aggregator.vus_at(20), 20)
    assert aggregator.table.get("vus").to_plain() == [5, 5, 11]
    aggregator.update_gauges(aggregator.vus_at(30), 20)
    assert aggregator.table.get("vus").to_plain() == [2, 2, 11]
    assert aggregator.vus_at(30, at_end=True) == 7, "a worker that stops a little earlier has its VUs until the end"


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
    aggregator.update_gauges(aggregator.vus_at(0), 10)
    assert aggregator.table.get("vus").to_plain() == [6, 6, 6]
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


def named(seq: int, *names: str, worker: int = 0) -> Delta:
    """One request to each of *names*, as a recorder counts it."""
    found = delta(worker, seq, [100] * len(names))
    for name in names:
        tags = {"method": "GET", "name_": name}
        found.table.counter(Series.of("http_reqs", status="200", **tags)).value += 1
        found.table.rate(Series.of("http_req_failed", **tags)).total += 1
        found.table.trend(Series.of("http_req_duration", **tags)).record(100)
    return found


def test_a_window_has_the_watched_series_and_no_late_ones() -> None:
    tagged = Series.of("http_reqs", status="200", method="GET", name_="/a")
    windowed = frozenset({Series("http_req_duration"), tagged, Series("vus")})
    aggregator = Aggregator(2, windowed=windowed)
    aggregator.add(named(0, "/a", "/b"))
    aggregator.add(named(0, "/a", worker=1))
    late = named(1, "/a")
    late.late = True
    aggregator.add(late)
    aggregator.update_gauges(aggregator.vus_at(0), 10)
    window = aggregator.take_window()
    assert window.in_time
    assert set(window.windowed.series_values) == windowed
    assert window.windowed.series_values[Series("http_req_duration")].count == 3
    assert window.windowed.series_values[tagged].value == 2
    assert window.table.series_values[tagged].value == 3
    late.seq = 2
    aggregator.add(late)
    window = aggregator.take_window()
    assert (window.in_time, window.requests, window.windowed.series_values) == (False, 1, {})
    assert window.table.series_values[tagged].value == 1
    assert aggregator.table.series_values[tagged].value == 4


def test_without_thresholds_nothing_is_watched() -> None:
    aggregator = Aggregator(1)
    aggregator.add(named(0, "/a"))
    aggregator.update_gauges(aggregator.vus_at(0), 10)
    assert aggregator.take_window().windowed.series_values == {}


@given(st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 10**6), max_size=5), st.booleans()), max_size=12))
def test_windows_add_up_to_the_totals(parts: list[tuple[int, list[int], bool]]) -> None:
    aggregator, seen, errors = Aggregator(3), SeriesTable(), ErrorTable()
    next_seq = [0, 0, 0]
    for worker, values, takes in parts:
        aggregator.add(delta(worker, next_seq[worker], values, lag_max_us=len(values)))
        next_seq[worker] += 1
        if takes:
            window = aggregator.take_window()
            assert max(window.lag_max_us.values()) >= len(values)
            seen.merge(window.table)
            errors.merge(window.errors)
    window = aggregator.take_window()
    seen.merge(window.table)
    errors.merge(window.errors)
    assert {series: sink.to_plain() for series, sink in seen.series_values.items()} == {
        series: sink.to_plain() for series, sink in aggregator.table.series_values.items()
    }
    assert errors.entries == aggregator.errors.entries


def test_what_comes_late_is_known_by_series() -> None:
    aggregator = Aggregator(1)
    aggregator.add(named(0, "/a"))
    late = named(1, "/a", "/b")
    late.late = True
    aggregator.add(late)
    tagged = {Series.of("http_reqs", name_=name, status="200", method="GET").label: 1 for name in ("/a", "/b")}
    assert aggregator.late == {"http_reqs": 2, **tagged}


def test_names_are_bounded_over_all_workers() -> None:
    asked = Series.of("http_req_waiting", name_="/asked")
    aggregator = Aggregator(2, threshold_series=frozenset({asked}))
    aggregator.add(named(0, *(f"/{number}" for number in range(MAX_NAMES))))
    aggregator.add(named(0, "/0", worker=1))
    assert not aggregator.over_limit
    found = named(1, "/0", "/more", "/asked", worker=1)
    found.table.trend(asked).record(100)
    aggregator.add(found)
    aggregator.add(named(1, "/again"))
    assert aggregator.over_limit == ("request names",)
    counts = {tags["name"]: sink.value for tags, sink in aggregator.table.of_metric("http_reqs")}
    assert len(counts) == MAX_NAMES + 2
    assert (counts["/0"], counts["/asked"], counts[OTHER_NAME]) == (3, 1, 2)
    durations = {tags["name"]: sink.count for tags, sink in aggregator.table.of_metric("http_req_duration")}
    assert (durations["/asked"], durations[OTHER_NAME]) == (1, 2)
    assert aggregator.table.get("http_reqs").value == sum(counts.values()) == MAX_NAMES + 5
    assert aggregator.table.series_values[asked].count == 1


def test_a_worker_that_has_too_many_names_is_noticed() -> None:
    aggregator = Aggregator(1)
    aggregator.add(named(0, OTHER_NAME))
    assert aggregator.over_limit == ("request names",)


def test_names_of_checks_and_groups_and_tags_of_own_metrics_are_bounded_too() -> None:
    asked = Series.of("orders", shop="last")
    aggregator = Aggregator(1, threshold_series=frozenset({asked}))
    found = delta(0, 0, [])
    for number in range(MAX_NAMES + 5):
        found.table.rate(Series.of("checks", check=f"{number}", scenario="a")).total = 1
        found.table.trend(Series.of("group_duration", group=f"{number}")).record(1)
        found.table.counter(Series.of("orders", shop=f"{number}")).value = 1
    found.table.counter(asked).value = 1
    aggregator.add(found)
    assert aggregator.over_limit == ("names of checks", "names of groups", "tags of orders")
    table = aggregator.table
    assert table.series_values[Series.of("checks", check=OTHER_NAME, scenario="a")].total == 5
    assert table.series_values[Series.of("group_duration", group=OTHER_NAME)].count == 5
    assert table.series_values[Series("orders", OTHER_TAGS)].value == 5
    assert table.series_values[asked].value == 1


def from_the_wire(made: Delta) -> Delta:
    return Delta.from_body(made.to_body())


def test_a_window_of_several_workers_is_small_and_its_own() -> None:
    aggregator = Aggregator(3)
    for worker in range(3):
        aggregator.add(from_the_wire(named(0, "/a", "/b", worker=worker)))
    window = aggregator.take_window()
    trends = [sink for sink in window.table.series_values.values() if isinstance(sink, TrendValue)]
    assert [trend.count for trend in trends] == [6, 3, 3]
    assert sum(column.nbytes for trend in trends for column in trend.used()) < 100
    assert all(trend._dense is None for trend in trends)
    before = window.table.to_plain()
    aggregator.add(from_the_wire(named(1, "/a", "/b")))
    aggregator.take_window()
    assert window.table.to_plain() == before
    assert aggregator.table.get("http_req_duration").count == 8


def test_the_last_figure_of_a_gauge_is_that_of_the_window() -> None:
    aggregator = Aggregator(1)
    for seq, vus in enumerate((5, 2)):
        aggregator.add(delta(0, seq, [], vus=vus))
        aggregator.update_gauges(vus, 9)
    assert aggregator.has_window
    assert aggregator.take_window().table.get("vus").to_plain() == [2, 2, 5]
    assert not aggregator.has_window
