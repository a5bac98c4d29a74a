"""Summary of a saved run, rebuilt from its plain data, for reports that need the object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, TypeVar

from fastload.model.cost.target_cost import CostEstimate, EndpointCost, TargetCost
from fastload.model.headline import headline_trend
from fastload.model.hooks import HookError
from fastload.model.judging.evidence import WorkerEvidence
from fastload.model.judging.stalls import Stalls
from fastload.model.load_changes import LoadChange
from fastload.model.metrics import BUILTIN, SCENARIO_METRICS, Kind, MetricSpec
from fastload.model.records import ErrorTable
from fastload.model.resources import HostSample, ProcessSample, ResourceSeries, SampleT
from fastload.model.results import CallResult, CheckResult, EndpointResult, GroupResult, ScenarioResult
from fastload.model.run_header import RunHeader
from fastload.model.saved.codec import FIRST_METRICS, RunFileError, reason_of, threshold_result, verdict_of
from fastload.model.saved.plain_types import any_number, check_plain_data, converter, made_of
from fastload.model.saved.saved_capacity import saved_capacity
from fastload.model.saved.saved_plan import saved_plan
from fastload.model.series import TrendValue
from fastload.model.summary import RequestCounts, Summary
from fastload.model.views import MetricView, empty_value

T = TypeVar("T")
_flag, _whole, _number, _text = converter(bool), converter(int), converter(float), converter(str)
_whole_or_none = converter(int | None)
_texts, _numbers = converter(tuple[str, ...]), converter(tuple[float, ...])
_texts_by_name = converter(dict[str, str])
_map, _maps = converter(dict[str, Any]), converter(tuple[dict[str, Any], ...])
_means = converter(dict[str, float | bool | tuple[float, ...] | None])
# What is always there, though the classes have defaults for it.
_ROWS = {
    "workers": ("index", "cpu_percent", "lag_max_ms", "run_delay_share", "rss_bytes", "lost"),
    "thresholds": ("metric", "expression", "ok", "observed"),
    "checks": ("name", "passes", "fails", "scenario"),
    "errors": ("kind", "count", "first"),
}
_COUNTS: Mapping[Kind, tuple[str, ...]] = {
    Kind.COUNTER: ("count",),
    Kind.RATE: ("passes", "fails"),
    Kind.TREND: ("count",),
    Kind.GAUGE: (),
}


@dataclass(frozen=True, slots=True)
class SavedView(MetricView):
    """View of a metric in a saved summary. *plain* is its `MetricView.to_dict`; other percentiles are None."""

    plain: Mapping[str, float | None] = field(default_factory=dict)

    def p(self, percent: float) -> float | None:
        return self.plain.get("med" if percent == 50 else f"p({percent:g})")

    @property
    def avg(self) -> float | None:
        return self.plain.get("avg")

    @property
    def min(self) -> float | None:
        return self.plain.get("min")

    @property
    def max(self) -> float | None:
        return self.plain.get("max")

    @property
    def count(self) -> float:
        return self.passes + self.fails if self.spec.kind is Kind.RATE else self.plain.get("count") or 0

    @property
    def rate(self) -> float | None:
        return self.plain.get("rate")

    @property
    def value(self) -> float | None:
        return self.plain.get("value")

    @property
    def passes(self) -> int:
        return int(self.plain.get("passes") or 0)

    @property
    def fails(self) -> int:
        return int(self.plain.get("fails") or 0)

    def to_dict(self) -> dict[str, float | None]:
        return dict(self.plain)


def summary_from_plain(plain: Mapping[str, Any], header: RunHeader) -> Summary:
    """Return the summary of *plain*, the result of `Summary.to_dict`. *header* is its run's.

    Of the ``histograms`` only the one that the report of a `bench` draws is decoded.

    Raises:
        KeyError: an entry is missing.
        ValueError: an entry has another type than in a summary, or a metric is missing that every run has.
    """
    check_plain_data(plain)
    duration_s = _number(plain["duration_s"])
    specs = {**BUILTIN, **header.specs}

    def view(metric: str, values: Any) -> MetricView:
        spec = specs.get(metric) or MetricSpec(metric, Kind.GAUGE)
        return SavedView(spec, empty_value(spec), duration_s, plain=_figures(spec, values))

    metrics = {label: view(label.partition("{")[0], values) for label, values in _map(plain["metrics"]).items()}
    if missing := next((name for name in FIRST_METRICS if name not in metrics), ""):
        raise ValueError(f"there is no metric {missing!r}")
    # An earlier version had fewer.
    metrics |= {name: view(name, _empty(spec)) for name, spec in BUILTIN.items() if name not in metrics}
    plan = saved_plan(plain["plan"])
    drawn = headline_trend("http_req_duration", only_open=plan.has_only_open_models)
    if plan.kind == "bench" and drawn in (histograms := _texts_by_name(plain.get("histograms", {}))):
        metrics[drawn] = replace(metrics[drawn], sink=TrendValue.decode(histograms[drawn]))
    return Summary(
        plan=plan,
        metrics=metrics,
        thresholds=tuple(threshold_result(one) for one in _maps(plain["thresholds"])),
        checks=_all(CheckResult, plain["checks"]),
        endpoints=tuple(
            made_of(EndpointResult, one, duration=view("http_req_duration", one["http_req_duration"]))
            for one in _maps(plain["endpoints"])
        ),
        errors=_errors(plain["errors"]),
        exceptions=_exceptions(plain["exceptions"]),
        verdict=verdict_of(plain["verdict"]),
        requests=made_of(RequestCounts, plain["requests"]),
        workers=tuple(_worker(one) for one in _maps(plain["workers"])),
        host=_samples(HostSample, plain["host"]),
        target=_samples(ProcessSample, plain["target"]) if plain["target"] else None,
        versions=_texts_by_name(plain["versions"]),
        machine=_map(plain["machine"]),
        started_at=_text(plain["started_at"]),
        duration_s=duration_s,
        stopped_by=_text(plain["stopped_by"]),
        stop_reason=_text(plain["stop_reason"]),
        hook_errors=_all(HookError, plain["hook_errors"]),
        load_changes=tuple(made_of(LoadChange, row) for row in _maps(plain.get("load_changes", ()))),
        notes=_texts(plain["notes"]),
        groups=tuple(
            GroupResult(_text(one["name"]), view("group_duration", one["group_duration"]))
            for one in _maps(plain["groups"])
        ),
        calls=tuple(
            made_of(CallResult, one, duration=view("call_duration", one["call_duration"]))
            for one in _maps(plain["calls"])
        ),
        scenarios=tuple(
            ScenarioResult(_text(one["name"]), {name: view(name, one[name]) for name in SCENARIO_METRICS})
            for one in _maps(plain["scenarios"])
        ),
        capacity=saved_capacity(plain.get("capacity")),
        cost=cost_of_summary(plain),
    )


def check_summary(plain: Mapping[str, Any], header: RunHeader) -> None:
    """Check that *plain* is the result of `Summary.to_dict`, for those who read it as it is. *header* is its run's.

    Raises:
        RunFileError: it is not.
    """
    try:
        summary_from_plain(plain, header)
        _flag(plain["passed"])
        _texts_by_name(plain["histograms"])
        _check_means(HostSample, plain["host"])
        _check_means(ProcessSample, plain["target"] or {"series": {}, "mean": {}, "max": {}})
        for kind, rows in _ROWS.items():
            for row in plain[kind]:
                if missing := next((name for name in rows if name not in row), ""):
                    raise ValueError(f"{kind}: there is no {missing!r}")
        for worker in plain["workers"]:
            for name in ("mean", "max"):
                _number(worker["cpu_percent"][name])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise RunFileError(f"the summary cannot be read: {reason_of(error)}") from error


def _empty(spec: MetricSpec) -> dict[str, float | None]:
    return MetricView(spec, empty_value(spec), 1.0).to_dict()


def _check_means(kind: type[HostSample] | type[ProcessSample], sampled: Mapping[str, Any]) -> None:
    # An earlier version had fewer.
    required = (one.name for one in fields(kind) if one.default is MISSING)
    wanted = [name for name in required if name not in ("t_s", "label")] if sampled["series"] else []
    for name in ("mean", "max"):
        known = _means(sampled[name])
        if missing := next((one for one in wanted if known.get(one) is None), ""):
            raise ValueError(f"{name}: there is no {missing!r}")


def _figures(spec: MetricSpec, values: Any) -> dict[str, float | None]:
    """Return the figures of a metric. Only those of a script's own metric may be infinite, or not a number."""
    figures: dict[str, float | None] = {}
    own = spec.name not in BUILTIN
    for name, value in _map(values).items():
        figures[name] = None if value is None else any_number(value) if own else _number(value)
    # None is what a gauge or a trend without values has; counts are always there.
    for name in _COUNTS[spec.kind]:
        any_number(figures.get(name))
    for name in ("passes", "fails"):
        converter(int | None)(figures.get(name))
    return figures


def _all(kind: type[T], rows: Any) -> tuple[T, ...]:
    return tuple(made_of(kind, row) for row in _maps(rows))


def _errors(rows: Any) -> ErrorTable:
    """Return the failures; earlier versions did not say of which requests and calls."""
    found = ErrorTable()
    for row in _maps(rows):
        kind = _text(row["kind"])
        found.entries[kind] = (_whole(row["count"]), _text(row["first"]))
        if names := _maps(row.get("names", ())):
            found.by_name[kind] = {(_text(one["method"]), _text(one["name"])): _whole(one["count"]) for one in names}
    return found


def _exceptions(rows: Any) -> ErrorTable:
    """Return the exceptions; earlier versions did not say where they were raised."""
    return ErrorTable.from_raised_list(
        {
            "kind": _text(row["kind"]),
            "count": _whole(row["count"]),
            "first": _text(row["first"]),
            "where": _text(row.get("where", "")),
            "messages": _whole_or_none(row.get("messages")),
        }
        for row in _maps(rows)
    )


def cost_of_summary(plain: Mapping[str, Any]) -> TargetCost | None:
    """Return the cost of *plain*, the result of `Summary.to_dict`; None if it was not measured.

    Raises:
        KeyError, ValueError: an entry is missing, or has another type.
    """
    if not plain.get("cost"):
        return None
    cost = _map(plain["cost"])
    endpoints = (
        made_of(EndpointCost, one, cpu_ms=made_of(CostEstimate, one["cpu_ms"])) for one in _maps(cost["endpoints"])
    )
    return made_of(TargetCost, cost, cpu_ms=made_of(CostEstimate, cost["cpu_ms"]), endpoints=tuple(endpoints))


def _worker(plain: Mapping[str, Any]) -> WorkerEvidence:
    stalls = _all(Stalls, plain.get("stalls", ()))
    return made_of(WorkerEvidence, plain, cpu_percent=_numbers(_map(plain["cpu_percent"])["series"]), stalls=stalls)


def _samples(kind: type[SampleT], plain: Any) -> ResourceSeries[SampleT]:
    """Return the samples of *plain*, the result of `ResourceSeries.to_dict`, which has them by field."""
    series, label = converter(dict[str, tuple[Any, ...]])(_map(plain)["series"]), _text(plain["label"])
    rows = [dict(zip(series, values, strict=True)) for values in zip(*series.values(), strict=True)]
    return ResourceSeries(label, tuple(made_of(kind, row | {"label": label}) for row in rows))
