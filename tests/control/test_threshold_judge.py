"""Judging second by second: windows, resources, the verdict, no data, and when a run is to be stopped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.control.threshold_judge import ThresholdJudge
from fastload.model.judging.thresholds import ThresholdResult, ThresholdSpec, parse_thresholds
from fastload.model.metrics import BUILTIN, Kind, MetricSpec, Series
from fastload.model.resources import RESOURCE_METRICS, HostSample, ProcessSample, resource_values
from fastload.model.series import SeriesTable
from fastload.model.views import MetricView, view_metrics

KNOWN = BUILTIN | {
    "depth": MetricSpec("depth", Kind.GAUGE),
    "orders": MetricSpec("orders", Kind.COUNTER),
    "reply_bytes": MetricSpec("reply_bytes", Kind.TREND, "bytes"),
}
DURATION = "http_req_duration"
HOST = HostSample(1.0, 50.0, (50.0,), 3_000, 8_000, 1.0, 0, 0, 0, 0, 0, 0, 0)
WORKER = ProcessSample(1.0, "worker", 40.0, 1_000, 2, 10, 1, 0, 0, alive=True)
TARGET = replace(WORKER, label="nginx", cpu_percent=150.0, rss_bytes=5_000, fds=70, processes=3)


def judge_of(**spec: Any) -> ThresholdJudge:
    return ThresholdJudge(parse_thresholds(spec, KNOWN))


def table_of(metric: str, value: Any, **tags: str) -> SeriesTable:
    """A second's table: ms of a trend, (trues, total) of a rate, the sum of a counter, values of a gauge."""
    table = SeriesTable()
    series, spec = Series.of(metric, **tags), KNOWN[metric]
    match spec.kind:
        case Kind.TREND:
            table.trend(series, spec.highest).fold_floats(value, spec.scale)
        case Kind.RATE:
            sink = table.rate(series)
            sink.trues, sink.total = value
        case Kind.COUNTER:
            table.counter(series).value = value
        case Kind.GAUGE:
            for one in value:
                table.gauge(series).set(one)
    return table


def play(judge: ThresholdJudge, metric: str, seconds: Sequence[Any], *, end: bool = False) -> list[ThresholdResult]:
    """The result of the only threshold after each of *seconds*, None being one without data."""
    found: list[ThresholdResult] = []
    for number, value in enumerate(seconds, 1):
        judge.add_second(SeriesTable() if value is None else table_of(metric, value), float(number))
        found += judge.results({}, "VALID" if end and number == len(seconds) else None)
    return found


def flags(results: list[ThresholdResult]) -> str:
    return "".join("+" if result.ok else "-" for result in results)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([[300.0]] * 4, "++--"),
        ([[300.0], [300.0], [100.0], [300.0], [300.0]], "+++++"),
        ([[300.0], [100.0], [300.0], [300.0], [300.0]], "++++-"),
        ([[300.0], None, [300.0], None, [300.0]], "++++-"),
        ([[300.0], None, None, [100.0], [300.0], [300.0]], "++++++"),
        ([[300.0], [300.0], [300.0], [100.0], [100.0]], "++---"),
        ([[100.0, 300.0]] * 3, "++-"),
    ],
)
def test_for_fails_when_every_second_in_a_row_breaks_it(times: list[Any], expected: str) -> None:
    assert flags(play(judge_of(http_req_duration="p(95)<200ms for 3s"), DURATION, times)) == expected


def test_what_failed_once_keeps_its_first_failure() -> None:
    judge = judge_of(http_req_duration="p(95)<200 for 2s")
    results = play(judge, DURATION, [[100.0], [300.0], [250.0], [100.0], [900.0], [900.0]], end=True)
    assert [result.at_s for result in results] == [None, None, 3, 3, 3, 3]
    assert [result.observed for result in results] == pytest.approx([100, 300, 250, 250, 250, 250], rel=0.001)


@pytest.mark.parametrize(
    ("metric", "expression", "values", "expected"),
    [
        ("http_reqs", "rate>100 for 2s", [150, 90, 150, 90, None], "++++-"),
        ("http_reqs", "count>100 for 2s", [90, 90], "+-"),
        ("http_req_failed", "rate<1% for 2s", [(2, 100), (0, 100), (2, 100), (2, 100)], "+++-"),
        ("http_req_failed", "rate<1% for 2s", [(2, 100), None, (2, 100)], "++-"),
        ("depth", "value<5 for 2s", [[9, 1], [1, 9], [9]], "++-"),
        ("depth", "max<5 for 2s", [[9, 1], [1, 9]], "+-"),
        ("reply_bytes", "max<1kB for 2s", [[999.0, 5.0], [1001.0], [1001.0]], "++-"),
    ],
)
def test_every_kind_is_judged_by_the_data_of_the_second(
    metric: str, expression: str, values: list[Any], expected: str
) -> None:
    assert flags(play(judge_of(**{metric: expression}), metric, values)) == expected


def test_over_fails_as_soon_as_a_full_window_breaks_it() -> None:
    judge = judge_of(http_req_duration="avg<200 over 3s")
    results = play(judge, DURATION, [[900.0], [100.0], [100.0, 100.0, 100.0], [100.0], [900.0]])
    assert flags(results) == "++---"
    assert (results[-1].at_s, results[-1].observed) == (3, 1300 / 5)


def test_over_is_not_judged_before_its_window_is_full() -> None:
    results = play(judge_of(http_req_duration="avg<200 over 3s"), DURATION, [[900.0], [100.0], [10.0] * 20, [10.0]])
    assert flags(results) == "++++"
    assert [result.observed for result in results] == pytest.approx([900, 500, 1200 / 22, 310 / 22])


_SECOND = st.none() | st.lists(st.floats(0.001, 10_000), max_size=5)


def pool(seconds: list[list[float] | None], end: int, over_s: int) -> SeriesTable:
    """All that came in the *over_s* seconds before *end*."""
    return table_of(DURATION, [value for second in seconds[max(0, end - over_s) : end] for value in second or []])


@pytest.mark.parametrize("aggregate", ["avg", "min", "med", "max", "count", "p(90)"])
@given(seconds=st.lists(_SECOND, min_size=1, max_size=12), over_s=st.integers(1, 5))
def test_over_equals_brute_force_over_the_seconds(
    aggregate: str, seconds: list[list[float] | None], over_s: int
) -> None:
    text = f"{aggregate}>=0 over {over_s}s"
    (threshold,) = parse_thresholds({DURATION: text}, KNOWN)
    last = None
    for end, result in enumerate(play(judge_of(http_req_duration=text), DURATION, seconds), 1):
        view = view_metrics(pool(seconds, end, over_s), KNOWN, 1.0)[DURATION]
        observed = view._observe(threshold)
        last = observed if observed is not None else last
        assert result.observed == pytest.approx(last)


@given(st.lists(_SECOND, min_size=1, max_size=12), st.integers(1, 5), st.floats(0.001, 10_000))
def test_over_fails_with_the_first_full_window_that_breaks_it(
    seconds: list[list[float] | None], over_s: int, limit: float
) -> None:
    text = f"max<{limit:f} over {over_s}s"
    (threshold,) = parse_thresholds({DURATION: text}, KNOWN)
    failed = None
    for end, result in enumerate(play(judge_of(http_req_duration=text), DURATION, seconds), 1):
        observed = view_metrics(pool(seconds, end, over_s), KNOWN, 1.0)[DURATION].max
        if failed is None and end >= over_s and observed is not None and not threshold.holds(observed):
            failed = end
        assert result.at_s == failed


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), st.integers(1, 5))
def test_over_sums_counters_and_rates(counts: list[int], over_s: int) -> None:
    per_s = play(judge_of(http_reqs=f"rate>=-1 over {over_s}s"), "http_reqs", counts)
    shares = play(judge_of(checks=f"rate>=-1 over {over_s}s"), "checks", [(count, 300) for count in counts])
    for end in range(1, len(counts) + 1):
        window = counts[max(0, end - over_s) : end]
        assert per_s[end - 1].observed == pytest.approx(sum(window) / len(window))
        assert shares[end - 1].observed == pytest.approx(sum(window) / (300 * len(window)))


@pytest.mark.parametrize("words", ["for 5s", "over 5s"])
@pytest.mark.parametrize(("times", "ok"), [([[300.0], [300.0]], False), ([[100.0], [100.0]], True)])
def test_in_a_run_shorter_than_its_window_all_of_it_is_judged(words: str, times: list[Any], ok: bool) -> None:
    results = play(judge_of(http_req_duration=f"avg<200 {words}"), DURATION, times, end=True)
    assert [(result.ok, result.at_s) for result in results] == [(True, None), (ok, None if ok else 2)]


def test_few_seconds_with_data_are_no_short_run() -> None:
    judge = judge_of(http_req_duration="avg<200 for 5s")
    assert flags(play(judge, DURATION, [[300.0], None, None, None, None, None], end=True)) == "++++++"


def test_a_window_that_held_once_does_not_fail_at_the_end() -> None:
    judge = judge_of(http_req_duration="avg<200 for 5s")
    assert flags(play(judge, DURATION, [[300.0], [100.0], [300.0]], end=True)) == "+++"


@pytest.mark.parametrize("words", ["", "for 1s", "over 2s"])
def test_no_data_fails_at_the_end_unless_it_is_optional(words: str) -> None:
    for metric, expression in (("http_req_duration", "avg<200"), ("target_cpu", "<90"), ("depth", "<5")):
        (result,) = play(judge_of(**{metric: f"{expression} {words}"}), metric, [None], end=True)
        assert (result.ok, result.observed) == (False, None)
        (result,) = play(judge_of(**{metric: f"{expression} {words} optional"}), metric, [None], end=True)
        assert (result.ok, result.observed) == (True, None)


def test_tagged_series_are_judged_by_their_own_data() -> None:
    spec: ThresholdSpec = {
        "http_req_duration{name:/a}": "max<200 for 1s",
        "http_req_duration": "max<200 for 1s",
        "http_reqs{status:500}": ["count<1", "count<1 for 1s"],
    }
    judge = ThresholdJudge(parse_thresholds(spec, KNOWN))
    tagged = Series.of(DURATION, name_="/a")
    assert judge.windowed == {tagged, Series(DURATION), Series.of("http_reqs", status="500")}
    table = table_of(DURATION, [300.0])
    table.merge(table_of(DURATION, [100.0], name_="/a"))
    judge.add_second(table, 1.0)
    assert flags(list(judge.results({}, "VALID"))) == "+-++"


def test_only_thresholds_with_windows_are_watched() -> None:
    judge = judge_of(http_req_duration="avg<5", checks="rate>0.9 for 1s", host_cpu="<5 for 1s", verdict="==VALID")
    assert judge.series == {Series(DURATION), Series("checks")}
    assert judge.windowed == {Series("checks")}


def test_the_whole_run_is_judged_by_its_metrics() -> None:
    judge = judge_of(http_req_duration="avg<200", http_reqs="count>5")
    table = table_of(DURATION, [300.0])
    views: dict[str, MetricView] = view_metrics(table, KNOWN, 1.0)
    assert [(result.ok, result.observed) for result in judge.results(views)] == [(False, 300.0), (False, 0)]


def resources(judge: ThresholdJudge, targets: list[float | None]) -> ThresholdResult:
    for number, percent in enumerate(targets, 1):
        target = None if percent is None else replace(TARGET, cpu_percent=percent)
        judge.add_second(SeriesTable(), float(number), HOST, [WORKER], target)
    (result,) = judge.results({}, "VALID")
    return result


@pytest.mark.parametrize(
    ("expression", "observed", "ok"),
    [
        ("<26", 25.0, True),
        ("avg<25", 25.0, False),
        ("min>10", 10.0, False),
        ("max<=40%", 40.0, True),
        ("med==20", 20.0, True),
        ("p(75)==30", 30.0, True),
        ("p(76)<40", 40.0, False),
        ("p(0)==10", 10.0, True),
        ("value==20", 20.0, True),
        ("value<30 for 2s", 30.0, False),
        ("<30 over 2s", 40.0, False),
        ("<36 over 2s", 40.0, False),
        ("med<41 over 2s", 20.0, True),
        ("min<40 over 1s", 40.0, False),
    ],
)
def test_resources_have_one_value_a_second(expression: str, observed: float, ok: bool) -> None:
    result = resources(judge_of(target_cpu=expression), [10.0, None, 40.0, 30.0, 20.0])
    assert (result.observed, result.ok, result.unit, result.kind) == (observed, ok, "%", "resource")


@given(st.lists(st.none() | st.floats(0, 400), max_size=20), st.integers(1, 6), st.floats(0, 100))
def test_resource_windows_equal_brute_force(values: list[float | None], over_s: int, percent: float) -> None:
    result = resources(judge_of(target_cpu=f"p({percent:f})>=0 over {over_s}s"), values)
    window = sorted(value for value in values[-over_s:] if value is not None)
    if window:
        rank = max(1, math.ceil(float(f"{percent:f}") / 100 * len(window) - 1e-9))
        assert result.observed == np.sort(window)[rank - 1]


def test_every_resource_has_its_value() -> None:
    busy = replace(WORKER, cpu_percent=90.0)
    gone = replace(WORKER, cpu_percent=99.0, alive=False)
    assert resource_values(HOST, [WORKER, busy, gone], TARGET) == {
        "host_cpu": 50.0,
        "host_memory": 3_000,
        "worker_cpu": 90.0,
        "worker_memory": 2_000,
        "target_cpu": 150.0,
        "target_memory": 5_000,
        "target_fds": 70,
    }
    assert list(resource_values(HOST, [WORKER], TARGET)) == list(RESOURCE_METRICS)
    assert resource_values(None, [gone], replace(TARGET, alive=False)) == {}
    assert resource_values(None, [], None) == {}


def test_the_verdict_is_judged_at_the_end() -> None:
    judge = judge_of(verdict=[">=SUSPECT", "==VALID"])
    assert [(result.ok, result.observed) for result in judge.results({})] == [(False, None)] * 2
    assert [(result.ok, result.observed) for result in judge.results({}, "SUSPECT")] == [
        (True, "SUSPECT"),
        (False, "SUSPECT"),
    ]


def test_the_warm_up_does_not_count() -> None:
    judge = judge_of(http_req_duration="avg<200 for 2s", target_cpu="max<50", http_reqs="rate>5 over 1s")
    for t_s, time_ms, percent in ((-1.5, 900.0, 99.0), (-0.5, 900.0, 99.0), (0.5, 900.0, 99.0), (1.5, 100.0, 40.0)):
        table = table_of(DURATION, [time_ms])
        table.counter(Series("http_reqs")).value = 10
        judge.add_second(table, t_s, target=replace(TARGET, cpu_percent=percent))
        if t_s == 0.5:
            assert judge.results({})[-1].observed == 10 / 0.5
    slow, busy, rate = judge.results({}, "VALID")
    assert (slow.ok, slow.observed) == (True, 100.0)
    # The second in which it ended has half a second of requests that count, and one sample that does not.
    assert (busy.ok, busy.observed) == (True, 40.0)
    assert rate.observed == 10
    assert play(judge_of(http_reqs="rate>5 over 1s"), "http_reqs", [10])[0].observed == 10


def test_in_the_warm_up_nothing_fails_not_even_a_count() -> None:
    judge = judge_of(http_reqs="count>5 abort")
    judge.add_second(SeriesTable(), 0.0)
    assert [result.observed for result in judge.results({})] == [None]
    judge.add_second(SeriesTable(), 1.0)
    assert [result.observed for result in judge.results({})] == [0]


def test_a_warm_up_of_whole_seconds_leaves_every_sample_after_it() -> None:
    judge = judge_of(target_cpu="max<50")
    for t_s, percent in ((-1.0, 99.0), (0.0, 99.0), (1.0, 40.0)):
        judge.add_second(SeriesTable(), t_s, target=replace(TARGET, cpu_percent=percent))
    assert judge.results({})[0].observed == 40.0


def test_seconds_may_be_longer_or_shorter() -> None:
    judge = judge_of(http_reqs=["rate>=100 for 4s", "rate>100 over 3s"])
    for t_s, count in ((1.0, 100), (1.0, 999), (4.0, 300), (4.5, 40)):
        judge.add_second(table_of("http_reqs", count), t_s)
    held, over = judge.results({})
    assert (held.ok, held.observed) == (True, 80.0)
    assert (over.ok, over.observed, over.at_s) == (False, 100.0, 4.0)


@pytest.mark.parametrize(
    ("expression", "t_s", "aborts"),
    [
        ("avg<200 abort", 1.0, True),
        ("avg<200 abort", 0.0, False),
        ("avg<200 abort", -1.0, False),
        ("avg<200", 1.0, False),
        ("avg<400 abort", 1.0, False),
        ("avg<200 abort after 5s", 5.0, False),
        ("avg<200 abort after 5s", 5.2, True),
        ("avg<200 for 1s abort", 1.0, True),
        ("avg<200 for 2s abort", 1.0, False),
        ("avg<200 over 1s abort", 1.0, True),
    ],
)
def test_who_aborts_and_when(expression: str, t_s: float, aborts: bool) -> None:
    judge = judge_of(checks="rate>0.9 abort", http_req_duration=expression)
    table = table_of(DURATION, [300.0])
    judge.add_second(table, 1.0)
    assert judge.first_aborting(t_s) is None
    _, result = judge.results(view_metrics(table, KNOWN, 1.0))
    assert result.aborts is ("abort" in expression)
    assert judge.first_aborting(t_s) == (result if aborts else None)


def test_a_resource_aborts_too() -> None:
    judge = judge_of(target_cpu="<90 abort")
    judge.add_second(SeriesTable(), 1.0, target=TARGET)
    judge.results({})
    found = judge.first_aborting(1.0)
    assert found is not None
    assert (found.metric, found.observed) == ("target_cpu", 150.0)
