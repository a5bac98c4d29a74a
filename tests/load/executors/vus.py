"""VUs of a scenario under an executor, in the test's own process."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import fastload as fl
from fastload.load.client.context import ScenarioContext
from fastload.load.client.reply_parts import ReplyParts
from fastload.load.executors.base import ExecutionSegment, LoadExecutor
from fastload.load.executors.registry import make_executor
from fastload.load.executors.vu_pool import VUPool
from fastload.load.script.scenarios import Scenario
from fastload.model import load_models
from fastload.model.records import Delta
from tests.load.harness import Connection, Harness

Function = Callable[[fl.VU], Awaitable[Any]]


def ok(connection: Connection, _head: bytes) -> None:
    connection.reply()


def work_of(made: Harness, function: Function, *, timeout_s: float = 0.0, **hooks: Function) -> VUPool:
    shared = ScenarioContext("test", ReplyParts(body=False, headers=False))
    scenario = Scenario(function, "test", **hooks)  # type: ignore[arg-type]
    return VUPool(made.context, scenario, shared, itertools.count(1), itertools.count(), timeout_s=timeout_s)


def executor_of(work: VUPool, spec: load_models.Executor, graceful_stop_s: float = 5.0) -> LoadExecutor:
    executor = make_executor(spec, work, ExecutionSegment(), graceful_stop_s=graceful_stop_s)
    executor.prepare()
    return executor


async def play(work: VUPool, spec: load_models.Executor, graceful_stop_s: float = 5.0) -> None:
    """The whole life of *work* under *spec*."""
    await executor_of(work, spec, graceful_stop_s).run(time.monotonic_ns())
    assert work.active == 0
    work.close()


def stop_now(made: Harness, work: VUPool, executor: LoadExecutor, *, skip_on_stop: bool = False) -> None:
    """As a worker does when it is told to."""
    made.context.stopping = True
    made.context.skip_on_stop = skip_on_stop
    executor.stop(0.0)
    work.interrupt_idle()
    work.interrupt_all()


def count(delta: Delta, name: str) -> float:
    found = delta.table.get(name)
    return 0 if found is None else found.value


def failures(delta: Delta) -> dict[str, int]:
    return {kind: number for kind, (number, _) in delta.exceptions.entries.items()}


class Notes:
    """A scenario that notes what is called, by VU."""

    def __init__(self) -> None:
        self.calls: dict[int, list[str]] = {}

    def note(self, vu: fl.VU, what: str) -> None:
        self.calls.setdefault(vu.id, []).append(what)

    async def start(self, vu: fl.VU) -> None:
        self.note(vu, "start")

    async def visit(self, vu: fl.VU) -> None:
        self.note(vu, "visit")
        await vu.sleep(0.005)

    async def stop(self, vu: fl.VU) -> None:
        self.note(vu, "stop")

    @property
    def ended(self) -> int:
        return sum(calls[-1] == "stop" for calls in self.calls.values())
