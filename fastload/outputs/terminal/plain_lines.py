"""Progress as one plain line every few seconds, for pipes and CI logs."""

from __future__ import annotations

from rich.console import Console

from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.model.units import format_count, format_duration_s, format_ms, format_number_of
from fastload.model.wire_text import one_line
from fastload.outputs.base import writing
from fastload.outputs.figures import cpu_line, failing_now, format_clock, format_cpu
from fastload.outputs.terminal.layout import legible
from fastload.outputs.terminal.recent import REQUESTS, SESSIONS, ActivityKinds, KindActivity

_FIRST_S = 1.0
_SLACK_S = 0.25
"""Tolerance: a snapshot that comes up to this much before a line is due is shown."""


class PlainLines:
    """An output that prints lines without colours: the first after one second, then one every *every_s*, and one for
    each step of a capacity search as it ends.

    ``Snapshot.elapsed_s`` alone decides which snapshots are shown.
    """

    name = "progress lines"

    def __init__(self, console: Console, every_s: float = 5.0) -> None:
        self._console = console
        self._every_s = every_s
        self._due_s = _FIRST_S
        self._total = ""
        self._message = ""
        self._kinds = ActivityKinds()

    def start(self, plan: Plan) -> None:
        self._due_s = _FIRST_S
        self._total = format_duration_s(plan.duration_s)
        self._kinds = ActivityKinds(only_open=plan.has_only_open_models)

    def snapshot(self, snapshot: Snapshot) -> None:
        self._kinds.add(snapshot)
        for event in snapshot.events:
            if event.kind == "step":
                self._print(f"{format_clock(event.t_s):>{self._clock_width}}  {one_line(event.text)}")
        reached_s = snapshot.elapsed_s + _SLACK_S
        if reached_s >= self._due_s:
            self._due_s = (reached_s // self._every_s + 1) * self._every_s
            self._print(self._line(snapshot))

    def stop(self, summary: Summary) -> None:
        """Do nothing: the report shows the result."""

    def _print(self, line: str) -> None:
        with writing("the progress"):
            self._console.out(legible(line, self._console.encoding), highlight=False)

    @property
    def _clock_width(self) -> int:
        return 2 * len(self._total) + 1

    def _line(self, now: Snapshot) -> str:
        clock = f"{format_clock(now.elapsed_s)}/{self._total}"
        phase = [] if now.phase == "running" else [now.phase]
        main = self._kinds.main()
        took = (("p50", main.now.p50_ms), ("p95", main.now.p95_ms), ("p99", main.now.p99_ms))
        latency = " ".join(f"{name} {format_ms(value)}" for name, value in took)
        latency += f" of {main.now.covered}" if main.now.covered else ""
        parts = [
            f"{clock:>{self._clock_width}}",
            *phase,
            format_number_of(now.vus, "VU"),
            f"{format_count(round(main.now.per_s))} {'req' if main.what == REQUESTS else main.what}/s",
            f"{format_count(round(main.now.failed_per_s))} failed/s",
            f"connecting {latency}" if main.what == SESSIONS else latency,
            *map(_side, self._kinds.sides()),
        ]
        if now.worker_cpu_percent:
            parts.append(f"workers {cpu_line(now.worker_cpu_percent)}")
        if now.target is not None:
            parts.append(f"target {format_cpu(now.target.cpu_percent)}")
        if now.workers_lost:
            parts.append(f"{now.workers_lost} worker{'s' * (now.workers_lost > 1)} lost")
        if failing := len(failing_now(now)):
            parts.append(f"{failing} threshold{'s' * (failing > 1)} failing")
        if lossy := len(now.troubles):
            parts.append(f"{lossy} output{'s' * (lossy > 1)} lost data")
        if now.search is not None and now.search.doing:
            parts.append(now.search.doing)
        # Once: unlike the live block, what was printed stays.
        if now.message and now.message != self._message:
            parts.append(one_line(now.message))
        self._message = now.message
        return "  ".join(parts)


def _side(side: KindActivity) -> str:
    failed = f" ({format_count(round(side.now.failed_per_s))} failed/s)" if side.failed else ""
    return f"{format_count(round(side.now.per_s))} {side.what}/s{failed}"
