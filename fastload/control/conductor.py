"""The parent's part of a run: fork, start together, merge, sample, judge each second, stop, and sum up."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from urllib.parse import urlsplit

from fastload.control.aggregator import Aggregator
from fastload.control.host import HostSampler, describe_host
from fastload.control.processes import ProcessSampler, find_listener, process_name, resolve_watch
from fastload.control.supervisor import Event, Supervisor, Target
from fastload.model.frames import Frame
from fastload.model.metrics import MetricSpec
from fastload.model.plan import Plan, SharedIterations
from fastload.model.records import Delta, Snapshot
from fastload.model.resources import HostSample, ProcessSample, ResourceSeries
from fastload.model.schedule import NS_PER_S
from fastload.model.summary import (
    MetricView,
    RequestCounts,
    Summary,
    collect_checks,
    collect_endpoints,
    judge_thresholds,
    view_metrics,
)
from fastload.model.verdict import Evidence, WorkerEvidence, judge_run

READY_TIMEOUT_S = 60.0
# Between the last "ready" and the common start: time for the start frame to reach every worker.
START_DELAY_S = 0.05
# Snapshots are made a little after the workers' own seconds, when their deltas have come.
SNAPSHOT_LAG_S = 0.2
# How much longer than planned a worker may take before it is taken for hung.
HANG_S = 5.0
# A closed terminal is no reason to lose what was measured.
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class _Samplers:
    """Who is sampled each second, and what was found."""

    host: HostSampler
    workers: dict[int, ProcessSampler]
    target: ProcessSampler | None
    host_samples: list[HostSample]
    worker_samples: dict[int, list[ProcessSample]]
    target_samples: list[ProcessSample]

    def prime(self) -> None:
        self.host.prime()
        for sampler in (*self.workers.values(), *([self.target] if self.target else [])):
            sampler.prime()

    def sample(self, live_workers: Mapping[int, int]) -> None:
        self.host_samples.append(self.host.sample())
        for index in live_workers:
            self.worker_samples[index].append(self.workers[index].sample())
        if self.target:
            self.target_samples.append(self.target.sample())


class Conductor:
    """One run. *work* is what each forked worker does; *specs* are the metrics that can exist.

    *on_start* is called once, when the workers are forked. *target_pids* and *target_name*: the target's processes
    when they are known; otherwise they are looked for and named after their programs.
    """

    def __init__(
        self,
        plan: Plan,
        work: Target,
        *,
        specs: Mapping[str, MetricSpec],
        on_snapshot: Callable[[Snapshot], None],
        on_start: Callable[[], None],
        target_pids: tuple[int, ...] = (),
        target_name: str = "",
        versions: Mapping[str, str],
    ) -> None:
        self._plan = plan
        self._specs = specs
        self._on_snapshot = on_snapshot
        self._on_start = on_start
        self._target_pids = target_pids
        self._target_name = target_name
        self._versions = dict(versions)
        self._aggregator = Aggregator(plan.workers)
        self._supervisor = Supervisor(work, plan.workers, cpus=plan.cpus, stdout_to_stderr=plan.stdout_is_data)
        self._ready: set[int] = set()
        self._ended_ns: dict[int, int] = {}
        self._start_ns = 0
        self._last_snapshot_ns = 0
        self._covered_ns = 0
        self._stopped_by = ""
        self._stop_at_ns = 0
        self._notes: list[str] = []

    def run(self) -> Summary:
        """The whole run.

        Raises:
            PlanError: something to watch is not there.
        """
        watched = self._find_target()
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with _stop_requests() as requests:
            try:
                self._supervisor.start()
                self._on_start()
                self._supervisor.watch(requests.fd)
                self._samplers = self._make_samplers(watched)
                self._await_ready(requests)
                self._start()
                self._conduct(requests)
            finally:
                self._supervisor.close()
        return self._summarize(started_at, watched)

    def _find_target(self) -> tuple[int, ...]:
        found = set(self._target_pids)
        for text in self._plan.watch:
            found.update(resolve_watch(text))
        if not found and self._plan.base_url:
            parts = urlsplit(self._plan.base_url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            found.update(find_listener(port, parts.hostname or ""))
        return tuple(sorted(found - {os.getpid()}))

    def _make_samplers(self, watched: tuple[int, ...]) -> _Samplers:
        workers = {
            index: ProcessSampler([pid], children=False, label=f"worker {index}")
            for index, pid in self._supervisor.pids.items()
        }
        label = self._target_name or _names_of(watched)
        target = ProcessSampler(watched, children=True, label=label) if watched else None
        return _Samplers(HostSampler(), workers, target, [], {index: [] for index in workers}, [])

    def _await_ready(self, requests: _StopRequests) -> None:
        deadline_ns = time.monotonic_ns() + round(READY_TIMEOUT_S * NS_PER_S)
        while not self._all_over() and self._ready < set(self._supervisor.pids):
            for event in self._supervisor.wait((deadline_ns - time.monotonic_ns()) / NS_PER_S):
                self._handle(event)
            if requests.take():
                self._stopped_by = "interrupt"
                return
            if time.monotonic_ns() > deadline_ns:
                for index in set(self._supervisor.pids) - self._ready:
                    self._give_up(index, f"was not ready within {READY_TIMEOUT_S:g} s")

    def _start(self) -> None:
        self._start_ns = time.monotonic_ns() + round(START_DELAY_S * NS_PER_S)
        self._last_snapshot_ns = self._covered_ns = self._start_ns
        self._samplers.prime()
        if self._stopped_by:
            self._supervisor.send(Frame("stop", {"now": True}))
        self._supervisor.send(Frame("start", {"at_ns": self._start_ns}))

    def _conduct(self, requests: _StopRequests) -> None:
        graceful_s = max(scenario.graceful_stop_s for scenario in self._plan.scenarios)
        hang_ns = self._start_ns + round((self._plan.duration_s + graceful_s + HANG_S) * NS_PER_S)
        next_ns = self._start_ns + round((1 + SNAPSHOT_LAG_S) * NS_PER_S)
        while not self._all_over():
            for event in self._supervisor.wait((next_ns - time.monotonic_ns()) / NS_PER_S):
                self._handle(event)
            for _ in range(requests.take()):
                self._stop("interrupt")
            now_ns = time.monotonic_ns()
            if now_ns >= next_ns:
                self._take_snapshot(now_ns)
                next_ns += NS_PER_S * max(1, 1 + (now_ns - next_ns) // NS_PER_S)
            if now_ns > min(hang_ns, self._stop_at_ns or hang_ns):
                for index in list(self._supervisor.pids):
                    self._give_up(index, "did not stop in time")
        self._take_snapshot(time.monotonic_ns())

    def _all_over(self) -> bool:
        return all(worker.done or worker.lost for worker in self._aggregator.workers.values())

    def _handle(self, event: Event) -> None:
        if event.frame is None:
            self._worker_ended(event.worker, event.reason)
            return
        match event.frame.kind:
            case "ready":
                self._ready.add(event.worker)
            case "delta":
                self._aggregator.add(Delta.from_body(event.frame.body))
            case "done":
                worker = self._aggregator.workers[event.worker]
                worker.done, worker.usage = True, event.frame.body
                self._ended_ns[event.worker] = event.frame.body["ended_ns"]
            case "error":
                self._lose(event.worker, f"failed: {event.frame.body['message']}")

    def _worker_ended(self, index: int, reason: str) -> None:
        worker = self._aggregator.workers[index]
        if not worker.done and not worker.lost:
            self._lose(index, f"was lost: {reason or 'it ended early'}")

    def _give_up(self, index: int, reason: str) -> None:
        self._lose(index, reason)
        self._supervisor.kill(index)

    def _lose(self, index: int, reason: str) -> None:
        self._aggregator.lose(index, reason)
        self._notes.append(f"worker {index} {reason}")
        if self._plan.on_worker_loss == "stop" and not self._stopped_by:
            self._stop("worker-loss")

    def _stop(self, why: str) -> None:
        """The first time let requests in flight end; the second time stop at once."""
        again = bool(self._stopped_by)
        self._stopped_by = self._stopped_by or why
        grace_s = 1.0 if again else self._plan.grace_s + 2.0
        self._stop_at_ns = time.monotonic_ns() + round(grace_s * NS_PER_S)
        self._supervisor.send(Frame("stop", {"now": again}))

    # Each second, and at the end.

    def _take_snapshot(self, now_ns: int) -> None:
        covered_ns = self._covered_until_ns(now_ns)
        window_s = (covered_ns - self._covered_ns) / NS_PER_S
        if window_s < SNAPSHOT_LAG_S and self._samplers.host_samples:
            # A last bit after the last whole second: too short for per-second figures.
            return
        window_s = max(window_s, 1e-3)
        self._covered_ns, self._last_snapshot_ns = covered_ns, now_ns
        self._samplers.sample(self._supervisor.pids)
        aggregator, samplers = self._aggregator, self._samplers
        aggregator.update_gauges(self._plan.max_vus)
        window = aggregator.take_window()
        elapsed_s = (now_ns - self._start_ns) / NS_PER_S
        p50_ms, p95_ms, p99_ms = (_ms(window.duration.quantile(q)) for q in (0.5, 0.95, 0.99))
        self._on_snapshot(
            Snapshot(
                elapsed_s=elapsed_s,
                progress=self._progress(elapsed_s),
                phase=self._phase(elapsed_s),
                vus=aggregator.total("vus"),
                in_flight=aggregator.total("in_flight"),
                requests=aggregator.total("finished") + aggregator.total("failed"),
                failed=aggregator.total("failed"),
                requests_per_s=window.requests / window_s,
                failed_per_s=window.failed / window_s,
                iterations=self._iterations(),
                p50_ms=p50_ms,
                p95_ms=p95_ms,
                p99_ms=p99_ms,
                workers_alive=len(self._supervisor.pids),
                workers_lost=sum(worker.lost for worker in aggregator.workers.values()),
                worker_cpu_percent=tuple(
                    samples[-1].cpu_percent for samples in samplers.worker_samples.values() if samples
                ),
                host=samplers.host_samples[-1],
                target=samplers.target_samples[-1] if samplers.target_samples else None,
                thresholds=judge_thresholds(self._plan.thresholds, self._views(elapsed_s - self._plan.warmup_s)),
            )
        )

    def _covered_until_ns(self, now_ns: int) -> int:
        """Until when the deltas reach that are here now: the workers' last whole second, or their end."""
        if self._all_over():
            return max(self._ended_ns.values(), default=now_ns)
        return now_ns - (now_ns - self._start_ns) % NS_PER_S

    def _views(self, duration_s: float) -> dict[str, MetricView]:
        return view_metrics(self._aggregator.table, self._specs, max(duration_s, 1e-9), self._aggregator.late)

    def _iterations(self) -> int:
        iterations = self._aggregator.table.get("iterations")
        return int(iterations.value) if iterations else 0

    def _progress(self, elapsed_s: float) -> float:
        shares = [elapsed_s / self._plan.duration_s]
        specs = [scenario.executor for scenario in self._plan.scenarios]
        if all(isinstance(spec, SharedIterations) for spec in specs):
            wanted = sum(spec.iterations for spec in specs if isinstance(spec, SharedIterations))
            ended = self._aggregator.total("finished") + self._aggregator.total("failed")
            shares.append((ended if self._plan.kind == "bench" else self._iterations()) / wanted)
        return min(1.0, max(shares))

    def _phase(self, elapsed_s: float) -> str:
        if self._stopped_by or elapsed_s > self._plan.duration_s:
            return "stopping"
        return "warm-up" if elapsed_s < self._plan.warmup_s else "running"

    def _summarize(self, started_at: str, watched: tuple[int, ...]) -> Summary:
        aggregator, samplers = self._aggregator, self._samplers
        first_ns = self._start_ns + round(self._plan.warmup_s * NS_PER_S)
        last_ns = max(self._ended_ns.values(), default=self._last_snapshot_ns)
        duration_s = max(1e-3, (last_ns - first_ns) / NS_PER_S)
        views = self._views(duration_s)
        workers = tuple(self._worker_evidence(index) for index in aggregator.workers)
        return Summary(
            plan=self._plan,
            metrics=views,
            thresholds=judge_thresholds(self._plan.thresholds, views),
            checks=collect_checks(aggregator.table),
            endpoints=collect_endpoints(aggregator.table, duration_s),
            errors=aggregator.errors,
            exceptions=aggregator.exceptions,
            verdict=judge_run(self._evidence(views, workers, watched)),
            requests=self._request_counts(),
            workers=workers,
            host=ResourceSeries("host", tuple(samplers.host_samples)),
            target=ResourceSeries(samplers.target.label, tuple(samplers.target_samples)) if samplers.target else None,
            versions=self._versions,
            machine=dict(describe_host()),
            started_at=started_at,
            duration_s=duration_s,
            stopped_by=self._stopped_by,
            notes=tuple(self._notes),
            table=aggregator.table,
        )

    def _request_counts(self) -> RequestCounts:
        total = self._aggregator.total
        return RequestCounts(
            started=total("started"),
            finished=total("finished"),
            failed=total("failed"),
            interrupted=total("interrupted"),
            warmup=total("warmup"),
            iterations_interrupted=total("iterations_interrupted"),
            lost=sum(worker.stats.in_flight for worker in self._aggregator.workers.values() if worker.lost),
        )

    def _worker_evidence(self, index: int) -> WorkerEvidence:
        samples = [sample for sample in self._samplers.worker_samples.get(index, []) if sample.alive]
        totals = self._aggregator.workers[index]
        cpu_percent = tuple(sample.cpu_percent for sample in samples)
        run_delay_share = sum(sample.run_delay_ratio for sample in samples) / len(samples) if samples else 0.0
        if not samples and totals.usage:
            # The run ended before the first whole second: the worker's own account of itself.
            cpu_percent = (totals.usage["cpu_percent"],)
            run_delay_share = totals.usage["run_delay_share"]
        return WorkerEvidence(
            index=index,
            cpu_percent=cpu_percent,
            lag_max_ms=totals.stats.lag_max_us / 1000,
            run_delay_share=run_delay_share,
            rss_bytes=int(max([sample.rss_bytes for sample in samples] + [totals.usage.get("rss_bytes", 0)])),
            lost=totals.lost,
        )

    def _evidence(
        self,
        views: Mapping[str, MetricView],
        workers: tuple[WorkerEvidence, ...],
        watched: tuple[int, ...],
    ) -> Evidence:
        target = ResourceSeries("target", tuple(self._samplers.target_samples))
        host = ResourceSeries("host", tuple(self._samplers.host_samples))
        requests = int(views["http_reqs"].count)
        return Evidence(
            open_model=self._plan.has_open_model,
            requests=requests,
            failed=views["http_req_failed"].fails,
            requests_per_s=views["http_reqs"].rate or 0.0,
            vus=int(views["vus"].max or self._plan.max_vus),
            workers=workers,
            offered=self._aggregator.total("offered"),
            started=int(views["iteration_lateness"].count),
            dropped=int(views["dropped_iterations"].count),
            lateness_p99_ms=views["iteration_lateness"].p(99),
            response_p50_ms=views["http_req_response_time"].p(50),
            errors={kind: count for kind, (count, _) in self._aggregator.errors.entries.items()},
            target_cpu_percent=target.mean("cpu_percent") if target.samples else None,
            target_cpus=_allowed_cpus(watched),
            target_run_delay=target.mean("run_delay_ratio"),
            host_cpu_percent=host.mean("cpu_percent"),
        )


class _StopRequests:
    """Stop signals since the last `take`; *fd* is readable when there is one."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def take(self) -> int:
        """How many came."""
        try:
            return len(os.read(self.fd, 64))
        except BlockingIOError:
            return 0


@contextlib.contextmanager
def _stop_requests() -> Iterator[_StopRequests]:
    """Catch the stop signals while the run lasts; outside the main thread, which alone can, they stay as they are."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)

    def note(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            theirs.send(b"s")

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, note) for number in _STOP_SIGNALS} if in_main_thread else {}
    try:
        yield _StopRequests(ours.fileno())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        ours.close()
        theirs.close()


def _allowed_cpus(pids: tuple[int, ...]) -> int:
    """How many CPUs these processes may use together, 0 without any."""
    allowed: set[int] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            allowed |= os.sched_getaffinity(pid)
    return len(allowed)


def _names_of(pids: tuple[int, ...]) -> str:
    """The program names of these processes, like ``"nginx"`` or ``"gunicorn, postgres"``."""
    return ", ".join(dict.fromkeys(name for name in map(process_name, pids) if name))


def _ms(value_us: int | None) -> float | None:
    return None if value_us is None else value_us / 1000
