"""Metrics: their names, kinds and units, and the series of each that a run keeps.

The built-in names are k6's, so that its users' thresholds and dashboards mean the same here; the fastload
additions are ``http_req_lookup``, ``http_req_total``, ``http_req_response_time``, ``iteration_lateness``,
``iterations_failed`` and ``loop_lag``.

A series is a metric with tags. Which series of the built-in metrics a run keeps is fixed (`KEPT_TAGS`); thresholds may
ask for more of them (filters), and these are counted where the values come up, in the workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

HIGHEST_US = 3_600_000_000
"""The highest duration a trend of times can hold: one hour, in microseconds."""
HIGHEST_UNITLESS = 10**15
"""The highest scaled value of a trend that is not a time."""
MAX_NAMES = 1000
"""How many request names have statistics of their own, in one worker and in the whole run; likewise names of groups
and of checks, and tag sets of a metric of the script."""
OTHER_NAME = "(other)"
"""What requests past the last of these names count under."""


class Kind(StrEnum):
    """What a metric adds up to."""

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
"""What a threshold may ask of each kind; ``p(N)`` stands for any percentile."""

_US_OF_UNIT = {"us": 1, "ms": 1_000, "s": 1_000_000}


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric's name, kind and unit: "ms", "s" and "us" are times, every other unit is only a label."""

    name: str
    kind: Kind
    unit: str = ""

    @property
    def scale(self) -> int:
        """What a value is multiplied by to become the integer that a trend stores.

        Times are stored in microseconds; other values with three decimals.
        """
        return _US_OF_UNIT.get(self.unit, 1_000)

    @property
    def highest(self) -> int:
        """The highest stored integer of a trend."""
        return HIGHEST_US if self.unit in _US_OF_UNIT else HIGHEST_UNITLESS


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
"""Recorded for every request that got a response."""

BUILTIN: dict[str, MetricSpec] = {
    **_specs(Kind.TREND, "ms", *HTTP_TRENDS, "http_req_response_time"),
    **_specs(Kind.TREND, "ms", "iteration_duration", "iteration_lateness", "group_duration", "loop_lag"),
    **_specs(Kind.COUNTER, "", "http_reqs", "iterations", "iterations_failed"),
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
"""Of code that a script measures."""
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
"""The rates whose true values are the bad ones."""


class Series(NamedTuple):
    """A metric with one set of tags, which are sorted (name, value) pairs."""

    metric: str
    tags: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, metric: str, **tags: str) -> Series:
        """The series of *metric* with these tags; ``name_`` may be written for a tag that is a keyword here."""
        return cls(metric, tuple(sorted((key.rstrip("_"), value) for key, value in tags.items())))

    @property
    def label(self) -> str:
        """The series as a threshold writes it: ``metric``, or ``metric{key:value,key:value}``."""
        tags = ",".join(f"{key}:{value}" for key, value in self.tags)
        return f"{self.metric}{{{tags}}}" if tags else self.metric

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Whether a value with *tags* belongs to this series: it has all of the series' own."""
        return all(tags.get(key) == value for key, value in self.tags)

    @property
    def is_kept(self) -> bool:
        """Whether every run keeps this series of a built-in metric, without a filter that asks for it."""
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
"""The tags by which every run splits these metrics, beside their totals."""

SCENARIO_METRICS = ("http_reqs", "http_req_failed", "http_req_duration", "iterations", "iteration_duration")
"""What a run of several scenarios also keeps for each of them."""


def scenario_series(scenarios: Iterable[str]) -> tuple[Series, ...]:
    """The filters behind the statistics of each scenario; none when there is only one, whose numbers are the totals."""
    names = tuple(scenarios)
    if len(names) < 2:
        return ()
    return tuple(Series.of(metric, scenario=name) for name in names for metric in SCENARIO_METRICS)


OTHER_TAGS = (("tags", OTHER_NAME),)
"""The series of a metric of the script that takes what comes with tags past `MAX_NAMES` sets of them."""
