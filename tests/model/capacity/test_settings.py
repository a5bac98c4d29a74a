"""Settings of a search that contradict each other, or that no search can have."""

from __future__ import annotations

from typing import Any

import pytest

from fastload.model.capacity.settings import CapacitySettings
from fastload.model.errors import PlanError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"precision": 0.009}, "precision 0.90% is not 1.00% to 50.00%"),
        ({"precision": 0.51}, "precision 51.00% is not"),
        ({"first": 0}, "the lightest load is 0"),
        ({"by": "vus", "first": 1.5}, "1.5 VUs, is no whole number"),
        ({"by": "vus", "first": 0}, "0 VUs, is no whole number"),
        ({"first": 100, "most": 50}, "the heaviest load, 50/s, is below the lightest, 100/s"),
        ({"step_s": 1.9}, "a step of 1.9 s is too short"),
        ({"first": 0.1}, "a step of 8 s at 0.1/s has fewer than 10 starts"),
        ({"settle_s": -1}, "the time to settle is negative"),
        ({"time_s": 8}, "the search ends after 8 s, before its first step does"),
        ({"at_least": 200, "most": 100}, "200/s are asked for, but no more than 100/s are tried"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_request(given: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        CapacitySettings(**given)
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "given",
    [
        {"precision": 0.01},
        {"precision": 0.5},
        {"step_s": 2},
        {"settle_s": 0},
        {"first": 50, "most": 50},
        {"at_least": 100, "most": 100},
        {"by": "vus", "first": 1},
        {"time_s": 9},
    ],
)
def test_the_edges_are_taken(given: dict[str, Any]) -> None:
    assert CapacitySettings(**given).to_dict()["precision"] > 0


def test_a_load_with_its_unit() -> None:
    assert CapacitySettings().text_of(1200) == "1,200/s"
    assert CapacitySettings(by="vus", first=1).text_of(64) == "64 VUs"
