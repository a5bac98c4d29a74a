"""Summary of a run: all data that a report, a script or a CI job reads. ``docs/summary.md`` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fastload.model.cost.target_cost import TargetCost
from fastload.model.error_remedies import remedy_of
from fastload.model.hooks import HookError
from fastload.model.http_settings import error_code
from fastload.model.judging.evidence import WorkerEvidence
from fastload.model.judging.thresholds import Threshold, ThresholdResult
from fastload.model.judging.verdict import Verdict
from fastload.model.load_changes import LoadChange
from fastload.model.metrics import Kind
from fastload.model.plan import Plan
from fastload.model.records import ErrorTable
from fastload.model.resources import HostSample, ProcessSample, ResourceSeries
from fastload.model.results import CallResult, CheckResult, EndpointResult, GroupResult, ScenarioResult
from fastload.model.series import SeriesTable, TrendValue
from fastload.model.units import format_ms, format_number_of
from fastload.model.views import MetricView

SUMMARY_VERSION = 1


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Account of all requests: ``started == finished + failed + interrupted + warmup + setup + lost``.

    - *finished*: requests with a good response (by default a status below 400)
    - *failed*: requests with a bad response or none
    - *interrupted*: requests in flight when the run ended
    - *warmup*: requests that ended during the warm-up; they are in no metric
    - *setup*: requests of setup and teardown; they are in no metric
    - *lost*: requests in flight in a worker that died

    *challenges*: requests that were sent in addition to all of these, to answer challenges of digest or NTLM.
    *iterations_interrupted* counts iterations that were stopped before their end.
    """

    started: int = 0
    finished: int = 0
    failed: int = 0
    interrupted: int = 0
    warmup: int = 0
    setup: int = 0
    lost: int = 0
    iterations_interrupted: int = 0
    challenges: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """Summary of a finished run.

    *plan* is what was to run, *started_at* when it began (ISO 8601, UTC). *versions* are those of fastload and its
    libraries, *machine* says what it ran on.

    *verdict* says whether the numbers can be trusted. *thresholds*, *checks*, *endpoints*, *groups* and *calls* have
    the results of each; *requests* has the counts of all requests. *errors* and *exceptions* are the failures by kind.
    *workers*, *host* and *target* have the resource usage of the workers, the machine and the target; *cost* is what
    the target used for each request, None where that was not measured. *table* has the
    values of all series. ``thresholds_failed``: whether a threshold failed; ``workers_lost``: how many workers died.

    ``passed`` is the result for a CI job. ``metrics`` maps names to `MetricView`s, and labels like
    ``latency{region:eu}`` to the views of series with tags. ``scenarios`` is empty when there is only one scenario.

    *stopped_by* is the cause of the end; *stop_reason* has details:

    - "": the planned end
    - "interrupt": Ctrl-C or SIGTERM
    - "worker-loss": a worker was lost, and the plan does not go on then
    - "threshold": a threshold that aborts the run failed
    - "abort": the script called ``fl.abort``
    - "no-answer": no request was answered (see ``on_no_answer``)
    - "control": the control API or the library stopped the run
    - "error": a hook or a shape raised
    - "unknown": a saved run without its end

    *duration_s* is the measured time, without warm-up and pauses. *hook_errors* are errors of setup, teardown and the
    other hooks. *load_changes* are what commands made of the load, in order. *report* is the text of the script's own
    summary, which replaces fastload's. *outputs_failed*: an output lost data; *notes* say which.
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
    stop_reason: str = ""
    hook_errors: tuple[HookError, ...] = ()
    load_changes: tuple[LoadChange, ...] = ()
    report: str = ""
    notes: tuple[str, ...] = ()
    outputs_failed: bool = False
    groups: tuple[GroupResult, ...] = ()
    calls: tuple[CallResult, ...] = ()
    scenarios: tuple[ScenarioResult, ...] = ()
    table: SeriesTable = field(default_factory=SeriesTable, repr=False)
    cost: TargetCost | None = None

    def __repr__(self) -> str:
        rate = self.metrics["http_reqs"].rate or 0.0
        p95 = format_ms(self.metrics["http_req_duration"].p(95))
        outcome = "passed" if self.passed else "failed"
        requests = format_number_of(self.metrics["http_reqs"].count, "request")
        return f"<Summary {outcome}, {self.verdict.state}: {requests}, {rate:,.1f}/s, p(95) {p95}>"

    @property
    def passed(self) -> bool:
        """Whether the run passed.

        Every threshold holds, no worker was lost, no hook raised, not every iteration raised, and nothing but a stop
        command ended the run early.
        """
        return not (
            self.thresholds_failed
            or self.workers_lost
            or self.all_raised
            or self.hook_errors
            or self.stopped_by not in ("", "control")
        )

    @property
    def thresholds_failed(self) -> bool:
        return any(not result.ok for result in self.thresholds)

    @property
    def workers_lost(self) -> int:
        return sum(worker.lost for worker in self.workers)

    @property
    def all_raised(self) -> bool:
        """Whether the run has iterations and every iteration raised an exception."""
        return bool(self.metrics["iterations_failed"].count) and not self.metrics["iterations"].count

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain data, version `SUMMARY_VERSION`. Times are in ms, rates per second."""
        return {
            "version": SUMMARY_VERSION,
            "passed": self.passed,
            "started_at": self.started_at,
            "duration_s": self.duration_s,
            "stopped_by": self.stopped_by,
            "stop_reason": self.stop_reason,
            "hook_errors": [error._asdict() for error in self.hook_errors],
            "load_changes": [change._asdict() for change in self.load_changes],
            "verdict": self.verdict.to_dict(),
            "thresholds": [asdict(result) for result in self.thresholds],
            "checks": [asdict(check) for check in self.checks],
            "metrics": {name: view.to_dict() for name, view in self.metrics.items()},
            "scenarios": [scenario.to_dict() for scenario in self.scenarios],
            "groups": [group.to_dict() for group in self.groups],
            "endpoints": [endpoint.to_dict() for endpoint in self.endpoints],
            "calls": [call.to_dict() for call in self.calls],
            "requests": asdict(self.requests),
            "errors": [
                one
                | {"code": error_code(one["kind"]), "remedy": remedy_of(one["kind"], one["first"])}
                | {"names": self.errors.names_of(one["kind"])}
                for one in self.errors.to_list()
            ],
            "exceptions": self.exceptions.raised_list(),
            "workers": [_worker_dict(worker) for worker in self.workers],
            "host": self.host.to_dict(),
            "target": self.target.to_dict() if self.target else None,
            "cost": self.cost.to_dict() if self.cost else None,
            "plan": self.plan.to_dict(),
            "notes": list(self.notes),
            "versions": self.versions,
            "machine": self.machine,
            "histograms": {
                name: view.sink.encode()
                for name, view in self.metrics.items()
                if isinstance(view.sink, TrendValue) and view.sink.count
            },
        }


def observe_metric(threshold: Threshold, views: Mapping[str, MetricView]) -> float | None:
    """Return the observed value of *threshold* in *views* (by `Series.label`); None without data.

    A counter whose series does not exist counts as 0.
    """
    view = views.get(threshold.label)
    if view is None:
        return 0.0 if threshold.kind == Kind.COUNTER else None
    return view._observe(threshold)


def _worker_dict(worker: WorkerEvidence) -> dict[str, Any]:
    return {
        "index": worker.index,
        "cpu_percent": {
            "mean": worker.mean_cpu_percent,
            "max": worker.max_cpu_percent,
            "series": list(worker.cpu_percent),
        },
        "lag_max_ms": worker.lag_max_ms,
        "watched_ms": worker.watched_ms,
        "late_ms": dict(worker.late_ms),
        "waited_ms": dict(worker.waited_ms),
        "stalled_ms": worker.stalled_ms,
        "stalls": [one.to_dict() for one in worker.stalls],
        "run_delay_share": worker.run_delay_share,
        "rss_bytes": worker.rss_bytes,
        "lost": worker.lost,
    }
