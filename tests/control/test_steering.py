"""What the parent tells its workers while a run lasts, in a time of the test's own."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.control.steering import FRAME_DELAY_S, Steering
from fastload.model.errors import ControlError
from fastload.model.frames import Frame
from fastload.model.load_models import (
    ConstantArrivalRate,
    ConstantVUs,
    Executor,
    ExternallyControlled,
    RampingVUs,
    Shape,
    SharedIterations,
)
from fastload.model.plan import Plan, ScenarioPlan

S = 1_000_000_000
LEAD = round(FRAME_DELAY_S * S)
START = 1000 * S


class Steered:
    """A `Steering` of *scenarios* and the frames that it sent."""

    def __init__(self, *scenarios: ScenarioPlan, warmup_s: float = 0.0) -> None:
        self.frames: list[Frame] = []
        plan = Plan("run", "test", scenarios, workers=2, warmup_s=warmup_s)
        self.steering = Steering(plan, self.frames.append)

    def take(self) -> list[tuple[str, Any]]:
        """The frames since the last call: their kind, and the VUs or the scenario that they are about."""
        taken = [(frame.kind, frame.body.get("vus", frame.body.get("scenario"))) for frame in self.frames]
        self.frames.clear()
        return taken

    def second(self, second: float) -> list[tuple[str, Any]]:
        """What is sent so long after the start."""
        self.steering.tick(START + round(second * S))
        return self.take()


def part(name: str, executor: Executor, *, after: str = "", start_s: float = 0.0) -> ScenarioPlan:
    return ScenarioPlan(name, executor, None, after=after, start_s=start_s)


def shaped(function: Callable[[float], Any], *, max_vus: int = 100, after: str = "", start_s: float = 0.0) -> Any:
    return part("shaped", Shape(function, max_vus=max_vus), after=after, start_s=start_s)


def test_a_shape_is_asked_once_a_second() -> None:
    asked: list[float] = []
    steered = Steered(shaped(lambda at_s: asked.append(at_s) or len(asked)))  # type: ignore[func-returns-value]
    steered.steering.start(START)
    assert steered.take() == [("scale", 1)]
    assert steered.steering.next_ns() == START + S
    for moment in (0.0, 0.5, 0.999):
        assert steered.second(moment) == []
    assert steered.second(1.0) == [("scale", 2)]
    assert steered.second(1.01) == []
    # A parent that was held up leaves seconds out, and does not ask twice.
    assert steered.second(4.2) == [("scale", 3)]
    assert steered.steering.next_ns() == START + 5 * S
    assert asked == [0.0, 1.0, 4.0]


def test_the_first_answer_is_there_before_a_shape_begins() -> None:
    steered = Steered(shaped(lambda _: 5, start_s=2.0), warmup_s=3.0)
    steered.steering.start(START)
    assert steered.take() == []
    assert steered.steering.next_ns() == START + 5 * S - LEAD
    assert steered.second(4.9) == []
    assert steered.second(5 - FRAME_DELAY_S) == [("scale", 5)]
    assert steered.steering.next_ns() == START + 6 * S
    assert steered.second(5.5) == []


def test_a_shape_ends_with_none_and_is_asked_no_more() -> None:
    steered = Steered(shaped(lambda at_s: 3 if at_s < 1 else None))
    steered.steering.start(START)
    assert steered.take() == [("scale", 3)]
    assert steered.second(1.0) == [("finish", "shaped")]
    assert steered.second(2.0) == []
    assert steered.steering.next_ns() is None
    assert steered.steering.error is None


def test_a_shape_that_raises_is_an_error_and_ends() -> None:
    def shape(at_s: float) -> int:
        raise KeyError(f"at {at_s}")

    steered = Steered(shaped(shape))
    steered.steering.start(START)
    assert steered.take() == [("finish", "shaped")]
    error = steered.steering.error
    assert error is not None
    assert error.hook == "shape of shaped"
    assert "KeyError: 'at 0.0'" in error.message
    assert "control/steering.py" not in error.message
    assert steered.second(1.0) == []


@pytest.mark.parametrize(
    ("wanted", "vus"),
    [
        ([10, 10, 4], [10, 10, 4]),
        ([2.4, 2.6, 0], [2, 3, 0]),
        ([(10, 3), (10, 3), (10, 3), (10, 3), (2, 5), (2, 5)], [3, 6, 9, 10, 5, 2]),
        ([(1, 0.4), (1, 0.6)], [1, 1]),
        ([(4, 0.5)] * 8 + [(1, 0.5)] * 6, [1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 2, 2, 1, 1]),
        ([(9, 1.5)] * 6, [2, 3, 5, 6, 8, 9]),
        ([(2, 0.1)] * 21, [1] * 10 + [2] * 11),
        ([(0.4, 0.3), (2.4, 0.9), (2.4, 0.9), (2.4, 0.9), (2.4, 0.9)], [0, 2, 2, 2, 2]),
        ([(np.int64(3), np.float64(1.5))] * 2, [2, 3]),
        ([99, 5], [20, 5]),
    ],
)
def test_what_a_shape_can_return(wanted: list[Any], vus: list[int]) -> None:
    steered = Steered(shaped(lambda at_s: wanted[int(at_s)], max_vus=20))
    steered.steering.start(START)
    sent = steered.take()
    for second in range(1, len(wanted)):
        sent += steered.second(second)
    assert sent == [("scale", each) for each in vus]
    assert len(steered.steering.notes) == (99 in wanted)


def test_more_than_max_vus_is_noted_once() -> None:
    steered = Steered(shaped(lambda _: 21, max_vus=20))
    steered.steering.start(START)
    steered.second(1.0)
    assert steered.steering.notes == ["the shape of shaped asked for more than its max_vus, 20: it got these"]


def test_time_stands_still_for_a_shape_in_a_pause() -> None:
    asked: list[float] = []
    steered = Steered(shaped(lambda at_s: asked.append(at_s) or 1))  # type: ignore[func-returns-value]
    steering = steered.steering
    steering.start(START)
    steering.pause(START + round(0.4 * S))
    assert steering.is_paused
    assert steering.next_ns() is None
    steered.second(5.0)
    assert steering.paused_ns(START + 5 * S) == round(4.6 * S)
    steering.resume(START + round(10.4 * S))
    assert steering.paused_ns(START + 20 * S) == 10 * S
    assert steering.next_ns() == START + 11 * S
    steered.second(10.9)
    assert asked == [0.0]
    steered.second(11.0)
    assert asked == [0.0, 1.0]


def test_a_slow_change_makes_up_for_seconds_that_were_left_out() -> None:
    steered = Steered(shaped(lambda _: (10, 0.5)))
    steered.steering.start(START)
    assert steered.take() == [("scale", 1)]
    assert steered.second(6.5) == [("scale", 4)]
    assert steered.second(7.0) == [("scale", 4)]
    assert steered.second(8.0) == [("scale", 5)]


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 20)), min_size=1, max_size=60))
def test_a_shape_never_changes_faster_than_it_says(asked: list[tuple[float, float]]) -> None:
    """Within any stretch of seconds the VUs move by what may be added or removed in them, and one for fractions."""
    steered = Steered(shaped(lambda at_s: asked[int(at_s)]))
    steered.steering.start(START)
    sent = [vus for _, vus in steered.take()]
    for second in range(1, len(asked)):
        sent += [vus for _, vus in steered.second(second)]
    assert len(sent) == len(asked)
    before = 0
    level = 0.0
    for vus, (target, per_s) in zip(sent, asked, strict=True):
        assert abs(vus - before) < per_s + 2
        level = min(target, level + per_s) if target > level else max(target, level - per_s)
        assert abs(vus - level) < 1, "a fraction is never lost and never made twice"
        before = vus


def test_a_pause_just_before_the_start_counts_from_there() -> None:
    steered = Steered(part("a", ConstantVUs(1, 1.0)))
    steered.steering.start(START)
    steered.steering.pause(START - S // 50)
    assert [(frame.kind, frame.body) for frame in steered.frames] == [("pause", {"at_ns": START})]
    assert steered.steering.paused_ns(START - 1) == 0
    assert steered.steering.paused_ns(START + S) == S
    steered.steering.resume(START + 2 * S)
    assert steered.steering.paused_ns(START + 9 * S) == 2 * S


def test_a_pause_that_is_over_before_the_start_does_not_count() -> None:
    steered = Steered(part("a", ConstantVUs(1, 1.0)))
    steered.steering.start(START)
    steered.steering.pause(START - S // 50)
    steered.steering.resume(START - S // 100)
    assert steered.steering.paused_ns(START + S) == 0


def test_pauses_before_the_start_do_not_count() -> None:
    steered = Steered(part("a", ConstantVUs(1, 1.0)))
    steered.steering.pause(START - 9 * S)
    assert steered.steering.is_paused
    assert steered.steering.paused_ns(START - S) == 0
    steered.steering.resume(START - S)
    steered.steering.start(START)
    assert steered.steering.paused_ns(START + S) == 0
    assert steered.take() == [], "workers have not begun"


def test_a_second_pause_or_resume_changes_nothing() -> None:
    steered = Steered(part("a", ConstantVUs(1, 1.0)))
    steered.steering.start(START)
    for moment in (1, 2):
        steered.steering.pause(START + moment * S)
    for moment in (3, 4):
        steered.steering.resume(START + moment * S)
    assert [kind for kind, _ in steered.take()] == ["pause", "resume"]
    assert steered.steering.paused_ns(START + 9 * S) == 2 * S


# Order.


def test_a_scenario_begins_when_the_one_before_has_ended_everywhere() -> None:
    once = SharedIterations(2, 2)
    steered = Steered(part("c", once, after="b"), part("a", once), part("b", once, after="a"))
    steered.steering.start(START)
    steered.steering.ended("a", 0, {0, 1}, START + S)
    assert steered.frames == []
    steered.steering.ended("a", 1, {0, 1}, START + 2 * S)
    (frame,) = steered.frames
    assert frame == Frame("begin", {"scenario": "b", "at_ns": START + 2 * S + LEAD})
    steered.take()
    steered.steering.ended("b", 1, {0, 1}, START + 3 * S)
    steered.steering.ended("b", 0, {0, 1}, START + 4 * S)
    assert steered.take() == [("begin", "c")]
    steered.steering.begin_successors({0, 1}, START + 5 * S)
    assert steered.take() == [], "no scenario begins twice"


def test_a_worker_that_is_lost_is_not_waited_for() -> None:
    once = SharedIterations(2, 2)
    steered = Steered(part("a", once), part("b", once, after="a"))
    steered.steering.start(START)
    steered.steering.ended("a", 1, {0, 1}, START + S)
    assert steered.take() == []
    steered.steering.begin_successors({1}, START + 2 * S)
    assert steered.take() == [("begin", "b")]


def test_a_shape_that_comes_after_another_scenario_counts_from_there() -> None:
    asked: list[float] = []
    shape = shaped(lambda at_s: asked.append(at_s) or 1, after="a", start_s=2.0)  # type: ignore[func-returns-value]
    steered = Steered(part("a", SharedIterations(2, 2)), shape)
    steered.steering.start(START)
    steered.second(5.0)
    assert asked == []
    steered.steering.ended("a", 0, {0}, START + 10 * S - LEAD)
    assert steered.steering.next_ns() == START + 12 * S - LEAD
    steered.second(11.9)
    assert asked == []
    steered.second(12.0)
    steered.second(13.0)
    assert asked == [0.0, 1.0]


@pytest.mark.parametrize("earlier_s", [0, 3])
def test_a_shape_that_could_begin_during_a_pause_waits_for_its_end(earlier_s: int) -> None:
    asked: list[float] = []
    shape = shaped(lambda at_s: asked.append(at_s) or 1, after="a")  # type: ignore[func-returns-value]
    steered = Steered(part("a", SharedIterations(2, 2)), shape)
    steering = steered.steering
    steering.start(START)
    if earlier_s:
        steering.pause(START + S)
        steering.resume(START + (1 + earlier_s) * S)
    steering.pause(START + 10 * S)
    # The last iterations, which were under way, end.
    steering.ended("a", 0, {0}, START + 14 * S - LEAD)
    steered.second(15.0)
    assert asked == []
    steering.resume(START + 20 * S)
    assert steering.next_ns() == START + 20 * S - LEAD
    steered.second(20.0)
    steered.second(20.9)
    assert asked == [0.0]
    steered.second(21.0)
    assert asked == [0.0, 1.0]


# Who asks for more.

VUS = part("vus", ConstantVUs(4, 10.0))
RATE = part("rate", ConstantArrivalRate(50.0, 10.0, 8))
STEERED = part("steered", ExternallyControlled(3, 10, 60.0))
FIXED = part("fixed", SharedIterations(4, 2))


@pytest.mark.parametrize(
    ("scenario", "asked", "sent", "now"),
    [
        (VUS, {"vus": 9}, {"vus": 9}, 9),
        (VUS, {"by": -2}, {"vus": 2}, 2),
        (VUS, {"by": -20}, {"vus": 0}, 0),
        (STEERED, {"by": 20}, {"vus": 10}, 10),
        (STEERED, {"vus": 10, "scenario": "steered"}, {"vus": 10}, 10),
        (RATE, {"rate": "2/s"}, {"rate_per_s": 2.0, "vus": None, "at_ns": START + LEAD}, 2.0),
        (RATE, {"rate": 0}, {"rate_per_s": 0.0, "vus": None, "at_ns": START + LEAD}, 0.0),
        (RATE, {"by": 25}, {"rate_per_s": 75.0, "vus": None, "at_ns": START + LEAD}, 75.0),
    ],
)
def test_scale(scenario: ScenarioPlan, asked: dict[str, Any], sent: dict[str, Any], now: float) -> None:
    steered = Steered(scenario, FIXED)
    found = steered.steering.scale(asked, START)
    (frame,) = steered.frames
    assert frame == Frame("scale", {"scenario": scenario.name, **sent})
    assert found.get("vus", found.get("rate_per_s")) == now
    assert found["can_scale"]
    assert steered.steering.scale({"by": 0}, START) == found


@pytest.mark.parametrize(
    ("scenarios", "asked", "message", "hint"),
    [
        ([VUS], {"rate": 5}, "vus is constant-vus: it has no rate to change", "give vus"),
        ([RATE], {"vus": 5}, "rate is constant-arrival-rate: it has no vus to change", "give rate"),
        ([STEERED], {"vus": 11}, "11 VUs are over the max_vus of steered, 10", "ask for fewer"),
        ([VUS, RATE], {"by": 1}, "the test has several scenarios", "say which: vus, rate"),
        ([VUS], {"by": 1, "scenario": "vuss"}, "there is no scenario 'vuss'", "did you mean 'vus'?"),
        ([FIXED], {"by": 1}, "fixed is shared-iterations, which follows its own schedule", "constant-vus"),
        ([VUS, FIXED], {"by": 1, "scenario": "fixed"}, "fixed is shared-iterations", "constant-vus"),
    ],
)
def test_what_cannot_be_scaled(scenarios: list[ScenarioPlan], asked: dict[str, Any], message: str, hint: str) -> None:
    steered = Steered(*scenarios)
    with pytest.raises(ControlError) as caught:
        steered.steering.scale(asked, START)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert steered.frames == []


def test_who_asks_goes_over_the_stages_of_vus() -> None:
    steered = Steered(part("ramp", RampingVUs(((10.0, 10), (10.0, 10)), 0)))
    steered.steering.start(START)
    assert steered.second(4.0) == []
    assert steered.steering.describe()[0]["vus"] == 4
    assert steered.steering.scale({"by": 2}, START + 6 * S)["vus"] == 8
    assert steered.take() == [("scale", 8)]
    assert steered.second(9.0) == []
    assert steered.steering.describe()[0]["vus"] == 8
    assert steered.steering.scale({"vus": 30}, START + 9 * S)["vus"] == 30
    assert steered.steering.max_vus == 30


def test_each_change_is_kept_with_its_time_and_who_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastload.model.load_changes.MOST_CHANGES", 4)
    steered = Steered(VUS, RATE, part("ramp", RampingVUs(((10.0, 10),), 0)))
    scale = steered.steering.scale
    scale({"vus": 5, "scenario": "vus"}, START - 9 * S, "the program")
    steered.steering.start(START)
    scale({"vus": 5, "scenario": "vus"}, START + S, "the keyboard")
    scale({"rate": "90/min", "scenario": "rate"}, START + 2 * S, "the dashboard")
    steered.steering.pause(START + 3 * S)
    steered.steering.resume(START + 5 * S)
    scale({"by": -2, "scenario": "ramp"}, START + 8 * S, "the control API")
    scale({"vus": 1, "scenario": "ramp"}, START + 8 * S, "the control API")
    with pytest.raises(ControlError):
        scale({"rate": 1, "scenario": "ramp"}, START + 8 * S, "the control API")
    scale({"vus": 2, "scenario": "ramp"}, START + 9 * S, "the control API")
    assert [tuple(change) for change in steered.steering.changes] == [
        (0.0, "vus", 4, 5, "VUs", "the program", 0),
        (2.0, "rate", 50.0, 1.5, "starts/s", "the dashboard", 1),
        (6.0, "ramp", 4, 1, "VUs", "the control API", 2),
        (7.0, "ramp", 1, 2, "VUs", "the control API", 3),
    ]
    assert steered.steering.changes.left_out == 1
    assert [change.after for change in steered.steering.take_changes()] == [5, 1.5, 4, 1, 2], "each is told once"
    assert steered.steering.take_changes() == []


def test_a_change_in_the_warm_up_is_what_the_measured_part_began_with() -> None:
    steered = Steered(VUS, warmup_s=3.0)
    steered.steering.start(START)
    steered.steering.scale({"vus": 8}, START + S)
    steered.steering.scale({"vus": 9}, START + 4 * S)
    assert [(change.t_s, change.after, change.number) for change in steered.steering.changes] == [(0, 8, 0), (1, 9, 1)]
    assert [change.t_s for change in steered.steering.take_changes()] == [1, 4], "events count from the start"


def test_what_is_over_cannot_be_scaled() -> None:
    late = part("late", ConstantVUs(1, 10.0), start_s=5.0)
    steered = Steered(VUS, late, warmup_s=3.0)
    steered.steering.start(START)
    steered.steering.pause(START + S)
    steered.steering.resume(START + 2 * S)
    assert steered.steering.scale({"by": 1, "scenario": "vus"}, START + 14 * S - 1)["vus"] == 5
    with pytest.raises(ControlError, match="the load of vus is over"):
        steered.steering.scale({"by": 1, "scenario": "vus"}, START + 14 * S)
    assert steered.steering.scale({"by": 1, "scenario": "late"}, START + 14 * S)["vus"] == 2
    assert [change.after for change in steered.steering.changes] == [5, 2]


@pytest.mark.parametrize("scenario", [VUS, part("ramp", RampingVUs(((10.0, 10),), 0))], ids=lambda one: one.name)
def test_the_limit_of_open_files_is_the_max_vus_of_what_has_none(
    scenario: ScenarioPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1064, 1064))
    steered = Steered(scenario)
    steered.steering.start(START)
    assert steered.steering.describe()[0]["max_vus"] == 2000
    with pytest.raises(ControlError) as caught:
        steered.steering.scale({"vus": 2001}, START + S)
    assert caught.value.message == f"2,001 VUs are over the max_vus of {scenario.name}, 2,000"
    assert "limit of open files" in caught.value.hint
    assert steered.steering.scale({"vus": 2000}, START + S)["vus"] == 2000
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, resource.RLIM_INFINITY))
    assert steered.steering.describe()[0]["max_vus"] == 1_000_000


def test_the_most_vus_there_can_be() -> None:
    steered = Steered(VUS, RATE, STEERED)
    assert steered.steering.max_vus == 4 + 8 + 10
    steered.steering.scale({"vus": 9, "scenario": "vus"}, START)
    steered.steering.scale({"vus": 2, "scenario": "steered"}, START)
    assert steered.steering.max_vus == 9 + 8 + 10
