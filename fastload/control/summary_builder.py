"""Summary builder: figures, evidence and verdict of a run, from the aggregator and the samplers."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any, NamedTuple

from fastload.control.aggregator import Aggregator
from fastload.control.sampling.host import describe_host
from fastload.control.sampling.samplers import SampledSpan, Samplers
from fastload.control.threshold_judge import ThresholdJudge
from fastload.model.cost.cost_meter import CostMeter
from fastload.model.headline import RESPONSE_TIMES, headline_trend
from fastload.model.hooks import HookError
from fastload.model.judging.evidence import JUDGED_PERCENTILES, Evidence, WorkerEvidence
from fastload.model.judging.generator_findings import VALUES_ABOVE
from fastload.model.judging.littles_law import LittlesLaw
from fastload.model.judging.own_delay import own_delays_us
from fastload.model.judging.resource_evidence import machine_use, target_use
from fastload.model.judging.stalls import PROBE_INTERVAL_US, worst_first
from fastload.model.judging.verdict import Verdict, judge_run
from fastload.model.load_changes import LoadChange
from fastload.model.plan import Plan
from fastload.model.records import KINDS_OF_ERRORS, TYPES_OF_EXCEPTIONS
from fastload.model.resources import ProcessSample, ResourceSeries, Spans, running_spans
from fastload.model.results import (
    clamp_notes,
    collect_calls,
    collect_checks,
    collect_endpoints,
    collect_groups,
    collect_scenarios,
    name_limit_notes,
)
from fastload.model.summary import RequestCounts, Summary
from fastload.model.user_metrics import declared, specs
from fastload.model.views import MetricView, view_metrics

# What waits must grow by this factor, and by so many, to be a backlog.
_DROPPED_KINDS = ("connect_timeout", "connect_refused", "connect_failed", "reset")
# Linux repeats the first packet of a connection after a second.
_RETRANSMIT_MS = 900.0
_GROWTH, _LEAST_GROWTH = 1.25, 10
_SERVICE_TIMES = tuple(RESPONSE_TIMES)
# What a request in flight does before the time of `http_req_duration` begins.
_PHASES_BEFORE = ("http_req_blocked", "http_req_lookup", "http_req_connecting", "http_req_tls_handshaking")
# Built-in times of what is no request or call.
_OTHER_TIMES = ("ws_connecting", "ws_ping", "stream_first_event")


class RunCounts(NamedTuple):
    """Figures of the run so far: the current VUs, all requests that have ended, and those of them that *failed*."""

    vus: int
    requests: int
    failed: int


class SummaryBuilder:
    """Builder of figures and summary from *aggregator* and *samplers*. Usable at any time; it changes neither."""

    def __init__(self, plan: Plan, aggregator: Aggregator, samplers: Samplers | SampledSpan) -> None:
        self._plan = plan
        self._specs = specs()
        self._aggregator = aggregator
        self._samplers = samplers
        self._backlog = Backlog()
        self.cost = CostMeter(plan.warmup_s)
        """Meter of what the target uses; it takes each snapshot."""
        self.vus_without_data = 0
        """VUs that ended because no data was left for them; known at the end."""
        self.held_workers: frozenset[int] = frozenset()
        """Workers that a signal has stopped, and that nothing has continued."""
        # The requests that had ended well, at the end of each second.
        self._finished: list[int] = []

    def add_second(self) -> None:
        """Note what waits at the end of a second in which load was made."""
        total = self._aggregator.total
        started = self._aggregator.table.get("iteration_lateness")
        not_started = total("offered") - (started.count if started else 0)
        self._backlog.add(total("in_flight") + max(0, not_started))
        self._finished.append(total("finished"))

    def views(self, duration_s: float) -> dict[str, MetricView]:
        """Return the current metrics by `Series.label`; rates are over *duration_s* of measurement."""
        aggregator = self._aggregator
        asked = [threshold.series for threshold in self._plan.judged]
        return view_metrics(aggregator.table, self._specs, max(duration_s, 1e-9), aggregator.late, asked)

    def build(
        self,
        judge: ThresholdJudge,
        *,
        started_at: str,
        duration_s: float,
        stopped_by: str,
        stop_reason: str,
        hook_requests: int,
        hook_challenges: int,
        hook_errors: tuple[HookError, ...],
        load_changes: tuple[LoadChange, ...],
        notes: tuple[str, ...],
    ) -> Summary:
        """Return the summary after *duration_s* of measurement. *judge* judges it. The caller must set ``versions``."""
        aggregator, samplers = self._aggregator, self._samplers
        views, workers = self.views(duration_s), self.workers()
        verdict = self.verdict(views, workers)
        return Summary(
            plan=self._plan,
            metrics=views,
            thresholds=judge.final_results(views, verdict.state, aggregator.table),
            checks=collect_checks(aggregator.table),
            endpoints=collect_endpoints(aggregator.table, duration_s),
            errors=aggregator.errors,
            exceptions=aggregator.exceptions,
            verdict=verdict,
            requests=self.requests(hook_requests, hook_challenges),
            workers=workers,
            host=samplers.host_series(),
            target=samplers.target_series(),
            versions={},
            machine=dict(describe_host()),
            started_at=started_at,
            duration_s=duration_s,
            stopped_by=stopped_by,
            stop_reason=stop_reason,
            hook_errors=hook_errors,
            load_changes=load_changes,
            notes=(
                *notes,
                *name_limit_notes(aggregator.over_limit, aggregator.table),
                *aggregator.errors.limit_notes(KINDS_OF_ERRORS),
                *aggregator.exceptions.limit_notes(TYPES_OF_EXCEPTIONS),
                *clamp_notes(aggregator.table, self._specs),
            ),
            groups=collect_groups(aggregator.table, duration_s),
            calls=collect_calls(aggregator.table, duration_s),
            scenarios=collect_scenarios(views, [scenario.name for scenario in self._plan.scenarios]),
            table=aggregator.table,
            cost=self.cost.cost(),
        )

    def counts(self) -> RunCounts:
        """Return the figures that are shown during the run."""
        total = self._aggregator.total
        return RunCounts(total("vus"), total("finished") + total("failed"), total("failed"))

    def iterations(self) -> int:
        """Return the number of iterations that ended without an error."""
        counted = self._aggregator.table.get("iterations")
        return int(counted.value) if counted else 0

    def requests(self, in_setup: int, challenges_in_setup: int) -> RequestCounts:
        """Return the counts of all requests by outcome. *in_setup*: how many setup and teardown made;
        *challenges_in_setup*: how many they sent in addition."""
        total = self._aggregator.total
        return RequestCounts(
            started=total("started") + in_setup,
            finished=total("finished"),
            failed=total("failed"),
            interrupted=total("interrupted"),
            warmup=total("warmup"),
            setup=in_setup,
            iterations_interrupted=total("iterations_interrupted"),
            challenges=total("challenges") + challenges_in_setup,
            lost=sum(worker.stats.in_flight for worker in self._aggregator.workers.values() if worker.lost),
        )

    def workers(self) -> tuple[WorkerEvidence, ...]:
        """Return the evidence on each worker: CPU, loop lag, run delay, memory."""
        return tuple(self._worker(index) for index in self._aggregator.workers)

    def verdict(self, views: Mapping[str, MetricView], workers: tuple[WorkerEvidence, ...]) -> Verdict:
        """Return the verdict: whether the numbers can be trusted, and what limited the run."""
        return judge_run(self._evidence(views, workers))

    def _recorded_itself(self) -> bool:
        """Return whether the script has recorded a check, or a value of a metric of its own."""
        return any(series.metric in ("checks", *declared()) for series in self._aggregator.table.series_values)

    def _made_load(self) -> bool:
        """Return whether any request or iteration began. Without one, workers used CPU only to end: no evidence."""
        aggregator = self._aggregator
        begun = aggregator.total("started") + aggregator.total("iterations_interrupted")
        return bool(begun or self.iterations() or aggregator.exceptions.total)

    def _worker(self, index: int) -> WorkerEvidence:
        totals = self._aggregator.workers[index]
        samples = [sample for sample in self._samplers.worker_samples.get(index, []) if sample.alive]
        usage: dict[str, Any] = totals.usage
        if not self._made_load():
            samples, usage = [], {}
        cpu_percent = tuple(sample.cpu_percent for sample in samples)
        run_delay_share = sum(sample.run_delay_ratio for sample in samples) / len(samples) if samples else 0.0
        if not samples and usage:
            # The run ended before the first sample: take what the worker itself measured (its ``done`` frame).
            cpu_percent = (usage["cpu_percent"],)
            run_delay_share = usage["run_delay_share"]
        stalls = totals.stalls
        return WorkerEvidence(
            index=index,
            cpu_percent=cpu_percent,
            lag_max_ms=totals.stats.lag_max_us / 1000,
            run_delay_share=run_delay_share,
            rss_bytes=int(max([sample.rss_bytes for sample in samples] + [usage.get("rss_bytes", 0)])),
            lost=totals.lost,
            held=index in self.held_workers,
            unawaited=usage.get("unawaited", {}),
            watched_ms=stalls.watched_us / 1000,
            late_ms={cause: late_us / 1000 for cause, late_us in stalls.late_us.items()},
            waited_ms={cause: waited_us / 1000 for cause, waited_us in stalls.waited_us.items()},
            stalled_ms=stalls.stalled_us / 1000,
            stalls=worst_first(stalls),
        )

    def _evidence(self, views: Mapping[str, MetricView], workers: tuple[WorkerEvidence, ...]) -> Evidence:
        aggregator, plan = self._aggregator, self._plan
        target = self._samplers.target_series()
        host = self._samplers.host_series()
        headlines = [headline_trend(service, only_open=plan.has_only_open_models) for service in _SERVICE_TIMES]
        headline = _first_with_data(views, *headlines, *_SERVICE_TIMES)
        response = headline if _is_judged(headline) else _quickest(views, *_OTHER_TIMES, *declared()) or headline
        quickest_ms, median_ms = self._times_of_main_name()
        offered, duration_s = aggregator.total("offered"), views["http_reqs"].duration_s
        return Evidence(
            open_model=plan.has_open_model,
            requests=int(views["http_reqs"].count),
            failed=views["http_req_failed"].fails,
            requests_per_s=views["http_reqs"].rate or 0.0,
            vus=int(views["vus"].max or plan.max_vus),
            vus_without_data=self.vus_without_data,
            iterations=int(views["iterations"].count),
            iterations_failed=int(views["iterations_failed"].count),
            iterations_per_s=(views["iterations"].rate or 0.0) + (views["iterations_failed"].rate or 0.0),
            calls=int(views["calls"].count),
            calls_failed=views["call_failed"].fails,
            calls_per_s=views["calls"].rate or 0.0,
            sessions=int(views["ws_failed"].count),
            sessions_failed=views["ws_failed"].fails,
            messages_per_s=(views["ws_msgs_sent"].rate or 0.0) + (views["ws_msgs_received"].rate or 0.0),
            recorded_itself=self._recorded_itself(),
            bench=plan.kind == "bench",
            interrupted=aggregator.total("interrupted"),
            iterations_interrupted=aggregator.total("iterations_interrupted"),
            task_exceptions=aggregator.total("task_exceptions"),
            iteration_mean_ms=views["iteration_duration"].avg,
            workers=workers,
            offered=offered,
            offered_per_s=offered / duration_s,
            started=int(views["iteration_lateness"].count),
            queued=int(views["queued_iterations"].count),
            dropped=int(views["dropped_iterations"].count) if plan.has_open_model else 0,
            backlog_grew=self._backlog.grew,
            response_ms=_percentiles(response),
            response_count=int(response.count) if response else 0,
            response_of=response.spec.name if response and response is not headline else "",
            # Beside closed scenarios it is of other requests than the headline, and cannot be compared with it.
            lateness_ms=_percentiles(views["iteration_lateness"]) if plan.has_only_open_models else {},
            is_mixed=plan.has_open_model and not plan.has_only_open_models,
            own_delay_ms=self._own_delays_ms(),
            quickest_ms=quickest_ms,
            median_ms=median_ms,
            errors={kind: count for kind, (count, _) in aggregator.errors.entries.items()},
            throttled_share=self._samplers.throttled_share,
            littles_law=self._littles_law(views, workers),
            target_cpu_percent=target.mean("cpu_percent") if target and target.samples else None,
            target_cpus=self._samplers.target_cpus,
            target_run_delay=target.mean("run_delay_ratio") if target else None,
            target_ended_s=self._target_ended_s(target) if target else None,
            target_ran_s=_interrupted_spans(target) if target else (),
            target_use=target_use(target.samples if target else ()),
            retry_after=aggregator.total("retry_after"),
            connections_dropped=self._connections_dropped(views),
            host_cpu_percent=host.mean("cpu_percent"),
            machine_use=machine_use(host.samples),
        )

    def _littles_law(self, views: Mapping[str, MetricView], workers: tuple[WorkerEvidence, ...]) -> LittlesLaw | None:
        """Return both sides of Little's law for the requests; None without a response."""
        aggregator, table = self._aggregator, self._aggregator.table
        duration = table.get("http_req_duration")
        if not duration or not duration.count or not workers:
            return None
        total = aggregator.total
        before_us = {name: trend.sum for name in _PHASES_BEFORE if (trend := table.get(name))}
        # With a new connection, what a request waits to be taken up counts as lookup, too.
        doubtful_us = min(before_us.get("http_req_blocked", 0), before_us.get("http_req_lookup", 0))
        silent = sum(
            value.value
            for series, value in table.series_values.items()
            if series.metric == "http_reqs" and series.is_kept and ("status", "0") in series.tags
        )
        lost = sum(worker.stats.in_flight for worker in aggregator.workers.values() if worker.lost)
        waited_ms = sum(sum(worker.waited_ms.values()) for worker in workers)
        probes = max(1.0, sum(worker.watched_ms for worker in workers) * 1000 / PROBE_INTERVAL_US)
        return LittlesLaw(
            watched_s=total("watched_s") / len(workers),
            in_flight_s=total("in_flight_s"),
            variance=total("in_flight_variance"),
            peak=max(1, round(views["vus"].max or 0), total("in_flight_peak")),
            answered=int(views["http_reqs"].count - silent),
            mean_s=(duration.sum + sum(before_us.values())) / duration.count / 1e6,
            doubtful_s=doubtful_us / duration.count / 1e6,
            unanswered=int(silent) + total("interrupted") + total("in_flight") + lost,
            wait_s=waited_ms / probes / 1000,
        )

    def _connections_dropped(self, views: Mapping[str, MetricView]) -> int:
        """Return how many connections accept queues of this machine had no room for, if this run felt it.

        The kernel counts for all programs together. A connection of this run that was dropped took a second, which is
        when the kernel tries again, or failed.
        """
        failed = any(kind in self._aggregator.errors.entries for kind in _DROPPED_KINDS)
        if not failed and (views["http_req_connecting"].max or 0.0) < _RETRANSMIT_MS:
            return 0
        return int(sum(sample.listen_overflows for sample in self._samplers.host_series().samples))

    def _times_of_main_name(self) -> tuple[float | None, float | None]:
        """Return the quickest and the median time, in ms, of the requests or calls of the name that took most time.

        Requests of different names cannot be compared: one may be quick by nature.
        """
        table = self._aggregator.table
        of_names = [value for metric in _SERVICE_TIMES for tags, value in table.of_metric(metric) if "name" in tags]
        main = max((one for one in of_names if one.count), key=lambda one: one.sum, default=None)
        return (main.min / 1000, main.quantile(0.5) / 1000) if main else (None, None)

    def _target_ended_s(self, target: ResourceSeries[ProcessSample]) -> float | None:
        """Return when the target's processes had ended; None if one ran at the end, or others answered after that."""
        ended_s = _ended_s(target)
        if ended_s is None:
            return None
        after = self._finished[int(ended_s) + 2 :]
        return None if after and after[-1] > after[0] else ended_s

    def _own_delays_ms(self) -> dict[int, float]:
        delays_us = own_delays_us(
            self._aggregator.table.get("loop_lag"), [percent / 100 for percent in JUDGED_PERCENTILES]
        )
        return {percent: delay_us / 1000 for percent, delay_us in zip(JUDGED_PERCENTILES, delays_us, strict=False)}


class Backlog:
    """Requests and starts that wait, second by second: whether they become more and more."""

    def __init__(self) -> None:
        self._waiting: list[int] = []

    def add(self, waiting: int) -> None:
        """Add a second, at whose end *waiting* requests and starts had not ended."""
        self._waiting.append(waiting)

    @property
    def grew(self) -> bool:
        """Whether the last third of the seconds had a quarter more than the second third, and ten more at least."""
        third = len(self._waiting) // 3
        if not third:
            return False
        middle, last = mean(self._waiting[third : 2 * third]), mean(self._waiting[-third:])
        return last >= max(_GROWTH * middle, middle + _LEAST_GROWTH)


def _first_with_data(views: Mapping[str, MetricView], *names: str) -> MetricView | None:
    """Return the first of these trends that has data; None if none has."""
    return next((views[name] for name in names if views[name].count), None)


def _is_judged(view: MetricView | None) -> bool:
    """Return whether a trend has so many values that its median is judged."""
    return view is not None and view.count >= 2 * VALUES_ABOVE


def _quickest(views: Mapping[str, MetricView], *names: str) -> MetricView | None:
    """Return the trend of times with the lowest median, where a late event loop shows first; None without data."""
    times = [views[name] for name in names if views[name].spec.is_time and _is_judged(views[name])]
    return min(times, key=lambda view: _percentiles(view)[50], default=None)


def _percentiles(view: MetricView | None) -> dict[int, float]:
    """Return the percentiles, in ms, that the verdict looks at; empty without data."""
    if view is None:
        return {}
    values = {percent: view.p(percent) for percent in JUDGED_PERCENTILES}
    unit_ms = view.spec.scale / 1000
    return {percent: value * unit_ms for percent, value in values.items() if value is not None}


def _interrupted_spans(target: ResourceSeries[ProcessSample]) -> Spans:
    """Return from when to when processes of the target ran; nothing if they did all the time."""
    samples = [(sample.t_s, sample.alive) for sample in target.samples]
    return () if all(alive for _, alive in samples) else running_spans(samples)


def _ended_s(target: ResourceSeries[ProcessSample]) -> float | None:
    """Return the time of the sample from which on no process of the target ran; None if one ran at the end."""
    if not target.samples or target.samples[-1].alive:
        return None
    alive_s = [sample.t_s for sample in target.samples if sample.alive]
    return alive_s[-1] if alive_s else 0.0
