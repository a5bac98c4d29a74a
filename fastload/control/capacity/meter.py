"""Step meter: the figures of one step of a capacity search, from the deltas and samples of its seconds alone."""

from __future__ import annotations

from fastload.control.aggregator import Aggregator
from fastload.control.sampling.samplers import SampledSpan, Samplers
from fastload.control.summary_builder import SummaryBuilder
from fastload.model.capacity.objectives import ObjectiveResult, default_objectives, judge_objectives
from fastload.model.capacity.steps import StepFigures
from fastload.model.headline import headline_trend
from fastload.model.judging.evidence import SATURATED_CPU_PERCENT, WorkerEvidence
from fastload.model.judging.finding import GENERATOR_CAUSES
from fastload.model.judging.thresholds import Threshold
from fastload.model.judging.verdict import Verdict
from fastload.model.plan import Plan
from fastload.model.records import Delta
from fastload.model.units import format_number_of
from fastload.model.views import MetricView

_OTHERS_CPU_PERCENT = 50.0
"""CPU of programs that belong to neither side from which on a step says nothing about the target; 100 is one core."""


_LEAST_RUN_DELAY = 0.05
"""Share of the time in which the target must have waited for a CPU, for others to be to blame."""


class StepMeter:
    """Meter of the step with *load*. *samplers* are those of the run, and *waiting* is what waits at the beginning:
    requests under way, and starts that wait for a VU.

    ``seconds``: how many whole seconds were measured.
    """

    def __init__(self, plan: Plan, load: float, samplers: Samplers, waiting: int) -> None:
        self._plan = plan
        self._load = load
        self._waiting = waiting
        self._samples = SampledSpan(samplers)
        self._headlines = [
            headline_trend(service, only_open=plan.has_only_open_models)
            for service in ("http_req_duration", "call_duration")
        ]
        self._aggregator = Aggregator(
            plan.workers,
            threshold_series=frozenset(threshold.series for threshold in plan.judged),
            headline=self._headlines[0],
        )
        self._builder = SummaryBuilder(plan, self._aggregator, self._samples)
        self._vus: list[int] = []
        self.seconds = 0

    def add_second(self, deltas: list[Delta]) -> None:
        """Add the deltas of all workers of one second."""
        for delta in deltas:
            self._aggregator.add(delta)
        self._builder.add_second()
        self._vus.append(sum(delta.stats.vus for delta in deltas))
        self.seconds += 1

    def default_objectives(self) -> tuple[Threshold, ...]:
        """Return the objectives that follow from this step, the lightest."""
        views = self._views()
        is_of_calls = not views["http_reqs"].count and bool(views["calls"].count)
        failures = "call_failed" if is_of_calls else "http_req_failed"
        return default_objectives(self._headlines[is_of_calls], failures, views)

    def judge(self, objectives: tuple[Threshold, ...]) -> tuple[StepFigures, tuple[ObjectiveResult, ...], Verdict]:
        """Return the figures so far, the results of the *objectives*, and the verdict on the step."""
        views, workers = self._views(), self._builder.workers()
        verdict = self._builder.verdict(views, workers)
        return self._figures(views, workers, verdict), judge_objectives(objectives, views), verdict

    def _views(self) -> dict[str, MetricView]:
        return self._builder.views(float(self.seconds))

    def _figures(
        self, views: dict[str, MetricView], workers: tuple[WorkerEvidence, ...], verdict: Verdict
    ) -> StepFigures:
        total = self._aggregator.total
        is_of_calls = not views["http_reqs"].count and bool(views["calls"].count)
        count, failed = ("calls", "call_failed") if is_of_calls else ("http_reqs", "http_req_failed")
        response = views[self._headlines[is_of_calls]]
        mean_ms = views["call_duration" if is_of_calls else "http_req_duration"].avg
        answered = views[count].count - views[failed].fails
        target = self._samples.target_series()
        target_cpu = target.mean("cpu_percent") if target is not None and target.samples else None
        offered, started = total("offered"), int(views["iteration_lateness"].count)
        ended_per_s = (views["iterations"].rate or 0.0) + (views["iterations_failed"].rate or 0.0)
        per_s = views[count].count / self.seconds
        generator = self._not_the_target(workers, target_cpu, verdict)
        cpus = self._samples.target_cpus
        waiting = total("in_flight") + offered - started
        vus = sum(self._vus) / len(self._vus)
        kind = next((one["kind"] for one in self._aggregator.errors.to_list()), "")
        return StepFigures(
            load=self._load,
            seconds=float(self.seconds),
            offered=offered,
            started=started,
            answered_per_s=answered / self.seconds,
            ended_per_s=per_s if self._plan.kind == "bench" else ended_per_s,
            p50_ms=response.p(50),
            p95_ms=response.p(95),
            p99_ms=response.p(99),
            mean_ms=mean_ms,
            in_flight=per_s * (mean_ms or 0.0) / 1000,
            vus=vus,
            failed_share=views[failed].fails / views[count].count if views[count].count else 0.0,
            growth=waiting - self._waiting,
            waiting=waiting,
            target_cpu_percent=target_cpu,
            target_cpu_share=target_cpu / (100 * cpus) if target_cpu is not None and cpus else None,
            cpu_ms=target_cpu * 10 / per_s if target_cpu is not None and per_s else None,
            nearest=self._nearest(workers, target_cpu, vus),
            generator=generator[0],
            remedy=generator[1],
            limit=verdict.limit,
            error=kind,
        )

    def _not_the_target(
        self, workers: tuple[WorkerEvidence, ...], target_cpu: float | None, verdict: Verdict
    ) -> tuple[str, str]:
        """Return why this side, and not the target, may have kept the step from being good, and a remedy; two empty
        texts if nothing did."""
        for one in verdict.findings:
            if one.cause in GENERATOR_CAUSES and one.state != "VALID":
                return one.text, one.remedy
        host = self._samples.host_series()
        host_cpu, cpus = host.mean("cpu_percent"), len(host.samples[-1].cpus_percent) if host.samples else 0
        target = self._samples.target_series()
        waited = target.mean("run_delay_ratio") if target is not None else None
        if target_cpu is None or host_cpu is None or (waited or 0.0) < _LEAST_RUN_DELAY:
            # A target on another machine has the CPUs of that one, and one that got all CPU is slow by itself.
            return "", ""
        others = host_cpu * cpus - target_cpu - sum(worker.mean_cpu_percent for worker in workers)
        if others >= _OTHERS_CPU_PERCENT:
            return (
                f"other programs used {others / 100:.1f} of the {format_number_of(cpus, 'CPU')} of this machine",
                "end them, and search again",
            )
        if host_cpu >= SATURATED_CPU_PERCENT:
            return (
                f"the CPUs of this machine were {host_cpu:.0f}% busy, and the target runs on it",
                "give the target a machine of its own",
            )
        return "", ""

    def _nearest(self, workers: tuple[WorkerEvidence, ...], target_cpu: float | None, vus: float) -> str:
        """Return what was nearest to its limit, with its share, like ``CPU of the target 93%``."""
        used = {"CPU of a worker": max((worker.mean_cpu_percent for worker in workers), default=0.0)}
        if target_cpu is not None and self._samples.target_cpus:
            cores = format_number_of(self._samples.target_cpus, "core")
            used[f"CPU of the target, {cores}"] = target_cpu / self._samples.target_cpus
        if (host := self._samples.host_series().mean("cpu_percent")) is not None:
            used["CPU of this machine"] = host
        if self._plan.has_open_model:
            used["VUs"] = 100 * vus / self._plan.max_vus
        name = max(used, key=lambda one: used[one])
        return f"{name} {used[name]:.0f}%"
