"""``--out json=FILE[.gz]``: points in the JSON lines of k6."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Any

from fastload.model.errors import PlanError
from fastload.model.judging.threshold_grammar import parse_series
from fastload.model.metrics import MetricSpec
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.outputs.streams.k6_samples import (
    K6_REQUEST_METRICS,
    STDOUT,
    DurationTexts,
    K6PointFile,
    RequestLineTexts,
    RequestPart,
    k6_filter,
    k6_request_lines,
)
from fastload.outputs.summary_json import dump_json

_NS_PER_S = 1_000_000_000
_CONTAINS = {"ms": "time", "bytes": "data"}
_EXPECTED = {"expected_response": "true"}


def _before_time(metric: str) -> str:
    return f'{{"metric":"{metric}","type":"Point","data":{{"time":"'


_BEFORE = {metric: _before_time(metric) for metric in K6_REQUEST_METRICS}
_VALUE = '","value":'


class K6Json(K6PointFile):
    """A sink for k6's JSON lines. Each metric is declared before its first point. An empty *argument* means stdout."""

    example = "samples.json"

    def __init__(self, argument: str) -> None:
        super().__init__("json", argument or STDOUT)
        self._specs: dict[str, MetricSpec] = {}
        self._thresholds: dict[str, list[str]] = {}
        self._submetrics: dict[str, list[dict[str, Any]]] = {}
        self._declared: set[str] = set()
        self._ms = DurationTexts(ms_text)

    def begin(self, header: RunHeader) -> None:
        self._specs = dict(header.specs)
        for text in header.thresholds:
            self._add_threshold(text)
        self._add_submetric("http_req_duration", _EXPECTED)

    def write(self, snapshot: Snapshot) -> None:
        declared = self._declared.copy()
        try:
            super().write(snapshot)
        except OSError:
            # Declarations of this second may be lost, so the next second writes them again.
            self._declared = declared
            raise

    def requests(self, requests: RequestPart, tag_sets: list[dict[str, str]]) -> str:
        # The trends of requests, plus http_reqs and http_req_failed.
        named = [*K6_REQUEST_METRICS[: len(requests.times_us) + 2]]
        if any(value >= 0 for value in requests.response_us):
            named.append("http_req_response_time")
        lines = [self._declaration(metric) for metric in named]
        clock, before = _Clock(), [_BEFORE[metric] for metric in K6_REQUEST_METRICS]
        text = RequestLineTexts(
            before, lambda ns: clock.text(ns) + _VALUE, "1", "0", self._ms, [_tail(tags) for tags in tag_sets]
        )
        return "".join([*lines, *k6_request_lines(requests, text)])

    def values(
        self, metric: str, times_ns: list[int], values: list[float], sets: list[int], tag_sets: list[dict[str, str]]
    ) -> str:
        head, clock = _before_time(metric), _Clock()
        tails = {tag_set: _tail(tag_sets[tag_set]) for tag_set in set(sets)}
        lines = [self._declaration(metric)]
        for time_ns, value, tag_set in zip(times_ns, values, sets, strict=True):
            lines.append(f"{head}{clock.text(time_ns)}{_VALUE}{number_text(value)}{tails[tag_set]}")
        return "".join(lines)

    def _declaration(self, metric: str) -> str:
        if metric in self._declared:
            return ""
        self._declared.add(metric)
        spec = self._specs[metric]
        data = {
            "name": metric,
            "type": str(spec.kind),
            "contains": _CONTAINS.get(spec.unit, "default"),
            "thresholds": self._thresholds.get(metric, []),
            "submetrics": self._submetrics.get(metric),
        }
        return dump_json({"type": "Metric", "data": data, "metric": metric}).decode() + "\n"

    def _add_threshold(self, text: str) -> None:
        label, _, expression = text.rpartition(": ")
        try:
            series, _ = parse_series(label)
        except PlanError:
            return
        if series.tags:
            self._add_submetric(series.metric, k6_filter(dict(series.tags)))
        else:
            self._thresholds.setdefault(series.metric, []).append(expression)

    def _add_submetric(self, metric: str, tags: dict[str, str]) -> None:
        suffix = ",".join(f"{key}:{value}" for key, value in tags.items())
        submetric = {"name": f"{metric}{{{suffix}}}", "suffix": suffix, "tags": tags}
        known = self._submetrics.setdefault(metric, [])
        if submetric not in known:
            known.append(submetric)


class _Clock:
    """Formatter of ns since the epoch as RFC 3339, like Go: UTC, no trailing zeros. It caches the last second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def text(self, time_ns: int) -> str:
        second, rest_ns = divmod(time_ns, _NS_PER_S)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{rest_ns:09}".rstrip("0") + "Z" if rest_ns else f"{self._text}Z"


def ms_text(value_us: int) -> str:
    """Return microseconds as an exact number of milliseconds: 251 gives ``0.251``."""
    whole, rest = divmod(value_us, 1000)
    return f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)


def number_text(value: float) -> str:
    """Return *value* as a JSON number; NaN and infinity give ``null``."""
    if not isfinite(value):
        return "null"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _tail(tags: dict[str, str]) -> str:
    return f',"tags":{dump_json(tags).decode()}}}}}\n'
