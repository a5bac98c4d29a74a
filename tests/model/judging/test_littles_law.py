"""Little's law in the verdict: on both sides of each bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fastload.model.judging.littles_law import LittlesLaw
from fastload.model.judging.verdict import judge_run
from tests.model.judging.runs import causes, evidence

LAW = LittlesLaw(watched_s=10.0, in_flight_s=100.0, variance=0.0, peak=1, answered=1000, mean_s=0.1)
"""10 requests in flight on average, 100 a second that take 100 ms each. Five standard errors of that are 5 s."""


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        # Five standard errors, and 5 % of the larger side.
        ({"mean_s": 0.0901}, True),
        ({"mean_s": 0.0899}, False),
        ({"mean_s": 0.1107}, True),
        ({"mean_s": 0.112}, False),
        ({"mean_s": 0.05}, False),
        ({"answered": 2000}, False),
        ({"answered": 0, "mean_s": 0.0}, False),
        # More chance where the number of requests in flight jumps.
        ({"mean_s": 0.07, "variance": 24.0}, False),
        ({"mean_s": 0.07, "variance": 26.0}, True),
        # Short bursts are missed by most readings.
        ({"mean_s": 0.07, "peak": 24}, False),
        ({"mean_s": 0.07, "peak": 26}, True),
        # Requests without a value in the histograms may have been in flight all the time.
        ({"mean_s": 0.05, "unanswered": 3}, False),
        ({"mean_s": 0.05, "unanswered": 4}, True),
        ({"mean_s": 0.2, "unanswered": 4}, False),
        # Events wait for a loop that is late, and that is in no time of a request.
        ({"mean_s": 0.07, "wait_s": 0.006}, False),
        ({"mean_s": 0.07, "wait_s": 0.007}, True),
        # What may count twice.
        ({"mean_s": 0.13, "doubtful_s": 0.01}, False),
        ({"mean_s": 0.13, "doubtful_s": 0.02}, True),
    ],
)
def test_how_far_the_sides_may_be_from_each_other(changes: dict[str, Any], holds: bool) -> None:
    assert replace(LAW, **changes).holds is holds


def test_a_contradiction_is_a_finding_that_leads() -> None:
    verdict = judge_run(evidence(littles_law=replace(LAW, mean_s=0.05)))
    assert verdict.state == "SUSPECT"
    assert causes(verdict)[0] == "own_accounts"
    assert verdict.reasons[0] == (
        "fastload's own numbers contradict each other: 10 requests were in flight on average, while the rate times the "
        "mean time of a request (50.0ms) is 5"
    )
    assert "report it" in verdict.remedy


def test_nothing_is_said_where_the_sides_agree_or_nothing_was_watched() -> None:
    for law in (LAW, None, LittlesLaw(0.0, 0.0, 0.0, 1, 10, 5.0)):
        verdict = judge_run(evidence(littles_law=law))
        assert verdict.state == "VALID"
        assert "own_accounts" not in causes(verdict)
