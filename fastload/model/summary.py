"""The end of a run as data: everything that a report, a script or a CI job reads. ``docs/summary.md`` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fastload.model.metrics import BUILTIN, Kind, MetricSpec, Series
from fastload.model.plan import Plan
from fastload.model.records import ErrorTable
from fastload.model.resources import HostSample, ProcessSample, ResourceSeries
from fastload.model.series import CounterSink, GaugeSink, RateSink, SeriesTable, Sink, TrendSink
from fastload.model.thresholds import Threshold, ThresholdResult, judge
from fastload.model.units import format_ms
from fastload.model.verdict import Verdict, WorkerEvidence

SUMMARY_VERSION = 1
_PERCENTILES = (90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True)
class MetricView:
    """One metric of a run, read only. Values are in the metric's unit, times in ms (built in) or as declared.

    ``count`` is a counter's sum or a trend's number of values; ``rate`` a rate's share, or a counter's sum per
    second: of what came within *duration_s*, without the *late* part that came while the last iterations ended.
    What a kind does not have, and a trend or gauge without values, is None.
    """

    spec: MetricSpec
    sink: Sink
    duration_s: float
    late: float = 0.0

    def p(self, percent: float) -> float | None:
        """The percentile (0..100) of a trend: exact over all workers, to 0.1 % of the value."""
        if not isinstance(self.sink, TrendSink):
            return None
        value = self.sink.quantile(percent / 100)
        return None if value is None else value / self.spec.scale

    @property
    def avg(self) -> float | None:
        if not isinstance(self.sink, TrendSink) or self.sink.mean is None:
            return None
        return self.sink.mean / self.spec.scale

    @property
    def med(self) -> float | None:
        return self.p(50)

    @property
    def min(self) -> float | None:
        return self._extreme("min")

    @property
    def max(self) -> float | None:
        return self._extreme("max")

    @property
    def count(self) -> float:
        if isinstance(self.sink, CounterSink):
            return self.sink.value
        if isinstance(self.sink, RateSink):
            return self.sink.total
        return self.sink.count if isinstance(self.sink, TrendSink) else 0

    @property
    def rate(self) -> float | None:
        if isinstance(self.sink, RateSink):
            return self.sink.trues / self.sink.total if self.sink.total else None
        if not isinstance(self.sink, CounterSink) or not self.duration_s:
            return None
        return (self.sink.value - self.late) / self.duration_s

    @property
    def value(self) -> float | None:
        return self.sink.value if isinstance(self.sink, GaugeSink) and self.sink.is_set else None

    @property
    def passes(self) -> int:
        """The good ones: true values, and for ``http_req_failed`` the requests that did not fail."""
        if not isinstance(self.sink, RateSink):
            return 0
        return self.sink.total - self.sink.trues if self.spec.name == "http_req_failed" else self.sink.trues

    @property
    def fails(self) -> int:
        """All others."""
        return self.sink.total - self.passes if isinstance(self.sink, RateSink) else 0

    def observe(self, threshold: Threshold) -> float | None:
        """The value that *threshold* is about; None without data. A counter that counted nothing is 0."""
        if threshold.aggregate == "p":
            return self.p(threshold.percent)
        value: float | None = getattr(self, threshold.aggregate)
        empty_trend = isinstance(self.sink, TrendSink) and not self.sink.count
        return None if empty_trend else value

    def to_dict(self) -> dict[str, float | None]:
        """k6's keys for the metric's kind."""
        if self.spec.kind is Kind.COUNTER:
            return {"count": self.count, "rate": self.rate}
        if self.spec.kind is Kind.GAUGE:
            return {"value": self.value, "min": self.min, "max": self.max}
        if self.spec.kind is Kind.RATE:
            return {"rate": self.rate, "passes": self.passes, "fails": self.fails}
        trend: dict[str, float | None] = {"avg": self.avg, "min": self.min, "med": self.med, "max": self.max}
        trend |= {f"p({percent:g})": self.p(percent) for percent in _PERCENTILES}
        return trend | {"count": self.count}

    def _extreme(self, which: str) -> float | None:
        if isinstance(self.sink, GaugeSink) and self.sink.is_set:
            return float(getattr(self.sink, which))
        if isinstance(self.sink, TrendSink) and self.sink.count:
            return float(getattr(self.sink, which)) / self.spec.scale
        return None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How often a check passed and failed."""

    name: str
    passes: int
    fails: int


@dataclass(frozen=True, slots=True)
class EndpointResult:
    """One request name: *requests* that ended, how many *failed*, counts by status, and the duration trend."""

    name: str
    method: str
    requests: int
    failed: int
    statuses: dict[str, int]
    duration: MetricView

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "method": self.method,
            "requests": self.requests,
            "failed": self.failed,
            "statuses": self.statuses,
            "http_req_duration": self.duration.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Where every request went: ``started == finished + failed + interrupted + warmup + lost``.

    *finished* got a response below 400, *failed* a worse one or none, *interrupted* was still in flight when the
    run ended, *warmup* ended during the warm-up and is in no metric, *lost* was in flight in a worker that died.
    *iterations_interrupted* are iterations that were stopped before their end.
    """

    started: int = 0
    finished: int = 0
    failed: int = 0
    interrupted: int = 0
    warmup: int = 0
    lost: int = 0
    iterations_interrupted: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """A finished run. ``passed`` is what a CI job wants to know; ``metrics`` maps names to `MetricView`s.

    *stopped_by*: "" for the planned end, "interrupt" after Ctrl-C or SIGTERM, "worker-loss" when it was asked to
    stop with the first lost worker. *duration_s* is what was measured, without warm-up.
    """

    plan: Plan
    metrics: Mapping[str, MetricView]
    thresholds: tuple[ThresholdResult, ...]
    checks: tuple[CheckResult, ...]
    endpoints: tuple[EndpointResult, ...]
    errors: ErrorTable
    exceptions: ErrorTable
    verdict: Verdict
    requests: RequestCounts
    workers: tuple[WorkerEvidence, ...]
    host: ResourceSeries[HostSample]
    target: ResourceSeries[ProcessSample] | None
    versions: dict[str, str]
    machine: dict[str, Any]
    started_at: str
    duration_s: float
    stopped_by: str = ""
    notes: tuple[str, ...] = ()
    table: SeriesTable = field(default_factory=SeriesTable, repr=False)

    def __repr__(self) -> str:
        rate = self.metrics["http_reqs"].rate or 0.0
        p95 = format_ms(self.metrics["http_req_duration"].p(95))
        outcome = "passed" if self.passed else "failed"
        return (
            f"<Summary {outcome}, {self.verdict.state}: {self.metrics['http_reqs'].count:,.0f} requests, "
            f"{rate:,.1f}/s, p(95) {p95}>"
        )

    @property
    def passed(self) -> bool:
        """Every threshold holds, no worker was lost, not every iteration raised, and nobody interrupted it."""
        return not self.thresholds_failed and not self.workers_lost and not self.all_raised and not self.stopped_by

    @property
    def thresholds_failed(self) -> bool:
        return any(not result.ok for result in self.thresholds)

    @property
    def workers_lost(self) -> int:
        return sum(worker.lost for worker in self.workers)

    @property
    def all_raised(self) -> bool:
        """Whether iterations were made and every one of them raised an exception."""
        return bool(self.exceptions.total) and not self.metrics["iterations"].count

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain data, version `SUMMARY_VERSION`; times in ms, rates per second."""
        return {
            "version": SUMMARY_VERSION,
            "passed": self.passed,
            "started_at": self.started_at,
            "duration_s": self.duration_s,
            "stopped_by": self.stopped_by,
            "verdict": self.verdict.to_dict(),
            "thresholds": [asdict(result) for result in self.thresholds],
            "checks": [asdict(check) for check in self.checks],
            "metrics": {name: view.to_dict() for name, view in self.metrics.items()},
            "endpoints": [endpoint.to_dict() for endpoint in self.endpoints],
            "requests": asdict(self.requests),
            "errors": self.errors.to_list(),
            "exceptions": self.exceptions.to_list(),
            "workers": [_worker_dict(worker) for worker in self.workers],
            "host": self.host.to_dict(),
            "target": self.target.to_dict() if self.target else None,
            "plan": self.plan.to_dict(),
            "notes": list(self.notes),
            "versions": self.versions,
            "machine": self.machine,
            "histograms": {
                name: view.sink.encode()
                for name, view in self.metrics.items()
                if isinstance(view.sink, TrendSink) and view.sink.count
            },
        }


def view_metrics(
    table: SeriesTable, specs: Mapping[str, MetricSpec], duration_s: float, late: Mapping[str, float] | None = None
) -> dict[str, MetricView]:
    """Every metric of *specs*, with the data of *table* or empty; *late* is what of a counter is in no rate."""
    late = late or {}
    return {
        name: MetricView(spec, table.get(name) or _empty(spec), duration_s, late.get(name, 0.0))
        for name, spec in specs.items()
    }


def judge_thresholds(thresholds: tuple[Threshold, ...], views: Mapping[str, MetricView]) -> tuple[ThresholdResult, ...]:
    """Every threshold against the metrics as they stand."""
    return tuple(judge(threshold, views[threshold.metric].observe(threshold)) for threshold in thresholds)


def collect_checks(table: SeriesTable) -> tuple[CheckResult, ...]:
    """The checks by name, in the order in which they first came."""
    return tuple(
        CheckResult(tags["check"], sink.trues, sink.total - sink.trues) for tags, sink in table.of_metric("checks")
    )


def collect_endpoints(table: SeriesTable, duration_s: float) -> tuple[EndpointResult, ...]:
    """Statistics for each request name, most frequent first."""
    spec = BUILTIN["http_req_duration"]
    statuses: dict[tuple[str, str], dict[str, int]] = {}
    for tags, sink in table.of_metric("http_reqs"):
        statuses.setdefault((tags["name"], tags["method"]), {})[tags["status"]] = int(sink.value)
    found = []
    for (name, method), by_status in statuses.items():
        series = (("method", method), ("name", name))
        failed = table.sinks.get(Series("http_req_failed", series), RateSink())
        trend = table.sinks.get(Series("http_req_duration", series), TrendSink())
        view = MetricView(spec, trend, duration_s)
        found.append(EndpointResult(name, method, sum(by_status.values()), failed.trues, by_status, view))
    return tuple(sorted(found, key=lambda endpoint: -endpoint.requests))


def _empty(spec: MetricSpec) -> Sink:
    match spec.kind:
        case Kind.TREND:
            return TrendSink(spec.highest)
        case Kind.COUNTER:
            return CounterSink()
        case Kind.RATE:
            return RateSink()
        case Kind.GAUGE:
            return GaugeSink()


def _worker_dict(worker: WorkerEvidence) -> dict[str, Any]:
    return {
        "index": worker.index,
        "cpu_percent": {
            "mean": worker.mean_cpu_percent,
            "max": worker.max_cpu_percent,
            "series": list(worker.cpu_percent),
        },
        "lag_max_ms": worker.lag_max_ms,
        "run_delay_share": worker.run_delay_share,
        "rss_bytes": worker.rss_bytes,
        "lost": worker.lost,
    }
