"""What makes a step good or bad, how sure that is, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fastload.model.capacity.objectives import ObjectiveResult, default_objectives, judge_objectives
from fastload.model.capacity.steps import CapacityStep, StepFigures, judge_step
from fastload.model.judging.thresholds import parse_threshold
from fastload.model.metrics import BUILTIN, Series
from fastload.model.series import SeriesTable
from fastload.model.views import MetricView, view_metrics

RESPONSE = "http_req_response_time"
FIGURES = StepFigures(load=100, seconds=5, offered=500, started=500, answered_per_s=100, ended_per_s=100)
MET = ObjectiveResult(f"{RESPONSE}: p(95)<50", 20, 18, 22, ok=True, clear=True, shown="p(95) 20.0ms")
BROKEN = ObjectiveResult(f"{RESPONSE}: p(95)<50", 80, 70, 90, ok=False, clear=True, shown="p(95) 80.0ms")
FAILED = ObjectiveResult(
    "http_req_failed: rate<0.01", 1.0, 0.9, 1.0, ok=False, clear=True, shown="100.00% failed", is_of_time=False
)
UNSURE = replace(BROKEN, low=40.0, clear=False)


def views_of(times_ms: list[float], failed: int = 0) -> dict[str, MetricView]:
    table = SeriesTable()
    table.trend(Series(RESPONSE)).fold((np.array(times_ms) * 1000).astype(np.int64))
    rate = table.rate(Series("http_req_failed"))
    rate.total, rate.trues = len(times_ms), failed
    return view_metrics(table, BUILTIN, 5.0)


@pytest.mark.parametrize(
    ("figures", "objectives", "kind", "clear", "why"),
    [
        (FIGURES, [MET], "good", True, ""),
        (FIGURES, [replace(MET, clear=False)], "good", False, ""),
        (FIGURES, [MET, BROKEN], "bad", True, "p(95) 80.0ms, not p(95)<50"),
        (FIGURES, [UNSURE], "bad", False, "p(95) 80.0ms, not p(95)<50"),
        # What is known best is told first.
        (FIGURES, [replace(UNSURE, shown="unsure"), BROKEN], "bad", True, "p(95) 80.0ms, not p(95)<50"),
        (replace(FIGURES, started=474), [MET], "bad", True, "only 94.80% of the offered load was started"),
        (replace(FIGURES, started=475), [MET], "good", True, ""),
        (replace(FIGURES, growth=15), [MET], "good", True, ""),
        (
            replace(FIGURES, growth=16, ended_per_s=96.8),
            [MET],
            "bad",
            True,
            "more and more requests waited: 96.8/s ended of 100/s that were offered",
        ),
        # More wait than the responses explain: three times those of the slowest percent, and three.
        (replace(FIGURES, p99_ms=20, waiting=9), [MET], "good", True, ""),
        (replace(FIGURES, p99_ms=20, waiting=10), [MET], "bad", True, "10 requests had no answer at its end"),
        # A lost worker offers nothing any more: what was to be offered counts.
        (replace(FIGURES, offered=250, started=250), [MET], "bad", True, "only 50.00% of the offered load was started"),
        # No data is never an effect of this side.
        (
            replace(FIGURES, generator="its CPU was full"),
            [replace(MET, observed=None, ok=False, clear=False)],
            "bad",
            False,
            "no data for http_req_response_time: p(95)<50",
        ),
        # What this side does can only make figures worse.
        (replace(FIGURES, generator="its CPU was full"), [MET], "good", True, ""),
        (replace(FIGURES, generator="its CPU was full"), [BROKEN], "generator", False, "its CPU was full"),
        # No machine is to blame for a 404, but this one is for what it ran out of.
        (
            replace(FIGURES, generator="its CPU was full", failed_share=1.0, error="http_404"),
            [FAILED],
            "bad",
            True,
            "100.00% failed, not rate<0.01; most failed with http_404",
        ),
        (
            replace(FIGURES, generator="no ports", failed_share=1.0, error="generator_port"),
            [FAILED],
            "generator",
            False,
            "no ports",
        ),
        # A closed model offers no starts: nothing can be behind.
        (replace(FIGURES, offered=0, started=0, growth=1000), [MET], "good", True, ""),
    ],
)
def test_the_outcome(figures: StepFigures, objectives: list[ObjectiveResult], kind: str, clear: bool, why: str) -> None:
    outcome = judge_step(figures, tuple(objectives))
    assert (outcome.kind, outcome.clear, outcome.why) == (kind, clear, why)
    assert outcome.load == 100


def test_ten_requests_more_are_no_growth_at_a_low_rate() -> None:
    slow = replace(FIGURES, load=6, offered=30, started=30)
    assert judge_step(replace(slow, growth=10), (MET,)).kind == "good"
    assert judge_step(replace(slow, growth=11), (MET,)).kind == "bad"


@pytest.mark.parametrize(
    ("expression", "times_ms", "ok", "clear"),
    [
        ("p(95)<50", [10.0] * 1000, True, True),
        ("p(95)<50", [10.0] * 900 + [60.0] * 100, False, True),
        # One in twenty, and nobody knows from so few whether it is more.
        ("p(95)<50", [10.0] * 97 + [60.0] * 3, True, False),
        ("med<50", [10.0] * 40 + [60.0] * 60, False, False),
        ("med<50", [10.0] * 100, True, True),
        # A figure without an interval is taken as it is.
        ("avg<50", [10.0, 60.0], True, True),
        ("max<50", [10.0, 60.0], False, True),
    ],
)
def test_how_sure_a_percentile_is(expression: str, times_ms: list[float], ok: bool, clear: bool) -> None:
    (result,) = judge_objectives((parse_threshold(RESPONSE, expression, BUILTIN),), views_of(times_ms))
    assert (result.ok, result.clear) == (ok, clear)
    assert result.low is not None
    assert result.high is not None
    assert result.observed is not None
    assert result.low <= result.observed <= result.high


@pytest.mark.parametrize(
    ("failed", "ok", "clear", "shown"),
    [(0, True, True, "0.00% failed"), (15, True, False, "0.75% failed"), (200, False, True, "10.00% failed")],
)
def test_how_sure_a_share_is(failed: int, ok: bool, clear: bool, shown: str) -> None:
    objective = parse_threshold("http_req_failed", "rate<0.01", BUILTIN)
    (result,) = judge_objectives((objective,), views_of([10.0] * 2000, failed))
    assert (result.ok, result.clear, result.shown) == (ok, clear, shown)


def test_without_data_an_objective_is_not_met_and_nothing_is_clear() -> None:
    (result,) = judge_objectives((parse_threshold(RESPONSE, "p(95)<50", BUILTIN),), views_of([]))
    assert (result.ok, result.clear, result.shown) == (False, False, "no data")


@pytest.mark.parametrize(("p99_ms", "bound"), [(20.0, "p(99)<60"), (1.0, "p(99)<5"), (2.0, "p(99)<6")])
def test_the_objectives_of_the_lightest_step(p99_ms: float, bound: str) -> None:
    """Three times its p99, and no less than 5 ms, which timers and schedulers add."""
    found = default_objectives(RESPONSE, "http_req_failed", views_of([p99_ms] * 100))
    assert [one.text for one in found] == [f"{RESPONSE}: {bound}", "http_req_failed: rate<0.01"]


def test_a_step_as_one_line() -> None:
    step = CapacityStep(3, "double", 7.0, FIGURES, (BROKEN,), judge_step(FIGURES, (BROKEN,)))
    assert step.text("rate") == "step 3: 100/s, 100/s answered well: p(95) 80.0ms, not p(95)<50"
    good = CapacityStep(3, "double", 7.0, FIGURES, (MET,), judge_step(FIGURES, (MET,)))
    assert good.text("vus") == "step 3: 100 VUs, 100/s answered well: objectives met"
    assert good.to_dict()["outcome"] == "good"
