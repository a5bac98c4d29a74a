"""What monitoring is told of a second: every value once."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.metrics import BUILTIN, Kind, MetricSpec, Series
from fastload.model.series import CounterValue, RateValue, SeriesTable, TrendValue
from fastload.outputs.streams.buckets import (
    CLASSIC_BOUNDS,
    CLASSIC_BOUNDS_S,
    HISTOGRAM_SCHEMA,
    counts_up_to,
    to_exponential,
)
from fastload.outputs.streams.data_points import RUN_STATE_SPECS, DataPointSelector, RunTotals, common_tags
from tests.outputs.sinks import TAGS, make_header, make_second, total_of

stored = st.lists(st.integers(0, 3_600_000_000) | st.integers(0, 3_000), min_size=1, max_size=200)


def trend_of(values: list[int]) -> TrendValue:
    trend = TrendValue()
    trend.fold(np.array(values, dtype=np.int64))
    return trend


@given(stored)
def test_every_value_is_in_the_exponential_bucket_that_holds_it(values: list[int]) -> None:
    trend = trend_of(values)
    zeros, index, counts = to_exponential(trend, 1e6)
    assert zeros + sum(counts) == len(values)
    assert zeros == values.count(0)
    assert index == sorted(set(index))
    assert all(counts)
    # What quantiles have for each value, bucket by bucket.
    told = Counter(trend.quantile((rank + 1) / len(values)) for rank in range(len(values)))
    for bucket, count in zip(index, counts, strict=True):
        low, high = (2 ** (one / 2**HISTOGRAM_SCHEMA) for one in (bucket - 1, bucket))
        assert count == sum(n for value, n in told.items() if value and low < value / 1e6 <= high)


@pytest.mark.parametrize("power", range(-6, 12))
def test_a_power_of_two_is_the_upper_bound_of_its_bucket(power: int) -> None:
    value = round(2.0**power * 1e6)
    assert to_exponential(trend_of([value]), 1e6).buckets == [power * 2**HISTOGRAM_SCHEMA]


def test_the_only_value_is_in_its_own_bucket_also_next_to_a_bound() -> None:
    # The last integers below bounds: what their own histogram bucket reaches up to is over the bound.
    for bucket in range(1, 12 * 2**HISTOGRAM_SCHEMA, 3):
        value = math.floor(2 ** (bucket / 2**HISTOGRAM_SCHEMA) * 1e4)
        assert to_exponential(trend_of([value]), 1e4).buckets == [bucket]


@given(stored, st.sampled_from([CLASSIC_BOUNDS_S, CLASSIC_BOUNDS]))
def test_classic_buckets_count_what_does_not_exceed_them(values: list[int], bounds: tuple[float, ...]) -> None:
    for bound, count in zip(bounds, counts_up_to(trend_of(values), 1e6, bounds), strict=True):
        sure = sum(value / 1e6 <= bound for value in values)
        at_most = sum(value / 1e6 <= bound * 1.001 for value in values)
        assert sure <= count <= at_most


@given(stored, st.lists(st.floats(0, 1), min_size=1))
def test_many_quantiles_are_those_of_the_trend(values: list[int], shares: list[float]) -> None:
    trend = trend_of(values)
    assert trend.quantiles(shares) == [trend.quantile(share) for share in shares]


def test_a_trend_without_values_has_no_quantiles() -> None:
    assert TrendValue().quantiles((0.5, 0.9)) == []
    assert to_exponential(TrendValue(), 1e6) == (0, [], [])


def test_all_series_of_a_metric_add_up_to_its_total() -> None:
    seconds = [make_second(number) for number in (1, 2, 3)]
    totals = RunTotals(DataPointSelector(make_header()))
    for second in seconds:
        totals.add(second)
    found: dict[str, SeriesTable] = {}
    for point in totals.data_points():
        found.setdefault(point.spec.name, SeriesTable()).merge(SeriesTable({Series(""): point.series_value}))
    wanted = total_of(seconds)
    for name in ("http_reqs", "http_req_duration", "http_req_failed", "checks", "orders", "data_sent", "batch_size"):
        mine, theirs = found[name].get(""), wanted.get(name)
        if isinstance(theirs, CounterValue):
            assert mine.value == theirs.value, name
        elif isinstance(theirs, RateValue):
            assert mine == theirs, name
        else:
            assert (mine.count, mine.sum) == (theirs.count, theirs.sum), name
            size = min(len(mine.counts), len(theirs.counts))
            assert np.array_equal(mine.counts[:size], theirs.counts[:size]), name


def names_and_tags(reader: DataPointSelector, table: SeriesTable) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {(point.spec.name, point.tags) for point in reader.data_points(table)}


def test_a_total_goes_without_its_parts_only_where_it_is_more() -> None:
    table = SeriesTable()
    for series, value in (
        (Series("orders"), 10.0),
        (Series.of("orders", region="eu"), 4.0),
        (Series.of("orders", region="us"), 6.0),
    ):
        table.counter(series).value = value
    reader = DataPointSelector(make_header())
    assert names_and_tags(reader, table) == {("orders", (("region", "eu"),)), ("orders", (("region", "us"),))}
    table.counter(Series("orders")).value = 10.5
    rest = {point.tags: point.series_value for point in reader.data_points(table)}[()]
    assert rest == CounterValue(0.5)


def test_the_rest_of_a_trend_has_the_values_of_no_part() -> None:
    table = SeriesTable()
    table.trend(Series("ingest_duration")).fold(np.array([5, 7, 7, 900]))
    table.trend(Series.of("ingest_duration", kind="a")).fold(np.array([7, 900]))
    data_points = {point.tags: point.series_value for point in DataPointSelector(make_header()).data_points(table)}
    rest = data_points[()]
    assert isinstance(rest, TrendValue)
    assert (rest.count, rest.sum, rest.counts[5], rest.counts[7], rest.counts[900]) == (2, 12, 1, 1, 0)
    assert len(data_points) == 2


@pytest.mark.parametrize(
    ("asked", "also", "sent"),
    [
        # The same tags as values have: a part like any other.
        ({"region": "eu"}, [], True),
        # Of the place, also of the run's own tags: the values are in other series, too.
        ({"scenario": "default"}, [], False),
        ({"team": "check out"}, [], False),
        # Values with more tags count in it.
        ({"region": "eu"}, [{"region": "eu", "tier": "gold"}], False),
    ],
)
def test_filters_of_thresholds_count_nothing_twice(
    asked: dict[str, str], also: list[dict[str, str]], sent: bool
) -> None:
    series = Series.of("orders", **asked)
    table = SeriesTable()
    for one in (Series("orders"), series, *(Series.of("orders", **tags) for tags in also)):
        table.counter(one).value = 3
    reader = DataPointSelector(make_header(thresholds=(f"{series.label}: count>1",)))
    assert (("orders", series.tags) in names_and_tags(reader, table)) is sent
    assert [one.series_value for one in reader.data_points(table)] == [CounterValue(3)]


def test_built_in_metrics_have_the_tags_that_every_run_keeps() -> None:
    table = make_second(1).table
    table.counter(Series.of("http_reqs", status="200")).value = 398
    for scenario in ("read", "write"):
        table.counter(Series.of("http_reqs", scenario=scenario)).value = 200
    found = names_and_tags(DataPointSelector(make_header(thresholds=("http_reqs{status:200}: count>1",))), table)
    assert {tuple(key for key, _ in tags) for name, tags in found if name == "http_reqs"} == {
        ("method", "name", "status")
    }
    assert {tags for name, tags in found if name == "scenario_http_reqs"} == {
        (("scenario", "read"),),
        (("scenario", "write"),),
    }


def test_the_run_itself_is_told_of() -> None:
    reader = DataPointSelector(make_header())
    window = reader.window(make_second(4))
    assert window.series_values[Series.of("errors", kind="http_500")] == CounterValue(2)
    assert window.series_values[Series("offered_iterations")] == CounterValue(5)
    for name in ("in_flight", "host_cpu", "target_cpu", "workers_alive"):
        assert math.isfinite(window.get(name).value)
    assert {name for name, _ in names_and_tags(reader, window)} >= {"errors", "host_memory", "host_net_sent"}


def test_a_metric_of_the_script_goes_over_what_is_told_of_the_run() -> None:
    own = MetricSpec("errors", Kind.TREND, "ms")
    reader = DataPointSelector(make_header(specs=BUILTIN | {"errors": own}))
    second = make_second(1)
    second.table.trend(Series("errors")).record(5)
    (point,) = [one for one in reader.data_points(reader.window(second)) if one.spec.name == "errors"]
    assert point.spec is own
    assert "errors" in RUN_STATE_SPECS


def test_a_snapshot_is_not_changed_by_adding_it() -> None:
    second = make_second(1)
    before = second.table.to_plain()
    totals = RunTotals(DataPointSelector(make_header()))
    totals.add(second)
    totals.add(make_second(2))
    list(totals.data_points())
    assert second.table.to_plain() == before


def test_only_tags_that_all_scenarios_share_belong_to_the_run() -> None:
    assert common_tags(make_header()) == TAGS
    scenarios = [{"tags": {"team": "a", "kind": "read"}}, {"tags": {"team": "a", "kind": "write"}}]
    assert common_tags(make_header(plan={"scenarios": scenarios})) == {"team": "a"}
    assert common_tags(make_header(plan={})) == {}
