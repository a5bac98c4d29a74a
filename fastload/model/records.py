"""Records of a run's measurements: Delta (one worker, one second) and Snapshot (the whole run, each second)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

from fastload.model.capacity.result import SearchProgress
from fastload.model.error_remedies import REMEDIES
from fastload.model.errors import FrameError
from fastload.model.judging.stalls import StallTable
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict
from fastload.model.metrics import OTHER_NAME
from fastload.model.public_types import PublicType
from fastload.model.raise_sites import MOST_MESSAGES, RaiseGroup, RaiseSite, RaiseTable
from fastload.model.redaction import shortened
from fastload.model.resources import HostSample, ProcessSample
from fastload.model.series import CounterValue, SeriesTable
from fastload.model.units import format_number_of

MOST_KINDS = 100
"""How many kinds of errors, or types of exceptions, are counted separately."""
KINDS_OF_ERRORS, TYPES_OF_EXCEPTIONS = "kinds of errors", "types of exceptions"
MOST_NAMES_LISTED = 10
"""How many names of requests and calls a summary lists for each kind of error."""
_MOST_KIND = 200
_JUDGED = "judged"
_STATUS = re.compile(r"http_\d+").fullmatch


@dataclass(slots=True)
class ErrorTable:
    """Failures by kind: the count and the first message of each kind. Bad statuses are kinds too, like ``http_500``.

    ``by_name`` counts the failed requests and calls of each kind by (method, name); the method of a call is empty.
    Failures of anything else, such as WebSocket sessions, are not in ``by_name``.

    ``raised`` has the exceptions of a table of exceptions, whose kinds are classes, by line of the script and message.
    It lacks those in run files of earlier versions, and the types that are counted together.

    The table is bounded, whatever a script raises: the kinds after the first `MOST_KINDS` are counted together, as
    ``judged`` or `OTHER_NAME`, except for fastload's own kinds and statuses, and long texts are shortened.
    """

    entries: dict[str, tuple[int, str]] = field(default_factory=dict)
    by_name: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)
    raised: RaiseTable = field(default_factory=RaiseTable)

    def count(self, kind: str, message: str = "", what: tuple[str, str] | None = None) -> None:
        """Count one failure of *kind*. Only the first *message* of a kind is kept.

        *what* is the (method, name) of the request or call that failed.
        """
        kind = self._add(kind, 1, message)
        if what is not None:
            names = self.by_name.setdefault(kind, {})
            names[what] = names.get(what, 0) + 1

    def count_raised(self, kind: str, traceback: str, site: RaiseSite) -> None:
        """Count one exception of the class *kind*, raised at *site*."""
        kind = self._add(kind, 1, traceback)
        if kind != OTHER_NAME:
            self.raised.count(kind, site, traceback)

    def merge(self, other: ErrorTable) -> None:
        """Add the failures of *other*. A kind that is in both tables keeps the message of this table."""
        kept = set()
        for kind, (count, message) in other.entries.items():
            counted_as = self._add(kind, count, message)
            if counted_as == kind:
                kept.add(kind)
            if names := other.by_name.get(kind):
                mine = self.by_name.setdefault(counted_as, {})
                for what, of_name in names.items():
                    mine[what] = mine.get(what, 0) + of_name
        if other.raised.groups:
            self.raised.merge(other.raised, kept)

    def _add(self, kind: str, count: int, message: str) -> str:
        """Add *count* failures of *kind*, and return the kind under which they are counted."""
        known = self.entries.get(kind)
        if known is None:
            counted_as = self._admitted(shortened(kind, _MOST_KIND))
            if counted_as == OTHER_NAME != kind:
                message = f"{kind}: {message}"
            kind = counted_as
            known = self.entries.get(kind) or (0, shortened(message))
        self.entries[kind] = (known[0] + count, known[1])
        return kind

    def _admitted(self, kind: str) -> str:
        """Return *kind*, or, if the table is full, what it is counted as."""
        if len(self.entries) < MOST_KINDS or kind in self.entries or kind in REMEDIES or _STATUS(kind):
            return kind
        return _JUDGED if kind.startswith(f"{_JUDGED}:") else OTHER_NAME

    def limit_notes(self, what: str) -> list[str]:
        """Return a note if the table was full; *what* names its kinds, like "kinds of errors"."""
        count, _ = self.entries.get(OTHER_NAME, (0, ""))
        counted = f"{format_number_of(count, 'failure')} of the others are counted together as {OTHER_NAME}"
        return [f"there were more than {MOST_KINDS} {what}: {counted}"] if count else []

    def to_plain(self) -> dict[str, list[Any]]:
        """Return plain data for a frame or a file: ``{kind: [count, first message, names, groups]}``.

        ``names`` are ``[[method, name, count], ...]``, ``groups`` those of `RaiseTable.to_plain`.
        """
        return {
            kind: [
                *entry,
                [[*what, count] for what, count in self.by_name.get(kind, {}).items()],
                *([groups] if (groups := self.raised.to_plain(kind)) else ()),
            ]
            for kind, entry in self.entries.items()
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Sequence[Any]]) -> Self:
        """Return the table of *plain*, the result of `to_plain`; the lists of names and groups may be missing."""
        if not plain:
            return cls()
        named = {kind: entry[2] for kind, entry in plain.items() if len(entry) > 2 and entry[2]}
        as_sent = cls(
            {kind: (entry[0], entry[1]) for kind, entry in plain.items()},
            {kind: {(method, name): count for method, name, count, *_ in rows} for kind, rows in named.items()},
        )
        for kind, entry in plain.items():
            if len(entry) > 3:
                as_sent.raised.add_plain(kind, entry[3])
        bounded = cls()
        bounded.merge(as_sent)
        return bounded

    @property
    def total(self) -> int:
        return sum(count for count, _ in self.entries.values())

    def to_list(self) -> list[dict[str, Any]]:
        """Return one dict for each kind, the most frequent kind first."""
        ordered = sorted(self.entries.items(), key=lambda item: -item[1][0])
        return [{"kind": kind, "count": count, "first": message} for kind, (count, message) in ordered]

    def names_of(self, kind: str) -> list[dict[str, Any]]:
        """Return where *kind* happened, as `by_name` has it: at most `MOST_NAMES_LISTED` names, the most frequent
        first.
        """
        ordered = sorted(self.by_name.get(kind, {}).items(), key=lambda item: -item[1])
        return [
            {"method": method, "name": name, "count": count} for (method, name), count in ordered[:MOST_NAMES_LISTED]
        ]

    def raised_list(self) -> list[dict[str, Any]]:
        """Return one dict for each group of exceptions, the most frequent first.

        In addition to the keys of `to_list` it has ``where``, the line of the script, and ``messages``, how many
        different ones. What is in no group is one more of its class, with "" and None.
        """
        rows: list[dict[str, Any]] = []
        for kind, (count, first) in self.entries.items():
            for where, one in self.raised.of_kind(kind):
                row = {"kind": kind, "count": one.count, "first": one.first}
                rows.append(row | {"where": where, "messages": len(one.messages)})
                count -= one.count
            if count > 0:
                rows.append({"kind": kind, "count": count, "first": first, "where": "", "messages": None})
        return sorted(rows, key=lambda row: -row["count"])

    @classmethod
    def from_raised_list(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """Return the table of *rows*, the result of `raised_list`; ``where`` and ``messages`` may be missing."""
        table = cls()
        for number, row in enumerate(rows):
            kind, count, first = row["kind"], row["count"], row["first"]
            known, text = table.entries.get(kind, (0, first))
            table.entries[kind] = (known + count, text)
            if (messages := row.get("messages")) is not None:
                # The checksums are not known, only how many there are.
                checksums = set(range(min(messages, MOST_MESSAGES)))
                table.raised.groups[kind, row.get("where", ""), number] = RaiseGroup(count, first, checksums)
        return table


@dataclass(slots=True)
class WorkerStats:
    """Counts of one worker in one second.

    ``vus`` is the number of active VUs and ``in_flight`` that of requests in flight, both at the end of the second.
    ``vus_peak`` is the largest number of VUs at once, ``lag_max_us`` the longest stall of the event loop. All other
    fields count within the second.

    Every started request is accounted for: ``started = finished + failed + interrupted + warmup + change of
    in_flight``. Nothing is in flight at the beginning and at the end of a run. ``interrupted`` are requests given up at
    the end of the run; they count neither as finished nor as failed. ``warmup`` are requests that ended in the warm-up.

    ``challenges`` were sent in addition to the started requests, to answer challenges of digest or NTLM.
    ``retry_after`` counts responses with a bad status of 429 or 503 that said when to try again.
    ``task_exceptions`` are those of tasks that the script started and did not await.

    ``in_flight_s`` is the number of requests in flight, added up over ``watched_s`` seconds (in request-seconds), and
    ``in_flight_variance`` the variance of that sum (in its unit squared), because the number is only read now and then.
    ``in_flight_peak`` is the largest of these readings.
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
    task_exceptions: int = 0
    lag_max_us: int = 0
    vus_peak: int = 0
    challenges: int = 0
    watched_s: float = 0.0
    in_flight_s: float = 0.0
    in_flight_variance: float = 0.0
    in_flight_peak: int = 0
    retry_after: int = 0


@dataclass(slots=True)
class Delta:
    """Measurements of one worker since its last delta. *seq* counts from 0 without gaps.

    *late*: measured after the last possible start, while the last iterations ended. Late values count in all totals,
    but in no rate per second. *at_ns*: the end of its second (monotonic): a whole second after the common start, the
    last possible start, or the end of the worker's load. *points* are single requests and iterations as plain data, if
    the plan asks for points. *stalls*: how late the event loop was, and why.
    """

    worker: int
    seq: int
    table: SeriesTable
    errors: ErrorTable
    exceptions: ErrorTable
    stats: WorkerStats
    late: bool = False
    at_ns: int = 0
    points: list[Any] = field(default_factory=list)
    stalls: StallTable = field(default_factory=StallTable)

    @property
    def iterations(self) -> int:
        """How many iterations ended, good and failed ones."""
        values = (self.table.get(name) for name in ("iterations", "iterations_failed"))
        return sum(int(value.value) for value in values if isinstance(value, CounterValue))

    def to_body(self) -> dict[str, Any]:
        """Return plain data for a frame."""
        return {
            "worker": self.worker,
            "seq": self.seq,
            "table": self.table.to_plain(),
            "errors": self.errors.to_plain(),
            "exceptions": self.exceptions.to_plain(),
            "stats": asdict(self.stats),
            "late": self.late,
            "at_ns": self.at_ns,
            "points": self.points,
            "stalls": self.stalls.to_plain(),
        }

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Delta:
        """Return the delta of *body*, the result of `to_body`.

        Raises:
            FrameError: *body* has another form.
        """
        try:
            return cls(
                worker=body["worker"],
                seq=body["seq"],
                table=SeriesTable.from_plain(body["table"]),
                errors=ErrorTable.from_plain(body["errors"]),
                exceptions=ErrorTable.from_plain(body["exceptions"]),
                stats=WorkerStats(**body["stats"]),
                late=body["late"],
                at_ns=body["at_ns"],
                points=body["points"],
                stalls=StallTable.from_plain(body["stalls"]),
            )
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FrameError(f"no delta: {type(error).__name__}: {error}") from error


class Event(NamedTuple):
    """Event of a run: *kind* is "phase", "worker", "control", "load" or "stop".

    *t_s* counts as `Snapshot.elapsed_s` does.
    """

    t_s: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot(metaclass=PublicType):
    """State of a run, made each second. The window of a snapshot is the time since the last snapshot.

    - State: *elapsed_s* counts from the common start, without pauses. *progress* is 0..1. *phase* is "warm-up",
      "running", "paused" or "stopping". *vus*, *in_flight* and *thresholds* are as of now; *requests*, *failed*,
      *iterations* and *workers_lost* are totals; *workers_alive* are left. *verdict* is the verdict of the run so far.
      *message* answers a pressed key. *search* is the state of a capacity search, None in other runs and in saved ones.
      *troubles* are the losses of outputs so far.
    - Bounds of the window: it is *span_s* long and ends *t_s* after the common start (without pauses), at *time_ns* on
      the wall clock (since the epoch).
    - Load in the window: *table* has all series, *errors* and *exceptions* the failures. *requests_per_s* and
      *failed_per_s* are rates. *p50_ms*, *p95_ms* and *p99_ms* are None when no response came. *offered* counts the
      starts that were due in an open model. *late* maps labels of counters to the part that came after
      the last possible start. *points* are single requests and iterations, if the plan asks for points.
    - Processes in the window: *host*, *target* and *workers* are samples of resource usage, *worker_cpu_percent* the
      CPU of each worker. *lag_max_ms* is the longest
      stall of each worker's event loop. *events* are the events of the run.

    All outputs share the objects of a snapshot: no output may change them.
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
    search: SearchProgress | None = None
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
