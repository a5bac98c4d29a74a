"""The state of a live view: figures of the last minute, and totals of each request name."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fastload.model.headline import coverage, headline_trend
from fastload.model.records import Snapshot
from fastload.model.results import collect_calls, collect_endpoints
from fastload.model.series import CounterValue, RateValue, SeriesTable, TrendValue
from fastload.model.views import MetricView

MINUTE_S = 60
_SERVICE = "http_req_duration"
REQUESTS, SESSIONS, MESSAGES = "requests", "sessions", "messages"
_SIDES = {
    "calls": ("calls",),
    SESSIONS: ("ws_sessions",),
    MESSAGES: ("ws_msgs_sent", "ws_msgs_received"),
    "events": ("stream_events",),
}
"""Kinds of activity other than requests, and the counters of each."""
_TIMED = {"calls": ("call_failed", "call_duration"), SESSIONS: ("ws_failed", "ws_connecting")}
"""Kinds with failures and durations, and their metrics. The first kind present is the main one without requests."""


_Quantiles = tuple[float | None, float | None, float | None]


class SecondFigures(NamedTuple):
    """Rates and percentiles of one kind of activity in one second. *covered*: see `coverage`."""

    per_s: float = 0.0
    failed_per_s: float = 0.0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    covered: str = ""


class KindActivity(NamedTuple):
    """One kind of activity: its figures of the last second, and *total* and *failed* of the run so far."""

    what: str
    now: SecondFigures
    total: int
    failed: int


class ScenarioActivity(NamedTuple):
    """What a scenario has done: iterations so far, and those and requests per second of the last second."""

    iterations: int = 0
    iterations_per_s: float = 0.0
    requests_per_s: float = 0.0


class NameActivity(NamedTuple):
    """One request name (or call): *requests* and *failed* of the run so far, rate and *duration* of the last second."""

    label: str
    requests: int
    failed: int
    per_s: float
    duration: MetricView | None


class ActivityKinds:
    """The kinds of activity of a run so far. ``figures`` has the last second by kind.

    ``first`` is the main kind: requests; if the run had none yet, calls; if it had none either, WebSocket sessions.
    *only_open*: every scenario of the plan is open.
    """

    def __init__(self, *, only_open: bool = False) -> None:
        self.first = REQUESTS
        self.figures: Mapping[str, SecondFigures] = {}
        self._headline = headline_trend(_SERVICE, only_open=only_open)
        self._total: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()

    def add(self, now: Snapshot) -> None:
        """Add one second."""
        span_s = now.span_s or 1.0
        timed, ended = (trend.count if (trend := now.table.get(name)) else 0 for name in (self._headline, _SERVICE))
        took_ms = (now.p50_ms, now.p95_ms, now.p99_ms)
        requests = SecondFigures(now.requests_per_s, now.failed_per_s, *took_ms, coverage(_SERVICE, timed, ended))
        figures = self.figures = {REQUESTS: requests}
        for what, metrics in _SIDES.items():
            count, failed, side_ms = _side_of(now.table, what, metrics)
            figures[what] = SecondFigures(count / span_s, failed / span_s, *side_ms)
            self._total[what] += count
            self._failed[what] += failed
        self._total[REQUESTS], self._failed[REQUESTS] = now.requests, now.failed
        self.first = next((what for what in (REQUESTS, *_TIMED) if self._has(what)), REQUESTS)

    def main(self) -> KindActivity:
        """Return the main kind."""
        return self._side(self.first)

    def sides(self) -> list[KindActivity]:
        """Return the other kinds that the run has."""
        return [self._side(what) for what in _SIDES if what != self.first and self._has(what)]

    def _has(self, what: str) -> bool:
        return bool(self._total[what] or self._failed[what])

    def _side(self, what: str) -> KindActivity:
        return KindActivity(what, self.figures.get(what, SecondFigures()), self._total[what], self._failed[what])


def _side_of(table: SeriesTable, what: str, metrics: Sequence[str]) -> tuple[int, int, _Quantiles]:
    """Return count and failures of the kind *what* in *table*, and p50, p95 and p99 in ms."""
    count = sum(
        series_value.value for series_value in map(table.get, metrics) if isinstance(series_value, CounterValue)
    )
    failed = 0
    p50_ms = p95_ms = p99_ms = None
    if what in _TIMED:
        rate, trend = map(table.get, _TIMED[what])
        failed = rate.trues if isinstance(rate, RateValue) else 0
        if isinstance(trend, TrendValue):
            values = map(trend.quantile, (0.5, 0.95, 0.99))
            p50_ms, p95_ms, p99_ms = (None if value is None else value / 1000 for value in values)
    return round(count), failed, (p50_ms, p95_ms, p99_ms)


class Recent:
    """The last minute of a run, and the totals of its names; call `add` with every snapshot.

    ``seconds`` has the figures by kind of the last 60 snapshots, ``first`` is the number of the oldest of them, from 0.
    ``kinds`` are the kinds of activity, ``errors`` the errors so far by kind. ``message`` is what was last
    said of keys.
    *only_open*: every scenario of the plan is open.
    """

    def __init__(self, *, only_open: bool = False) -> None:
        self.seconds: deque[Mapping[str, SecondFigures]] = deque(maxlen=MINUTE_S)
        self.first = 0
        self.kinds = ActivityKinds(only_open=only_open)
        self.errors: Counter[str] = Counter()
        self.message = ""
        self._scenarios: dict[str, ScenarioActivity] = {}
        self._requests: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._now: dict[str, tuple[int, MetricView]] = {}
        self._span_s = 1.0

    def add(self, now: Snapshot) -> None:
        """Add one second."""
        self.first += len(self.seconds) == MINUTE_S
        self.kinds.add(now)
        self.seconds.append(self.kinds.figures)
        self._span_s = now.span_s or 1.0
        self.message = now.message or self.message
        self._now = {}
        for one in collect_endpoints(now.table, self._span_s):
            self._add(f"{one.method} {one.name}", one.requests, one.failed, one.duration)
        for call in collect_calls(now.table, self._span_s):
            self._add(f"call {call.name}", call.calls, call.failed, call.duration)
        for kind, (count, _) in now.errors.entries.items():
            self.errors[kind] += count
        self._add_scenarios(now.table)

    def scenario(self, name: str) -> ScenarioActivity:
        """Return the activity of the scenario *name*, of a run with several."""
        return self._scenarios.get(name, ScenarioActivity())

    def _add_scenarios(self, table: SeriesTable) -> None:
        of_metrics = [
            {tags["scenario"]: sink.value for tags, sink in table.of_metric(metric) if [*tags] == ["scenario"]}
            for metric in ("iterations", "http_reqs")
        ]
        iterations, requests = of_metrics
        for name in {*self._scenarios, *iterations, *requests}:
            ended = round(iterations.get(name, 0))
            self._scenarios[name] = ScenarioActivity(
                self.scenario(name).iterations + ended, ended / self._span_s, requests.get(name, 0) / self._span_s
            )

    def places(self, most: int) -> list[NameActivity]:
        """Return the *most* most frequent request names and calls."""
        places = []
        for label, requests in self._requests.most_common(most):
            count, duration = self._now.get(label, (0, None))
            places.append(NameActivity(label, requests, self._failed[label], count / self._span_s, duration))
        return places

    @property
    def names(self) -> int:
        """Number of request names and calls."""
        return len(self._requests)

    def _add(self, label: str, ended: int, failed: int, duration: MetricView) -> None:
        self._requests[label] += ended
        self._failed[label] += failed
        self._now[label] = (ended, duration)
