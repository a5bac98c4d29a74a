"""Summary of a saved run, rebuilt from its plain data, for reports that need the object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

from fastload.model.hooks import HookError
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict, WorkerEvidence
from fastload.model.metrics import BUILTIN, Kind, MetricSpec
from fastload.model.records import ErrorTable
from fastload.model.resources import HostSample, ProcessSample, ResourceSeries, SampleT
from fastload.model.results import CallResult, CheckResult, EndpointResult, GroupResult, ScenarioResult
from fastload.model.run_header import RunHeader
from fastload.model.saved.saved_plan import saved_plan
from fastload.model.summary import RequestCounts, Summary
from fastload.model.views import MetricView, empty_value

T = TypeVar("T")


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
    """Return the summary of *plain*, the result of `Summary.to_dict`, without ``histograms``. *header* is its run's."""
    duration_s: float = plain["duration_s"]
    specs = {**BUILTIN, **header.specs}

    def view(metric: str, values: Mapping[str, float | None]) -> MetricView:
        spec = specs.get(metric) or MetricSpec(metric, Kind.GAUGE)
        return SavedView(spec, empty_value(spec), duration_s, plain=values)

    return Summary(
        plan=saved_plan(plain["plan"]),
        metrics={label: view(label.partition("{")[0], values) for label, values in plain["metrics"].items()},
        thresholds=_all(ThresholdResult, plain["thresholds"]),
        checks=_all(CheckResult, plain["checks"]),
        endpoints=tuple(
            EndpointResult(
                **{**_own(EndpointResult, one), "duration": view("http_req_duration", one["http_req_duration"])}
            )
            for one in plain["endpoints"]
        ),
        errors=_errors(plain["errors"]),
        exceptions=_errors(plain["exceptions"]),
        verdict=Verdict(**{**_own(Verdict, plain["verdict"]), "reasons": tuple(plain["verdict"]["reasons"])}),
        requests=RequestCounts(**_own(RequestCounts, plain["requests"])),
        workers=tuple(_worker(one) for one in plain["workers"]),
        host=_samples(HostSample, plain["host"]),
        target=_samples(ProcessSample, plain["target"]) if plain["target"] else None,
        versions=dict(plain["versions"]),
        machine=dict(plain["machine"]),
        started_at=plain["started_at"],
        duration_s=duration_s,
        stopped_by=plain["stopped_by"],
        stop_reason=plain["stop_reason"],
        hook_errors=_all(HookError, plain["hook_errors"]),
        notes=tuple(plain["notes"]),
        groups=tuple(
            GroupResult(one["name"], view("group_duration", one["group_duration"])) for one in plain["groups"]
        ),
        calls=tuple(
            CallResult(one["name"], one["calls"], one["failed"], view("call_duration", one["call_duration"]))
            for one in plain["calls"]
        ),
        scenarios=tuple(
            ScenarioResult(one["name"], {name: view(name, values) for name, values in one.items() if name != "name"})
            for one in plain["scenarios"]
        ),
    )


def _own(kind: type[Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of *plain* that *kind* has as fields. A later version may have written more."""
    names = [one.name for one in fields(kind)] if is_dataclass(kind) else kind.__annotations__
    return {name: plain[name] for name in names if name in plain}


def _all(kind: type[T], rows: Sequence[Mapping[str, Any]]) -> tuple[T, ...]:
    return tuple(kind(**_own(kind, row)) for row in rows)


def _errors(rows: Sequence[Mapping[str, Any]]) -> ErrorTable:
    return ErrorTable({row["kind"]: (row["count"], row["first"]) for row in rows})


def _worker(plain: Mapping[str, Any]) -> WorkerEvidence:
    return WorkerEvidence(**{**_own(WorkerEvidence, plain), "cpu_percent": tuple(plain["cpu_percent"]["series"])})


def _samples(kind: type[SampleT], plain: Mapping[str, Any]) -> ResourceSeries[SampleT]:
    """Return the samples of *plain*, the result of `ResourceSeries.to_dict`, which has them by field."""
    series, label = plain["series"], plain["label"]
    rows = [dict(zip(series, values, strict=True)) for values in zip(*series.values(), strict=True)]
    samples = [{key: tuple(one) if isinstance(one, list) else one for key, one in row.items()} for row in rows]
    return ResourceSeries(label, tuple(kind(**_own(kind, sample | {"label": label})) for sample in samples))
