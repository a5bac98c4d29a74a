"""Pacing in virtual time: each VU starts an iteration every so often, and VUs that come together are spread."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastload.load.executors.base import LoadExecutor
from fastload.model import load_models
from tests.load.executors.virtual import (
    NS_PER_US,
    Clock,
    ScriptedWork,
    at,
    in_ns,
    looks,
    paused,
    play,
    starts_of,
    stop_at,
)

MS = 1_000_000
quick = settings(max_examples=60)


class TestPacing:
    @quick
    @given(
        vus=st.integers(1, 7),
        workers=st.integers(1, 4),
        pacing_ms=st.integers(10, 700),
        lasting_us=st.lists(st.integers(0, 9_900), min_size=1, max_size=5),
    )
    def test_each_vu_keeps_its_grid(self, vus: int, workers: int, pacing_ms: int, lasting_us: list[int]) -> None:
        def last(number: int) -> int:
            return lasting_us[number % len(lasting_us)] * NS_PER_US

        spec = load_models.ConstantVUs(vus, 2.0, pacing_s=pacing_ms / 1000)
        runs = [play(spec, last, worker=worker, workers=workers) for worker in range(workers)]
        pacing_ns = pacing_ms * MS
        expected = [start_ns for vu in range(vus) for start_ns in range(vu * pacing_ns // vus, in_ns(2), pacing_ns)]
        assert starts_of(runs) == sorted(expected), "evenly over one pacing and over workers, without drift"
        for run in runs:
            assert run.ended_ns == in_ns(2)
            assert run.over_ns < in_ns(2) + 10 * MS
            assert not any(one.interrupted for one in run.iterations)

    def test_a_longer_iteration_moves_the_grid_and_piles_up_nothing(self) -> None:
        spec = load_models.ConstantVUs(1, 6.0, pacing_s=1.0)
        run = play(spec, lambda number: in_ns(2.3) if number == 1 else in_ns(0.1))
        assert [one.start_ns for one in run.iterations] == [in_ns(at_s) for at_s in (0, 1, 3.3, 4.3, 5.3)]

    def test_iterations_as_long_as_the_pacing_go_straight_on(self) -> None:
        run = play(load_models.ConstantVUs(1, 2.9, pacing_s=0.5), in_ns(0.5))
        assert [one.start_ns for one in run.iterations] == [in_ns(at_s / 2) for at_s in range(6)]

    def test_who_waits_is_a_vu_of_the_run(self) -> None:
        peaks: list[int] = []
        play(load_models.ConstantVUs(5, 3.0, pacing_s=1.0), 1 * MS, script=looks(peaks, 1.5, 1.55))
        assert peaks == [5, 5]

    def test_the_end_lets_go_of_who_waits(self) -> None:
        run = play(load_models.ConstantVUs(3, 1.0, pacing_s=60.0), 10 * MS)
        assert [one.start_ns for one in run.iterations] == [0]
        assert (run.ended_ns, run.over_ns) == (in_ns(1), in_ns(1))
        stopped = play(load_models.ConstantVUs(3, 90.0, pacing_s=60.0), 10 * MS, script=stop_at(in_ns(25), 9.0))
        assert len(stopped.iterations) == 2
        assert stopped.over_ns == in_ns(25)
        assert not any(one.interrupted for one in stopped.iterations)

    @pytest.mark.parametrize("workers", [1, 2, 3])
    def test_who_comes_together_is_spread(self, workers: int) -> None:
        spec = load_models.RampingVUs(((2.0, 2), (0.0, 6), (2.0, 6)), 2, pacing_s=1.0)
        runs = [play(spec, 1 * MS, worker=worker, workers=workers) for worker in range(workers)]
        expected = [in_ns(half / 2) for half in range(8)]
        # Four more at 2 s, a quarter of a pacing apart.
        expected += [in_ns(quarter / 4) for quarter in range(8, 16)]
        assert starts_of(runs) == sorted(expected)

    def test_a_ramp_one_by_one_starts_each_when_it_comes(self) -> None:
        run = play(load_models.RampingVUs(((4.0, 4),), 0, pacing_s=10.0), 1 * MS)
        assert [one.start_ns for one in run.iterations] == [in_ns(at_s) for at_s in (0.5, 1.5, 2.5, 3.5)]

    def test_who_waits_leaves_at_once_in_a_ramp_down(self) -> None:
        peaks: list[int] = []
        spec = load_models.RampingVUs(((1.0, 4), (0.0, 1), (60.0, 1), (0.0, 0)), 4, pacing_s=80.0)
        run = play(spec, 1 * MS, script=looks(peaks, 0.5, 0.9, 1.05, 1.1))
        assert peaks[1::2] == [4, 1]
        assert [one.start_ns for one in run.iterations] == [0]
        assert run.ended_ns == in_ns(61)

    @pytest.mark.parametrize("workers", [1, 2, 3])
    def test_shared_iterations(self, workers: int) -> None:
        spec = load_models.SharedIterations(4, 10, pacing_s=1.0)
        runs = [play(spec, 10 * MS, worker=worker, workers=workers) for worker in range(workers)]
        assert len(starts_of(runs)) == 10
        assert starts_of(runs)[:8] == [in_ns(quarter / 4) for quarter in range(8)]
        for run in runs:
            last_ns = max(one.end_ns for one in run.iterations)
            assert run.ended_ns == run.over_ns == last_ns, "who waits for nothing does not delay the end"
            assert run.dropped == 0

    def test_iterations_of_each(self) -> None:
        run = play(load_models.PerVUIterations(2, 3, pacing_s=1.0), 10 * MS)
        assert starts_of([run]) == [in_ns(half / 2) for half in range(6)]
        assert run.ended_ns == in_ns(2.5) + 10 * MS

    def test_the_duration_ends_it_with_slots_that_wait_for_nothing(self) -> None:
        # One slot is in the last iteration at the end, the others wait: each is let go of once.
        spec = load_models.SharedIterations(3, 4, 1.5, pacing_s=1.0)
        run = play(spec, lambda number: in_ns(9) if number == 3 else 1 * MS, graceful_stop_s=0.5)
        assert (run.ended_ns, run.over_ns, run.dropped) == (in_ns(1.5), in_ns(2), 0)


class TestPause:
    @quick
    @given(
        vus=st.integers(1, 5),
        from_us=st.integers(0, 1_900_000),
        long_us=st.integers(1, 3_000_000),
        workers=st.integers(1, 3),
    )
    def test_the_grid_of_a_pacing_shifts_by_the_pause(self, vus: int, from_us: int, long_us: int, workers: int) -> None:
        spec = load_models.ConstantVUs(vus, 2.0, pacing_s=0.5)
        from_ns, long_ns = from_us * NS_PER_US + 500, long_us * NS_PER_US
        script = paused((from_ns / 1e9, (from_ns + long_ns) / 1e9))
        plain = [play(spec, 100 * MS, worker=worker, workers=workers) for worker in range(workers)]
        broken = [play(spec, 100 * MS, worker=worker, workers=workers, script=script) for worker in range(workers)]
        expected = [start_ns + (long_ns if start_ns > from_ns else 0) for start_ns in starts_of(plain)]
        assert starts_of(broken) == pytest.approx(expected, abs=2)
        assert [run.ended_ns for run in broken] == pytest.approx([in_ns(2) + long_ns] * workers, abs=2)

    def test_vus_that_come_in_a_pause_are_spread_from_its_end(self) -> None:
        def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            paused((1.0, 5.0))(clock, executor, _work)
            at(clock, in_ns(3), lambda: executor.set_vus(2))

        run = play(load_models.ExternallyControlled(0, 9, 3.0, pacing_s=1.0), 1 * MS, script=script)
        assert starts_of([run]) == [in_ns(5 + half / 2) for half in range(4)]
