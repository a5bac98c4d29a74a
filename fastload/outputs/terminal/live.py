"""The live block: the progress of a run on a terminal, redrawn each second."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import IO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from fastload.model.http_settings import without_credentials
from fastload.model.load_models import PerVUIterations, Shape, SharedIterations
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.model.units import format_bytes, format_count, format_duration_s, format_ms, format_number_of
from fastload.model.wire_text import one_line
from fastload.outputs.base import writing
from fastload.outputs.figures import MARK, cpu_line, failing_now, format_clock, format_cpu, format_observed
from fastload.outputs.terminal.layout import Cell, Column, Columns, Legible, Paragraph, legible
from fastload.outputs.terminal.live_details import error_kinds, offered, scenario_table, searching
from fastload.outputs.terminal.recent import (
    MESSAGES,
    MINUTE_S,
    SESSIONS,
    ActivityKinds,
    KindActivity,
    NameActivity,
    Recent,
)
from fastload.outputs.terminal.sparkline import ASCII_BARS, BARS, BarValue, Join, condense, mean, sparkline
from fastload.outputs.terminal.style import BAD, DIM, GOOD, STRONG, WARN, cpu_style

_PHASE_STYLE = {"running": GOOD, "warm-up": WARN, "paused": WARN, "stopping": WARN}
# Executors that may end long before their duration.
_OPEN_END = SharedIterations | PerVUIterations | Shape
_LABEL_WIDTH = 10
_BAR_AT_LEAST, _BAR_AT_MOST = 5, 60
_FAILING_AT_MOST = 5
_TROUBLES_AT_MOST = 3
_SPARK_AT_LEAST = 10
_TABLE_FROM_WIDTH = 80
_PLACES_AT_LEAST, _PLACES_AT_MOST = 1, 12
# Escape sequences (CSI; OSC and the like, which end with BEL or ST; two characters) and control characters but the tab.
_UNSHOWN = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")


class LiveBlock:
    """An output that redraws a block on the terminal with every snapshot, and removes it when the run is over. The
    steps of a capacity search stay above it.

    It starts no thread and does not redirect ``sys.stdout``. Its cost is one drawing per second, and one for the lines
    that `print_above` gets.
    """

    name = "live display"

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._plan: Plan | None = None
        self._recent = Recent()
        self._shared = console.file
        self._lock = threading.Lock()

    def start(self, plan: Plan) -> None:
        self._plan = plan
        self._recent = Recent(only_open=plan.has_only_open_models)
        self._shared = self._console.file
        self._console.file = _own_file(self._shared)
        with writing("the live block"):
            self._live = Live(
                Legible(Group(*_head(plan))),
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start(refresh=True)

    def snapshot(self, snapshot: Snapshot) -> None:
        if self._live is not None and self._plan is not None:
            self._recent.add(snapshot)
            with self._lock, writing("the live block"):
                for event in snapshot.events:
                    if event.kind == "step":
                        self._console.print(Legible(Paragraph(f"{format_clock(event.t_s)}  ", one_line(event.text))))
                self._live.update(Legible(render_snapshot(self._plan, snapshot, self._recent)), refresh=True)

    def stop(self, summary: Summary) -> None:  # noqa: ARG002 - the interface of every output
        self.close()

    def close(self) -> None:
        """Remove the block and show the cursor again, also for a run without a summary. Further calls do nothing."""
        with self._lock:
            live, self._live = self._live, None
            if live is not None:
                with writing("the live block"):
                    try:
                        live.stop()
                    finally:
                        own, self._console.file = self._console.file, self._shared
                        if own is not self._shared:
                            own.close()

    def print_above(self, stream: int, lines: bytes) -> bool:
        """See `RedrawnOutput`. Colours are kept; what would move the cursor is left out."""
        with self._lock:
            if self._live is None or not _is_same_terminal(stream, self._console.file):
                return False
            text = shown_lines(lines.decode(errors="replace"))
            # The block must not get a colour that the script left on.
            text += "\x1b[0m" if "\x1b" in text else ""
            self._console.print(_Verbatim(legible(text, self._console.encoding)), crop=False)
            return True


class _Verbatim:
    """Lines that rich neither wraps nor cuts."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self._text)


def shown_lines(text: str) -> str:
    """Return what a terminal would show of *text*, with its colours and without anything that moves the cursor.

    Of a line that a carriage return starts anew, like that of a progress bar, the last state is left.
    """
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return "\n".join(_UNSHOWN.sub(_colours_only, line) for line in lines)


def _colours_only(found: re.Match[str]) -> str:
    return found[0] if _COLOURS.fullmatch(found[0]) else ""


def _own_file(file: IO[str]) -> IO[str]:
    """Return a file on the terminal of *file* that stays there when the standard streams lead elsewhere."""
    try:
        descriptor = os.dup(file.fileno())
    except (OSError, ValueError):
        return file
    return os.fdopen(descriptor, "w", encoding=getattr(file, "encoding", None), errors=getattr(file, "errors", None))


def _is_same_terminal(fd: int, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.fstat(file.fileno()))
    except (OSError, ValueError):
        return False


def render_snapshot(plan: Plan, now: Snapshot, recent: Recent | None = None) -> RenderableType:
    """Render the block for the snapshot *now*. *recent* has the earlier snapshots, and *now* itself."""
    if recent is None:
        recent = Recent(only_open=plan.has_only_open_models)
        recent.kinds.add(now)
    return _Block(plan, now, recent)


class _Block:
    """The block: lines that are always shown, and what there is room for, in this order: kinds of errors, scenarios,
    bars of the last minute, a table of names."""

    def __init__(self, plan: Plan, now: Snapshot, recent: Recent) -> None:
        self._plan = plan
        self._now = now
        self._recent = recent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        plan, now, recent = self._plan, self._now, self._recent
        kinds = recent.kinds
        above = [*_head(plan), _Progress(plan, now), Text(), _figures(plan, now, kinds), _Latency(kinds.main())]
        below = [*_generator(now), *_failing(now), *searching(now, _LABEL_WIDTH), *_troubles(now)]
        below += _message(now.message or recent.message)
        room = options.size.height - sum(len(console.render_lines(one, options)) for one in (*above, *below))
        bars = _bars(recent, options.max_width, BARS if console.encoding.startswith("utf") else ASCII_BARS)
        details: list[RenderableType] = []
        for lines in (error_kinds(recent, _LABEL_WIDTH), scenario_table(plan, now, recent, _LABEL_WIDTH), bars):
            height = sum(len(console.render_lines(one, options)) for one in lines)
            if height <= room:
                details += lines
                room -= height
        yield from above
        yield from details
        yield from below
        # The table needs two more lines: an empty line and the titles.
        places = min(_PLACES_AT_MOST, recent.names, room - 2)
        if options.max_width >= _TABLE_FROM_WIDTH and places >= _PLACES_AT_LEAST:
            yield Text()
            yield _table(recent.places(places))


def _figures(plan: Plan, now: Snapshot, kinds: ActivityKinds) -> RenderableType:
    main = kinds.main()
    failed, style = format_count(main.failed), BAD if main.failed else ""
    rows = [
        _row("load", format_number_of(now.vus, "VU"), "", offered(plan, now)),
        _row(main.what, _per_s(main.now.per_s), format_count(main.total), "in all"),
        _row("failed", _per_s(main.now.failed_per_s), failed, "in all", style=style),
        *map(_side_row, kinds.sides()),
    ]
    columns = [Column(right=False), Column(), Column(), Column(right=False, shrink_to=1)]
    return Columns(columns, rows, first_width=_LABEL_WIDTH)


def _side_row(side: KindActivity) -> list[Cell]:
    note = f"in all, {format_count(side.failed)} failed" if side.failed else "in all"
    return _row(
        side.what, _per_s(side.now.per_s), format_count(side.total), note, note_style=BAD if side.failed else DIM
    )


def _bars(recent: Recent, width: int, bars: str) -> list[RenderableType]:
    """Return three lines of bars, or none if there are no values or the terminal is too narrow."""
    first = recent.kinds.first
    seconds = [one[first] for one in recent.seconds]
    # WebSocket sessions may last as long as the run, so the bars show messages per second.
    drawn = MESSAGES if first == SESSIONS else first
    rows: tuple[tuple[str, list[BarValue], Join, Callable[[float], str], str], ...] = (
        (f"{drawn}/s", [one[drawn].per_s for one in recent.seconds], mean, _rounded, GOOD),
        ("p95", [one.p95_ms for one in seconds], max, format_ms, ""),
        ("failed/s", [one.failed_per_s for one in seconds], max, _rounded, BAD),
    )
    tops = [f"  max {_top(values, shown)}" for _, values, _, shown, _ in rows]
    room = min(MINUTE_S, width - _LABEL_WIDTH - 2 - max(map(len, tops)))
    if not seconds or room < _SPARK_AT_LEAST:
        return []
    lines: list[RenderableType] = []
    for (label, values, join, _, style), top in zip(rows, tops, strict=True):
        drawn = sparkline(condense(values, recent.first, MINUTE_S, room, join), bars=bars)
        lines.append(_labelled(label).append(drawn, style or None).append(top, DIM))
    return lines


def _top(values: list[BarValue], shown: Callable[[float], str]) -> str:
    known = [value for value in values if value is not None]
    return shown(max(known)) if known else "-"


def _table(places: list[NameActivity]) -> RenderableType:
    """Render the most frequent names, with their latencies of the last second."""
    titles = ["requests", "per s", "p50", "p95", "p99", "failed"]
    return Columns(
        [Column("endpoints", right=False, shrink_to=20, cut="middle"), *(Column(title) for title in titles)],
        [_place_row(place) for place in places],
        first_width=_LABEL_WIDTH,
    )


def _place_row(place: NameActivity) -> list[Cell]:
    times = [place.duration.p(percent) if place.duration else None for percent in (50, 95, 99)]
    return [
        Cell(one_line(place.label)),
        Cell(format_count(place.requests)),
        Cell(_rounded(place.per_s), STRONG),
        *(Cell(format_ms(value)) for value in times),
        Cell(format_count(place.failed), BAD if place.failed else ""),
    ]


def _rounded(value: float) -> str:
    return format_count(round(value))


def _per_s(value: float) -> str:
    return f"{_rounded(value)}/s"


def _head(plan: Plan) -> list[RenderableType]:
    title = Text(no_wrap=True, overflow="ellipsis").append(one_line(plan.title), STRONG)
    shown = without_credentials(plan.base_url)
    if shown and shown not in plan.title:
        title.append(f"  {one_line(shown)}", DIM)
    return [title]


class _Progress:
    """One line with phase, clock, a bar of the free width, and per cent."""

    def __init__(self, plan: Plan, now: Snapshot) -> None:
        counted = any(isinstance(scenario.executor, _OPEN_END) for scenario in plan.scenarios)
        counted = counted or plan.capacity is not None
        self._clock = format_clock(now.elapsed_s) + (" of at most " if counted else "/")
        self._clock += format_duration_s(plan.duration_s)
        self._phase = now.phase
        self._share = min(1.0, max(0.0, now.progress))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = _labelled(self._phase, _PHASE_STYLE.get(self._phase, ""))
        line.append(f"{self._clock}  ")
        percent = f" {self._share * 100:3.0f}%"
        room = min(_BAR_AT_MOST, options.max_width - line.cell_len - len(percent))
        if room >= _BAR_AT_LEAST:
            done = round(room * self._share)
            line.append("━" * done, GOOD).append("─" * (room - done), DIM)
        yield line.append(percent, DIM)


def _row(label: str, value: str, total: str, note: str, *, style: str = "", note_style: str = DIM) -> list[Cell]:
    return [Cell(label, DIM), Cell(value, style or STRONG), Cell(total, style), Cell(note, note_style)]


class _Latency:
    """One line with the percentiles of the last second; shorter on a narrow terminal. If they are not those of all
    requests, a second line says of which."""

    def __init__(self, main: KindActivity) -> None:
        self._label = "connecting" if main.what == SESSIONS else "latency"
        self._covered = main.now.covered
        self._figures = (("p50", main.now.p50_ms), ("p95", main.now.p95_ms), ("p99", main.now.p99_ms))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = _labelled(self._label)
        for name, value in self._figures:
            line.append(f"{name} ", DIM).append(f"{format_ms(value):<8}")
        if line.cell_len <= options.max_width:
            yield line.append("of the last second", DIM)
        else:
            yield _labelled("p50 95 99").append("  ".join(format_ms(value) for _, value in self._figures))
        if self._covered:
            yield _labelled("").append(f"of {self._covered}", DIM)


def _generator(now: Snapshot) -> list[RenderableType]:
    lines = []
    workers = _labelled("workers").append(cpu_line(now.worker_cpu_percent) or "-")
    workers.append(" CPU", DIM)
    if now.workers_lost:
        workers.append(f"  {now.workers_lost} lost", f"bold {BAD}")
    lines.append(workers)
    if now.target is not None:
        target = _labelled("target")
        if now.target.alive:
            target.append(format_cpu(now.target.cpu_percent), cpu_style(now.target.cpu_percent)).append(" CPU", DIM)
            target.append(f"  {format_bytes(now.target.rss_bytes)}").append(" RSS", DIM)
        else:
            target.append("is not running", BAD)
        lines.append(target)
    return list(lines)


def _failing(now: Snapshot) -> list[RenderableType]:
    failing = failing_now(now)
    lines = []
    for number, result in enumerate(failing[:_FAILING_AT_MOST]):
        line = _labelled("" if number else "failing").append(f"{MARK[False]} ", BAD)
        line.append(f"{one_line(result.metric)} {one_line(result.expression)}  ")
        lines.append(line.append(format_observed(result), BAD))
    if len(failing) > _FAILING_AT_MOST:
        lines.append(_labelled("").append(f"and {len(failing) - _FAILING_AT_MOST} more", DIM))
    return list(lines)


def _troubles(now: Snapshot) -> list[RenderableType]:
    """Render the losses of outputs so far."""
    lines = []
    for number, trouble in enumerate(now.troubles[:_TROUBLES_AT_MOST]):
        lines.append(_labelled("" if number else "outputs").append(one_line(trouble), WARN))
    if len(now.troubles) > _TROUBLES_AT_MOST:
        lines.append(_labelled("").append(f"and {len(now.troubles) - _TROUBLES_AT_MOST} more", DIM))
    return list(lines)


def _message(message: str) -> list[RenderableType]:
    """Render the keys, or the effect of the last one."""
    return [_labelled("keys").append(one_line(message))] if message else []


def _labelled(label: str, style: str = DIM) -> Text:
    return Text(no_wrap=True, overflow="ellipsis").append(f"{label:<{_LABEL_WIDTH}}  ", style)
