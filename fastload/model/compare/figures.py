"""Figures of a comparison: which are compared, in which order, and which direction is better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from fastload.model.compare.batches import BatchedRun
from fastload.model.errors import PlanError
from fastload.model.headline import has_only_open_models, headline_trend
from fastload.model.judging.thresholds import parse_threshold_option
from fastload.model.metrics import BUILTIN, FAILURE_RATES, HTTP_TRENDS, Kind, MetricSpec, Series
from fastload.model.run_header import RunHeader
from fastload.model.series import CounterValue, GaugeValue, RateValue, SeriesValue

Better = Literal["higher", "lower", ""]
Section = Literal["headline", "metrics", "target", "script", "scenarios", "endpoints", "calls", "groups", "checks"]

SECTIONS: dict[Section, str] = {
    "headline": "Headline",
    "metrics": "Metrics",
    "target": "Target",
    "script": "Own metrics",
    "scenarios": "Scenarios",
    "endpoints": "Endpoints",
    "calls": "Calls",
    "groups": "Groups",
    "checks": "Checks",
}
_MAIN_WORK_METRICS = (
    ("http_reqs", "http_req_failed", "http_req_duration"),
    ("calls", "call_failed", "call_duration"),
    ("ws_sessions", "ws_failed", "ws_connecting"),
    ("iterations", "", "iteration_duration"),
)
"""Metrics of each kind of main work: (counter, failure rate, service time); "" for none.
The headline shows the first kind that the runs have."""
_MESSAGES = ("ws_msgs_sent", "ws_msgs_received")
_OWN_TRENDS = (
    "http_req_response_time",
    "http_req_duration",
    "call_response_time",
    "call_duration",
    "iteration_duration",
    "group_duration",
    "stream_first_event",
    "stream_event_gap",
    "ws_connecting",
    "ws_session_duration",
    "ws_ping",
)
_PHASES = tuple(name for name in HTTP_TRENDS if name not in ("http_req_duration", "http_req_total"))
_NEGLIGIBLE_US = 1
_COUNTERS = (
    "http_reqs",
    "calls",
    "iterations",
    "iterations_failed",
    "dropped_iterations",
    "queued_iterations",
    "stream_events",
    "ws_sessions",
    *_MESSAGES,
)
_LOWER_IS_BETTER = ("iterations_failed", "dropped_iterations", "queued_iterations")
_NO_BETTER_DIRECTION = ("ws_session_duration",)
"""Metrics without a better direction. The script decides how long a session lasts, or a server that ends it early."""
CPU_PER_REQUEST = MetricSpec("target_cpu_per_request", Kind.TREND, "ms")
"""CPU time of the target for each request: a mean over the run, and no metric of it."""
_TIMES = ("us", "ms", "s")
_HEADLINE_Q, _ALL_Q, _FEW_Q = (0.5, 0.95, 0.99), (0.5, 0.95, 0.99, 0.999), (0.5, 0.99)


@dataclass(frozen=True, slots=True)
class Figure:
    """Figure of a run: one number that is compared.

    It is the quantile *q* of a trend, the share of a rate, the sum per second of the counters *parts*, the last value
    of a gauge, or `CPU_PER_REQUEST`. *subject* is the name of the metric, or of the endpoint, call, group or check.
    """

    section: Section
    subject: str
    spec: MetricSpec
    parts: tuple[Series, ...]
    better: Better
    q: float = 0.0

    @property
    def series(self) -> Series:
        return self.parts[0]

    @property
    def name(self) -> str:
        """Name of the figure: ``p95``, ``rate``, ``failed``, ``share``, ``value`` or ``mean``."""
        if self.spec is CPU_PER_REQUEST:
            return "mean"
        if self.spec.kind is Kind.TREND:
            return f"p{self.q * 100:g}"
        if self.spec.kind is Kind.COUNTER:
            return "rate"
        if self.spec.kind is Kind.GAUGE:
            return "value"
        return "failed" if self.spec.name in FAILURE_RATES else "share"


def figures_of(runs: Sequence[BatchedRun]) -> list[Figure]:
    """Return all figures that have a value in any of *runs*, by section. The first run is the baseline."""
    found = _Figures(runs)
    return [
        *found.headline(),
        *found.metrics(),
        *found.target(),
        *found.script(),
        *found.scenarios(),
        *found.by_name(),
    ]


class _Figures:
    def __init__(self, runs: Sequence[BatchedRun]) -> None:
        self._specs: dict[str, MetricSpec] = dict(BUILTIN)
        self._sizes: dict[Series, float] = {}
        self._trues: dict[Series, int] = {}
        self._directions_from_thresholds: dict[str, Better] = {}
        self._only_open = all(has_only_open_models(run.header.plan) for run in runs)
        for run in runs:
            self._specs |= run.header.specs
            self._directions_from_thresholds |= _directions_from_thresholds(run.header)
            for series, series_value in run.table.series_values.items():
                self._sizes[series] = self._sizes.get(series, 0.0) + _size(series_value)
                if isinstance(series_value, RateValue):
                    self._trues[series] = self._trues.get(series, 0) + series_value.trues
        self._shown: set[tuple[Series, float]] = set()
        self._has_cost = any(run.cpu_ms_per_request is not None for run in runs)
        self._phases = [
            (name, q)
            for name in _PHASES
            for q in _FEW_Q
            if any((trend := run.table.get(name)) and (trend.quantile(q) or 0) >= _NEGLIGIBLE_US for run in runs)
        ]

    def headline(self) -> Iterator[Figure]:
        """Yield the figures that decide the verdict: rate, share of failures, latency, and checks.

        The latency is the `headline_trend` of all runs: that of the runs in which every scenario is open, if all are.
        """
        for counter, failed, service in _MAIN_WORK_METRICS:
            if self._has(Series(counter)) or self._has(Series(failed)):
                yield from self._rate("headline", counter, Series(counter))
                if failed:
                    yield from self._share("headline", failed, Series(failed))
                latency = headline_trend(service, only_open=self._only_open)
                yield from self._trend("headline", latency, Series(latency), _HEADLINE_Q)
                if counter == "ws_sessions":
                    for name in _MESSAGES:
                        yield from self._rate("headline", name, Series(name))
                break
        yield from self._share("headline", "checks", Series("checks"))

    def metrics(self) -> Iterator[Figure]:
        """Yield the other built-in metrics, without metrics about the generator."""
        for name in _COUNTERS:
            yield from self._rate("metrics", name, Series(name))
        for name in FAILURE_RATES:
            yield from self._share("metrics", name, Series(name))
        for name in _OWN_TRENDS:
            yield from self._trend("metrics", name, Series(name), _ALL_Q)
        for name, q in self._phases:
            yield from self._trend("metrics", name, Series(name), (q,))

    def target(self) -> Iterator[Figure]:
        """Yield what the target used for each request."""
        if self._has_cost:
            name = CPU_PER_REQUEST.name
            yield Figure("target", name, CPU_PER_REQUEST, (Series(name),), "lower")

    def script(self) -> Iterator[Figure]:
        """Yield the user metrics, with their tags."""
        for series in self._sizes:
            if series.metric not in BUILTIN:
                yield from self._of_kind("script", series.label, series)

    def scenarios(self) -> Iterator[Figure]:
        """Yield the built-in series by scenario, and the series that a threshold asked for."""
        for series in self._sizes:
            if series.metric in BUILTIN and series.tags and not series.is_kept:
                yield from self._of_kind("scenarios", series.label, series, _HEADLINE_Q)

    def by_name(self) -> Iterator[Figure]:
        """Yield the figures of endpoints, calls, groups and checks, the most frequent first."""
        statuses: dict[tuple[str, str], list[Series]] = {}
        for series in self._kept("http_reqs"):
            tags = dict(series.tags)
            statuses.setdefault((tags["method"], tags["name"]), []).append(series)
        by_size = sorted(statuses, key=lambda key: -sum(self._sizes[series] for series in statuses[key]))
        for method, name in by_size:
            where, tags = f"{method} {name}", {"method": method, "name_": name}
            yield from self._rate("endpoints", where, *statuses[method, name])
            yield from self._share("endpoints", where, Series.of("http_req_failed", **tags))
            yield from self._trend("endpoints", where, Series.of("http_req_duration", **tags), _HEADLINE_Q)
        for series in self._kept("calls"):
            name = dict(series.tags)["name"]
            yield from self._rate("calls", name, series)
            yield from self._share("calls", name, Series.of("call_failed", name_=name))
            yield from self._trend("calls", name, Series.of("call_duration", name_=name), _HEADLINE_Q)
        for series in self._kept("group_duration"):
            yield from self._trend("groups", dict(series.tags)["group"], series, _HEADLINE_Q)
        scenarios = {dict(series.tags)["scenario"] for series in self._kept("checks")}
        for series in self._kept("checks"):
            tags = dict(series.tags)
            where = f"{tags['scenario']}: {tags['check']}" if len(scenarios) > 1 else tags["check"]
            yield from self._share("checks", where, series)

    def _of_kind(
        self, section: Section, label: str, series: Series, levels: Iterable[float] = _ALL_Q
    ) -> Iterator[Figure]:
        match self._specs[series.metric].kind:
            case Kind.TREND:
                yield from self._trend(section, label, series, levels)
            case Kind.COUNTER:
                yield from self._rate(section, label, series)
            case Kind.RATE:
                yield from self._share(section, label, series)
            case Kind.GAUGE:
                yield Figure(section, label, self._specs[series.metric], (series,), "")

    def _trend(self, section: Section, label: str, series: Series, levels: Iterable[float]) -> Iterator[Figure]:
        for q in levels:
            yield from self._once(section, label, (series,), q)

    def _share(self, section: Section, label: str, series: Series) -> Iterator[Figure]:
        """Yield the figure of a share. A failure rate without failures is shown in the headline only."""
        if section == "headline" or series.metric not in FAILURE_RATES or self._trues.get(series):
            yield from self._once(section, label, (series,))

    def _rate(self, section: Section, label: str, *parts: Series) -> Iterator[Figure]:
        yield from self._once(section, label, parts)

    def _once(self, section: Section, label: str, parts: tuple[Series, ...], q: float = 0.0) -> Iterator[Figure]:
        if (parts[0], q) not in self._shown and any(self._has(series) for series in parts):
            self._shown.add((parts[0], q))
            spec = self._specs[parts[0].metric]
            yield Figure(section, label, spec, parts, self._better(spec), q)

    def _better(self, spec: MetricSpec) -> Better:
        if spec.name in _NO_BETTER_DIRECTION:
            return ""
        if spec.name in BUILTIN:
            bad = spec.kind is Kind.TREND or spec.name in FAILURE_RATES or spec.name in _LOWER_IS_BETTER
            return "lower" if bad else "higher"
        return self._directions_from_thresholds.get(spec.name) or (
            "lower" if spec.kind is Kind.TREND and spec.unit in _TIMES else ""
        )

    def _has(self, series: Series) -> bool:
        return bool(self._sizes.get(series))

    def _kept(self, metric: str) -> list[Series]:
        """Return the tagged series of *metric* that every run keeps, the most frequent first."""
        found = [series for series in self._sizes if series.metric == metric and series.tags and series.is_kept]
        return sorted(found, key=lambda series: -self._sizes[series])


def _size(series_value: SeriesValue) -> float:
    """Return the size of a series: the sum of a counter, whether a gauge is set, or the number of values."""
    match series_value:
        case CounterValue():
            return series_value.value
        case GaugeValue():
            return float(series_value.is_set)
        case RateValue():
            return series_value.total
        case _:
            return series_value.count


def _directions_from_thresholds(header: RunHeader) -> Mapping[str, Better]:
    """Return the better direction of metrics that have thresholds: with ``orders: count>100`` higher is better."""
    found: dict[str, Better] = {}
    for text in header.thresholds:
        with suppress(PlanError):
            threshold = parse_threshold_option(text, header.specs)
            if (sign := threshold.condition.comparison[0]) in "<>":
                found[threshold.series.metric] = "lower" if sign == "<" else "higher"
    return found
