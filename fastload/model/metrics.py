"""Metrics: their names and kinds, and what a script declares and adds to.

The built-in names are k6's, so that its users' thresholds and dashboards mean the same here; the fastload
additions are ``http_req_lookup``, ``http_req_total``, ``http_req_response_time``, ``iteration_lateness``,
``iterations_failed`` and ``loop_lag``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from fastload.model.errors import PlanError

if TYPE_CHECKING:
    # A script that declares metrics need not wait for numpy.
    from fastload.model.series import SeriesTable

HIGHEST_US = 3_600_000_000
"""The highest duration a trend of times can hold: one hour, in microseconds."""
HIGHEST_UNITLESS = 10**15
"""The highest scaled value of a trend that is not a time."""


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
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


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
    **_specs(Kind.TREND, "ms", "iteration_duration", "iteration_lateness", "loop_lag"),
    **_specs(Kind.COUNTER, "", "http_reqs", "iterations", "iterations_failed", "dropped_iterations"),
    **_specs(Kind.COUNTER, "bytes", "data_sent", "data_received"),
    **_specs(Kind.RATE, "", "http_req_failed", "checks"),
    **_specs(Kind.GAUGE, "", "vus", "vus_max"),
}


class Series(NamedTuple):
    """A metric with one set of tags, which are sorted (name, value) pairs."""

    metric: str
    tags: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, metric: str, **tags: str) -> Series:
        """The series of *metric* with these tags; ``name_`` may be written for a tag that is a keyword here."""
        return cls(metric, tuple(sorted((key.rstrip("_"), value) for key, value in tags.items())))


class UserMetric(ABC):
    """What a script declares, once, at module level. Every one is shown in the summary under its name.

    Two declarations of one name share their values; they must agree in kind and unit.

    Raises:
        PlanError: the name is malformed, is a built-in metric's, or was declared with another kind or unit.
    """

    kind: Kind

    def __init__(self, name: str, *, unit: str = "") -> None:
        if not _NAME.fullmatch(name):
            raise PlanError(
                f"metric name {name!r} is not valid",
                hint="use letters, digits and _, not starting with a digit",
            )
        if name in BUILTIN:
            raise PlanError(f"{name!r} is a built-in metric", hint="give your metric a name of its own")
        self.spec = MetricSpec(name, self.kind, unit)
        known = _declared.setdefault(name, self)
        if known.spec != self.spec:
            raise PlanError(
                f"metric {name!r} is already declared as a {known.spec.kind} in {known.spec.unit or 'no unit'}",
                hint="one name, one kind, one unit",
            )
        self._values: list[Any] = known._values if known is not self else []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec.name!r})"

    def drain(self, table: SeriesTable) -> None:
        """Move what was added since the last drain into *table*."""
        if self._values:
            values = self._values.copy()
            # Not clear(): another thread may have added one since the copy.
            del self._values[: len(values)]
            self._fold(values, table)

    def discard(self) -> None:
        """Forget what was added since the last drain."""
        self._values.clear()

    @abstractmethod
    def _fold(self, values: list[Any], table: SeriesTable) -> None:
        """Add *values* to this metric's series of *table*."""


class Counter(UserMetric):
    """Adds up: ``orders = fl.Counter("orders"); orders.add(3)``."""

    kind = Kind.COUNTER

    def add(self, value: float = 1) -> None:
        """Add *value*, 1 by default. What is not a number fails here, in the iteration, not when it is shipped."""
        self._values.append(value + 0)

    def _fold(self, values: list[Any], table: SeriesTable) -> None:
        table.counter(Series(self.spec.name)).value += sum(values)


class Gauge(UserMetric):
    """Keeps the last value, and the least and greatest: ``depth = fl.Gauge("queue_depth"); depth.add(12)``."""

    kind = Kind.GAUGE

    def add(self, value: float) -> None:
        """Make *value* the last one."""
        self._values.append(float(value))

    def _fold(self, values: list[Any], table: SeriesTable) -> None:
        sink = table.gauge(Series(self.spec.name))
        for value in values:
            sink.set(value)


class Rate(UserMetric):
    """The share of true values: ``ok = fl.Rate("token_success"); ok.add(reply.ok)``."""

    kind = Kind.RATE

    def add(self, value: bool) -> None:
        """Count one more, true or not."""
        self._values.append(bool(value))

    def _fold(self, values: list[Any], table: SeriesTable) -> None:
        sink = table.rate(Series(self.spec.name))
        sink.trues += sum(values)
        sink.total += len(values)


class Trend(UserMetric):
    """Percentiles of a value: ``ingest = fl.Trend("ingest_duration", unit="ms"); ingest.add(12.5)``.

    Values are kept to three significant digits. *unit* "ms" (default), "s" and "us" are times, up to an hour;
    any other unit is a label, for values from 0.001 to 10**12. Values outside the range, and those that are
    not finite, are counted at its nearer end and reported.
    """

    kind = Kind.TREND

    def __init__(self, name: str, *, unit: str = "ms") -> None:
        super().__init__(name, unit=unit)

    def add(self, value: float) -> None:
        """Record *value*, in the trend's unit."""
        self._values.append(float(value))

    def _fold(self, values: list[Any], table: SeriesTable) -> None:
        spec = self.spec
        table.trend(Series(spec.name), spec.highest).fold_floats(values, spec.scale)


_declared: dict[str, UserMetric] = {}


def declared() -> dict[str, UserMetric]:
    """Every user metric of this process by name."""
    return _declared


def specs() -> dict[str, MetricSpec]:
    """Every metric that can exist in a run: built in, or declared by the script."""
    return BUILTIN | {name: metric.spec for name, metric in _declared.items()}
