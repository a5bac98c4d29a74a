"""The section of the report on resource usage: workers, this machine, and the target."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from fastload.model.judging.evidence import WorkerEvidence
from fastload.model.judging.generator_findings import RARE_STALL_MS
from fastload.model.resources import HostSample, ProcessSample, ResourceSeries, running_spans, spans_text
from fastload.model.summary import Summary
from fastload.model.units import format_bytes, format_count, format_ms, format_number_of, format_percent
from fastload.model.wire_text import one_line
from fastload.outputs.figures import format_cpu
from fastload.outputs.terminal.layout import Cell, Column, Columns
from fastload.outputs.terminal.style import BAD, DIM, STRONG, WARN, cpu_style

_WORKERS_AT_MOST = 8
# Share of the time in which a worker waits for a CPU that is worth a colour.
_RUN_DELAY_SHARE = 0.05


def render_resources(summary: Summary) -> list[RenderableType]:
    """Render rows for the workers, this machine and the target.

    More than eight workers get one row together, and one row for each lost worker.
    """
    rows = [*_workers(summary.workers), *_host(summary.host), *_target(summary.target)]
    columns = [
        Column("RESOURCES", right=False, shrink_to=16, title_style=STRONG),
        Column("CPU mean"),
        Column("max"),
        Column("memory"),
        Column(right=False, shrink_to=10, cut="parts", drop=1),
    ]
    note = "  CPU: 100% is one core busy; for the host, all of its cores"
    return [Columns(columns, rows, first_width=18), Text(note, DIM, no_wrap=True, overflow="ellipsis")]


def _workers(workers: tuple[WorkerEvidence, ...]) -> list[list[Cell]]:
    if len(workers) <= _WORKERS_AT_MOST:
        return [_worker(worker) for worker in workers]
    mean = sum(worker.mean_cpu_percent for worker in workers) / len(workers)
    most = max(worker.max_cpu_percent for worker in workers)
    together = [
        Cell(f"  {len(workers)} workers"),
        Cell(format_cpu(mean), cpu_style(mean)),
        Cell(format_cpu(most), cpu_style(most)),
        Cell(format_bytes(sum(worker.rss_bytes for worker in workers))),
        _strain(
            max(worker.run_delay_share for worker in workers),
            max(worker.lag_max_ms for worker in workers),
            prefix="worst ",
        ),
    ]
    return [together, *(_worker(worker) for worker in workers if worker.lost)]


def _worker(worker: WorkerEvidence) -> list[Cell]:
    strain = Cell("lost", f"bold {BAD}") if worker.lost else _strain(worker.run_delay_share, worker.lag_max_ms)
    if not worker.cpu_percent:
        return [Cell(f"  worker {worker.index}"), Cell("-"), Cell("-"), Cell("-"), strain]
    return [
        Cell(f"  worker {worker.index}"),
        Cell(format_cpu(worker.mean_cpu_percent), cpu_style(worker.mean_cpu_percent)),
        Cell(format_cpu(worker.max_cpu_percent), cpu_style(worker.max_cpu_percent)),
        Cell(format_bytes(worker.rss_bytes)),
        strain,
    ]


def _strain(run_delay_share: float, lag_max_ms: float, prefix: str = "") -> Cell:
    bad = run_delay_share > _RUN_DELAY_SHARE or lag_max_ms > RARE_STALL_MS
    text = f"{prefix}run delay {format_percent(run_delay_share)}, stall {format_ms(lag_max_ms)}"
    return Cell(text, WARN if bad else "")


def _host(host: ResourceSeries[HostSample]) -> list[list[Cell]]:
    if not host.samples:
        return []
    last = host.samples[-1]
    mean = host.mean("cpu_percent")
    sent, received = host.mean("net_sent_bytes_per_s") or 0.0, host.mean("net_received_bytes_per_s") or 0.0
    loopback = host.mean("loopback_bytes_per_s") or 0.0
    network = f"sent {format_bytes(sent)}/s, received {format_bytes(received)}/s"
    if loopback >= (sent + received) / 4:
        network += " (loopback)" if loopback >= 0.45 * (sent + received) else " (part loopback)"
    return [
        [
            Cell(f"  host, {format_number_of(len(last.cpus_percent), 'CPU')}"),
            Cell(format_cpu(mean), cpu_style(mean)),
            Cell(format_cpu(host.max("cpu_percent"))),
            Cell(format_bytes(host.max("memory_used_bytes") or 0)),
            Cell(f"of {format_bytes(last.memory_total_bytes)}"),
        ],
        [Cell("  network"), Cell(network)],
    ]


def _target(target: ResourceSeries[ProcessSample] | None) -> list[list[Cell]]:
    if target is None or not target.samples:
        return [[Cell("  target"), *[Cell("-")] * 3, Cell("not sampled", DIM)]]
    gone = _gone(target)
    mean, most = target.mean("cpu_percent"), target.max("cpu_percent")
    threads = format_count(target.max("threads") or 0)
    return [
        [
            Cell(f"  target {one_line(target.label)}"),
            Cell(format_cpu(mean), cpu_style(mean)),
            Cell(format_cpu(most), cpu_style(most)),
            Cell(format_bytes(target.max("rss_bytes") or 0)),
            Cell(gone, f"bold {BAD}") if gone else Cell(f"{threads} thread{'s' * (threads != '1')}"),
        ]
    ]


def _gone(target: ResourceSeries[ProcessSample]) -> str:
    """Return from when to when the target ran, if that was not all the time; else ""."""
    if all(sample.alive for sample in target.samples):
        return ""
    ran = spans_text(running_spans((sample.t_s, sample.alive) for sample in target.samples))
    return f"ran only {ran}" if ran else "was gone at the end"
