"""What a summary says by check, by request name, by group and by scenario."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastload.model.metrics import BUILTIN, MAX_NAMES, OTHER_NAME, SCENARIO_METRICS, Series
from fastload.model.series import RateSink, SeriesTable, TrendSink
from fastload.model.units import format_count, format_number_of
from fastload.model.views import MetricView, empty_sink

REQUEST_NAMES = "request names"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How often a check of a scenario passed and failed."""

    name: str
    passes: int
    fails: int
    scenario: str = ""


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
class CallResult:
    """One name of measured calls: *calls* that ended, how many *failed*, and the trend of those that did not raise."""

    name: str
    calls: int
    failed: int
    duration: MetricView

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "calls": self.calls,
            "failed": self.failed,
            "call_duration": self.duration.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class GroupResult:
    """How long a group took. Groups within groups are called ``outer::inner``."""

    name: str
    duration: MetricView

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "group_duration": self.duration.to_dict()}


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One of several scenarios; ``metrics`` has those of `SCENARIO_METRICS`."""

    name: str
    metrics: Mapping[str, MetricView]

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **{name: view.to_dict() for name, view in self.metrics.items()}}


def collect_checks(table: SeriesTable) -> tuple[CheckResult, ...]:
    """The checks by name and scenario, in the order in which they first came."""
    return tuple(
        CheckResult(tags["check"], sink.trues, sink.total - sink.trues, tags["scenario"])
        for tags, sink in _kept(table, "checks")
    )


def collect_endpoints(table: SeriesTable, duration_s: float) -> tuple[EndpointResult, ...]:
    """Statistics for each request name, most frequent first."""
    spec = BUILTIN["http_req_duration"]
    statuses: dict[tuple[str, str], dict[str, int]] = {}
    for tags, sink in _kept(table, "http_reqs"):
        statuses.setdefault((tags["name"], tags["method"]), {})[tags["status"]] = int(sink.value)
    found = []
    for (name, method), by_status in statuses.items():
        series = (("method", method), ("name", name))
        failed = table.sinks.get(Series("http_req_failed", series), RateSink())
        trend = table.sinks.get(Series("http_req_duration", series), TrendSink())
        view = MetricView(spec, trend, duration_s)
        found.append(EndpointResult(name, method, sum(by_status.values()), failed.trues, by_status, view))
    return tuple(sorted(found, key=lambda endpoint: -endpoint.requests))


def collect_calls(table: SeriesTable, duration_s: float) -> tuple[CallResult, ...]:
    """Statistics for each name of measured calls, most frequent first."""
    spec = BUILTIN["call_duration"]
    found = []
    for tags, sink in _kept(table, "call_failed"):
        name = tags["name"]
        trend = table.sinks.get(Series.of("call_duration", name=name), TrendSink())
        found.append(CallResult(name, sink.total, sink.trues, MetricView(spec, trend, duration_s)))
    return tuple(sorted(found, key=lambda call: -call.calls))


def collect_groups(table: SeriesTable, duration_s: float) -> tuple[GroupResult, ...]:
    """The groups in the order in which they first ended, those within a group after it."""
    spec = BUILTIN["group_duration"]
    found = {tags["group"]: sink for tags, sink in _kept(table, "group_duration")}
    outermost = list(dict.fromkeys(name.partition("::")[0] for name in found))
    ordered = sorted(found, key=lambda name: (outermost.index(name.partition("::")[0]), name))
    return tuple(GroupResult(name, MetricView(spec, found[name], duration_s)) for name in ordered)


def collect_scenarios(views: Mapping[str, MetricView], scenarios: Iterable[str]) -> tuple[ScenarioResult, ...]:
    """The statistics of each of *scenarios*, if there are several; *views* has the series of `scenario_series`."""
    names = tuple(scenarios)
    if len(names) < 2:
        return ()
    duration_s = views["http_reqs"].duration_s
    found = []
    for name in names:
        metrics = {}
        for metric in SCENARIO_METRICS:
            spec = BUILTIN[metric]
            view = views.get(Series.of(metric, scenario=name).label)
            metrics[metric] = view or MetricView(spec, empty_sink(spec), duration_s)
        found.append(ScenarioResult(name, metrics))
    return tuple(found)


def crowd_notes(crowded: Iterable[str], table: SeriesTable) -> list[str]:
    """What to tell of each kind of name of which there were more than a run keeps statistics for: *crowded* has them
    in words, like "request names" and "tags of orders"."""
    about_requests = names_note(table)
    others = [
        f"there were more than {format_count(MAX_NAMES)} {crowd}: the others are counted together as {OTHER_NAME}. "
        "Use names and tags of which there are few, and leave out what is different each time"
        for crowd in crowded
        if crowd != REQUEST_NAMES
    ]
    return [about_requests, *others] if about_requests else others


def names_note(table: SeriesTable) -> str | None:
    """What to tell when there were more request names than a run keeps statistics for; else None."""
    counts: dict[str, int] = {}
    for tags, sink in _kept(table, "http_reqs"):
        counts[tags["name"]] = counts.get(tags["name"], 0) + int(sink.value)
    other = counts.pop(OTHER_NAME, 0)
    if not other:
        return None
    # Names that vary come once or twice each.
    examples = " and ".join(repr(name) for name in sorted(counts, key=lambda name: (counts[name], name))[:2])
    seen = f", instead of names such as {examples}" if examples else ""
    return (
        f"there were more than {format_count(MAX_NAMES)} request names: {format_number_of(other, 'request')} of the "
        f"others are counted together as {OTHER_NAME}. Pass name= to requests whose paths vary{seen}"
    )


def _kept(table: SeriesTable, metric: str) -> list[tuple[dict[str, str], Any]]:
    """``(tags, sink)`` of the series of *metric* that every run keeps."""
    return [
        (dict(series.tags), sink) for series, sink in table.sinks.items() if series.metric == metric and series.is_kept
    ]
