"""Comparisons of made-up runs whose truth is known: what is the same, what differs, and what cannot be said."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fastload.model.compare.batches import BatchedRun
from fastload.model.compare.comparability import find_issues
from fastload.model.compare.comparison import (
    NO_DIFFERENCE,
    Change,
    Comparison,
    ComparisonRow,
    ComparisonSide,
    compare_sides,
    comparison_to_dict,
)
from fastload.model.metrics import BUILTIN, Kind, MetricSpec, Series
from fastload.model.records import Snapshot
from fastload.model.series import SeriesTable
from fastload.outputs.summary_json import dump_json
from tests.model.runs import (
    MACHINE,
    PLAN,
    VERSIONS,
    Draw,
    batched,
    drifting,
    lognormal,
    make_header,
    ramp,
    seconds_of,
    side,
    sockets_of,
    with_endpoint,
)


def row_of(comparison: Comparison, subject: str, figure: str, section: str = "") -> ComparisonRow:
    found = [
        row
        for row in comparison.rows
        if (row.figure.subject, row.figure.name) == (subject, figure) and section in ("", row.figure.section)
    ]
    assert found, [(row.figure.section, row.figure.subject, row.figure.name) for row in comparison.rows]
    return found[0]


def change_of(comparison: Comparison, subject: str, figure: str, section: str = "") -> Change:
    return row_of(comparison, subject, figure, section).changes[0]


def verdicts(a: Callable[[], Draw], b: Callable[[], Draw], seeds: int, **options: Any) -> Counter[str]:
    """How often each verdict comes out, with a margin that decides nothing."""
    return Counter(
        compare_sides([side("a", a(), seed, **options), side("b", b(), 10_000 + seed, **options)], margin=0.001).verdict
        for seed in range(seeds)
    )


@pytest.mark.parametrize(("draw", "seconds"), [(lognormal, 12), (lambda: ramp(seconds=20), 20)], ids=["steady", "ramp"])
def test_the_same_twice_shows_no_difference(draw: Callable[[], Draw], seconds: int) -> None:
    assert verdicts(draw, draw, 40, seconds=seconds)[NO_DIFFERENCE] >= 36


def test_the_same_twice_shows_no_difference_where_seconds_hang_together() -> None:
    draw = lambda: drifting(keeps=0.5)  # noqa: E731
    assert verdicts(draw, draw, 30, seconds=30)[NO_DIFFERENCE] >= 27


def test_ten_per_cent_slower_are_found() -> None:
    assert verdicts(lognormal, lambda: lognormal(factor=1.1), 10, seconds=20) == {"worse": 10}
    assert verdicts(lognormal, lambda: lognormal(factor=0.9), 5, seconds=20) == {"better": 5}


def test_ten_per_cent_slower_are_found_in_a_ramp() -> None:
    assert verdicts(ramp, lambda: ramp(factor=1.1), 10, seconds=30) == {"worse": 10}


def test_a_lower_rate_is_worse_and_a_higher_one_better() -> None:
    for rate, expected in ((255.0, "worse"), (345.0, "better")):
        found = compare_sides([side("a", lognormal(), 1), side("b", lognormal(rate), 2)])
        change = change_of(found, "http_reqs", "rate")
        assert (change.verdict, found.verdict) == (expected, expected)
        assert change.low is not None
        assert change.high is not None
        assert change.low < rate / 300 - 1 < change.high


def test_more_failures_are_worse_and_counted_in_points() -> None:
    found = compare_sides([side("a", lognormal(), 1), side("b", lognormal(), 2, failed=0.01)])
    change = change_of(found, "http_req_failed", "failed")
    assert (change.verdict, change.ratio, found.verdict) == ("worse", None, "worse")
    assert change.difference == pytest.approx(0.01, abs=0.004)
    assert change.low is not None
    assert 0 < change.low < 0.01


def with_checks(share: float) -> Callable[[SeriesTable, int], None]:
    """300 checks a second, of which exactly *share* pass."""

    def more(table: SeriesTable, _second: int) -> None:
        sink = table.rate(Series("checks"))
        sink.trues, sink.total = round(300 * share), 300

    return more


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1.0, 0.96, "worse"),
        (0.96, 1.0, "better"),
        (1.0, 299 / 300, "worse"),
        (0.9, 0.86, "worse"),
        (0.5, 0.48, NO_DIFFERENCE),
        (1.0, 1.0, NO_DIFFERENCE),
    ],
)
def test_the_margin_of_checks_is_one_of_those_that_fail(before: float, after: float, expected: str) -> None:
    sides = [side("a", lognormal(), 1, more=with_checks(before)), side("b", lognormal(), 2, more=with_checks(after))]
    found = compare_sides(sides)
    change = change_of(found, "checks", "share")
    assert (change.verdict, found.verdict) == (expected, expected)
    assert change.ratio == pytest.approx(after / before - 1), "what is told is relative to what passes"


def test_values_are_those_of_the_summary() -> None:
    a, b = side("a", lognormal(), 1, failed=0.05), side("b", lognormal(), 2, failed=0.05)
    found = compare_sides([a, b])
    for index, run in enumerate((a.runs[0], b.runs[0])):
        metrics = run.summary["metrics"]
        for figure, key in (("p50", "med"), ("p95", "p(95)"), ("p99", "p(99)"), ("p99.9", "p(99.9)")):
            row = row_of(found, "http_req_duration", figure)
            assert row.values[index] == metrics["http_req_duration"][key]
        assert row_of(found, "http_reqs", "rate").values[index] == metrics["http_reqs"]["rate"]
        assert row_of(found, "http_req_failed", "failed").values[index] == metrics["http_req_failed"]["rate"]
        endpoint = run.summary["endpoints"][0]
        assert row_of(found, "GET /users", "p95").values[index] == endpoint["http_req_duration"]["p(95)"]
        assert row_of(found, "GET /users", "rate").values[index] == pytest.approx(endpoint["requests"] / 30)


def test_a_quantile_with_too_few_values_is_not_judged() -> None:
    found = compare_sides([side("a", lognormal(20.0), 1), side("b", lognormal(20.0, factor=3), 2)])
    change = change_of(found, "http_req_duration", "p99")
    assert (change.verdict, change.why, change.low) == ("", "too few values", None)
    assert change.ratio is not None
    assert change_of(found, "http_req_duration", "p50").verdict == "worse"


def test_a_run_of_a_few_seconds_says_nothing_by_itself() -> None:
    found = compare_sides([side("a", lognormal(), 1, seconds=4), side("b", lognormal(factor=3), 2, seconds=4)])
    assert found.verdict == ""
    assert change_of(found, "http_req_duration", "p50").why == "under 5 s of run"
    repeated = [side("a", lognormal(), 1, seconds=4, runs=3), side("b", lognormal(factor=3), 2, seconds=4, runs=3)]
    assert compare_sides(repeated).verdict == "worse", "repeated runs say it all the same"


def test_differences_under_the_margin_are_none() -> None:
    sides = [side("a", lognormal(3000.0), 1), side("b", lognormal(3000.0, factor=1.03), 2)]
    assert compare_sides(sides, margin=0.01).verdict == "worse"
    assert compare_sides(sides).verdict == NO_DIFFERENCE, "where runs are not repeated, 5 % are needed"
    again = [side("a", lognormal(3000.0), 1, runs=3), side("b", lognormal(3000.0, factor=1.03), 2, runs=3)]
    assert compare_sides(again).verdict == "worse"


def repeated(name: str, seed: int, *, runs: int, factor: float = 1.0) -> ComparisonSide:
    """Runs each of which has a level of its own: 5 % up or down."""
    chance = np.random.default_rng((seed, 99))
    levels = np.exp(chance.normal(0, 0.05, runs)) * factor
    draws = [lognormal(factor=float(level)) for level in levels]
    return ComparisonSide(
        name, [side(f"{name}{index}", draw, seed + index, seconds=8).runs[0] for index, draw in enumerate(draws)]
    )


def test_what_varies_between_runs_is_no_difference_between_groups() -> None:
    found = Counter(
        compare_sides([repeated("a", 100 * seed, runs=4), repeated("b", 100 * seed + 50, runs=4)]).verdict
        for seed in range(20)
    )
    assert found[NO_DIFFERENCE] >= 18
    singles = Counter(
        compare_sides([repeated("a", 100 * seed, runs=1), repeated("b", 100 * seed + 50, runs=1)], margin=0.01).verdict
        for seed in range(20)
    )
    assert singles[NO_DIFFERENCE] <= 15, "one run each cannot know of it"
    alone = Counter(
        compare_sides([repeated("a", 100 * seed, runs=5), repeated("b", 100 * seed + 50, runs=1)], margin=0.01).verdict
        for seed in range(10)
    )
    assert alone[NO_DIFFERENCE] >= 9


def test_groups_show_what_is_more_than_they_vary() -> None:
    found = compare_sides([repeated("a", 1, runs=5), repeated("b", 50, runs=5, factor=1.3)])
    change = change_of(found, "http_req_duration", "p50")
    assert (found.verdict, change.verdict) == ("worse", "worse")
    assert change.low is not None
    assert change.high is not None
    assert change.low < 0.3 < change.high
    row = row_of(found, "http_req_duration", "p50")
    medians = [run.summary["metrics"]["http_req_duration"]["med"] for run in found.sides[0].runs]
    assert row.values[0] == pytest.approx(math.exp(np.mean(np.log(medians))))


def test_several_candidates_are_each_held_against_the_first() -> None:
    found = compare_sides([side("a", lognormal(), 1), side("b", lognormal(), 2), side("c", lognormal(factor=1.2), 3)])
    assert (found.verdict_of(0), found.verdict_of(1), found.verdict) == (NO_DIFFERENCE, "worse", "worse")
    assert len(row_of(found, "http_req_duration", "p50").values) == 3


def test_a_rare_endpoint_that_is_slower_is_a_detail() -> None:
    a, b = (side("a", lognormal(), 1, more=with_endpoint(1.0)), side("b", lognormal(), 2, more=with_endpoint(1.3)))
    found = compare_sides([a, b])
    assert change_of(found, "POST /login", "p50").verdict == "worse"
    assert change_of(found, "GET /users", "p50").verdict == NO_DIFFERENCE
    assert change_of(found, "http_req_duration", "p50").verdict == NO_DIFFERENCE
    assert (found.verdict, found.detail_verdict) == (NO_DIFFERENCE, "worse")
    assert [row.figure.subject for row, _ in found.having("worse", headline=False)][:1] == ["POST /login"]


def test_what_only_one_run_has_is_told() -> None:
    found = compare_sides([side("a", lognormal(), 1, more=with_endpoint(1.0)), side("b", lognormal(), 2)])
    row = row_of(found, "POST /login", "p50")
    assert (row.values[1], row.changes[0].why) == (None, "only in A")


OWN = {
    "orders": MetricSpec("orders", Kind.COUNTER),
    "depth": MetricSpec("depth", Kind.GAUGE),
    "ok": MetricSpec("ok", Kind.RATE),
    "ingest": MetricSpec("ingest", Kind.TREND, "ms"),
    "rows": MetricSpec("rows", Kind.TREND, "rows"),
}


def own_metrics(factor: float) -> Callable[[SeriesTable, int], None]:
    chance = np.random.default_rng(int(factor * 1000))

    def more(table: SeriesTable, _second: int) -> None:
        table.counter(Series("orders")).value = chance.poisson(100 * factor)
        table.gauge(Series("depth")).set(3 * factor)
        sink = table.rate(Series("ok"))
        sink.trues, sink.total = int(chance.binomial(500, 0.6 * factor)), 500
        for name in ("ingest", "rows"):
            table.trend(Series(name), OWN[name].highest).fold(
                chance.lognormal(9 + math.log(factor), 0.2, 200).astype(np.int64)
            )

    return more


def own_side(name: str, factor: float, thresholds: tuple[str, ...]) -> ComparisonSide:
    seconds = list(seconds_of(lognormal(), np.random.default_rng(int(factor * 7)), more=own_metrics(factor)))
    header = make_header(specs=BUILTIN | OWN, thresholds=thresholds)
    return ComparisonSide(name, [batched(name, seconds, header)])


def test_which_way_metrics_of_the_script_are_better_is_said_by_thresholds() -> None:
    def compared(*thresholds: str) -> Comparison:
        return compare_sides([own_side("a", 1.0, thresholds), own_side("b", 1.3, thresholds)])

    plain = compared()
    told = compared("orders: count>10", "rows: p(95)<9", "ok{region:eu}: rate>0.5")
    figures = (("orders", "rate"), ("rows", "p50"), ("ok", "share"), ("ingest", "p50"))
    assert [change_of(plain, *one).verdict for one in figures] == ["changed", "changed", "changed", "worse"]
    assert [change_of(told, *one).verdict for one in figures] == ["better", "worse", "better", "worse"]
    gauge = row_of(plain, "depth", "value")
    assert gauge.values == pytest.approx((3, 3.9))
    assert (gauge.changes[0].verdict, gauge.changes[0].why) == ("", "last value only")


@pytest.mark.parametrize(
    ("models", "lead", "other"),
    [
        ((("open",), ("open",)), "http_req_response_time", "http_req_duration"),
        ((("open", "open"), ("open", "open")), "http_req_response_time", "http_req_duration"),
        ((("open", "closed"), ("open", "closed")), "http_req_duration", "http_req_response_time"),
        ((("open",), ("open", "closed")), "http_req_duration", "http_req_response_time"),
    ],
)
def test_the_headline_is_the_response_time_where_every_scenario_is_open(
    models: tuple[tuple[str, ...], ...], lead: str, other: str
) -> None:
    def more(table: SeriesTable, _second: int) -> None:
        table.trend(Series("http_req_response_time")).fold(np.arange(1000, 1300, dtype=np.int64))
        sink = table.rate(Series("checks"))
        sink.trues = sink.total = 300

    sides = []
    for number, of_run in enumerate(models):
        scenarios = [PLAN["scenarios"][0] | {"name": f"s{place}", "model": one} for place, one in enumerate(of_run)]
        seconds = seconds_of(lognormal(), np.random.default_rng(number), more=more)
        run = batched(f"run {number}", seconds, make_header({"scenarios": scenarios}))
        sides.append(ComparisonSide(f"run {number}", [run]))
    found = compare_sides(sides)
    headline = [(row.figure.subject, row.figure.name) for row in found.rows if row.is_headline]
    assert headline == [
        ("http_reqs", "rate"),
        ("http_req_failed", "failed"),
        (lead, "p50"),
        (lead, "p95"),
        (lead, "p99"),
        ("checks", "share"),
    ]
    assert row_of(found, other, "p50").figure.section == "metrics"


def test_runs_without_requests_are_compared_by_what_they_do() -> None:
    def calls(name: str, factor: float) -> ComparisonSide:
        seconds = []
        for number, second in enumerate(seconds_of(lognormal(factor=factor), np.random.default_rng(int(factor * 9)))):
            table = SeriesTable()
            times = second.table.get("http_req_duration")
            table.counter(Series("calls")).value = times.count
            table.rate(Series("call_failed")).total = times.count
            table.trend(Series("call_duration")).merge(times)
            seconds.append(replace(second, table=table, t_s=float(number + 1)))
        return ComparisonSide(name, [batched(name, seconds)])

    found = compare_sides([calls("a", 1.0), calls("b", 1.2)])
    assert found.verdict == "worse"
    assert [row.figure.subject for row in found.rows if row.is_headline][:3] == [
        "calls",
        "call_failed",
        "call_duration",
    ]


def test_websockets_are_judged_by_how_long_they_took_to_open_and_by_their_messages() -> None:
    def sockets(name: str, factor: float) -> ComparisonSide:
        return ComparisonSide(
            name, [batched(name, sockets_of(lognormal(factor=factor), np.random.default_rng(int(factor * 9))))]
        )

    found = compare_sides([sockets("a", 1.0), sockets("b", 1.3)])
    assert [(row.figure.subject, row.figure.name) for row in found.rows if row.is_headline] == [
        ("ws_sessions", "rate"),
        ("ws_failed", "failed"),
        *(("ws_connecting", name) for name in ("p50", "p95", "p99")),
        ("ws_msgs_sent", "rate"),
        ("ws_msgs_received", "rate"),
    ]
    assert found.verdict == "worse"
    # How long a session lasts is as the script wants it.
    assert row_of(found, "ws_session_duration", "p50").changes[0].verdict == "changed"


def test_websockets_of_which_none_opened_are_compared_all_the_same() -> None:
    seconds = [
        replace(second, table=SeriesTable()) for second in seconds_of(lognormal(), np.random.default_rng(1), seconds=6)
    ]
    for second in seconds:
        failed = second.table.rate(Series("ws_failed"))
        failed.trues = failed.total = 20
    found = compare_sides([ComparisonSide("a", [batched("a", seconds)]), ComparisonSide("b", [batched("b", seconds)])])
    assert [row.figure.subject for row in found.rows if row.is_headline] == ["ws_failed"]


def test_nothing_measured_is_not_judged() -> None:
    seconds = seconds_of(lognormal(), np.random.default_rng(1))
    empty = [replace(second, table=SeriesTable(), target=None) for second in seconds]
    found = compare_sides([ComparisonSide("a", [batched("a", empty)]), ComparisonSide("b", [batched("b", empty)])])
    assert (found.verdict, found.rows) == ("", ())


def test_warm_up_and_what_is_late_are_in_no_rate() -> None:
    plain = list(seconds_of(lognormal(), np.random.default_rng(1), seconds=14))
    header = make_header({"warmup_s": 3.0})
    run = BatchedRun("a", header, {"duration_s": 10.0, "metrics": {}, "verdict": {"state": "VALID", "reasons": []}})
    for number, second in enumerate(plain):
        run.add(replace(second, table=SeriesTable()) if number < 3 else second)
    in_time = sum(second.table.get("http_reqs").value for second in plain[3:13])
    assert run.rate(Series("http_reqs")) == pytest.approx(in_time / 10)
    assert run.spans_s.tolist() == [2.0] * 5
    assert run.table.get("http_req_duration").count == in_time + plain[13].table.get("http_reqs").value
    assert run.is_long_enough


def test_seconds_are_not_changed() -> None:
    seconds = list(seconds_of(lognormal(), np.random.default_rng(1), seconds=10))
    before = [second.table.to_plain() for second in seconds]
    compare_sides([ComparisonSide("a", [batched("a", seconds)]), ComparisonSide("b", [batched("b", seconds)])])
    assert [second.table.to_plain() for second in seconds] == before


def as_run(name: str = "b", header: Any = None, *, complete: bool = True, **summary: Any) -> BatchedRun:
    told = {"duration_s": 10.0, "metrics": {}, "stopped_by": "", "verdict": {"state": "VALID", "reasons": ["well"]}}
    return BatchedRun(name, header or make_header(), told | summary, complete=complete)


def with_load(**changes: Any) -> Any:
    return make_header({"scenarios": [PLAN["scenarios"][0] | changes]})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (with_load(vus=20), "vus: 10 in a, 20 in b"),
        (with_load(executor="ramping-vus", stages=[[10.0, 5]]), "executor: constant-vus in a, ramping-vus in b"),
        (with_load(name="other"), "scenarios: default in a, other in b"),
        (make_header({"base_url": "http://127.0.0.1:9/v2"}), "path of the base URL: / in a, /v2 in b"),
        (make_header({"title": "tests/other.py"}), "test: shop.py in a, other.py in b"),
        (make_header({"kind": "bench", "title": "shop.py"}), "command: run in a, bench in b"),
    ],
)
def test_different_plans_are_refused(header: Any, expected: str) -> None:
    issues = find_issues([as_run("a"), as_run("b", header)])
    assert expected in issues.refusals


@pytest.mark.parametrize(
    ("title", "other", "same"),
    [
        ("bench http://127.0.0.1:4711/health", "bench http://10.0.0.1:80/health", True),
        ("bench http://127.0.0.1:4711/health", "bench http://127.0.0.1:4711/stats", False),
        ("bench http://127.0.0.1:4711/", "bench http://127.0.0.1:4711", True),
        ("tests/shop.py", "shop.py", True),
    ],
)
def test_where_a_target_or_script_is_makes_no_other_plan(title: str, other: str, same: bool) -> None:
    issues = find_issues([as_run("a", make_header({"title": title})), as_run("b", make_header({"title": other}))])
    assert (not issues.refusals) is same


def test_what_may_be_behind_a_difference_is_warned_of() -> None:
    other = make_header(
        {"workers": 4, "base_url": "http://staging:8080", "http": {"timeout_s": 5.0, "user_agent": "x"}, "seed": 9},
        machine=MACHINE | {"cpu_model": "Another CPU", "memory_total_bytes": 16 * 10**9},
        versions=VERSIONS | {"libcurl": "8.9"},
    )
    issues = find_issues([as_run("a"), as_run("b", other)])
    assert issues.refusals == ()
    assert issues.warnings == (
        "workers: 1 in a, 4 in b",
        "host: 127.0.0.1 in a, staging in b",
        "http timeout_s: 60 in a, 5 in b",
        "another machine: CPU: Some CPU in a, Another CPU in b",
        "another machine: memory: 8.00 GB in a, 16.0 GB in b",
        "version of libcurl: 8.0 in a, 8.9 in b",
    )


def test_runs_that_cannot_be_trusted_are_warned_of() -> None:
    runs = [
        as_run("a", verdict={"state": "INVALID", "reasons": ["worker 0 was over 90% CPU"]}),
        as_run("b", complete=False),
        as_run("c", stopped_by="interrupt", duration_s=4.0),
        as_run("d", verdict={"state": "SUSPECT", "reasons": ["starts were late"]}),
    ]
    warnings = find_issues(runs).warnings
    assert [text.partition(":")[0] for text in warnings] == [
        "a is INVALID (its latencies say more about the machine that made the load than about the target)",
        "d is SUSPECT",
        "b is truncated",
        "c did not come to its end",
        "measured time",
    ]
    assert "worker 0 was over 90% CPU" in warnings[0]


def test_a_load_that_was_changed_is_warned_of() -> None:
    def change(t_s: float, before: float, after: float) -> dict[str, Any]:
        return {"t_s": t_s, "scenario": "s", "before": before, "after": after, "unit": "VUs", "who": "the dashboard"}

    later = change(2.5, 5, 40) | {"of a later version": 1}
    runs = [as_run("a", load_changes=[]), as_run("b", load_changes=[change(1, 2, 5)])]
    assert find_issues(runs).warnings == (
        "the load of b was changed while it ran: s: 2 → 5 VUs, by the dashboard at 1s",
    )
    runs = [as_run("a", load_changes=[change(1, 2, 5), later]), as_run("b")]
    assert find_issues(runs).warnings == (
        "the load of a was changed while it ran: 2 times, last s: 5 → 40 VUs, by the dashboard at 2.50s",
    )


def test_many_runs_that_cannot_be_trusted_are_told_together() -> None:
    invalid = {"state": "INVALID", "reasons": ["worker 0 was over 90% CPU"]}
    warnings = find_issues([as_run(name, verdict=invalid) for name in "abc"] + [as_run("d")]).warnings
    assert len(warnings) == 1
    assert warnings[0].startswith("3 of 4 runs are INVALID")


def test_what_several_runs_have_in_common_is_said_once() -> None:
    newer = make_header(versions=VERSIONS | {"libcurl": "8.9"})
    runs = [as_run("a"), *(as_run(name, newer) for name in "bcd")]
    assert find_issues(runs).warnings == ("version of libcurl: 8.0 in a, 8.9 in b and 2 more",)


def test_memory_that_differs_by_a_trifle_is_the_same() -> None:
    other = make_header(machine=MACHINE | {"memory_total_bytes": 8 * 10**9 + 4096})
    assert find_issues([as_run("a"), as_run("b", other)]).warnings == ()


def test_the_comparison_as_data() -> None:
    found = compare_sides([side("a", lognormal(), 1), side("b", lognormal(factor=1.2), 2, failed=0.01)])
    data = json.loads(dump_json(comparison_to_dict(found)))
    assert (data["version"], data["verdict"], data["margin"], data["confidence"]) == (1, "worse", 0.05, 0.95)
    assert [one["label"] for one in data["sides"]] == ["A", "B"]
    first = data["rows"][2]
    assert (first["section"], first["subject"], first["figure"]) == ("headline", "http_req_duration", "p50")
    assert (first["unit"], first["better"]) == ("ms", "lower")
    change = first["changes"][0]
    low, high = change["interval"]
    assert low < 0.2 < high
    assert (change["interval_of"], change["verdict"]) == ("ratio", "worse")
    assert change["p"] < 0.001
    assert data["rows"][1]["changes"][0]["interval_of"] == "difference"


def test_a_long_run_is_compared_in_a_moment() -> None:
    """No bound on the time, which depends on the machine: on how much is kept. Ten batches, however long the run."""
    run = side("a", lognormal(20.0), 1, seconds=600).runs[0]
    assert len(run.batches) == 10
    assert sum(len(batch.series_values) for batch in run.batches) <= 10 * len(run.table.series_values)


def snapshots(count: int) -> list[Snapshot]:
    return list(seconds_of(lognormal(), np.random.default_rng(1), seconds=count))


@pytest.mark.parametrize(("seconds", "expected"), [(1, 1), (4, 4), (5, 5), (11, 5), (12, 6), (20, 10), (600, 10)])
def test_a_run_is_cut_into_a_few_long_batches(seconds: int, expected: int) -> None:
    run = as_run(duration_s=float(seconds))
    assert len(run.batches) == expected
    for second in snapshots(min(seconds, 20)):
        run.add(second)
    assert run.is_long_enough is (5 <= seconds <= 20)
