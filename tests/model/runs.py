"""Made-up saved runs, second by second, with known distributions: what the tests of comparisons compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastload.model.compare.batches import BatchedRun
from fastload.model.compare.comparison import ComparisonSide
from fastload.model.histogram import Int64Array
from fastload.model.metrics import BUILTIN, Series
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.saved.replay import Replay
from fastload.model.series import SeriesTable
from fastload.outputs.streams.run_file import RunFile
from tests.outputs.samples import make_snapshot

Draw = Callable[[np.random.Generator, int], Int64Array]
"""The times in µs of the requests of a second, by its number."""

PLAN: dict[str, Any] = {
    "kind": "run",
    "title": "shop.py",
    "base_url": "http://127.0.0.1:8080",
    "workers": 1,
    "warmup_s": 0.0,
    "seed": 1,
    "http": {"timeout_s": 60.0},
    "env": [],
    "scenarios": [
        {
            "name": "default",
            "executor": "constant-vus",
            "model": "closed",
            "vus": 10,
            "duration_s": 10.0,
            "pacing_s": 0.0,
            "start_s": 0.0,
            "after": "",
            "graceful_stop_s": 30.0,
            "tags": {},
        }
    ],
}
MACHINE = {
    "cpu_model": "Some CPU",
    "cpus": 2,
    "usable_cpus": 2,
    "memory_total_bytes": 8 * 10**9,
    "kernel_release": "6.1",
}
VERSIONS = {"fastload": "1.0", "python": "3.11.2", "libcurl": "8.0"}


def lognormal(rate: float = 300.0, *, median_us: float = 10_000.0, factor: float = 1.0) -> Draw:
    """Poisson many requests a second, whose times are independent."""

    def draw(chance: np.random.Generator, _second: int) -> Int64Array:
        times = chance.lognormal(np.log(median_us * factor), 0.4, chance.poisson(rate))
        return np.maximum(1, times).astype(np.int64)

    return draw


def drifting(rate: float = 300.0, *, keeps: float = 0.6, factor: float = 1.0) -> Draw:
    """Slow and quick spells: the level of a second depends on that of the one before."""
    level = [0.0]

    def draw(chance: np.random.Generator, second: int) -> Int64Array:
        level[0] = (keeps * level[0] if second else 0.0) + chance.normal(0, 0.05)
        return np.maximum(1, chance.lognormal(np.log(10_000 * factor) + level[0], 0.4, chance.poisson(rate))).astype(
            np.int64
        )

    return draw


def ramp(most: float = 600.0, seconds: int = 30, *, factor: float = 1.0) -> Draw:
    """More and slower requests, second by second."""

    def draw(chance: np.random.Generator, second: int) -> Int64Array:
        part = (second + 1) / seconds
        times = chance.lognormal(np.log(5_000 * factor * (1 + 3 * part)), 0.4, chance.poisson(most * part))
        return np.maximum(1, times).astype(np.int64)

    return draw


def with_endpoint(factor: float, share: float = 0.03) -> Callable[[SeriesTable, int], None]:
    """A rare and quick endpoint beside the other."""
    chance = np.random.default_rng(int(factor * 100))

    def more(table: SeriesTable, _second: int) -> None:
        times = (chance.lognormal(math.log(4_000 * factor), 0.3, int(300 * share))).astype(np.int64)
        tags = {"method": "POST", "name_": "/login"}
        table.counter(Series.of("http_reqs", status="200", **tags)).value = len(times)
        table.rate(Series.of("http_req_failed", **tags)).total = len(times)
        for series in (Series("http_req_duration"), Series.of("http_req_duration", **tags)):
            table.trend(series).fold(times)

    return more


def make_header(plan: Mapping[str, Any] | None = None, **changes: Any) -> RunHeader:
    header: dict[str, Any] = {
        "plan": PLAN | dict(plan or {}),
        "started_at": "2026-11-21T13:00:00.000+00:00",
        "run_id": "0123456789abcdef",
        "versions": VERSIONS,
        "machine": MACHINE,
        "specs": BUILTIN,
    }
    return RunHeader(**(header | changes))


def seconds_of(
    draw: Draw,
    chance: np.random.Generator,
    *,
    seconds: int = 30,
    failed: float = 0.0,
    more: Callable[[SeriesTable, int], None] | None = None,
) -> Iterator[Snapshot]:
    """The seconds of a run with requests to one endpoint, of which a share *failed* fails; *more* adds to each."""
    for second in range(seconds):
        times = draw(chance, second)
        table = SeriesTable()
        tags = {"method": "GET", "name_": "/users"}
        for series in (Series("http_reqs"), Series.of("http_reqs", status="200", **tags)):
            table.counter(series).value = len(times)
        bad = int(chance.binomial(len(times), failed))
        for series in (Series("http_req_failed"), Series.of("http_req_failed", **tags)):
            sink = table.rate(series)
            sink.trues, sink.total = bad, len(times)
        for series in (Series("http_req_duration"), Series.of("http_req_duration", **tags)):
            table.trend(series).fold(times)
        if more is not None:
            more(table, second)
        yield make_snapshot(float(second + 1), t_s=float(second + 1), table=table)


def sockets_of(draw: Draw, chance: np.random.Generator, *, seconds: int = 30) -> Iterator[Snapshot]:
    """The seconds of a run of nothing but WebSockets, of which each has one message out and two in."""
    for number, second in enumerate(seconds_of(draw, chance, seconds=seconds)):
        opening = second.table.get("http_req_duration")
        table = SeriesTable()
        for name, each in (("ws_sessions", 1), ("ws_msgs_sent", 1), ("ws_msgs_received", 2)):
            table.counter(Series(name)).value = each * opening.count
        table.rate(Series("ws_failed")).total = opening.count
        for name in ("ws_connecting", "ws_session_duration"):
            table.trend(Series(name)).merge(opening)
        yield replace(second, table=table, t_s=float(number + 1), requests_per_s=0.0, failed_per_s=0.0)


def batched(
    name: str, snapshots: Iterator[Snapshot] | list[Snapshot], header: RunHeader | None = None, **summary: Any
) -> BatchedRun:
    """The run that has these seconds; *summary* replaces what it says at its end."""
    seconds = list(snapshots)
    longest = {"scenarios": [PLAN["scenarios"][0] | {"duration_s": float(len(seconds))}]}
    header = header or make_header(longest)
    replay = Replay(header)
    for second in seconds:
        replay.add(second)
    told = replay.summary() | {"stopped_by": "", "verdict": {"state": "VALID", "reasons": ["the generator kept up"]}}
    run = BatchedRun(name, header, told | summary)
    for second in seconds:
        run.add(second)
    return run


def save(
    path: Path,
    draw: Draw,
    seed: int,
    *,
    plan: Mapping[str, Any] | None = None,
    complete: bool = True,
    state: str = "VALID",
    versions: Mapping[str, str] | None = None,
    summary: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Write a run file as ``--save`` does; one that is not *complete* has no summary. *summary*: entries of it."""
    seconds = list(seconds_of(draw, np.random.default_rng(seed), **options))
    scenario = PLAN["scenarios"][0] | {"duration_s": float(len(seconds))}
    changes = {"scenarios": [scenario]} | dict(plan or {})
    header = make_header(changes, run_id=f"{path}", versions=VERSIONS | dict(versions or {}))
    replay = Replay(header)
    file = RunFile(str(path))
    file.open(header)
    for second in seconds:
        replay.add(second)
        file.write(second)
    verdict = {"state": state, "reasons": ["this is why"], "remedy": "", "limit": "nothing"}
    told = {"passed": True, "stopped_by": "", "verdict": verdict, "notes": []} | dict(summary or {})
    file.close(replay.summary() | told if complete else None)
    return path


def side(name: str, draw: Draw, seed: int, *, runs: int = 1, **options: Any) -> ComparisonSide:
    """One run, or several, whose chance comes from *seed*."""
    return ComparisonSide(
        name,
        [
            batched(f"{name}{index}", seconds_of(draw, np.random.default_rng((seed, index)), **options))
            for index in range(runs)
        ],
    )
