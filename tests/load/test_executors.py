"""Executors in virtual time: nothing here waits, and every moment is exact to the nanosecond."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastload.load.executor import LoadExecutor
from fastload.load.executors import warm_up_spec
from fastload.model import load_models
from fastload.model.schedule import Stage, share, vu_changes, vus_at
from tests.load.virtual import NS_PER_S, NS_PER_US, Clock, Played, ScriptedWork, at, play, stall

MS = 1_000_000
quick = settings(max_examples=60, deadline=None)


def in_ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def stop_at(after_ns: int, grace_s: float) -> Any:
    """A script that stops the executor *after_ns* after its start."""

    def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
        at(clock, after_ns, lambda: executor.stop(grace_s))

    return script


class TestConstantVUs:
    @quick
    @given(
        vus=st.integers(1, 8),
        lasting_us=st.integers(1_000, 400_000),
        duration_us=st.integers(1_000, 1_500_000),
        workers=st.integers(1, 3),
    )
    def test_every_slot_iterates_without_a_pause(
        self, vus: int, lasting_us: int, duration_us: int, workers: int
    ) -> None:
        assume(duration_us % lasting_us)
        lasting_ns, duration_ns = lasting_us * NS_PER_US, duration_us * NS_PER_US
        runs = [
            play(load_models.ConstantVUs(vus, duration_us / 1e6), lasting_ns, worker=worker, workers=workers)
            for worker in range(workers)
        ]
        iterations = [one for run in runs for one in run.iterations]
        assert len(iterations) == vus * math.ceil(duration_ns / lasting_ns)
        assert sum(one.end_ns <= duration_ns for one in iterations) == vus * (duration_ns // lasting_ns)
        for worker, run in enumerate(runs):
            mine = share(vus, worker, workers)
            assert run.ended_ns == duration_ns
            assert {run.work.running_at(t * duration_ns // 7) for t in range(7)} == {mine}
            assert run.offered == 0
            for slot in range(mine):
                starts = [one.start_ns for one in run.iterations if one.slot == slot]
                assert starts == list(range(0, duration_ns, lasting_ns))

    def test_the_end_waits_for_iterations_that_run(self) -> None:
        run = play(load_models.ConstantVUs(2, 1.0), 300 * MS)
        assert (run.ended_ns, run.over_ns) == (in_ns(1.0), in_ns(1.2))
        assert not any(one.interrupted for one in run.iterations)

    def test_grace_interrupts_what_runs_on(self) -> None:
        run = play(load_models.ConstantVUs(2, 1.0), in_ns(5), graceful_stop_s=0.25)
        assert [(one.end_ns, one.interrupted) for one in run.iterations] == [(in_ns(1.25), True)] * 2
        assert run.over_ns == in_ns(1.25)

    def test_without_grace_the_end_interrupts_at_once(self) -> None:
        run = play(load_models.ConstantVUs(3, 1.0), in_ns(5), graceful_stop_s=0.0)
        assert {one.end_ns for one in run.iterations} == {in_ns(1.0)}
        assert run.over_ns == in_ns(1.0)

    def test_it_waits_for_the_common_start(self) -> None:
        run = play(load_models.ConstantVUs(2, 1.0), 300 * MS, lead_ns=in_ns(0.7))
        assert {one.start_ns for one in run.iterations[:2]} == {0}

    def test_a_worker_without_a_share_waits_for_the_end(self) -> None:
        run = play(load_models.ConstantVUs(1, 1.0), 300 * MS, worker=1, workers=2)
        assert run.iterations == []
        assert run.ended_ns == in_ns(1.0)


class TestStop:
    @pytest.mark.parametrize(
        "spec",
        [
            load_models.ConstantVUs(3, 10.0),
            load_models.RampingVUs(((1.0, 3), (9.0, 3)), 3),
            load_models.SharedIterations(3, 1000, 10.0),
            load_models.ConstantArrivalRate(7.0, 10.0, 3),
        ],
        ids=lambda spec: spec.name,
    )
    @pytest.mark.parametrize(("grace_s", "over_s"), [(0.0, 2.0), (0.25, 2.25), (5.0, 2.9)])
    def test_stop_starts_nothing_more(self, spec: load_models.Executor, grace_s: float, over_s: float) -> None:
        run = play(spec, 900 * MS, script=stop_at(in_ns(2.0), grace_s))
        assert run.ended_ns == in_ns(2.0)
        assert run.over_ns <= in_ns(over_s)
        assert max(one.start_ns for one in run.iterations) < in_ns(2.0)
        interrupted = [one for one in run.iterations if one.interrupted]
        assert all(one.end_ns == in_ns(2.0 + grace_s) for one in interrupted)
        assert bool(interrupted) == (grace_s < 0.9)

    def test_stop_cannot_lengthen_the_graceful_time(self) -> None:
        run = play(load_models.ConstantVUs(1, 10.0), in_ns(50), script=stop_at(in_ns(2.0), 20.0), graceful_stop_s=1.0)
        assert run.over_ns == in_ns(3.0)

    def test_stop_before_the_start_starts_nothing(self) -> None:
        run = play(
            load_models.ConstantVUs(3, 10.0),
            900 * MS,
            script=stop_at(-in_ns(0.5), 5.0),
            lead_ns=in_ns(1),
        )
        assert run.iterations == []
        assert run.over_ns == -in_ns(0.5)


class TestSharedIterations:
    @quick
    @given(
        iterations=st.integers(1, 60),
        vus=st.integers(1, 12),
        workers=st.integers(1, 4),
        lasting_us=st.lists(st.integers(1, 200_000), min_size=1, max_size=20),
    )
    def test_exactly_as_many_as_asked_for(self, iterations: int, vus: int, workers: int, lasting_us: list[int]) -> None:
        assume(vus >= workers)
        spec = load_models.SharedIterations(vus, iterations)
        runs = [
            play(spec, lambda number: lasting_us[number % len(lasting_us)] * NS_PER_US, worker=worker, workers=workers)
            for worker in range(workers)
        ]
        assert sum(len(run.iterations) for run in runs) == iterations
        assert not any(one.interrupted for run in runs for one in run.iterations)
        for worker, run in enumerate(runs):
            assert len(run.iterations) == share(iterations, worker, workers)
            assert run.work.slots <= share(vus, worker, workers)
            last_ns = max((one.end_ns for one in run.iterations), default=0)
            assert run.ended_ns == run.over_ns == last_ns, "it ends with the last iteration"

    def test_whoever_is_free_takes_the_next(self) -> None:
        # The first iteration occupies one slot for as long as the other one makes nine.
        run = play(load_models.SharedIterations(2, 10), lambda number: 1000 * MS if number == 0 else 100 * MS)
        assert [sum(one.slot == slot for one in run.iterations) for slot in (0, 1)] == [1, 9]
        assert run.over_ns == in_ns(1.0)

    def test_slots_that_find_nothing_left_do_not_end_it(self) -> None:
        # All but the first are so short that they are over before the last of the many slots is started.
        spec = load_models.SharedIterations(200, 200)
        run = play(spec, lambda number: in_ns(1) if number == 0 else 0, graceful_stop_s=0.0)
        assert len(run.iterations) == 200
        assert (run.ended_ns, run.over_ns) == (in_ns(1), in_ns(1))
        assert not any(one.interrupted for one in run.iterations)

    def test_no_more_slots_than_iterations(self) -> None:
        assert play(load_models.SharedIterations(10, 3), 100 * MS).work.slots == 3

    def test_the_longest_duration_ends_it(self) -> None:
        run = play(load_models.SharedIterations(2, 100, 1.0), 300 * MS)
        assert len(run.iterations) == 2 * 4
        assert (run.ended_ns, run.over_ns) == (in_ns(1.0), in_ns(1.2))


stages_of = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8)), min_size=1, max_size=5)


class TestRampingVUs:
    @settings(max_examples=30, deadline=None)
    @given(stages=stages_of, start_vus=st.integers(0, 6), workers=st.integers(1, 3))
    def test_the_number_of_slots_follows_the_stages(
        self, stages: list[tuple[int, int]], start_vus: int, workers: int
    ) -> None:
        ramp: tuple[Stage, ...] = tuple((float(seconds), target) for seconds, target in stages)
        spec = load_models.RampingVUs(ramp, start_vus)
        assume(spec.duration_s > 0)
        runs = [play(spec, 5 * MS, worker=worker, workers=workers) for worker in range(workers)]
        moments = [at_s for at_s, _ in vu_changes(start_vus, ramp)] + [spec.duration_s]
        for before_s, after_s in itertools.pairwise(moments):
            if after_s - before_s < 0.010:
                continue
            for near_s in (before_s + 0.006, (before_s + after_s) / 2, after_s - 0.0005):
                wanted = vus_at(start_vus, ramp, near_s)
                for worker, run in enumerate(runs):
                    assert run.work.running_at(in_ns(near_s)) == share(wanted, worker, workers)
        for run in runs:
            assert run.ended_ns == in_ns(spec.duration_s)

    def test_every_step_is_on_time(self) -> None:
        run = play(load_models.RampingVUs(((1.0, 4), (1.0, 4)), 0), in_ns(10), graceful_stop_s=0.0)
        assert [one.start_ns for one in run.iterations] == [125 * MS, 375 * MS, 625 * MS, 875 * MS]

    def test_a_stage_of_no_time_jumps(self) -> None:
        run = play(load_models.RampingVUs(((0.0, 5), (1.0, 5), (0.0, 2), (1.0, 2)), 1), 10 * MS)
        counts = [run.work.running_at(in_ns(at_s)) for at_s in (0.0, 0.995, 1.015, 1.995)]
        assert counts == [5, 5, 2, 2]

    def test_a_user_who_leaves_finishes_the_iteration(self) -> None:
        run = play(load_models.RampingVUs(((1.0, 2), (0.0, 0), (9.0, 0)), 2), in_ns(3))
        assert [(one.start_ns, one.end_ns, one.interrupted) for one in run.iterations] == [(0, in_ns(3), False)] * 2

    def test_a_user_who_takes_too_long_to_leave_is_interrupted(self) -> None:
        run = play(load_models.RampingVUs(((1.0, 2), (0.0, 1), (9.0, 1)), 2), in_ns(30), graceful_stop_s=1.5)
        ends = sorted((one.end_ns, one.interrupted) for one in run.iterations)
        assert ends == [(in_ns(2.5), True), (in_ns(11.5), True)]

    def test_the_time_to_leave_goes_on_after_the_end(self) -> None:
        run = play(load_models.RampingVUs(((1.0, 2), (0.0, 1), (1.0, 1)), 2), in_ns(30), graceful_stop_s=1.5)
        ends = sorted((one.end_ns, one.interrupted) for one in run.iterations)
        assert ends == [(in_ns(2.5), True), (in_ns(3.5), True)]

    def test_leaving_twice_has_the_whole_graceful_time_twice(self) -> None:
        # One slot leaves at 1 s and ends at 1.5 s; taken again at 2 s, it leaves at 3 s and ends at 3.5 s.
        ramp = ((1.0, 1), (0.0, 0), (1.0, 0), (0.0, 1), (1.0, 1), (0.0, 0), (9.0, 0))
        run = play(load_models.RampingVUs(ramp, 1), 1500 * MS, graceful_stop_s=2.3)
        expected = [(0, in_ns(1.5), False), (in_ns(2), in_ns(3.5), False)]
        assert [(one.start_ns, one.end_ns, one.interrupted) for one in run.iterations] == expected
        assert {one.slot for one in run.iterations} == {0}

    def test_slots_are_used_again(self) -> None:
        ramp = ((0.5, 4), (0.5, 0)) * 3
        assert play(load_models.RampingVUs(ramp, 0), 10 * MS).work.slots == 4


def starts_of(spec: load_models.ConstantArrivalRate) -> list[int]:
    """When the starts of all workers are due: i / rate, below the duration."""
    due = [round(i * NS_PER_S / spec.rate_per_s) for i in range(math.ceil(spec.duration_s * spec.rate_per_s) + 1)]
    return [at_ns for at_ns in due if at_ns < in_ns(spec.duration_s)]


def queue_of(spec: load_models.ConstantArrivalRate, lasting_ns: int) -> list[int]:
    """When each start begins on ``max_vus`` slots that serve in order; those after the end stay in line."""
    free = [0] * spec.max_vus
    begun = []
    for due_ns in starts_of(spec):
        start_ns = max(due_ns, heapq.heappop(free))
        assume(start_ns != in_ns(spec.duration_s))
        if start_ns > in_ns(spec.duration_s):
            break
        begun.append(start_ns)
        heapq.heappush(free, start_ns + lasting_ns)
    return begun


rates = st.floats(0.5, 400.0)


class TestConstantArrivalRate:
    @quick
    @given(rate=rates, duration_s=st.floats(0.05, 3.0), workers=st.integers(1, 4))
    def test_every_start_is_on_time_while_slots_are_free(self, rate: float, duration_s: float, workers: int) -> None:
        spec = load_models.ConstantArrivalRate(rate, duration_s, 10 * workers)
        runs = [play(spec, 1 * MS, worker=worker, workers=workers, lead_ns=in_ns(0.1)) for worker in range(workers)]
        started = sorted(one.start_ns for run in runs for one in run.iterations)
        assert started == starts_of(spec)
        assert all(one.start_ns == one.due_ns for run in runs for one in run.iterations)
        assert sum(run.offered for run in runs) == len(started)
        assert not any(run.dropped for run in runs)
        assert abs(len(started) - rate * duration_s) < 1 + 1e-6

    @pytest.mark.parametrize(("rate", "duration_s", "starts"), [(100, 0.07, 7), (1000, 1.0, 1000), (3, 2.0, 6)])
    def test_rate_times_duration(self, rate: float, duration_s: float, starts: int) -> None:
        run = play(load_models.ConstantArrivalRate(rate, duration_s, 5), 1 * MS)
        assert len(run.iterations) == run.offered == starts

    @pytest.mark.parametrize("workers", [2, 3, 7])
    def test_workers_take_turns(self, workers: int) -> None:
        spec = load_models.ConstantArrivalRate(1000.0, 0.5, 10 * workers)
        runs = [play(spec, 1 * MS, worker=worker, workers=workers) for worker in range(workers)]
        merged = sorted((one.start_ns, worker) for worker, run in enumerate(runs) for one in run.iterations)
        assert [start_ns for start_ns, _ in merged] == [i * MS for i in range(500)]
        assert [worker for _, worker in merged] == [i % workers for i in range(500)]

    @quick
    @given(rate=rates, duration_s=st.floats(0.05, 2.0), max_vus=st.integers(1, 6), lasting_us=st.integers(100, 400_000))
    def test_starts_queue_in_order_when_all_slots_are_busy(
        self, rate: float, duration_s: float, max_vus: int, lasting_us: int
    ) -> None:
        spec = load_models.ConstantArrivalRate(rate, duration_s, max_vus)
        lasting_ns = lasting_us * NS_PER_US
        expected = queue_of(spec, lasting_ns)
        run = play(spec, lasting_ns)
        assert [one.start_ns for one in run.iterations] == expected
        assert [one.due_ns for one in run.iterations] == starts_of(spec)[: len(expected)]
        assert all(one.start_ns >= one.due_ns for one in run.iterations)
        assert run.offered == len(starts_of(spec)) == len(expected) + run.dropped
        assert run.work.slots <= max_vus
        assert run.work.busiest <= max_vus

    def test_what_is_left_in_line_was_offered(self) -> None:
        run = play(load_models.ConstantArrivalRate(10.0, 1.0, 1), 300 * MS)
        assert [(one.due_ns, one.start_ns) for one in run.iterations] == [
            (0, 0),
            (100 * MS, 300 * MS),
            (200 * MS, 600 * MS),
            (300 * MS, 900 * MS),
        ]
        assert (run.offered, run.dropped, run.over_ns) == (10, 6, 1200 * MS)

    def test_a_backlog_is_caught_up(self) -> None:
        def lasting_ns(number: int) -> int:
            return 500 * MS if number < 2 else 1 * MS

        run = play(load_models.ConstantArrivalRate(100.0, 2.0, 2), lasting_ns)
        assert len(run.iterations) == run.offered == 200
        late = [one for one in run.iterations if one.start_ns > one.due_ns]
        # The first slot is free at 500 ms and the second at 510 ms: 48 starts wait, 1 ms each.
        assert {one.due_ns for one in late[:48]} == {number * 10 * MS for number in range(2, 50)}
        assert all(one.start_ns == one.due_ns for one in run.iterations if one.due_ns > 600 * MS)

    def test_a_stall_of_the_loop_is_caught_up_at_once(self) -> None:
        def script(clock: Clock, _executor: LoadExecutor, _work: ScriptedWork) -> None:
            stall(clock, 205 * MS, 700 * MS)

        run = play(load_models.ConstantArrivalRate(100.0, 1.0, 100), 1 * MS, script=script)
        assert len(run.iterations) == run.offered == 100
        for number, one in enumerate(run.iterations):
            assert one.due_ns == number * 10 * MS
            assert one.start_ns == (700 * MS if 205 * MS < one.due_ns < 700 * MS else one.due_ns)

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

    def test_offered_is_taken_once(self) -> None:
        taken: list[int] = []

        def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            for after_ms in (255, 505):
                at(clock, after_ms * MS, lambda: taken.append(executor.take_offered()))

        run = play(load_models.ConstantArrivalRate(100.0, 1.0, 10), 1 * MS, script=script)
        assert (*taken, run.offered) == (26, 25, 49)

    def test_stop_leaves_the_line_unstarted(self) -> None:
        run = play(load_models.ConstantArrivalRate(100.0, 9.0, 1), 60 * MS, script=stop_at(505 * MS, 1.0))
        assert len(run.iterations) == 9
        assert (run.offered, run.dropped) == (51, 42)
        assert run.over_ns == 540 * MS


class TestReadySlots:
    @pytest.mark.parametrize(
        ("rate", "max_vus", "workers", "ready"),
        [(20, 100, 1, 10), (1000, 500, 1, 100), (1000, 500, 2, 50), (9e3, 5, 1, 5)],
    )
    def test_an_open_model_makes_slots_before_the_start(
        self, rate: float, max_vus: int, workers: int, ready: int
    ) -> None:
        made: list[int] = []

        def script(clock: Clock, _executor: LoadExecutor, work: ScriptedWork) -> None:
            at(clock, -1 * MS, lambda: made.append(work.slots))

        play(
            load_models.ConstantArrivalRate(rate, 0.01, max_vus), 1 * MS, workers=workers, script=script, lead_ns=9 * MS
        )
        assert made == [ready]


def test_ending_frees_every_slot() -> None:
    run: Played = play(load_models.ConstantArrivalRate(50.0, 1.0, 40), 700 * MS, graceful_stop_s=0.1)
    assert any(one.interrupted for one in run.iterations)
    assert len(run.work.closed) == run.work.slots


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (load_models.ConstantVUs(7, 60.0), load_models.ConstantVUs(7, 2.0)),
        (load_models.RampingVUs(((5.0, 9),), 4), load_models.ConstantVUs(4, 2.0)),
        (load_models.RampingVUs(((5.0, 9),), 0), load_models.ConstantVUs(1, 2.0)),
        (load_models.SharedIterations(3, 900), load_models.ConstantVUs(3, 2.0)),
        (load_models.ConstantArrivalRate(500.0, 60.0, 70), load_models.ConstantArrivalRate(500.0, 2.0, 70)),
    ],
)
def test_warm_up(spec: load_models.Executor, expected: load_models.Executor) -> None:
    assert warm_up_spec(spec, 2.0) == expected
