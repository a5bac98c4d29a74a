"""What all executors share, in virtual time: the ways to an end, and the warm-up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fastload.load.executors.base import LoadExecutor
from fastload.load.executors.registry import warm_up_spec
from fastload.model import load_models
from tests.load.executors.virtual import Clock, ScriptedWork, at, in_ns, play, stop_at

MS = 1_000_000
TRACE = load_models.Trace("test", np.arange(0, 10_000 * MS, 150 * MS), 10.0, 3)
EVERY = [
    load_models.ConstantVUs(3, 10.0),
    load_models.ConstantVUs(3, 10.0, pacing_s=1.0),
    load_models.RampingVUs(((1.0, 3), (9.0, 3)), 3),
    load_models.SharedIterations(3, 1000, 10.0),
    load_models.PerVUIterations(3, 1000, 10.0),
    load_models.ExternallyControlled(3, 9, 10.0),
    load_models.ConstantArrivalRate(7.0, 10.0, 3),
    load_models.RampingArrivalRate(((1.0, 7.0), (9.0, 7.0)), 7.0, 3),
    TRACE,
]
every = pytest.mark.parametrize(
    "spec", EVERY, ids=lambda spec: spec.name + "-paced" * bool(getattr(spec, "pacing_s", 0))
)


class TestStop:
    @every
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

    @every
    def test_stop_before_the_start_starts_nothing(self, spec: load_models.Executor) -> None:
        # `play` sees to it that the slots that were ready are closed.
        run = play(spec, 900 * MS, script=stop_at(-in_ns(0.5), 5.0), lead_ns=in_ns(1))
        assert run.iterations == []
        assert (run.over_ns, run.offered, run.dropped) == (-in_ns(0.5), 0, 0)

    @every
    def test_finish_leaves_the_graceful_time(self, spec: load_models.Executor) -> None:
        def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
            at(clock, in_ns(2), executor.finish)

        run = play(spec, 900 * MS, script=script)
        assert run.ended_ns == in_ns(2)
        assert max(one.start_ns for one in run.iterations) < in_ns(2)
        assert not any(one.interrupted for one in run.iterations)

    @every
    def test_finish_from_within_an_iteration(self, spec: load_models.Executor) -> None:
        # As when the data is used up: the slot that says so asks for more nevertheless.
        def script(_clock: Clock, executor: LoadExecutor, work: ScriptedWork) -> None:
            lasting: Callable[[int], int] = work.lasting_ns

            def last(number: int) -> int:
                if number == 4:
                    work.context.loop.call_soon(executor.finish)
                return lasting(number)

            work.lasting_ns = last

        run = play(spec, 300 * MS, script=script)
        assert 5 <= len(run.iterations) <= 6
        assert not any(one.interrupted for one in run.iterations)
        assert run.over_ns < in_ns(3)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (load_models.ConstantVUs(7, 60.0), load_models.ConstantVUs(7, 2.0)),
        (load_models.RampingVUs(((5.0, 9),), 4), load_models.ConstantVUs(4, 2.0)),
        (load_models.RampingVUs(((5.0, 9),), 0), load_models.ConstantVUs(1, 2.0)),
        (load_models.PerVUIterations(3, 9, pacing_s=2.0), load_models.ConstantVUs(3, 2.0, pacing_s=2.0)),
        (load_models.ExternallyControlled(0, 9, 60.0), load_models.ConstantVUs(1, 2.0)),
        (load_models.Shape(lambda _: 9), load_models.ConstantVUs(1, 2.0)),
        (
            load_models.RampingArrivalRate(((5.0, 9.0),), 0.0, 7, when_busy="drop"),
            load_models.ConstantArrivalRate(1.0, 2.0, 7, when_busy="drop"),
        ),
        (TRACE, load_models.ConstantArrivalRate(6.7, 2.0, 3)),
        (load_models.SharedIterations(3, 900), load_models.ConstantVUs(3, 2.0)),
        (load_models.ConstantArrivalRate(500.0, 60.0, 70), load_models.ConstantArrivalRate(500.0, 2.0, 70)),
    ],
)
def test_warm_up(spec: load_models.Executor, expected: load_models.Executor) -> None:
    assert warm_up_spec(spec, 2.0) == expected
