"""Results of a summary by check, request name, measured call, group and scenario."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastload.model.metrics import BUILTIN, MAX_NAMES, OTHER_NAME, SCENARIO_METRICS, MetricSpec, Series
from fastload.model.series import RateValue, SeriesTable, TrendValue
from fastload.model.units import format_count, format_number_of
from fastload.model.views import MetricView, empty_value

REQUEST_NAMES = "request names"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of a check of a scenario: how often it passed and failed."""

    name: str
    passes: int
    fails: int
    scenario: str = ""


@dataclass(frozen=True, slots=True)
class EndpointResult:
    """Result of one request name: ended *requests*, *failed* requests, counts by status, and the duration trend."""

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
    """Result of one name of measured calls: ended and *failed* calls, and the trend of calls that did not raise."""

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
    """Result of a group: its duration trend. A group within a group has a name like ``outer::inner``."""

    name: str
    duration: MetricView

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "group_duration": self.duration.to_dict()}


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """Result of one of several scenarios. ``metrics`` has the views of `SCENARIO_METRICS`."""

    name: str
    metrics: Mapping[str, MetricView]

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **{name: view.to_dict() for name, view in self.metrics.items()}}


def collect_checks(table: SeriesTable) -> tuple[CheckResult, ...]:
    """Return the checks by name and scenario, in the order in which they first came."""
    return tuple(
        CheckResult(tags["check"], series_value.trues, series_value.total - series_value.trues, tags["scenario"])
        for tags, series_value in _kept(table, "checks")
    )


def collect_endpoints(table: SeriesTable, duration_s: float) -> tuple[EndpointResult, ...]:
    """Return the result of each request name, most frequent first."""
    spec = BUILTIN["http_req_duration"]
    statuses: dict[tuple[str, str], dict[str, int]] = {}
    for tags, series_value in _kept(table, "http_reqs"):
        statuses.setdefault((tags["name"], tags["method"]), {})[tags["status"]] = int(series_value.value)
    found = []
    for (name, method), by_status in statuses.items():
        series = (("method", method), ("name", name))
        failed = table.series_values.get(Series("http_req_failed", series), RateValue())
        trend = table.series_values.get(Series("http_req_duration", series), TrendValue())
        view = MetricView(spec, trend, duration_s)
        found.append(EndpointResult(name, method, sum(by_status.values()), failed.trues, by_status, view))
    return tuple(sorted(found, key=lambda endpoint: -endpoint.requests))


def collect_calls(table: SeriesTable, duration_s: float) -> tuple[CallResult, ...]:
    """Return the result of each name of measured calls, most frequent first."""
    spec = BUILTIN["call_duration"]
    found = []
    for tags, series_value in _kept(table, "call_failed"):
        name = tags["name"]
        trend = table.series_values.get(Series.of("call_duration", name=name), TrendValue())
        found.append(CallResult(name, series_value.total, series_value.trues, MetricView(spec, trend, duration_s)))
    return tuple(sorted(found, key=lambda call: -call.calls))


def collect_groups(table: SeriesTable, duration_s: float) -> tuple[GroupResult, ...]:
    """Return the groups in the order in which they first ended. Inner groups come after their outermost group."""
    spec = BUILTIN["group_duration"]
    found = {tags["group"]: series_value for tags, series_value in _kept(table, "group_duration")}
    outermost = list(dict.fromkeys(name.partition("::")[0] for name in found))
    ordered = sorted(found, key=lambda name: (outermost.index(name.partition("::")[0]), name))
    return tuple(GroupResult(name, MetricView(spec, found[name], duration_s)) for name in ordered)


def collect_scenarios(views: Mapping[str, MetricView], scenarios: Iterable[str]) -> tuple[ScenarioResult, ...]:
    """Return the result of each of several *scenarios*; empty for one. *views* has the series of `scenario_series`."""
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
            metrics[metric] = view or MetricView(spec, empty_value(spec), duration_s)
        found.append(ScenarioResult(name, metrics))
    return tuple(found)


def name_limit_notes(crowded: Iterable[str], table: SeriesTable) -> list[str]:
    """Return a note for each kind of name that passed the limit `MAX_NAMES` of a run.

    *crowded* has these kinds in words, like "request names" and "tags of orders".
    """
    about_requests = names_note(table)
    others = [
        f"there were more than {format_count(MAX_NAMES)} {crowd}: the others are counted together as {OTHER_NAME}. "
        "Use names and tags of which there are few, and leave out what is different each time"
        for crowd in crowded
        if crowd != REQUEST_NAMES
    ]
    return [about_requests, *others] if about_requests else others


def clamp_notes(table: SeriesTable, specs: Mapping[str, MetricSpec]) -> list[str]:
    """Return a note for each trend that was given values outside of its range: how many, and as what they count."""
    notes = []
    for series, trend in table.series_values.items():
        spec = specs.get(series.metric)
        if spec is None or series.tags or not isinstance(trend, TrendValue) or not trend.clamped:
            continue
        ends = [("0", trend.min == 0), (f"{spec.highest / spec.scale:,.0f}", trend.max == trend.highest)]
        counted_as = " or ".join(f"{end} {spec.unit}".rstrip() for end, reached in ends if reached)
        share = f"{format_count(trend.clamped)} of {format_number_of(trend.count, 'value')}"
        notes.append(
            f"{share} of {series.metric} were outside of its range, and count as {counted_as}: "
            "its average, and percentiles that reach them, are not exact"
        )
    return notes


def names_note(table: SeriesTable) -> str | None:
    """Return a note if the request names passed the limit `MAX_NAMES`, else None."""
    counts: dict[str, int] = {}
    for tags, series_value in _kept(table, "http_reqs"):
        counts[tags["name"]] = counts.get(tags["name"], 0) + int(series_value.value)
    other = counts.pop(OTHER_NAME, 0)
    if not other:
        return None
    # Examples of names that vary: each of these comes only once or twice.
    examples = " and ".join(repr(name) for name in sorted(counts, key=lambda name: (counts[name], name))[:2])
    seen = f", instead of names such as {examples}" if examples else ""
    return (
        f"there were more than {format_count(MAX_NAMES)} request names: {format_number_of(other, 'request')} of the "
        f"others are counted together as {OTHER_NAME}. Pass name= to requests whose paths vary{seen}"
    )


def _kept(table: SeriesTable, metric: str) -> list[tuple[dict[str, str], Any]]:
    """Return ``(tags, sink)`` of the series of *metric* that every run keeps."""
    return [
        (dict(series.tags), series_value)
        for series, series_value in table.series_values.items()
        if series.metric == metric and series.is_kept
    ]
