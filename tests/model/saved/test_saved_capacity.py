"""The result of a capacity search in a saved run: it comes back as it was, and damage is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastload.model.capacity.objectives import ObjectiveResult
from fastload.model.capacity.result import CapacityResult
from fastload.model.capacity.scalability import Scalability
from fastload.model.capacity.settings import CapacitySettings
from fastload.model.capacity.steps import CapacityStep, StepFigures, StepKind, StepOutcome
from fastload.model.saved.saved_capacity import saved_capacity
from tests.model.capacity.made import made_result, searched_run

_NUMBERS = st.floats(-1e15, 1e15)
_SOME = st.none() | _NUMBERS
_COUNTS = st.integers(0, 2**40)
_TEXTS = st.text(max_size=20)
_OBJECTIVES = st.builds(
    ObjectiveResult,
    text=_TEXTS,
    observed=_SOME,
    low=_SOME,
    high=_SOME,
    ok=st.booleans(),
    clear=st.booleans(),
    shown=_TEXTS,
    bound_ms=_SOME,
)
_FIGURES = st.builds(
    StepFigures,
    load=_NUMBERS,
    seconds=_NUMBERS,
    offered=_COUNTS,
    started=_COUNTS,
    **dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "mean_ms", "target_cpu_percent", "cpu_ms"), _SOME),
    **dict.fromkeys(("answered_per_s", "ended_per_s", "in_flight", "vus", "failed_share", "growth"), _NUMBERS),
    **dict.fromkeys(("nearest", "generator", "remedy", "limit", "error"), _TEXTS),
)  # fmt: skip


@st.composite
def _steps(draw: st.DrawFn) -> CapacityStep:
    figures = draw(_FIGURES)
    kind: StepKind = draw(st.sampled_from(("good", "bad", "generator")))
    outcome = StepOutcome(figures.load, kind, draw(st.booleans()), draw(_TEXTS))
    objectives = tuple(draw(st.lists(_OBJECTIVES, max_size=2)))
    return CapacityStep(draw(_COUNTS), draw(_TEXTS), draw(_NUMBERS), figures, objectives, outcome)


_LAWS = st.builds(
    Scalability,
    **dict.fromkeys(
        ("rate_1", "rate_1_error", "sigma", "sigma_error", "kappa", "kappa_error", "r2", "twice"), _NUMBERS
    ),
    residuals=st.lists(_NUMBERS, max_size=4).map(tuple),
    peak_n=_SOME,
    peak_per_s=_SOME,
)
_SETTINGS = st.builds(
    CapacitySettings,
    by=st.just("rate"),
    first=st.floats(5, 10),
    most=st.floats(1000, 1e6),
    precision=st.floats(0.01, 0.5),
    settle_s=st.floats(0, 5),
    step_s=st.floats(2, 20),
    confirm_s=st.floats(2, 20),
    at_least=st.none() | st.floats(0.5, 900),
    time_s=st.floats(60, 600),
)
_RESULTS = st.builds(
    CapacityResult,
    settings=_SETTINGS,
    state=st.sampled_from(("found", "at_least", "failing", "unstable", "unfinished")),
    capacity=_SOME,
    high=_SOME,
    why=_TEXTS,
    objectives=st.lists(_TEXTS, max_size=3).map(tuple),
    steps=st.lists(_steps(), max_size=4).map(tuple),
    limit=_TEXTS,
    remedy=_TEXTS,
    scalability=_TEXTS | _LAWS,
)


@settings(max_examples=40)
@given(_RESULTS)
def test_a_result_comes_back_as_it_was(result: CapacityResult) -> None:
    plain = result.to_dict()
    again = saved_capacity(json.loads(json.dumps(plain)))
    assert again is not None
    assert again == result
    assert again.to_dict() == plain


def test_a_search_without_an_answer_is_none() -> None:
    assert saved_capacity(None) is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("state",), "lost", "none of found, at_least"),
        (("capacity",), "381", "'381' is"),
        (("settings", "precision"), 7.0, "precision 700.00% is not"),
        (("settings", "by"), "users", "by: 'users' is none of rate, vus"),
        (("steps",), {}, "is no list"),
        (("steps", 3, "load"), None, "load: None is no number"),
        (("steps", 3, "outcome"), "fine", "none of good, bad, generator"),
        (("steps", 3, "objectives", 0, "ok"), 1, "ok: 1 is neither true nor false"),
        (("scalability",), [], "is no map"),
        (("scalability", "residuals"), [None], "residuals: None is no number"),
    ],
)
def test_a_damaged_result_is_an_error(path: tuple[str | int, ...], value: Any, message: str) -> None:
    plain: Any = json.loads(json.dumps(made_result().to_dict()))
    place = plain
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        saved_capacity(plain)


def test_a_summary_of_a_search_shows_its_answer() -> None:
    answer = "381/s within the objectives, and less than 398/s"
    assert repr(searched_run()) == f"<Summary passed, {searched_run().verdict.state}: capacity {answer}>"
