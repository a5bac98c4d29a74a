"""What flows from a worker to the end of the run: Delta (one worker, one second) and Snapshot (all, each second)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict
from fastload.model.resources import HostSample, ProcessSample
from fastload.model.series import SeriesTable


@dataclass(slots=True)
class ErrorTable:
    """Failures by kind: how many, and the first message of each. ``http_500`` and the like are kinds too.

    ``by_name`` says of which requests and calls they are: by kind, how many of each (method, name). Calls have no
    method; what else fails, as sessions do, is in no name.
    """

    entries: dict[str, tuple[int, str]] = field(default_factory=dict)
    by_name: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)

    def count(self, kind: str, message: str = "", what: tuple[str, str] | None = None) -> None:
        """One more of *kind*; *message* is kept when it is the first. *what* is the method and name that failed."""
        known = self.entries.get(kind)
        self.entries[kind] = (1, message) if known is None else (known[0] + 1, known[1])
        if what is not None:
            names = self.by_name.setdefault(kind, {})
            names[what] = names.get(what, 0) + 1

    def merge(self, other: ErrorTable) -> None:
        """Add *other*, whose messages count as the later ones."""
        for kind, (count, message) in other.entries.items():
            known = self.entries.get(kind)
            self.entries[kind] = (count, message) if known is None else (known[0] + count, known[1])
        for kind, names in other.by_name.items():
            mine = self.by_name.setdefault(kind, {})
            for what, count in names.items():
                mine[what] = mine.get(what, 0) + count

    def to_plain(self) -> dict[str, list[Any]]:
        """Plain data for a frame or a file: ``{kind: [count, first message, [[method, name, count], ...]]}``."""
        return {
            kind: [*entry, [[*what, count] for what, count in self.by_name.get(kind, {}).items()]]
            for kind, entry in self.entries.items()
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Sequence[Any]]) -> Self:
        """The table whose `to_plain` is *plain*; names may be missing."""
        entries = {kind: (entry[0], entry[1]) for kind, entry in plain.items()}
        named = {kind: entry[2] for kind, entry in plain.items() if len(entry) > 2 and entry[2]}
        return cls(
            entries,
            {kind: {(method, name): count for method, name, count, *_ in rows} for kind, rows in named.items()},
        )

    @property
    def total(self) -> int:
        return sum(count for count, _ in self.entries.values())

    def to_list(self) -> list[dict[str, Any]]:
        """Most frequent first."""
        ordered = sorted(self.entries.items(), key=lambda item: -item[1][0])
        return [{"kind": kind, "count": count, "first": message} for kind, (count, message) in ordered]


@dataclass(slots=True)
class WorkerStats:
    """How a worker did in one second. ``vus`` is the most VUs at once, ``in_flight`` a state at its end; the others
    count within the second.

    ``started = finished + failed + change of in_flight``, over a whole run with nothing in flight at the ends:
    every request that was started is accounted for. ``interrupted`` are requests given up at the end of the run,
    which count neither as finished nor as failed.
    """

    vus: int = 0
    in_flight: int = 0
    started: int = 0
    finished: int = 0
    failed: int = 0
    interrupted: int = 0
    iterations_interrupted: int = 0
    warmup: int = 0
    offered: int = 0
    lag_max_us: int = 0


@dataclass(slots=True)
class Delta:
    """What one worker measured since its last delta. *seq* counts from 0 without gaps.

    *late*: measured after the last start was possible, while iterations that still ran came to their end: it counts,
    but in no rate per second. *points* are single requests and iterations, as plain data, for a plan that asks for
    them.
    """

    worker: int
    seq: int
    table: SeriesTable
    errors: ErrorTable
    exceptions: ErrorTable
    stats: WorkerStats
    late: bool = False
    points: list[Any] = field(default_factory=list)

    def to_body(self) -> dict[str, Any]:
        """Plain data for a frame."""
        return {
            "worker": self.worker,
            "seq": self.seq,
            "table": self.table.to_plain(),
            "errors": self.errors.to_plain(),
            "exceptions": self.exceptions.to_plain(),
            "stats": asdict(self.stats),
            "late": self.late,
            "points": self.points,
        }

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Delta:
        """The delta whose `to_body` is *body*."""
        return cls(
            worker=body["worker"],
            seq=body["seq"],
            table=SeriesTable.from_plain(body["table"]),
            errors=ErrorTable.from_plain(body["errors"]),
            exceptions=ErrorTable.from_plain(body["exceptions"]),
            stats=WorkerStats(**body["stats"]),
            late=body["late"],
            points=body["points"],
        )


class Event(NamedTuple):
    """Something that happened at *t_s* (as `Snapshot.elapsed_s`): *kind* is "phase", "worker", "control" or "stop"."""

    t_s: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The run as it stands, made each second. Window values are of the time since the last snapshot.

    *elapsed_s* counts from the common start, without pauses. Latencies are milliseconds, None when no response came in
    the window; *phase* is "warm-up", "running", "paused" or "stopping"; *progress* is 0..1. *message* answers a key
    that was pressed, *troubles* is what outputs lost so far.

    Of the window, which was *span_s* long and ended *t_s* after the common start, at *time_ns* of the wall clock (since
    the epoch): *table* has all series, *errors* and *exceptions* what went wrong, *offered* how many starts were due in
    an open model, *late* how much of each counter (by `Series.label`) came after the last start was possible, *workers*
    the processes that made the load, *lag_max_ms* the longest stall of each worker's loop, *events* what happened, and
    *points* single requests and iterations, for a plan that asks for them. *verdict* is that of the run so far. What is
    in it belongs to all outputs: none may change it.
    """

    elapsed_s: float
    progress: float
    phase: str
    vus: int
    in_flight: int
    requests: int
    failed: int
    requests_per_s: float
    failed_per_s: float
    iterations: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    workers_alive: int
    workers_lost: int
    worker_cpu_percent: tuple[float, ...]
    host: HostSample | None
    target: ProcessSample | None
    thresholds: tuple[ThresholdResult, ...]
    message: str = ""
    t_s: float = 0.0
    time_ns: int = 0
    span_s: float = 1.0
    table: SeriesTable = field(default_factory=SeriesTable, repr=False)
    errors: ErrorTable = field(default_factory=ErrorTable)
    exceptions: ErrorTable = field(default_factory=ErrorTable)
    offered: int = 0
    late: Mapping[str, float] = field(default_factory=dict)
    workers: tuple[ProcessSample, ...] = ()
    lag_max_ms: tuple[float, ...] = ()
    events: tuple[Event, ...] = ()
    points: tuple[Any, ...] = field(default=(), repr=False)
    verdict: Verdict | None = None
    troubles: tuple[str, ...] = ()
