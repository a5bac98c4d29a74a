"""The open model in virtual time: starts by the clock, what waits, what is dropped, pauses and changes of the rate."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastload.load.executors.base import ExecutionSegment, LoadExecutor
from fastload.load.executors.open_model import arrivals_of
from fastload.model import load_models
from fastload.model.schedule import share
from tests.load.executors.virtual import (
    NS_PER_S,
    NS_PER_US,
    Clock,
    Played,
    ScriptedWork,
    at,
    in_ns,
    play,
    stall,
    stop_at,
)

MS = 1_000_000
Specs = load_models.ConstantArrivalRate | load_models.RampingArrivalRate | load_models.Trace
quick = settings(max_examples=60)

rates = st.floats(0.5, 200.0) | st.integers(1, 100).map(float)
kinds: Any = st.sampled_from(["constant", "uniform", "poisson"])
lastings_us = st.lists(st.integers(100, 300_000), min_size=1, max_size=8)


def trace_of(due_ns: list[int], duration_s: float, max_vus: int, **more: Any) -> load_models.Trace:
    return load_models.Trace("test", np.array(sorted(due_ns), dtype=np.int64), duration_s, max_vus, **more)


@st.composite
def specs(draw: st.DrawFn, *, max_vus: st.SearchStrategy[int], when_busy: Any = "queue") -> Specs:
    most = draw(max_vus)
    kind = draw(st.sampled_from(["constant", "ramping", "trace"]))
    if kind == "constant":
        return load_models.ConstantArrivalRate(
            draw(rates), draw(st.floats(0.05, 2.0)), most, draw(kinds), when_busy=when_busy
        )
    if kind == "ramping":
        stages = draw(
            st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.7]), st.just(0.0) | rates), min_size=1, max_size=4)
        )
        assume(any(duration for duration, _ in stages))
        start_rate = draw(st.just(0.0) | rates)
        return load_models.RampingArrivalRate(tuple(stages), start_rate, most, draw(kinds), when_busy=when_busy)
    due_us = draw(st.lists(st.integers(0, 999_999), min_size=1, max_size=100))
    return trace_of([one * NS_PER_US for one in due_us], 1.0, most, when_busy=when_busy)


def due_in(spec: Specs, segment: ExecutionSegment, seed: str = "") -> list[int]:
    """When the starts of one worker are due."""
    mine = segment._replace(workers=min(segment.workers, spec.max_vus), seed=seed)
    if mine.worker >= mine.workers:
        return []
    arrivals = arrivals_of(spec, mine)
    due = []
    while (at_ns := arrivals.next_due_ns()) is not None:
        due.append(at_ns)
        arrivals.advance()
    return due


def served(
    due: list[int], slots: int, last: Callable[[int], int], end_ns: int, *, drops: bool
) -> list[tuple[int, int]]:
    """(due, start) of what *slots* serve until *end_ns*, in order; the oracle of what executors do."""
    free = [0] * slots
    begun: list[tuple[int, int]] = []
    for due_ns in due:
        if drops and free[0] > due_ns:
            continue
        start_ns = max(due_ns, free[0])
        # At the very end, rounding decides.
        assume(start_ns == due_ns or abs(start_ns - end_ns) > 10)
        if start_ns > end_ns:
            break
        heapq.heapreplace(free, start_ns + last(len(begun)))
        begun.append((due_ns, start_ns))
    return begun


def runs_of(spec: Specs, workers: int, lasting: Any, **more: Any) -> list[Played]:
    return [play(spec, lasting, worker=worker, workers=workers, **more) for worker in range(workers)]


class TestTheSchedule:
    @quick
    @given(spec=specs(max_vus=st.just(400)), workers=st.integers(1, 4))
    def test_every_start_is_on_time_while_slots_are_free(self, spec: Specs, workers: int) -> None:
        runs = runs_of(spec, workers, 1 * MS, lead_ns=in_ns(0.1), seed="5:visit")
        started = sorted(one.start_ns for run in runs for one in run.iterations)
        assert started == due_in(spec, ExecutionSegment(), "5:visit"), "the workers together start as one would"
        assert all(one.start_ns == one.due_ns for run in runs for one in run.iterations)
        assert sum(run.offered for run in runs) == len(started)
        assert not any(run.dropped or run.queued for run in runs)
        assert {run.ended_ns for run in runs} == {in_ns(spec.duration_s)}

    @quick
    @given(rate=st.floats(0.5, 400.0), duration_s=st.floats(0.05, 3.0))
    def test_a_constant_rate_starts_at_i_over_rate(self, rate: float, duration_s: float) -> None:
        run = play(load_models.ConstantArrivalRate(rate, duration_s, 10), 1 * MS)
        due = [round(i * NS_PER_S / rate) for i in range(math.ceil(duration_s * rate) + 1)]
        assert [one.start_ns for one in run.iterations] == [one for one in due if one < in_ns(duration_s)]
        assert abs(len(run.iterations) - rate * duration_s) < 1 + 1e-6

    @pytest.mark.parametrize(("rate", "duration_s", "starts"), [(100, 0.07, 7), (1000, 1.0, 1000), (3, 2.0, 6)])
    def test_rate_times_duration(self, rate: float, duration_s: float, starts: int) -> None:
        run = play(load_models.ConstantArrivalRate(rate, duration_s, 5), 1 * MS)
        assert len(run.iterations) == run.offered == starts

    @pytest.mark.parametrize("workers", [2, 3, 7])
    def test_workers_take_turns(self, workers: int) -> None:
        runs = runs_of(load_models.ConstantArrivalRate(1000.0, 0.5, 10 * workers), workers, 1 * MS)
        merged = sorted((one.start_ns, worker) for worker, run in enumerate(runs) for one in run.iterations)
        assert [start_ns for start_ns, _ in merged] == [i * MS for i in range(500)]
        assert [worker for _, worker in merged] == [i % workers for i in range(500)]

    def test_a_ramp_has_its_last_start_at_its_end(self) -> None:
        run = play(load_models.RampingArrivalRate(((1.0, 2.0), (0.0, 10.0), (0.3, 10.0)), 2.0, 5), 1 * MS)
        assert [one.start_ns for one in run.iterations] == [at * 100 * MS for at in (5, 10, 11, 12, 13)]

    def test_a_trace_is_followed_exactly(self) -> None:
        times = [0, 0, 1, 250 * MS, 250 * MS + 1, 999 * MS]
        run = play(trace_of(times, 1.0, 10), 1 * MS)
        assert [one.start_ns for one in run.iterations] == times
        parts = runs_of(trace_of(times, 1.0, 10), 2, 1 * MS)
        assert [[one.start_ns for one in segment.iterations] for segment in parts] == [times[::2], times[1::2]]

    @pytest.mark.parametrize("workers", [2, 4])
    def test_fewer_vus_than_workers(self, workers: int) -> None:
        runs = runs_of(load_models.ConstantArrivalRate(50.0, 1.0, 1), workers, 10 * MS)
        assert [run.work.slots for run in runs] == [1] + [0] * (workers - 1)
        assert [len(run.iterations) for run in runs] == [50] + [0] * (workers - 1)
        assert {run.ended_ns for run in runs} == {in_ns(1)}


class TestWhenBusy:
    @settings(max_examples=120)
    @given(spec=specs(max_vus=st.integers(1, 6)), workers=st.integers(1, 4), lasting_us=lastings_us)
    def test_starts_wait_in_order(self, spec: Specs, workers: int, lasting_us: list[int]) -> None:
        self.check(spec, workers, lasting_us)

    @settings(max_examples=120)
    @given(spec=specs(max_vus=st.integers(1, 6), when_busy="drop"), workers=st.integers(1, 4), lasting_us=lastings_us)
    def test_starts_are_dropped(self, spec: Specs, workers: int, lasting_us: list[int]) -> None:
        self.check(spec, workers, lasting_us)

    def check(self, spec: Specs, workers: int, lasting_us: list[int]) -> None:
        def last(number: int) -> int:
            return lasting_us[number % len(lasting_us)] * NS_PER_US

        drops = spec.when_busy == "drop"
        runs = runs_of(spec, workers, last, seed="s")
        for worker, run in enumerate(runs):
            segment = ExecutionSegment(worker, workers)
            due, slots = due_in(spec, segment, "s"), max(share(spec.max_vus, worker, workers), 0)
            begun = served(due, slots, last, in_ns(spec.duration_s), drops=drops) if due else []
            assert [(one.due_ns, one.start_ns) for one in run.iterations] == begun
            # Offered = started + dropped; what is left in line at the end is dropped.
            assert run.offered == len(due) == len(begun) + run.dropped
            late = sum(start_ns > due_ns for due_ns, start_ns in begun)
            assert run.queued == (0 if drops else late + run.dropped)
            assert not (drops and late)
            assert run.work.busiest <= run.work.slots <= slots
        assert sum(run.work.slots for run in runs) <= spec.max_vus

    def test_what_is_left_in_line_was_offered(self) -> None:
        run = play(load_models.ConstantArrivalRate(10.0, 1.0, 1), 300 * MS)
        starts = [(0, 0), (100 * MS, 300 * MS), (200 * MS, 600 * MS), (300 * MS, 900 * MS)]
        assert [(one.due_ns, one.start_ns) for one in run.iterations] == starts
        assert (run.offered, run.dropped, run.queued, run.over_ns) == (10, 6, 9, 1200 * MS)

    def test_drop_starts_nothing_late(self) -> None:
        run = play(load_models.ConstantArrivalRate(10.0, 1.0, 1, when_busy="drop"), 250 * MS)
        assert [one.start_ns for one in run.iterations] == [0, 300 * MS, 600 * MS, 900 * MS]
        assert (run.offered, run.dropped, run.queued) == (10, 6, 0)

    def test_stop_leaves_the_line_unstarted(self) -> None:
        run = play(load_models.ConstantArrivalRate(100.0, 9.0, 1), 60 * MS, script=stop_at(505 * MS, 1.0))
        assert len(run.iterations) == 9
        assert (run.offered, run.dropped, run.queued) == (51, 42, 50)
        assert run.over_ns == 540 * MS


class TestLate:
    def test_a_backlog_is_caught_up(self) -> None:
        def lasting_ns(number: int) -> int:
            return 500 * MS if number < 2 else 1 * MS

        run = play(load_models.ConstantArrivalRate(100.0, 2.0, 2), lasting_ns)
        assert len(run.iterations) == run.offered == 200
        late = [one for one in run.iterations if one.start_ns > one.due_ns]
        # The first slot is free at 500 ms and the second at 510 ms: 48 starts wait, 1 ms each.
        assert {one.due_ns for one in late[:48]} == {number * 10 * MS for number in range(2, 50)}
        assert all(one.start_ns == one.due_ns for one in run.iterations if one.due_ns > 600 * MS)
        assert run.queued == len(late)

    @pytest.mark.parametrize("when_busy", ["queue", "drop"])
    def test_a_stall_of_the_loop_is_caught_up_at_once(self, when_busy: load_models.WhenBusy) -> None:
        def script(clock: Clock, _executor: LoadExecutor, _work: ScriptedWork) -> None:
            stall(clock, 205 * MS, 700 * MS)

        spec = load_models.ConstantArrivalRate(100.0, 1.0, 100, when_busy=when_busy)
        run = play(spec, 1 * MS, script=script)
        assert len(run.iterations) == run.offered == 100
        for number, one in enumerate(run.iterations):
            assert one.due_ns == number * 10 * MS
            assert one.start_ns == (700 * MS if 205 * MS < one.due_ns < 700 * MS else one.due_ns)

    def test_after_a_stall_the_line_is_worked_off_by_who_is_there(self) -> None:
        def script(clock: Clock, _executor: LoadExecutor, _work: ScriptedWork) -> None:
            stall(clock, 205 * MS, 700 * MS)

        run = play(load_models.ConstantArrivalRate(100.0, 1.0, 5), 1 * MS, script=script)
        assert len(run.iterations) == run.offered == 100
        late = [one.start_ns for one in run.iterations if one.start_ns > one.due_ns]
        assert late[:50:5] == [(700 + turn) * MS for turn in range(10)], "five at a time"
        assert run.dropped == 0

    def test_a_stall_over_the_end_loses_no_start(self) -> None:
        def script(clock: Clock, _executor: LoadExecutor, _work: ScriptedWork) -> None:
            stall(clock, 905 * MS, 1500 * MS)

        run = play(load_models.ConstantArrivalRate(100.0, 1.0, 100), 1 * MS, script=script)
        assert len(run.iterations) == run.offered == 100
        assert [one.start_ns for one in run.iterations[91:]] == [1500 * MS] * 9

    def test_begun_late_it_starts_what_is_due_already(self) -> None:
        run = play(load_models.ConstantArrivalRate(100.0, 1.0, 100), 1 * MS, lead_ns=-255 * MS)
        assert len(run.iterations) == 100
        assert [one.start_ns for one in run.iterations[:26]] == [255 * MS] * 26
        assert all(one.start_ns == one.due_ns for one in run.iterations[26:])


def test_offered_is_taken_once() -> None:
    taken: list[int] = []

    def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
        for after_ms in (255, 505):
            at(clock, after_ms * MS, lambda: taken.append(executor.take_offered()))

    run = play(load_models.ConstantArrivalRate(100.0, 1.0, 10), 1 * MS, script=script)
    assert (*taken, run.offered) == (26, 25, 49)


@pytest.mark.parametrize(
    ("rate", "max_vus", "workers", "ready"),
    [(20, 100, 1, 10), (1000, 500, 1, 100), (1000, 500, 2, 50), (9e3, 5, 1, 5)],
)
def test_slots_are_made_before_the_start(rate: float, max_vus: int, workers: int, ready: int) -> None:
    made: list[int] = []

    def script(clock: Clock, _executor: LoadExecutor, work: ScriptedWork) -> None:
        at(clock, -1 * MS, lambda: made.append(work.slots))

    play(load_models.ConstantArrivalRate(rate, 0.01, max_vus), 1 * MS, workers=workers, script=script, lead_ns=9 * MS)
    assert made == [ready]


def test_ending_frees_every_slot() -> None:
    run: Played = play(load_models.ConstantArrivalRate(50.0, 1.0, 40), 700 * MS, graceful_stop_s=0.1)
    assert any(one.interrupted for one in run.iterations)
    assert len(run.work.closed) == run.work.slots


class TestPause:
    @quick
    @given(
        spec=specs(max_vus=st.just(400)),
        gaps_us=st.lists(st.integers(1, 900_000), min_size=2, max_size=6),
        workers=st.integers(1, 3),
    )
    def test_the_schedule_shifts_by_exactly_the_pauses(self, spec: Specs, gaps_us: list[int], workers: int) -> None:
        # Half a microsecond off, so that nothing is due at the very moment of a pause.
        times = [sum(gaps_us[: end + 1]) * NS_PER_US + 500 for end in range(len(gaps_us) // 2 * 2)]
        pauses = list(zip(times[::2], times[1::2], strict=True))

        def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            for pause_ns, resume_ns in pauses:
                at(clock, pause_ns, lambda: executor.pause(clock.now_ns))
                at(clock, resume_ns, lambda: executor.resume(clock.now_ns))

        def real(planned_ns: int) -> int:
            shifted_ns = planned_ns
            for pause_ns, resume_ns in pauses:
                if shifted_ns > pause_ns:
                    shifted_ns += resume_ns - pause_ns
            return shifted_ns

        due = due_in(spec, ExecutionSegment(), "p")
        assume(not any(abs(real(one) - moment) < 10 for one in (*due, in_ns(spec.duration_s)) for moment in times))
        runs = runs_of(spec, workers, 1 * MS, script=script, seed="p")
        started = sorted(one.start_ns for run in runs for one in run.iterations)
        assert started == [real(one) for one in due]
        assert all(one.start_ns == one.due_ns for run in runs for one in run.iterations), "none is late by the pause"
        assert {run.ended_ns for run in runs} == {real(in_ns(spec.duration_s))}

    def test_what_waits_waits_no_longer_for_it(self) -> None:
        def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            at(clock, 250 * MS, lambda: executor.pause(clock.now_ns))
            at(clock, 2250 * MS, lambda: executor.resume(clock.now_ns))

        # The slot is free 50 ms after the pause began, but the line stands still.
        run = play(load_models.ConstantArrivalRate(10.0, 0.5, 1), 300 * MS, script=script)
        starts = [(0, 0), (2100 * MS, 2250 * MS)]
        assert [(one.due_ns, one.start_ns) for one in run.iterations] == starts
        assert (run.offered, run.dropped, run.ended_ns) == (5, 3, 2500 * MS)

    def test_stop_while_paused_ends_at_once(self) -> None:
        def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            at(clock, 250 * MS, lambda: executor.pause(clock.now_ns))
            at(clock, 450 * MS, lambda: executor.stop(1.0))

        run = play(load_models.ConstantArrivalRate(10.0, 5.0, 9), 10 * MS, script=script)
        assert (len(run.iterations), run.offered, run.over_ns) == (3, 3, 450 * MS)


def set_now(executor: LoadExecutor, clock: Clock, rate: float) -> None:
    executor.set_rate(rate, clock.now_ns)


def scaled(*changes: tuple[int, float]) -> Any:
    """A script that sets the rate at moments after the start."""

    def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
        for after_ns, rate in changes:
            at(clock, after_ns, partial(set_now, executor, clock, rate))

    return script


class TestChangeOfRate:
    @pytest.mark.parametrize("workers", [1, 2, 3])
    def test_while_running(self, workers: int) -> None:
        spec = load_models.ConstantArrivalRate(10.0, 2.0, 90)
        runs = runs_of(spec, workers, 1 * MS, script=scaled((505 * MS, 100.0), (1005 * MS, 0.0), (1505 * MS, 10.0)))
        started = sorted(one.start_ns for run in runs for one in run.iterations)
        # 5.05 starts are due at the first change, 55.05 at the second, and then none until the third.
        first = [number * 100 * MS for number in range(6)]
        second = [505 * MS + round((number - 5.05) * 10 * MS) for number in range(6, 56)]
        third = [1505 * MS + round((number - 55.05) * 100 * MS) for number in range(56, 60)]
        assert started == pytest.approx(first + second + third, abs=2)
        assert sum(run.offered for run in runs) == 60

    def test_of_a_ramp_it_stays_until_the_end(self) -> None:
        run = play(load_models.RampingArrivalRate(((2.0, 40.0),), 0.0, 9), 1 * MS, script=scaled((1000 * MS, 10.0)))
        # Ten were due by then, and then ten a second.
        assert len(run.iterations) == 20
        assert run.iterations[-1].start_ns == pytest.approx(2000 * MS, abs=2)

    def test_before_the_start(self) -> None:
        spec = load_models.ConstantArrivalRate(10.0, 1.0, 9)
        run = play(spec, 1 * MS, script=scaled((-500 * MS, 20.0)), lead_ns=in_ns(1))
        assert [one.start_ns for one in run.iterations] == [number * 50 * MS for number in range(20)]
        assert play(spec, 1 * MS, script=scaled((-500 * MS, 0.0)), lead_ns=in_ns(1)).iterations == []

    def test_before_the_start_for_later(self) -> None:
        def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            executor.set_rate(1.0, clock.now_ns)
            at(clock, -500 * MS, lambda: executor.set_rate(20.0, clock.now_ns + 1000 * MS))

        run = play(load_models.ConstantArrivalRate(10.0, 1.0, 9), 1 * MS, script=script, lead_ns=in_ns(1))
        # Half a start in the first half, at one a second.
        assert [one.start_ns for one in run.iterations] == [0, *(525 * MS + number * 50 * MS for number in range(10))]

    def test_while_paused_it_counts_from_the_pause(self) -> None:
        def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            at(clock, 205 * MS, lambda: executor.pause(clock.now_ns))
            at(clock, 400 * MS, lambda: executor.set_rate(100.0, clock.now_ns))
            at(clock, 605 * MS, lambda: executor.resume(clock.now_ns))

        run = play(load_models.ConstantArrivalRate(10.0, 1.0, 9), 1 * MS, script=script)
        starts = [one.start_ns for one in run.iterations]
        assert starts[:3] == [0, 100 * MS, 200 * MS]
        # 2.05 starts were due when it was paused.
        assert starts[3:6] == pytest.approx([614_500_000, 624_500_000, 634_500_000], abs=2)
        assert run.ended_ns == 1400 * MS

    def test_a_trace_has_no_rate(self) -> None:
        def script(_clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            with pytest.raises(TypeError, match="follows its own schedule"):
                executor.set_rate(1.0, 0)

        play(trace_of([0], 1.0, 1), 1 * MS, script=script)
