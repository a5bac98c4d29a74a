"""Time line of a run, as data for charts: shared by the report, the dashboard and the comparison.

`Timeline` takes the snapshots of a run one by one, live or from a saved run, and keeps at most `MOST_ROWS` rows. When
there are more, neighbouring rows are merged two by two, exactly (histograms and sums are added); from then on a row
is twice as long. `Timeline.columns` returns plain data: one list for each column, all of the same length.

The columns have one value for each row, None where nothing was measured:

==================== ====================================================================================
``t``, ``span``      the row's end, in s since the common start on the wall clock (pauses included), and its length;
                     charts draw the point of a row in the middle between its beginning and its end
``vus``              the largest number of VUs
``offered``          starts that were due per s; None in a closed model and in the warm-up
``rate``             requests that ended per s, warm-up included; ``failed_rate``: requests that failed per s
``iterations_rate``  iterations that ended per s; ``raised_rate``: iterations that raised per s
``dropped_rate``     starts that found no free VU and were dropped, per s
``calls_rate``       measured calls per s; None where the whole run has none
``sessions_rate``    WebSockets that were opened per s; None where the whole run has none
``messages_rate``    WebSocket messages per s, both ways; None where the whole run has none
``events_rate``      events of streams per s; None where the whole run has none
``response_p50``     and ``_p95``, ``_p99``: response time, from due to done, in ms; None without due times
``service_p50``      and ``_p95``, ``_p99``: service time, from sent to done, in ms
``blocked`` ...      the mean of each of `REQUEST_PHASES`, in ms
``lag``              the longest stall of any worker's event loop, in ms
``host_cpu``         per cent of the whole machine; ``host_memory``: the most bytes in use
``net_sent``         bytes per s of the whole machine; ``net_received`` likewise
``target_cpu``       per cent, 100 is one core; ``target_memory``: the most bytes; None where it was not sampled
``workers``          ``{index: [cpu]}``, per cent, 100 is one core
``errors``           ``{kind: [failures per s]}``, the most frequent kind first, at most `MOST_KINDS` kinds;
                     ``errors_other``: failures per s of all other kinds together
``heat``             the counts of the headline latency by band, in the form of `curves.band_counts`
==================== ====================================================================================

``of`` names the source of the response and service times: "http_req" for requests; in a run without a response "call"
for measured calls; without calls "ws" (service: the time to open a WebSocket) or "stream" (service: the time to the
first event). The headline latency is that of `headline_trend`: the response time where every scenario is open.

The most frequent endpoints have rows of their own: see `EndpointLines`.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from copy import copy
from itertools import chain
from typing import Any

from fastload.model.bounded_rows import BoundedRows
from fastload.model.headline import has_only_open_models, headline_trend
from fastload.model.metrics import Series
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import TrendValue
from fastload.model.timeline.curves import band_bounds_ms, percentile_curve
from fastload.model.timeline.endpoints import ENDPOINT_METRICS, MOST_ENDPOINTS, EndpointLines
from fastload.model.timeline.phases import WallClock, phases_of
from fastload.model.timeline.row import LATENCY_SOURCES, REQUEST_PHASES, ROW_METRICS, TimelineRow, WeightedMean
from fastload.model.units import parse_whole

__all__ = ["MOST_ROWS", "REQUEST_PHASES", "Timeline"]

MOST_ROWS = 900
MOST_EVENTS = 200
RECENT_SECONDS = 5
"""How many seconds the current figures of a live page are of."""
MOST_KINDS = 20
_RATES = ("rate", "failed_rate", "iterations_rate", "raised_rate", "dropped_rate", "offered")
_OPTIONAL_RATES = ("calls_rate", "sessions_rate", "messages_rate", "events_rate")
_SUBJECT_RATES = {"http_req": "rate", "call": "calls_rate", "ws": "sessions_rate", "stream": "events_rate"}
"""Column with the rate of each source of latencies."""
_PRESENCE_METRICS = {"call": ("calls",), "ws": ("ws_sessions", "ws_failed"), "stream": ("stream_events",)}
"""Metrics that show that a run has calls, WebSockets or streams, even if none of these has a latency."""
_MEANS = ("host_cpu", "net_sent", "net_received", "target_cpu")
_QUANTILES = ("p50", "p95", "p99")
METRICS: frozenset[str | tuple[str, ...]] = frozenset(
    (*ROW_METRICS, *chain.from_iterable(_PRESENCE_METRICS.values()), *ENDPOINT_METRICS)
)
"""All metrics that a time line reads: those without tags by name, the others as (name, tag, ...)."""
_US_PER_MS = 1000
_MAXIMA = ("vus", "lag", "host_memory", "target_memory")


class Timeline:
    """Time line of the run of *header*: its rows, and the distribution of latencies over the whole run.

    *most_endpoints*: how many endpoints have lines, 0 for none.
    """

    def __init__(self, header: RunHeader, *, most_rows: int = MOST_ROWS, most_endpoints: int = MOST_ENDPOINTS) -> None:
        self._plan = header.plan
        self._only_open = has_only_open_models(self._plan)
        self._is_open = any(scenario.get("model") == "open" for scenario in header.plan.get("scenarios", ()))
        self._clock = WallClock()
        self._rows: BoundedRows[TimelineRow] = BoundedRows(most_rows)
        self._recent: deque[TimelineRow] = deque(maxlen=RECENT_SECONDS)
        self._endpoints = EndpointLines(most_endpoints=most_endpoints)
        self._totals: dict[str, TrendValue] = {}
        self._errors: Counter[str] = Counter()
        self._workers: set[str] = set()
        self._optional: set[str] = set()
        self._seen: set[str] = set()
        self._events: list[dict[str, Any]] = []
        self._events_left_out = 0

    @staticmethod
    def seconds_per_row(seconds: int, most_rows: int = MOST_ROWS) -> int:
        """Return how many seconds are in a row of a time line with so many *seconds*: a power of two."""
        per_row = 1
        while -(-seconds // per_row) > most_rows:
            per_row *= 2
        return per_row

    def __len__(self) -> int:
        return len(self._rows.rows)

    def add(self, snapshot: Snapshot) -> None:
        """Add the next second. *snapshot* is neither kept nor changed."""
        known = self._known()
        end_s = self._clock.add(snapshot)
        is_measured = (snapshot.t_s or snapshot.elapsed_s) > self._plan.get("warmup_s", 0.0)
        row = TimelineRow.of(snapshot, end_s, has_offered=self._is_open and is_measured)
        self._add_totals(snapshot, row)
        self._add_events(snapshot)
        self._endpoints.add(snapshot.table, end_s, snapshot.span_s, is_measured=is_measured)
        # A copy: later seconds may be merged into the row itself.
        self._recent.append(row.copy())
        self._rows.add(row)
        if self._known() != known:
            # Earlier rows have new columns now, or columns of another source: all rows must be sent again.
            self._rows.change_all()

    def columns(self) -> dict[str, Any]:
        """Return all rows, and the data of the whole run, as plain data for JSON.

        In addition to the columns:

        - ``first``: the number of the first row; ``step_s``: the seconds of a row
        - ``wall_ms``: the wall clock at 0 s, in ms since the epoch, or None
        - ``of``: the source of the latencies, see above; ``open``: whether there are response times (open model);
          ``headline``: which of them lead, "response" or "service"
        - ``errors_left_out``: the number of kinds in ``errors_other``
        - ``bounds``: the bounds of the bands of ``heat``, in ms
        - ``phases``: see `phases_of`
        - ``events``: each ``{"t", "kind", "text"}``; ``events_left_out``: the number of further events
        - ``curves``: ``response`` and ``service`` in the form of `percentile_curve`
        - ``endpoints``: see `EndpointLines.columns`
        """
        return self._columns(0) | {"endpoints": self._endpoints.columns()}

    def _columns(self, first: int) -> dict[str, Any]:
        """Return what `columns` does without ``endpoints``, with the rows from number *first* on."""
        rows, of = self._rows.rows[first:], self._subject
        service, response = LATENCY_SOURCES[of]
        is_open = self._is_open and bool(response)
        headline = self._headline
        kinds = [kind for kind, _ in self._errors.most_common(MOST_KINDS)]
        return {
            "first": first,
            "step_s": self._rows.seconds_per_row,
            "wall_ms": self._clock.start_ms,
            "of": of,
            "open": is_open,
            "headline": "response" if headline == response else "service",
            "t": [round(row.end_s, 3) for row in rows],
            "span": [round(row.span_s, 6) for row in rows],
            **{name: [_quotient(row.rates, name) for row in rows] for name in (*_RATES, *_MEANS)},
            **{
                name: [_quotient(row.rates, name) if name in self._optional else None for row in rows]
                for name in _OPTIONAL_RATES
            },
            **{name: [_rounded(row.maxima.get(name)) for row in rows] for name in _MAXIMA},
            **{name: [_quotient(row.request_phases_us, name, _US_PER_MS) for row in rows] for name in REQUEST_PHASES},
            **_quantiles(rows, "response_", response if is_open else ""),
            **_quantiles(rows, "service_", service),
            "workers": {
                index: [_quotient(row.workers, index) for row in rows] for index in sorted(self._workers, key=_number)
            },
            "errors": {kind: [round(row.errors.get(kind, 0) / row.span_s, 3) for row in rows] for kind in kinds},
            "errors_other": [round(_others(row, kinds) / row.span_s, 3) for row in rows],
            "errors_left_out": len(self._errors) - len(kinds),
            "heat": _bands(rows, headline),
            "bounds": band_bounds_ms(),
            "phases": phases_of(self._plan, self._clock),
            "events": list(self._events),
            "events_left_out": self._events_left_out,
            "curves": {
                "response": self._curve(response if is_open else ""),
                "service": self._curve(service),
            },
        }

    def recent(self) -> dict[str, Any] | None:
        """Return the figures of the last `RECENT_SECONDS` seconds together, or None before the first second.

        ``span_s``: how long they were; ``rate`` and ``failed_rate``: what ended and what failed per s, of the source of
        the latencies; ``p50``, ``p95`` and ``p99``: the headline latency in ms, None without any.
        """
        if not self._recent:
            return None
        whole = self._recent[0].copy()
        for row in list(self._recent)[1:]:
            whole.merge(row)
        of = self._subject
        failed = _quotient(whole.rates, "failed_rate") if of == "http_req" else _others(whole, ()) / whole.span_s
        return {
            "span_s": round(whole.span_s, 3),
            "rate": _quotient(whole.rates, _SUBJECT_RATES[of]),
            "failed_rate": round(failed or 0.0, 4),
            **{name: values[0] for name, values in _quantiles([whole], "", self._headline).items()},
        }

    def take_changes(self) -> dict[str, Any]:
        """Return `columns` from the first row on that is new or changed since the last call.

        A reader keeps its rows before ``first`` and replaces all later rows by these. The rows of the endpoints have a
        ``first`` of their own.
        """
        return self._columns(self._rows.take_first_changed()) | {"endpoints": self._endpoints.take_changes()}

    def copy(self) -> Timeline:
        """Return a copy. Merging rows of the copy does not change this time line."""
        other = copy(self)
        other._rows = self._rows.copy()
        other._endpoints = self._endpoints.copy()
        return other

    def halve(self) -> None:
        """Merge neighbouring rows two by two, also those of the endpoints: half as many rows, each twice as long."""
        self._rows.halve()
        self._endpoints.halve()

    @property
    def _subject(self) -> str:
        if LATENCY_SOURCES["http_req"][0] in self._totals:
            return "http_req"
        return next((name for name in _PRESENCE_METRICS if name in self._seen), "http_req")

    @property
    def _headline(self) -> str:
        return headline_trend(LATENCY_SOURCES[self._subject][0], only_open=self._only_open)

    def _known(self) -> tuple[Any, ...]:
        few = len(self._errors) <= MOST_KINDS
        kinds = frozenset(self._errors if few else (kind for kind, _ in self._errors.most_common(MOST_KINDS)))
        return self._subject, len(self._optional), len(self._workers), kinds

    def _add_totals(self, snapshot: Snapshot, row: TimelineRow) -> None:
        for metric in row.trends:
            series_value = snapshot.table.get(metric)
            self._totals.setdefault(metric, TrendValue(series_value.highest)).merge(series_value)
        if row.errors:
            self._errors.update(row.errors)
        self._workers.update(row.workers)
        series_values = snapshot.table.series_values
        if not series_values:
            # Most seconds of a long saved run: the last one of a group has the series of all.
            return
        self._optional.update(name for name in _OPTIONAL_RATES if row.rates[name].amount)
        self._seen.update(
            name
            for name, signs in _PRESENCE_METRICS.items()
            if any(Series(metric) in series_values for metric in signs)
        )

    def _add_events(self, snapshot: Snapshot) -> None:
        for event in snapshot.events:
            if len(self._events) < MOST_EVENTS:
                t_s = self._clock.within(snapshot, event.t_s)
                self._events.append({"t": t_s, "kind": event.kind, "text": event.text})
            else:
                self._events_left_out += 1

    def _curve(self, metric: str) -> dict[str, list[float]]:
        return percentile_curve(self._totals.get(metric) or TrendValue())


def _quotient(shares: Mapping[str, WeightedMean], name: str, scale: float = 1.0) -> float | None:
    share = shares.get(name)
    return None if share is None else round(share.quotient / scale, 4)


def _others(row: TimelineRow, kinds: Iterable[str]) -> int:
    """Return the number of failures of all kinds that are not in *kinds*."""
    return sum(row.errors.values()) - sum(row.errors.get(kind, 0) for kind in kinds)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _quantiles(rows: Iterable[TimelineRow], prefix: str, metric: str) -> dict[str, list[float | None]]:
    """Return the columns of p50, p95 and p99."""
    columns: dict[str, list[float | None]] = {f"{prefix}{name}": [] for name in _QUANTILES}
    for row in rows:
        trend = row.trends.get(metric)
        values = [None] * len(_QUANTILES) if trend is None else trend.quantiles_ms
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return columns


def _bands(rows: Iterable[TimelineRow], metric: str) -> list[list[int]]:
    trends = (row.trends.get(metric) for row in rows)
    return [trend.bands if trend is not None else [] for trend in trends]


def _number(index: str) -> tuple[int, str]:
    number = parse_whole(index, sys.maxsize)
    return (sys.maxsize, index) if number is None else (number, "")
