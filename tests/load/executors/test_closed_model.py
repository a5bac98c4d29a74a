"""The closed model in virtual time: VUs that go on and on, ramps, pacing, counted iterations, changes and pauses."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastload.load.executors.base import STARTS_A_TURN, LoadExecutor
from fastload.model import load_models
from fastload.model.schedule import Stage, share, vu_changes, vus_at
from tests.load.executors.virtual import (
    NS_PER_US,
    Clock,
    ScriptedWork,
    at,
    in_ns,
    looks,
    paused,
    play,
    stall,
    steered,
    stop_at,
    to,
)

MS = 1_000_000
quick = settings(max_examples=60)


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


class TestSharedIterations:
    @quick
    @given(
        iterations=st.integers(1, 60),
        vus=st.integers(1, 12),
        workers=st.integers(1, 4),
        lasting_us=st.lists(st.integers(1, 200_000), min_size=1, max_size=20),
    )
    def test_exactly_as_many_as_asked_for(self, iterations: int, vus: int, workers: int, lasting_us: list[int]) -> None:
        spec = load_models.SharedIterations(vus, iterations)
        runs = [
            play(spec, lambda number: lasting_us[number % len(lasting_us)] * NS_PER_US, worker=worker, workers=workers)
            for worker in range(workers)
        ]
        assert sum(len(run.iterations) for run in runs) == iterations
        assert not any(one.interrupted for run in runs for one in run.iterations)
        for worker, run in enumerate(runs):
            # Dealt to the VUs in turn, and so to the workers that have them.
            assert len(run.iterations) == sum(share(iterations, vu, vus) for vu in range(worker, vus, workers))
            assert run.work.slots <= share(vus, worker, workers)
            assert run.dropped == 0
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
        assert (run.ended_ns, run.over_ns, run.dropped) == (in_ns(1.0), in_ns(1.2), 92)

    def test_what_a_stop_leaves_is_not_dropped(self) -> None:
        run = play(load_models.SharedIterations(2, 100), 300 * MS, script=stop_at(1000 * MS, 5.0))
        assert (len(run.iterations), run.dropped) == (8, 0)


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

    @pytest.mark.parametrize("workers", [1, 3])
    def test_what_is_asked_for_goes_over_the_stages(self, workers: int) -> None:
        spec = load_models.RampingVUs(((2.0, 8), (2.0, 8)), 0, graceful_ramp_down_s=0.0)
        for worker in range(workers):
            run = play(spec, 10 * MS, worker=worker, workers=workers, script=steered((1.05, to(6)), (3.0, to(2))))
            counts = [run.work.running_at(in_ns(at_s)) for at_s in (0.99, 1.1, 2.5, 3.5)]
            assert counts == [share(total, worker, workers) for total in (4, 6, 6, 2)]
            assert run.ended_ns == in_ns(4)

    def test_what_is_asked_for_before_the_start_goes_over_the_stages(self) -> None:
        spec = load_models.RampingVUs(((2.0, 8),), 1)
        run = play(spec, 300 * MS, script=steered((-0.5, to(3))), lead_ns=in_ns(1))
        assert [run.work.running_at(in_ns(at_s)) for at_s in (0.0, 1.9)] == [3, 3]

    def test_a_user_who_leaves_finishes_the_iteration(self) -> None:
        run = play(load_models.RampingVUs(((1.0, 2), (0.0, 0), (9.0, 0)), 2), in_ns(3))
        assert [(one.start_ns, one.end_ns, one.interrupted) for one in run.iterations] == [(0, in_ns(3), False)] * 2

    def test_a_user_who_takes_too_long_to_leave_is_interrupted(self) -> None:
        run = play(load_models.RampingVUs(((1.0, 2), (0.0, 1), (9.0, 1)), 2, 0.5), in_ns(30), graceful_stop_s=1.5)
        ends = sorted((one.end_ns, one.interrupted) for one in run.iterations)
        assert ends == [(in_ns(1.5), True), (in_ns(11.5), True)]

    def test_the_time_to_leave_goes_on_after_the_end(self) -> None:
        run = play(load_models.RampingVUs(((1.0, 2), (0.0, 1), (1.0, 1)), 2, 1.5), in_ns(30), graceful_stop_s=2.5)
        ends = sorted((one.end_ns, one.interrupted) for one in run.iterations)
        assert ends == [(in_ns(2.5), True), (in_ns(4.5), True)]

    def test_leaving_twice_has_the_whole_graceful_time_twice(self) -> None:
        # One slot leaves at 1 s and ends at 1.5 s; taken again at 2 s, it leaves at 3 s and ends at 3.5 s.
        ramp = ((1.0, 1), (0.0, 0), (1.0, 0), (0.0, 1), (1.0, 1), (0.0, 0), (9.0, 0))
        run = play(load_models.RampingVUs(ramp, 1, 2.3), 1500 * MS)
        expected = [(0, in_ns(1.5), False), (in_ns(2), in_ns(3.5), False)]
        assert [(one.start_ns, one.end_ns, one.interrupted) for one in run.iterations] == expected
        assert {one.slot for one in run.iterations} == {0}

    def test_slots_are_used_again(self) -> None:
        ramp = ((0.5, 4), (0.5, 0)) * 3
        assert play(load_models.RampingVUs(ramp, 0), 10 * MS).work.slots == 4


class TestGracefulRampDown:
    def test_a_ramp_up_takes_back_who_is_about_to_leave(self) -> None:
        ramp = ((1.0, 3), (0.0, 0), (1.0, 0), (0.0, 2), (8.0, 2))
        run = play(load_models.RampingVUs(ramp, 3, 30.0), in_ns(4), graceful_stop_s=0.0)
        # Two of the three that still run go on, and no new slot is made; the third one leaves at 4 s.
        assert run.work.slots == 3
        starts = sorted((one.slot, one.start_ns) for one in run.iterations)
        assert len(starts) == 3 + 2 + 2
        assert run.work.running_at(in_ns(3.9)) == 3
        assert run.work.running_at(in_ns(4.1)) == 2
        assert not any(one.interrupted for one in run.iterations if one.end_ns < in_ns(10))

    @quick
    @given(
        stages=st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 9)), min_size=1, max_size=7),
        start_vus=st.integers(0, 6),
        workers=st.integers(1, 4),
        lasting_ms=st.integers(20, 4000),
        graceful_s=st.sampled_from([0.0, 0.3, 30.0]),
    )
    def test_there_are_never_more_than_the_most(
        self, stages: list[tuple[int, int]], start_vus: int, workers: int, lasting_ms: int, graceful_s: float
    ) -> None:
        ramp = tuple((float(seconds), target) for seconds, target in stages)
        spec = load_models.RampingVUs(ramp, start_vus, graceful_s)
        assume(spec.duration_s > 0)
        most = max(start_vus, *(target for _, target in stages))
        for worker in range(workers):
            run = play(spec, lasting_ms * MS, worker=worker, workers=workers)
            assert run.work.busiest <= share(most, worker, workers)
            assert all(not one.interrupted for one in run.iterations) or graceful_s < 30
            wanted = vus_at(start_vus, ramp, spec.duration_s / 2)
            assert run.work.running_at(in_ns(spec.duration_s / 2)) >= share(wanted, worker, workers) - 1

    def test_without_grace_who_leaves_is_interrupted_at_once(self) -> None:
        run = play(load_models.RampingVUs(((1.0, 2), (0.0, 0), (1.0, 0)), 2, 0.0), in_ns(9))
        assert {(one.end_ns, one.interrupted) for one in run.iterations} == {(in_ns(1), True)}

    def test_a_big_jump_starts_in_batches(self) -> None:
        turns: list[int] = []

        def script(clock: Clock, _executor: LoadExecutor, work: ScriptedWork) -> None:
            def look() -> None:
                turns.append(len(work.iterations))
                if len(work.iterations) < 1000:
                    work.context.loop.call_soon(look)

            at(clock, 0, look)

        run = play(load_models.RampingVUs(((0.0, 1000), (1.0, 1000)), 0), in_ns(2), script=script)
        assert len(run.iterations) == 1000
        assert {one.start_ns for one in run.iterations} == {0}
        assert max(after - before for before, after in itertools.pairwise(turns)) <= STARTS_A_TURN

    def test_who_has_not_begun_leaves_at_once(self) -> None:
        # Down again before the second batch: what is closed must not start.
        script = steered((1.0, to(300)), (1.0, to(10)), (1.0, to(200)), (1.0, to(0)), (2.0, to(5)))
        run = play(load_models.ConstantVUs(1, 3.0), 100 * MS, script=script, graceful_stop_s=0.0)
        assert [run.work.running_at(in_ns(at_s)) for at_s in (0.95, 1.15, 2.05, 2.95)] == [1, 0, 5, 5]
        started_after = {one.slot for one in run.iterations if one.start_ns >= in_ns(2)}
        assert len(started_after) == 5

    def test_a_stall_jumps_to_what_is_due(self) -> None:
        def script(clock: Clock, _executor: LoadExecutor, _work: ScriptedWork) -> None:
            stall(clock, in_ns(0.5), in_ns(3.5))

        # Up to eight and down to two while nobody looks.
        run = play(load_models.RampingVUs(((2.0, 8), (1.0, 2), (3.0, 2)), 0), in_ns(60), script=script)
        assert run.work.busiest == run.work.slots == 2


class TestSetVUs:
    spec = load_models.ExternallyControlled(4, 100, 10.0)

    @pytest.mark.parametrize("workers", [1, 2, 3])
    def test_up_and_down_and_to_none_and_back(self, workers: int) -> None:
        script = steered((1.0, to(7)), (2.0, to(2)), (3.0, to(0)), (4.0, to(5)), (5.0, to(5)))
        for worker in range(workers):
            run = play(self.spec, 10 * MS, worker=worker, workers=workers, script=script)
            counts = [run.work.running_at(in_ns(at_s)) for at_s in (0.5, 1.5, 2.5, 3.5, 4.5, 9.9)]
            assert counts == [share(total, worker, workers) for total in (4, 7, 2, 0, 5, 5)]
            assert run.ended_ns == in_ns(10)
            assert run.work.slots == share(7, worker, workers), "who left may come back"

    @pytest.mark.parametrize("spec", [spec, load_models.ConstantVUs(4, 10.0), load_models.Shape(lambda _: 1, 50, 10.0)])
    @pytest.mark.parametrize("total", [0, 2, 9])
    def test_before_the_start(self, spec: load_models.Executor, total: int) -> None:
        run = play(spec, 300 * MS, script=steered((-0.5, to(99)), (-0.5, to(total))), lead_ns=in_ns(1))
        assert [run.work.running_at(in_ns(at_s)) for at_s in (0.0, 9.9)] == [total, total]
        assert all(one.start_ns >= 0 for one in run.iterations)

    def test_after_the_end_it_changes_nothing(self) -> None:
        script = steered((10.05, to(50)), (2.0, lambda executor: executor.stop(9.0)), (2.1, to(50)))
        run = play(self.spec, 300 * MS, script=script)
        assert run.work.slots == 4
        assert max(one.start_ns for one in run.iterations) < in_ns(2)

    def test_who_leaves_may_finish(self) -> None:
        run = play(self.spec, in_ns(3), script=steered((1.0, to(1))), graceful_stop_s=1.5)
        assert sorted((one.end_ns, one.interrupted) for one in run.iterations)[:3] == [(in_ns(2.5), True)] * 3

    def test_a_shape_has_no_vus_until_it_is_asked(self) -> None:
        script = steered((0.3, to(3)), (1.0, to(6)), (2.0, to(1)), (3.0, lambda executor: executor.finish()))
        run = play(load_models.Shape(lambda _: 1), 10 * MS, script=script)
        counts = [run.work.running_at(in_ns(at_s)) for at_s in (0.2, 0.5, 1.5, 2.5)]
        assert counts == [0, 3, 6, 1]
        assert (run.ended_ns, run.dropped) == (in_ns(3), 0)

    @pytest.mark.parametrize(
        "spec",
        [
            load_models.SharedIterations(1, 5),
            load_models.ConstantArrivalRate(5.0, 1.0, 2),
        ],
    )
    def test_others_follow_their_own_schedule(self, spec: load_models.Executor) -> None:
        def script(_clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            with pytest.raises(TypeError, match="follows its own schedule"):
                executor.set_vus(3)

        play(spec, 10 * MS, script=script)

    def test_while_paused(self) -> None:
        script = steered(
            (1.0, lambda executor: executor.pause(in_ns(1001))),
            (2.0, to(6)),
            (3.0, to(3)),
            (4.0, lambda executor: executor.resume(in_ns(1004))),
        )
        peaks: list[int] = []

        def steer_and_look(clock: Clock, executor: LoadExecutor, work: ScriptedWork) -> None:
            script(clock, executor, work)
            looks(peaks, 1.5, 1.6, 2.5, 2.6, 3.5, 3.6)(clock, executor, work)

        run = play(self.spec, 10 * MS, script=steer_and_look)
        counts = [run.work.running_at(in_ns(at_s)) for at_s in (0.9, 1.02, 2.5, 3.5, 4.5)]
        assert counts == [4, 0, 0, 0, 3]
        assert peaks[1::2] == [4, 6, 3], "those that a pause holds are VUs of the run"


class TestPerVUIterations:
    @quick
    @given(
        iterations=st.integers(1, 12),
        vus=st.integers(1, 9),
        workers=st.integers(1, 4),
        lasting_us=st.lists(st.integers(1, 200_000), min_size=1, max_size=7),
    )
    def test_each_makes_its_own(self, iterations: int, vus: int, workers: int, lasting_us: list[int]) -> None:
        spec = load_models.PerVUIterations(vus, iterations)
        runs = [
            play(spec, lambda number: lasting_us[number % len(lasting_us)] * NS_PER_US, worker=worker, workers=workers)
            for worker in range(workers)
        ]
        for worker, run in enumerate(runs):
            made = [sum(one.slot == slot for one in run.iterations) for slot in range(run.work.slots)]
            assert made == [iterations] * share(vus, worker, workers)
            assert run.dropped == 0
            last_ns = max((one.end_ns for one in run.iterations), default=0)
            assert run.ended_ns == run.over_ns == last_ns

    def test_what_the_maximum_duration_leaves_is_dropped(self) -> None:
        run = play(load_models.PerVUIterations(3, 10, 1.0), 300 * MS)
        assert (len(run.iterations), run.dropped) == (12, 18)
        assert (run.ended_ns, run.over_ns) == (in_ns(1), in_ns(1.2))

    def test_a_slow_one_does_not_lose_its_own(self) -> None:
        run = play(load_models.PerVUIterations(2, 5), lambda number: in_ns(9) if number == 0 else 100 * MS)
        assert sorted(one.slot for one in run.iterations) == [0] * 5 + [1] * 5
        assert run.over_ns == in_ns(9.4)


class TestPause:
    def test_what_runs_goes_on_and_nothing_starts(self) -> None:
        run = play(load_models.ConstantVUs(2, 1.0), 300 * MS, script=paused((0.5, 2.0)))
        assert [one.start_ns for one in run.iterations[::2]] == [0, 300 * MS, 2000 * MS, 2300 * MS]
        assert not any(one.interrupted for one in run.iterations)
        assert run.ended_ns == in_ns(2.5), "the run gets longer by the pause"

    def test_twice(self) -> None:
        run = play(load_models.ConstantVUs(1, 0.98), 100 * MS, script=paused((0.25, 1.0), (1.55, 3.0)))
        starts = [0, 100, 200, 1000, 1100, 1200, 1300, 1400, 1500, 3000, 3100]
        assert [one.start_ns for one in run.iterations] == [start * MS for start in starts]
        assert run.ended_ns == in_ns(0.98 + 0.75 + 1.45)

    def test_a_second_pause_or_resume_changes_nothing(self) -> None:
        run = play(load_models.ConstantVUs(1, 1.0), 100 * MS, script=paused((0.25, 1.0), (0.5, 1.2)))
        assert run.ended_ns == in_ns(1.75)

    def test_before_a_delayed_start_it_puts_that_off(self) -> None:
        script = paused((-0.8, -0.2))
        run = play(load_models.ConstantVUs(1, 1.0), 300 * MS, script=script, delay_ns=in_ns(1), lead_ns=in_ns(1))
        assert [one.start_ns for one in run.iterations] == [in_ns(at_s) for at_s in (0.6, 0.9, 1.2, 1.5)]
        assert run.ended_ns == in_ns(1.6)

    def test_over_the_start(self) -> None:
        script = paused((-0.3, 0.5))
        delayed = play(load_models.ConstantVUs(1, 1.0), 300 * MS, script=script, delay_ns=in_ns(1), lead_ns=in_ns(1))
        assert delayed.iterations[0].start_ns == in_ns(0.8)
        # Without a delay its time has not begun when the pause does: it starts with the end of the pause.
        plain = play(load_models.ConstantVUs(1, 1.0), 300 * MS, script=script, lead_ns=in_ns(1))
        assert (plain.iterations[0].start_ns, plain.ended_ns) == (in_ns(0.5), in_ns(1.5))

    def test_a_pause_that_ends_before_its_time_begins_is_none(self) -> None:
        run = play(load_models.ConstantVUs(1, 1.0), 300 * MS, script=paused((-0.8, -0.2)), lead_ns=in_ns(1))
        assert (run.iterations[0].start_ns, run.ended_ns) == (0, in_ns(1))

    @pytest.mark.parametrize("pacing_s", [0.0, 0.2])
    def test_stop_while_paused_ends_at_once(self, pacing_s: float) -> None:
        def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            at(clock, in_ns(0.5), lambda: executor.pause(clock.now_ns))
            at(clock, in_ns(3), lambda: executor.stop(9.0))

        run = play(load_models.ConstantVUs(2, 9.0, pacing_s=pacing_s), 100 * MS, script=script)
        assert (run.ended_ns, run.over_ns) == (in_ns(3), in_ns(3))
        assert not any(one.interrupted for one in run.iterations)
        assert max(one.start_ns for one in run.iterations) <= in_ns(0.5)

    def test_a_ramp_stands_still(self) -> None:
        run = play(load_models.RampingVUs(((4.0, 4),), 0), 10 * MS, script=paused((2.0, 7.0)))
        counts = [run.work.running_at(in_ns(at_s)) for at_s in (1.9, 2.1, 6.9, 7.1, 7.6, 8.6)]
        assert counts == [2, 0, 0, 2, 3, 4]
        assert run.ended_ns == in_ns(9)

    @pytest.mark.parametrize(
        ("spec", "count"), [(load_models.SharedIterations(2, 10), 10), (load_models.PerVUIterations(2, 5), 10)]
    )
    def test_counted_iterations(self, spec: load_models.Executor, count: int) -> None:
        run = play(spec, 100 * MS, script=paused((0.25, 2.0)))
        assert (len(run.iterations), run.dropped, run.over_ns) == (count, 0, in_ns(2.2))

    def test_many_go_on_in_batches(self) -> None:
        run = play(load_models.ConstantVUs(500, 1.0), 100 * MS, script=paused((0.25, 2.0)))
        assert run.work.running_at(in_ns(1)) == 0
        assert run.work.running_at(in_ns(2.05)) == 500
