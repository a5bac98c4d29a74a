"""Series tables and the metrics that a script declares."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model import user_metrics
from fastload.model.errors import PlanError
from fastload.model.frames import Frame, FrameDecoder, encode
from fastload.model.metrics import (
    BUILTIN,
    HIGHEST_UNITLESS,
    HIGHEST_US,
    KEPT_TAGS,
    MAX_NAMES,
    OTHER_TAGS,
    Kind,
    MetricSpec,
    Series,
)
from fastload.model.series import GaugeValue, SeriesTable
from fastload.model.user_metrics import Counter, Gauge, Rate, Trend, UserMetric, set_metric_filters, specs


@pytest.fixture(autouse=True)
def _undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    """No metric of another test, and nothing that it asked for."""
    monkeypatch.setattr(user_metrics, "_declared", {})
    monkeypatch.setattr(user_metrics, "_registry", user_metrics._FilterRegistry())


tags = st.dictionaries(st.sampled_from(["method", "name", "status"]), st.text(max_size=5), max_size=3)
series = st.builds(lambda metric, tags: Series(metric, tuple(sorted(tags.items()))), st.sampled_from("abc"), tags)
fillings = st.lists(
    st.tuples(st.sampled_from(["counter", "gauge", "rate", "trend"]), series, st.integers(0, 10**6)), max_size=12
)


def fill(filling: list[tuple[str, Series, int]]) -> SeriesTable:
    """A table; the kind is part of the series' name, as a metric has one kind only."""
    table = SeriesTable()
    for kind, one, value in filling:
        named = Series(f"{kind}_{one.metric}", one.tags)
        if kind == "counter":
            table.counter(named).value += value
        elif kind == "gauge":
            table.gauge(named).set(value)
        elif kind == "rate":
            sink = table.rate(named)
            sink.trues, sink.total = sink.trues + value % 2, sink.total + 1
        else:
            table.trend(named).record(value)
    return table


def drained(*declared: UserMetric) -> SeriesTable:
    table = SeriesTable()
    for metric in declared:
        metric._drain(table)
    return table


@given(fillings)
def test_a_table_survives_the_wire(filling: list[tuple[str, Series, int]]) -> None:
    table = fill(filling)
    (frame,) = FrameDecoder().feed(encode(Frame("delta", {"table": table.to_plain()})))
    copy = SeriesTable.from_plain(frame.body["table"])
    assert copy.to_plain() == table.to_plain()
    assert list(copy.series_values) == list(table.series_values)
    assert [type(sink) for sink in copy.series_values.values()] == [type(sink) for sink in table.series_values.values()]


@given(fillings, fillings)
def test_merged_tables_are_the_table_of_all(
    first: list[tuple[str, Series, int]], second: list[tuple[str, Series, int]]
) -> None:
    merged = SeriesTable()
    merged.merge(fill(first))
    merged.merge(fill(second))
    whole = fill(first + second)
    assert merged.to_plain() == whole.to_plain()


def test_merging_copies_what_is_new() -> None:
    source, table = SeriesTable(), SeriesTable()
    source.counter(Series("a")).value = 1
    source.trend(Series("t"), HIGHEST_UNITLESS).record(5)
    table.merge(source)
    table.merge(source)
    assert (source.get("a").value, source.get("t").count) == (1, 1)
    assert (table.get("a").value, table.get("t").count, table.get("t").highest) == (2, 2, HIGHEST_UNITLESS)


def test_a_gauge_keeps_the_last_and_the_extremes() -> None:
    table, later = SeriesTable(), SeriesTable()
    for value in (5, 1, 3):
        table.gauge(Series("g")).set(value)
    later.gauge(Series("g")).set(4)
    table.merge(later)
    assert table.get("g").to_plain() == [4, 1, 5]


def test_a_gauge_that_was_never_set_changes_nothing() -> None:
    gauge = GaugeValue()
    assert not gauge.is_set
    gauge.set(7)
    gauge.merge(GaugeValue())
    assert gauge.to_plain() == [7, 7, 7]


def test_series_sort_their_tags() -> None:
    assert Series.of("m", status="200", name_="x") == Series("m", (("name", "x"), ("status", "200")))


def test_series_of_a_metric_are_the_tagged_ones() -> None:
    table = SeriesTable()
    table.counter(Series("a")).value = 1
    table.counter(Series.of("a", check="x")).value = 2
    table.counter(Series.of("b", check="x")).value = 3
    assert [(found, sink.value) for found, sink in table.of_metric("a")] == [({"check": "x"}, 2)]
    assert table.get("nothing") is None


@pytest.mark.parametrize("name", ["", "1abc", "with space", "with-dash", "ünder", "a" * 129, "a\n"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(PlanError, match="is not valid") as caught:
        Counter(name)
    assert caught.value.hint == "use letters, digits and _, not starting with a digit"
    assert name not in specs()


@pytest.mark.parametrize("name", ["a", "_x9", "A" * 128])
def test_good_names_are_known_to_thresholds(name: str) -> None:
    Trend(name, unit="s")
    assert specs()[name] == MetricSpec(name, Kind.TREND, "s")


@pytest.mark.parametrize("name", BUILTIN)
def test_built_in_names_are_taken(name: str) -> None:
    with pytest.raises(PlanError, match="is a built-in metric"):
        Counter(name)


def test_a_second_declaration_shares_the_values() -> None:
    first, second, third = Counter("orders"), Counter("orders"), Counter("orders")
    first.add(2)
    second.add(3)
    third.add(4)
    assert drained(first, second, third).get("orders").value == 9


@pytest.mark.parametrize("other", [lambda: Trend("orders"), lambda: Counter("orders", unit="eur")])
def test_a_second_declaration_must_agree(other: Any) -> None:
    Counter("orders")
    with pytest.raises(PlanError, match="'orders' is already declared as a counter in no unit") as caught:
        other()
    assert caught.value.hint == "one name, one kind, one unit"


def test_drain_moves_and_discard_forgets() -> None:
    counter, gauge, rate, trend = Counter("c"), Gauge("g"), Rate("r"), Trend("t")
    for value in (3, 1, 2):
        counter.add(value)
        gauge.add(value)
        rate.add(value > 1)
        trend.add(value)
    table = drained(counter, gauge, rate, trend)
    assert table.get("c").value == 6
    assert table.get("g").to_plain() == [2, 1, 3]
    assert table.get("r").to_plain() == [2, 3]
    assert (table.get("t").count, table.get("t").sum) == (3, 6_000)
    assert drained(counter, gauge, rate, trend).series_values == {}
    rate.add(True)
    for number_metric in (counter, gauge, trend):
        number_metric.add(1)
    for metric in (counter, gauge, rate, trend):
        metric._discard()
    assert drained(counter, gauge, rate, trend).series_values == {}


def test_a_value_added_by_a_thread_while_draining_is_kept() -> None:
    class Slow(list[Any]):
        def copy(self) -> list[Any]:
            taken = super().copy()
            late = threading.Thread(target=counter.add, args=(10,))
            late.start()
            late.join()
            return taken

    counter = Counter("c")
    counter._values = Slow([1])
    assert drained(counter).get("c").value == 1
    counter._values = list(counter._values)
    assert drained(counter).get("c").value == 10


@pytest.mark.parametrize(
    ("unit", "value", "stored"),
    [("ms", 12.5, 12_500), ("us", 7, 7), ("s", 0.25, 250_000), ("rows", 3, 3_000), ("", 0.001, 1), ("ms", 0, 0)],
)
def test_trends_store_microseconds_or_thousandths(unit: str, value: float, stored: int) -> None:
    trend = Trend("t", unit=unit)
    trend.add(value)
    assert drained(trend).get("t").max == stored


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (-1, 0),
        (-0.5, 0),
        (3.7e6, HIGHEST_US),
        (1e100, HIGHEST_US),
        (-1e100, 0),
    ],
)
def test_what_a_trend_cannot_hold_is_clamped_and_counted(value: float, stored: int) -> None:
    trend = Trend("t")
    trend.add(value)
    sink = drained(trend).get("t")
    assert (sink.min, sink.max, sink.count, sink.clamped) == (stored, stored, 1, 1)


def test_the_highest_unitless_value_is_as_documented() -> None:
    trend = Trend("t", unit="rows")
    trend.add(10**12)
    assert drained(trend).get("t").clamped == 0
    trend.add(1.1 * 10**12)
    assert drained(trend).get("t").clamped == 1


@pytest.mark.parametrize("declare", [Counter, Gauge, Trend])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e101, 10**400, -(10**400), np.float32("nan")])
def test_what_is_not_finite_is_refused_where_it_is_added(declare: Any, value: Any) -> None:
    metric = declare("m")
    for tags in (None, {"a": "b"}):
        with pytest.raises(ValueError, match="'m' takes a finite number"):
            metric.add(value, tags)
    assert drained(metric).series_values == {}


def test_a_rate_takes_what_is_true_or_false() -> None:
    rate = Rate("r")
    with pytest.raises(ValueError, match="'r'"):
        rate.add(math.nan)  # type: ignore[arg-type]
    for value in (True, 1, 2.5, math.inf, np.bool_(1), 0, None, ""):
        rate.add(value)  # type: ignore[arg-type]
    found = drained(rate).get("r")
    assert (found.trues, found.total) == (5, 8)


def test_integers_over_64_bits_are_kept() -> None:
    """In the frame of a worker they are floating-point numbers: exact to 16 digits."""
    counter, gauge = Counter("c"), Gauge("g")
    for _ in range(3):
        counter.add(10**30)
    gauge.add(10**30)
    table = drained(counter)
    gauge._drain(table)
    frame = encode(Frame("delta", {"table": table.to_plain()}))
    (received,) = FrameDecoder().feed(frame)
    arrived = SeriesTable.from_plain(received.body["table"])
    assert (arrived.get("c").value, arrived.get("g").max) == (3e30, 1e30)


@pytest.mark.parametrize("declare", [Counter, Gauge, Trend])
def test_what_is_no_number_fails_where_it_is_added(declare: Any) -> None:
    metric = declare("m")
    with pytest.raises((TypeError, ValueError)):
        metric.add("many")
    assert drained(metric).series_values == {}


def test_a_counter_takes_numpy_numbers_through_the_wire() -> None:
    counter = Counter("c")
    counter.add(np.int64(3))  # type: ignore[arg-type]
    (frame,) = FrameDecoder().feed(encode(Frame("delta", {"table": drained(counter).to_plain()})))
    assert SeriesTable.from_plain(frame.body["table"]).get("c").value == 3


class TestTags:
    def test_labels(self) -> None:
        assert Series("m").label == "m"
        assert Series.of("m", status="200", name_="a b").label == "m{name:a b,status:200}"

    def test_values_count_in_the_total_and_in_exactly_their_series(self) -> None:
        counter, gauge, rate, trend = Counter("c"), Gauge("g"), Rate("r"), Trend("t")
        for value, region in ((3, "eu"), (1, "us"), (2, "eu")):
            tags = {"region": region, "tier": "a"}
            counter.add(value, tags)
            gauge.add(value, tags)
            rate.add(value > 1, tags)
            trend.add(value, tags=tags)
        counter.add(tags={"region": "eu"})
        counter.add(10)
        counter.add(20, {})
        table = drained(counter, gauge, rate, trend)
        found = {series.label: sink for series, sink in table.series_values.items()}
        assert found["c"].value == 37
        assert (found["c{region:eu,tier:a}"].value, found["c{region:us,tier:a}"].value) == (5, 1)
        assert found["c{region:eu}"].value == 1
        assert found["g"].to_plain() == [2, 1, 3]
        assert (found["g{region:eu,tier:a}"].to_plain(), found["g{region:us,tier:a}"].to_plain()) == (
            [2, 2, 3],
            [1, 1, 1],
        )
        assert (found["r"].to_plain(), found["r{region:eu,tier:a}"].to_plain()) == ([2, 3], [2, 2])
        assert (found["t"].sum, found["t{region:eu,tier:a}"].sum) == (6_000, 5_000)
        assert len(found) == 4 + 3 + 3 + 3
        assert drained(counter, gauge, rate, trend).series_values == {}

    def test_tags_are_text(self) -> None:
        counter = Counter("c")
        counter.add(1, {"size": 3})  # type: ignore[dict-item]
        counter.add(1, {"size": "3"})
        assert drained(counter).series_values[Series.of("c", size="3")].value == 2

    def test_a_second_declaration_shares_the_series(self) -> None:
        first, second = Counter("c"), Counter("c")
        first.add(1, {"a": "b"})
        second.add(2, {"a": "b"})
        assert drained(first, second).series_values[Series.of("c", a="b")].value == 3

    def test_discard_forgets_them_too(self) -> None:
        counter = Counter("c")
        counter.add(1, {"a": "b"})
        counter._discard()
        assert drained(counter).series_values == {}

    def test_what_is_no_number_is_in_no_series(self) -> None:
        counter = Counter("c")
        with pytest.raises(TypeError):
            counter.add("many", {"a": "b"})  # type: ignore[arg-type]
        with pytest.raises(PlanError, match="tags is a str"):
            counter.add(1, "a")  # type: ignore[arg-type]
        assert drained(counter).series_values == {}

    def test_tag_sets_are_bounded(self) -> None:
        wanted = Series.of("c", user="wanted")
        set_metric_filters([wanted], dict)
        counter = Counter("c")
        for number in range(MAX_NAMES + 9):
            counter.add(1, {"user": str(number)})
        counter.add(1, {"user": "wanted"})
        counter.add(1, {"user": "5"})
        table = drained(counter)
        assert len(table.series_values) == 1 + MAX_NAMES + 1 + 1
        assert table.series_values[Series("c", OTHER_TAGS)].value == 9
        assert (table.series_values[wanted].value, table.series_values[Series.of("c", user="5")].value) == (1, 2)
        assert sum(sink.value for series, sink in table.series_values.items() if series.tags) == table.get("c").value

    @given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["eu", "us", "de"])), max_size=30))
    def test_the_series_of_one_tag_add_up_to_the_total(self, added: list[tuple[int, str]]) -> None:
        user_metrics._declared.clear()
        counter, trend = Counter("c"), Trend("t")
        for value, region in added:
            counter.add(value, {"region": region})
            trend.add(value, {"region": region})
        table = drained(counter, trend)
        if added:
            assert table.get("c").value == sum(sink.value for _, sink in table.of_metric("c"))
            parts = [sink for _, sink in table.of_metric("t")]
            assert table.get("t").count == sum(sink.count for sink in parts) == len(added)
            assert table.get("t").max == max(sink.max for sink in parts)

    def test_filters_see_the_place_and_own_tags(self) -> None:
        asked = [
            Series.of("c", scenario="s"),
            Series.of("c", region="eu", scenario="s"),
            Series.of("c", scenario="t"),
            Series.of("c", region="eu"),
            Series("c"),
            Series.of("other", scenario="s"),
            Series.of("http_reqs", scenario="s"),
        ]
        before, place = Counter("c"), {"scenario": "s", "group": ""}
        set_metric_filters([*asked, *asked], lambda: place)
        after = Counter("other")
        for metric in (before, after):
            metric.add(1)
            metric.add(2, {"region": "eu"})
            metric.add(4, {"region": "us"})
        place = {}
        before.add(8)
        found = {series.label: sink.value for series, sink in drained(before, after).series_values.items()}
        assert found == {
            "c": 15,
            "c{scenario:s}": 7,
            "c{region:eu,scenario:s}": 2,
            "c{region:eu}": 2,
            "c{region:us}": 4,
            "other": 7,
            "other{scenario:s}": 7,
            "other{region:eu}": 2,
            "other{region:us}": 4,
        }

    def test_what_is_kept_anyway(self) -> None:
        for metric, keys in KEPT_TAGS.items():
            assert metric in BUILTIN
            assert Series(metric, tuple((key, "x") for key in keys)).is_kept
            assert list(keys) == sorted(keys)
        assert not Series("http_reqs").is_kept
        assert not Series.of("http_reqs", name_="x").is_kept
        assert not Series("own").is_kept
