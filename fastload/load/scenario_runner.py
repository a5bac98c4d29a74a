"""Scenario runner: one scenario in one worker, with its slot pool, its executor, and its beginning."""

from __future__ import annotations

import asyncio
import itertools

from fastload.load.client.context import ScenarioContext, WorkerContext
from fastload.load.client.reply_parts import ReplyParts, parts_read_by
from fastload.load.executors.base import ExecutionSegment, LoadExecutor
from fastload.load.executors.connection_pool import ConnectionPool
from fastload.load.executors.registry import make_executor, warm_up_spec
from fastload.load.executors.slot_pool import SlotPool
from fastload.load.executors.vu_pool import VUPool
from fastload.load.script.scenarios import Scenario
from fastload.model.load_models import Executor
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.schedule import NS_PER_S


class ScenarioRunner:
    """Runner of *scenario* on the slots of *work*. ``executor``: that of the current phase, warm-up or measurement."""

    def __init__(self, scenario: ScenarioPlan, work: SlotPool, segment: ExecutionSegment) -> None:
        self.scenario = scenario
        self.work = work
        self._segment = segment
        self._predecessor_ended = asyncio.Event()
        self._begin_ns = 0
        self._paused_at_ns = 0
        self._vus: int | None = None
        self._rate_per_s: float | None = None
        self.executor: LoadExecutor

    @property
    def warms_up(self) -> bool:
        """Whether the scenario takes part in the warm-up: only if it begins with the test."""
        return not self.scenario.after and not self.scenario.start_s

    def prepare(self) -> None:
        """Create and prepare the executor before the common start, so that this costs no time after it."""
        self._prepare(self.scenario.executor)

    def prepare_warm_up(self, warmup_s: float) -> None:
        """Create and prepare the executor for a warm-up of *warmup_s*."""
        self._prepare(warm_up_spec(self.scenario.executor, warmup_s))

    async def run(self, start_ns: int) -> None:
        """Run the whole scenario in a test that begins at *start_ns*."""
        if self.scenario.after:
            await self._predecessor_ended.wait()
            start_ns = self._begin_ns
        await self.executor.run(start_ns, round(self.scenario.start_s * NS_PER_S))

    def begin(self, at_ns: int) -> None:
        """Count the scenario's time from *at_ns*, because the scenario before it has ended in all workers."""
        self._begin_ns = at_ns
        self._predecessor_ended.set()

    def stop(self, grace_s: float) -> None:
        """Start no more iterations; running ones may continue for *grace_s* at most."""
        self.executor.stop(grace_s)
        self._predecessor_ended.set()

    def pause(self, at_ns: int) -> None:
        """See `LoadExecutor.pause`."""
        self._paused_at_ns = self._paused_at_ns or at_ns
        self.executor.pause(at_ns)

    def resume(self, at_ns: int) -> None:
        """See `LoadExecutor.resume`."""
        self._paused_at_ns = 0
        self.executor.resume(at_ns)

    def set_vus(self, total: int) -> None:
        """See `LoadExecutor.set_vus`; a change during the warm-up also applies after it."""
        self._vus = total
        self.executor.set_vus(total)

    def set_rate(self, rate_per_s: float, at_ns: int) -> None:
        """See `LoadExecutor.set_rate`; a change during the warm-up also applies after it."""
        self._rate_per_s = rate_per_s
        self.executor.set_rate(rate_per_s, at_ns)

    def _prepare(self, spec: Executor) -> None:
        self.executor = make_executor(spec, self.work, self._segment, graceful_stop_s=self.scenario.graceful_stop_s)
        if self._vus is not None:
            self.executor.set_vus(self._vus)
        if self._rate_per_s is not None:
            self.executor.set_rate(self._rate_per_s, 0)
        if self._paused_at_ns:
            self.executor.pause(self._paused_at_ns)
        self.executor.prepare()


def make_scenario_runners(plan: Plan, context: WorkerContext, index: int) -> list[ScenarioRunner]:
    """Return the runners of *plan*'s scenarios in worker *index*. VU ids are unique over all workers and scenarios."""
    numbers = itertools.count(index + 1, plan.workers)
    return [
        ScenarioRunner(
            scenario,
            _make_work(scenario, plan, context, numbers, index),
            ExecutionSegment(index, plan.workers, f"{plan.seed}:{scenario.name}"),
        )
        for scenario in plan.scenarios
    ]


def _make_work(
    scenario: ScenarioPlan, plan: Plan, context: WorkerContext, numbers: itertools.count[int], index: int
) -> SlotPool:
    if not isinstance(scenario.work, Scenario):
        return ConnectionPool(context, scenario.work, scenario.name, numbers)
    declared = scenario.work
    used = parts_read_by(*declared._functions)
    reply_parts = ReplyParts(
        body=used.body if declared.keep_body is None else declared.keep_body,
        headers=used.headers if declared.keep_headers is None else declared.keep_headers,
        connection_info=used.connection_info or bool(declared.keep_headers),
        tls=used.tls or bool(declared.keep_headers),
    )
    shared = ScenarioContext(
        scenario.name, reply_parts, scenario.tags, scenario.env | plan.env, plan.seed, declared._request_defaults
    )
    return VUPool(
        context,
        declared,
        shared,
        numbers,
        itertools.count(index, plan.workers),
        timeout_s=scenario.iteration_timeout_s,
    )
