"""The cost per request by made-up seconds: what is in it, what is left out, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from fastload.model.cost.cost_meter import CostMeter
from fastload.model.cost.target_cost import TargetCost
from fastload.model.metrics import Series
from fastload.model.records import Snapshot
from fastload.model.series import SeriesTable
from tests.model.cost.sampled_runs import PRIMED_S, ramp, sample, seconds, steady


def metered(run: Iterable[Snapshot], *, warmup_s: float = 0.0) -> CostMeter:
    meter = CostMeter(warmup_s)
    for second in run:
        meter.add(second)
    return meter


def cost(run: Iterable[Snapshot], *, warmup_s: float = 0.0) -> TargetCost:
    found = metered(run, warmup_s=warmup_s).cost()
    assert found is not None
    return found


def test_a_steady_run() -> None:
    found = cost(seconds({"/": steady(200)}, {"/": 2.5}, 10))
    # The time after the last sample that has counts of its own is left out.
    assert found.noun == "request"
    assert found.seconds == pytest.approx(9.2 + PRIMED_S)
    assert found.count == pytest.approx(9.2 * 200)
    assert found.cpu_ms == pytest.approx((2.5, 2.5, 2.5))
    assert found.per_core_per_s == pytest.approx((400, 400, 400))
    assert found.context_switches == pytest.approx(2.5, rel=0.01)
    assert found.disk_read_bytes == 0
    assert found.disk_written_bytes == pytest.approx(4096 / 200, rel=0.01)
    assert (found.sent_bytes, found.received_bytes) == pytest.approx((100, 300))
    assert (found.endpoints, found.refusal) == ((), "")


@pytest.mark.parametrize("lag_s", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize(("begin", "end"), [(0, 600), (600, 20)])
def test_a_ramp_does_not_bias_the_cost_however_late_the_sample_is(lag_s: float, begin: float, end: float) -> None:
    run = list(seconds({"/": ramp(begin, end, 12)}, {"/": 3.0}, 12, lag_s=lag_s))
    assert cost(run).cpu_ms.value == pytest.approx(3.0, rel=0.01)
    # Held against the counts of the same snapshots, it would be off by the lag.
    asked = sum(second.requests_per_s for second in run[1:-1])
    used_ms = sum(second.target.cpu_percent * 10 for second in run[1:-1] if second.target)
    assert lag_s < 0.2 or abs(used_ms / asked / 3.0 - 1) > 0.015


def test_endpoints_whose_shares_change_are_told_apart() -> None:
    totals = {"/a": ramp(20, 300, 20), "/b": ramp(200, 10, 20), "/c": steady(50)}
    cost_ms = {"/a": 0.5, "/b": 2.0, "/c": 4.0}
    run = list(seconds(totals, cost_ms, 20, noise=np.random.default_rng(5)))
    assert cost(run).refusal
    # Now the third one does not change in step with the others.
    totals["/c"] = lambda t_s: 50 * t_s + 30 * np.sin(t_s)
    found = cost(seconds(totals, cost_ms, 20, noise=np.random.default_rng(5)))
    assert found.refusal == ""
    assert [one.name for one in found.endpoints] == ["/c", "/b", "/a"]
    assert sum(one.share for one in found.endpoints) == pytest.approx(1)
    for one in found.endpoints:
        truth = cost_ms[one.name]
        assert one.cpu_ms.value == pytest.approx(truth, rel=0.15)
        assert one.cpu_ms.low is not None
        assert one.cpu_ms.high is not None
        assert one.cpu_ms.low <= truth <= one.cpu_ms.high
        assert (one.kind, one.method) == ("request", "GET")


def test_the_truth_is_within_the_intervals_as_often_as_they_say() -> None:
    truth = {"/a": 1.0, "/b": 3.0}
    inside = total = 0
    for seed in range(100):
        chance = np.random.default_rng(seed)
        totals = {"/a": ramp(chance.uniform(10, 100), chance.uniform(100, 300), 20), "/b": ramp(150, 20, 20)}
        found = cost(seconds(totals, truth, 20, noise=chance))
        assert found.endpoints, found.refusal
        for one in found.endpoints:
            inside += (one.cpu_ms.low or 0) <= truth[one.name] <= (one.cpu_ms.high or 0)
            total += 1
    assert inside / total >= 0.9


@pytest.mark.parametrize(
    ("totals", "duration_s", "noise", "refusal"),
    [
        ({"/a": steady(50), "/b": steady(100)}, 20, False, "their shares were the same in all seconds"),
        ({"/a": ramp(5, 50, 20), "/b": ramp(10, 100, 20)}, 20, False, "their shares were the same in all seconds"),
        ({"/a": ramp(5, 50, 20), "/b": ramp(10.2, 99, 20)}, 20, True, "their shares hardly changed"),
        ({"/a": ramp(5, 50, 8), "/b": steady(100)}, 8, False, "7 seconds can be used, and 2 endpoints need 10"),
        ({f"/{n}": ramp(5, 50 + n, 20) for n in range(21)}, 20, False, "there are 21 endpoints, and at most 20"),
    ],
)
def test_what_the_seconds_do_not_tell_is_refused(
    totals: dict[str, object], duration_s: int, noise: bool, refusal: str
) -> None:
    chance = np.random.default_rng(1) if noise else None
    found = cost(seconds(totals, dict.fromkeys(totals, 1.5), duration_s, noise=chance))  # type: ignore[arg-type]
    assert found.refusal.startswith(refusal)
    assert found.endpoints == ()
    assert found.cpu_ms.value == pytest.approx(1.5, rel=0.05)


def test_cpu_time_that_the_requests_do_not_explain_is_refused() -> None:
    chance = np.random.default_rng(2)
    run = [
        replace(second, target=replace(second.target, cpu_percent=second.target.cpu_percent + chance.exponential(60)))
        for second in seconds({"/a": ramp(5, 50, 15), "/b": ramp(40, 10, 15)}, {"/a": 1.0, "/b": 1.0}, 15)
        if second.target
    ]
    assert cost(run).refusal.startswith("the CPU time of the seconds varies too much")


def test_the_warm_up_is_left_out() -> None:
    cold = [
        replace(second, target=replace(second.target, cpu_percent=90.0)) if number < 3 and second.target else second
        for number, second in enumerate(seconds({"/": steady(100)}, {"/": 2.0}, 10, warmup_s=3))
    ]
    found = cost(cold, warmup_s=3)
    assert found.cpu_ms.value == pytest.approx(2.0)
    # From 3.2 s, which is after the sample that has some of the warm-up, to 9.2 s.
    assert found.seconds == pytest.approx(6.0)


def test_a_second_with_requests_of_after_the_last_start_is_left_out() -> None:
    run = [
        replace(second, late={"http_reqs": 5.0}) if number == 7 else second
        for number, second in enumerate(seconds({"/": steady(100)}, {"/": 2.0}, 10))
    ]
    # The samples until 7.2 s and until 8.2 s have a part of it.
    assert cost(run).seconds == pytest.approx(9.2 + PRIMED_S - 2)


def test_a_second_in_which_the_target_did_not_run_is_left_out() -> None:
    run = list(seconds({"/": steady(100)}, {"/": 2.0}, 10))
    run[4] = replace(run[4], target=sample(5.25, 3.0, alive=False))
    found = cost(run)
    assert found.cpu_ms.value == pytest.approx(2.0)
    assert found.seconds == pytest.approx(9.2 + PRIMED_S - 2)


def test_a_second_with_a_pause_is_left_out() -> None:
    run = []
    for number, second in enumerate(seconds({"/": steady(100)}, {"/": 2.0}, 10)):
        assert second.target is not None
        # Three seconds in which the clock of the run stood still, and that of the sampler did not.
        target = second.target
        if number == 5:
            target = replace(target, cpu_percent=target.cpu_percent / 4)
        run.append(replace(second, target=replace(target, t_s=target.t_s + (3 if number >= 5 else 0))))
    found = cost(run)
    assert found.cpu_ms.value == pytest.approx(2.0)
    assert found.seconds == pytest.approx(9.2 + PRIMED_S - 1)


def test_a_sample_that_had_to_wait_for_a_cpu_is_held_against_its_own_time() -> None:
    """The snapshot begins when it is due; its sample is up to 0.3 s later, each time another time."""
    chance = np.random.default_rng(4)
    of = ramp(0, 300, 20)
    run, sampled_s = [], -PRIMED_S
    for number, second in enumerate(seconds({"/": of}, {"/": 3.0}, 20), 1):
        at_s = second.elapsed_s + (chance.uniform(0, 0.3) if number > 1 else 0.0)
        used_ms = 3.0 * (of(at_s) - of(sampled_s))
        target = sample(at_s + PRIMED_S, used_ms / 10 / (at_s - sampled_s))
        run.append(replace(second, target=target))
        sampled_s = at_s
    found = cost(run)
    assert found.cpu_ms == pytest.approx((3.0, 3.0, 3.0), rel=0.01)
    assert found.seconds > 19


def test_a_second_without_load_costs_no_request_anything() -> None:
    run = list(seconds({"/": lambda t_s: 100 * min(t_s, 5.0)}, {"/": 2.0}, 10))
    idle = [replace(one, target=replace(one.target, cpu_percent=40.0)) for one in run[6:] if one.target]
    found = cost(run[:6] + idle)
    assert found.cpu_ms.value == pytest.approx(2.0)
    assert found.seconds == pytest.approx(5.2 + PRIMED_S)


def test_a_parent_that_is_late_makes_longer_seconds() -> None:
    run = list(seconds({"/": ramp(10, 200, 10)}, {"/": 2.0}, 10))
    first, second = run[4], run[5]
    assert first.target is not None
    assert second.target is not None
    whole = SeriesTable.merged([first.table, second.table])
    both = (first.target.cpu_percent + second.target.cpu_percent) / 2
    requests_per_s = (first.requests_per_s + second.requests_per_s) / 2
    run[4:6] = [
        replace(
            second,
            span_s=2.0,
            table=whole,
            requests_per_s=requests_per_s,
            target=replace(second.target, cpu_percent=both),
        )
    ]
    found = cost(run)
    assert found.cpu_ms.value == pytest.approx(2.0, rel=0.01)
    assert found.seconds == pytest.approx(9.2 + PRIMED_S)


def test_calls_and_messages_where_there_are_no_requests() -> None:
    calls, messages = SeriesTable(), SeriesTable()
    calls.rate(Series.of("call_failed", name_="query")).total = 50
    for metric in ("ws_msgs_sent", "ws_msgs_received"):
        messages.counter(Series(metric)).value = 25
    messages.counter(Series("data_received")).value = 1000
    for table, noun in ((calls, "call"), (messages, "message")):
        found = cost(replace(one, table=table) for one in seconds({"/": steady(50)}, {"/": 2.0}, 5))
        assert found.noun == noun
        assert found.cpu_ms.value == pytest.approx(2.0)
    assert found.received_bytes == pytest.approx(20)


def test_there_is_no_cost_without_a_target_or_without_load() -> None:
    assert CostMeter(0.0).cost() is None
    assert metered(replace(one, target=None) for one in seconds({"/": steady(50)}, {"/": 2.0}, 5)).cost() is None
    assert metered(seconds({"/": steady(0)}, {"/": 2.0}, 5)).cost() is None


def test_few_seconds_have_no_interval_and_an_idle_target_carries_any_number() -> None:
    found = cost(seconds({"/": steady(100)}, {"/": 2.0}, 3))
    assert found.cpu_ms.value == pytest.approx(2.0)
    assert found.cpu_ms[1:] == (None, None)
    assert found.per_core_per_s is not None
    assert found.per_core_per_s[1:] == (None, None)
    assert cost(seconds({"/": steady(100)}, {"/": 0.0}, 8)).per_core_per_s is None


def test_disk_figures_that_one_second_lacks_are_not_known() -> None:
    run = list(seconds({"/": steady(100)}, {"/": 2.0}, 6))
    assert run[2].target is not None
    run[2] = replace(run[2], target=replace(run[2].target, disk_read_bytes_per_s=None, disk_written_bytes_per_s=None))
    found = cost(run)
    assert (found.disk_read_bytes, found.disk_written_bytes) == (None, None)


def test_a_long_run_has_the_same_cost_in_bounded_memory() -> None:
    totals = {"/a": lambda t_s: 50 * t_s + 400 * np.sin(t_s / 40), "/b": lambda t_s: 50 * t_s + 500 * np.cos(t_s / 90)}
    meter = metered(seconds(totals, {"/a": 1.0, "/b": 4.0}, 5000, noise=np.random.default_rng(3)))
    assert len(meter._rows.rows) <= 1024
    found = meter.cost()
    assert found is not None
    assert found.seconds == pytest.approx(4999.2 + PRIMED_S)
    assert {one.name: one.cpu_ms.value for one in found.endpoints} == pytest.approx({"/a": 1.0, "/b": 4.0}, rel=0.03)
