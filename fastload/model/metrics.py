"""Metrics: their names, kinds and units, and the series of each metric that a run keeps.

Built-in names are k6's, so that thresholds and dashboards of k6 users mean the same here. Additions of fastload include
``http_req_lookup``, ``http_req_total``, ``http_req_response_time``, ``iteration_lateness``, ``iterations_failed`` and
``loop_lag``.

A series is a metric with tags. `KEPT_TAGS` fixes which series of the built-in metrics every run keeps. Thresholds may
ask for more series (filters); the workers count these when they measure the values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

HIGHEST_US = 3_600_000_000
"""Highest duration that a trend of times can hold: one hour, in microseconds."""
HIGHEST_UNITLESS = 10**15
"""Highest scaled value of a trend that is not a time."""
MAX_NAMES = 1000
"""Most request names with statistics of their own, in one worker and in the whole run. The same limit holds for names
of groups, for names of checks, and for the tag sets of a user metric."""
OTHER_NAME = "(other)"
"""Name for the statistics of all requests whose names are past the first `MAX_NAMES`."""


class Kind(StrEnum):
    """Kind of a metric: how its values are combined."""

    COUNTER = "counter"
    GAUGE = "gauge"
    RATE = "rate"
    TREND = "trend"


AGGREGATES: dict[Kind, tuple[str, ...]] = {
    Kind.COUNTER: ("count", "rate"),
    Kind.GAUGE: ("value", "min", "max"),
    Kind.RATE: ("rate",),
    Kind.TREND: ("avg", "min", "med", "max", "count", "p(N)"),
}
"""Aggregates that thresholds can use, by kind of metric; ``p(N)`` stands for any percentile."""

_US_OF_UNIT = {"us": 1, "ms": 1_000, "s": 1_000_000}


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """Name, kind and unit of a metric. The units "ms", "s" and "us" are times; every other unit is only a label."""

    name: str
    kind: Kind
    unit: str = ""

    @property
    def scale(self) -> int:
        """Factor from a value to the integer that a trend stores: times in microseconds, others with three decimals."""
        return _US_OF_UNIT.get(self.unit, 1_000)

    @property
    def is_time(self) -> bool:
        return self.unit in _US_OF_UNIT

    @property
    def highest(self) -> int:
        """Highest integer that a trend of this metric can store."""
        return HIGHEST_US if self.is_time else HIGHEST_UNITLESS


def _specs(kind: Kind, unit: str, *names: str) -> dict[str, MetricSpec]:
    return {name: MetricSpec(name, kind, unit) for name in names}


HTTP_TRENDS = (
    "http_req_duration",
    "http_req_blocked",
    "http_req_lookup",
    "http_req_connecting",
    "http_req_tls_handshaking",
    "http_req_sending",
    "http_req_waiting",
    "http_req_receiving",
    "http_req_total",
)
"""Trends that are recorded for every request that got a response."""

BUILTIN: dict[str, MetricSpec] = {
    **_specs(Kind.TREND, "ms", *HTTP_TRENDS, "http_req_response_time"),
    **_specs(Kind.TREND, "ms", "iteration_duration", "iteration_lateness", "group_duration", "loop_lag"),
    **_specs(Kind.COUNTER, "", "http_reqs", "http_req_retried", "http_auth_challenges"),
    **_specs(Kind.COUNTER, "", "iterations", "iterations_failed"),
    **_specs(Kind.COUNTER, "", "dropped_iterations", "queued_iterations"),
    **_specs(Kind.COUNTER, "bytes", "data_sent", "data_received"),
    **_specs(Kind.RATE, "", "http_req_failed", "checks"),
    **_specs(Kind.GAUGE, "", "vus", "vus_max"),
    **_specs(Kind.TREND, "ms", "call_duration", "call_response_time"),
    **_specs(Kind.COUNTER, "", "calls"),
    **_specs(Kind.RATE, "", "call_failed"),
    **_specs(Kind.TREND, "ms", "stream_first_event", "stream_event_gap"),
    **_specs(Kind.COUNTER, "", "stream_events"),
    **_specs(Kind.TREND, "ms", "ws_connecting", "ws_session_duration", "ws_ping"),
    **_specs(Kind.COUNTER, "", "ws_sessions", "ws_msgs_sent", "ws_msgs_received"),
    **_specs(Kind.RATE, "", "ws_failed"),
}

CALL_METRICS = ("calls", "call_failed", "call_duration", "call_response_time")
"""Metrics of measured calls, that is, of code that a script measures."""
STREAM_METRICS = ("stream_events", "stream_first_event", "stream_event_gap")
WEBSOCKET_METRICS = (
    "ws_sessions",
    "ws_failed",
    "ws_connecting",
    "ws_session_duration",
    "ws_msgs_sent",
    "ws_msgs_received",
    "ws_ping",
)
FAILURE_RATES = frozenset(("http_req_failed", "call_failed", "ws_failed"))
"""Rates whose true values are failures."""


_UNPLAIN = re.compile(r"""[,{}]|^[\s"']|\s$|^$""").search
_PAIRED_BRACES = re.compile(r"[^{},]*(?:\{[^{}]*\}[^{},]*)*")


def _quoted(value: str) -> str:
    """Return *value* in quotes; as it is if it needs none. In it a backslash stands before a backslash or the quote."""
    if value and value == value.strip() and value[:1] not in ("'", '"') and _PAIRED_BRACES.fullmatch(value):
        return value
    mark = "'" if '"' in value and "'" not in value else '"'
    escaped = value.replace("\\", "\\\\").replace(mark, "\\" + mark)
    return f"{mark}{escaped}{mark}"


class Series(NamedTuple):
    """Metric with one tag set. The tags are sorted (name, value) pairs."""

    metric: str
    tags: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, metric: str, **tags: str) -> Series:
        """Return the series of *metric* with these tags. ``_`` at the end of a tag name is removed (``class_``)."""
        return cls(metric, tuple(sorted((key.rstrip("_"), value) for key, value in tags.items())))

    @property
    def label(self) -> str:
        """Series as a threshold writes it: ``metric``, or ``metric{key:value,key:value}``.

        A value that is empty, or has commas, single braces or spaces at its ends, is in quotes, so that a threshold can
        be read again.
        """
        tags = ",".join(f"{key}:{_quoted(value) if _UNPLAIN(value) else value}" for key, value in self.tags)
        return f"{self.metric}{{{tags}}}" if tags else self.metric

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Return whether *tags* include all tags of this series, so that a value with *tags* belongs to it."""
        return all(tags.get(key) == value for key, value in self.tags)

    @property
    def is_kept(self) -> bool:
        """Whether every run keeps this series of a built-in metric, even without a filter."""
        return KEPT_TAGS.get(self.metric) == tuple(key for key, _ in self.tags)


KEPT_TAGS: dict[str, tuple[str, ...]] = {
    "http_reqs": ("method", "name", "status"),
    "http_req_failed": ("method", "name"),
    "http_req_duration": ("method", "name"),
    "data_received": ("method", "name"),
    "checks": ("check", "scenario"),
    "group_duration": ("group",),
    **dict.fromkeys((*CALL_METRICS, *STREAM_METRICS, *WEBSOCKET_METRICS), ("name",)),
}
"""Tags by which every run splits these metrics, in addition to their totals."""

EXPECTED_DURATION = Series.of("http_req_duration", expected_response="true")
"""Series of the duration of requests that did not fail, which every run keeps, as k6 does."""

SCENARIO_METRICS = ("http_reqs", "http_req_failed", "http_req_duration", "iterations", "iteration_duration")
"""Metrics that a run with several scenarios also keeps for each scenario."""


def scenario_series(scenarios: Iterable[str]) -> tuple[Series, ...]:
    """Return the series for the results of each scenario; none for a single scenario, whose numbers are the totals."""
    names = tuple(scenarios)
    if len(names) < 2:
        return ()
    return tuple(Series.of(metric, scenario=name) for name in names for metric in SCENARIO_METRICS)


OTHER_TAGS = (("tags", OTHER_NAME),)
"""Tags of the series of a user metric that counts all values whose tag sets are past the first `MAX_NAMES`."""
