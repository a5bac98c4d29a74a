"""Metrics that a script declares and adds to: `Counter`, `Gauge`, `Rate`, `Trend`."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fastload.model.errors import PlanError
from fastload.model.metrics import BUILTIN, MAX_NAMES, OTHER_TAGS, Kind, MetricSpec, Series

if TYPE_CHECKING:
    # A script that declares metrics need not wait for numpy.
    from fastload.model.series import SeriesTable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


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
        # Shared by all declarations of the name. Every value is in `_values`, in the order in which they came; those
        # with tags are in the lists of their series, too.
        self._values: list[Any] = known._values if known is not self else []
        self._tagged: dict[_Tags, list[Any]] = known._tagged if known is not self else {}
        self._filters = _watched.filters_of(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec.name!r})"

    def drain(self, table: SeriesTable) -> None:
        """Move what was added since the last drain into *table*."""
        name = self.spec.name
        for series, pending in ((Series(name), self._values), *self._tagged_lists()):
            if pending:
                values = pending.copy()
                # Not clear(): another thread may have added one since the copy.
                del pending[: len(values)]
                self._fold(values, table, series)

    def discard(self) -> None:
        """Forget what was added since the last drain."""
        for _, pending in ((None, self._values), *self._tagged_lists()):
            pending.clear()

    def _tagged_lists(self) -> list[tuple[Series, list[Any]]]:
        return [(Series(self.spec.name, tags), pending) for tags, pending in list(self._tagged.items())]

    def _add(self, value: Any, tags: Mapping[str, str] | None) -> None:
        """Add a value that has tags, or that a filter may ask for."""
        own = {str(key): str(text) for key, text in tags.items()} if tags else {}
        into = {tuple(sorted(own.items()))} if own else set()
        if self._filters:
            place = {**_watched.current_tags(), **own}
            into.update(series.tags for series in self._filters if series.tags and series.matches(place))
        if _watched.listener is not None:
            _watched.listener(self.spec.name, value, own)
        self._values.append(value)
        for one in into:
            self._list_of(one).append(value)

    def _list_of(self, tags: _Tags) -> list[Any]:
        pending = self._tagged.get(tags)
        if pending is None:
            if len(self._tagged) >= MAX_NAMES and Series(self.spec.name, tags) not in self._filters:
                tags = OTHER_TAGS
            pending = self._tagged.setdefault(tags, [])
        return pending

    @abstractmethod
    def _fold(self, values: list[Any], table: SeriesTable, series: Series) -> None:
        """Add *values* to *series*, one of this metric, in *table*."""


class Counter(UserMetric):
    """Adds up: ``orders = fl.Counter("orders"); orders.add(3)``."""

    kind = Kind.COUNTER

    def add(self, value: float = 1, tags: Mapping[str, str] | None = None) -> None:
        """Add *value*, 1 by default. What is not a number fails here, in the iteration, not when it is shipped.

        With *tags* it counts in the total and in the series of exactly these tags.
        """
        if tags is None and not self._filters:
            self._values.append(value + 0)
        else:
            self._add(value + 0, tags)

    def _fold(self, values: list[Any], table: SeriesTable, series: Series) -> None:
        table.counter(series).value += sum(values)


class Gauge(UserMetric):
    """Keeps the last value, and the least and greatest: ``depth = fl.Gauge("queue_depth"); depth.add(12)``."""

    kind = Kind.GAUGE

    def add(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Make *value* the last one; with *tags* also that of the series of exactly these."""
        if tags is None and not self._filters:
            self._values.append(float(value))
        else:
            self._add(float(value), tags)

    def _fold(self, values: list[Any], table: SeriesTable, series: Series) -> None:
        sink = table.gauge(series)
        for value in values:
            sink.set(value)


class Rate(UserMetric):
    """The share of true values: ``ok = fl.Rate("token_success"); ok.add(reply.ok)``."""

    kind = Kind.RATE

    def add(self, value: bool, tags: Mapping[str, str] | None = None) -> None:
        """Count one more, true or not; with *tags* also in the series of exactly these."""
        if tags is None and not self._filters:
            self._values.append(bool(value))
        else:
            self._add(bool(value), tags)

    def _fold(self, values: list[Any], table: SeriesTable, series: Series) -> None:
        sink = table.rate(series)
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

    def add(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Record *value*, in the trend's unit; with *tags* also in the series of exactly these."""
        if tags is None and not self._filters:
            self._values.append(float(value))
        else:
            self._add(float(value), tags)

    def _fold(self, values: list[Any], table: SeriesTable, series: Series) -> None:
        table.trend(series, self.spec.highest).fold_floats(values, self.spec.scale)


_Tags = tuple[tuple[str, str], ...]
ValueListener = Callable[[str, Any, Mapping[str, str]], None]
"""Gets the name of a metric of the script, a value that was added to it, and the tags that it was added with."""
_declared: dict[str, UserMetric] = {}


class _Watched:
    """The series that were asked for, by metric, and how to learn where code runs.

    A metric keeps its list of filters, so that it may be declared before or after they are known. Where every single
    value is wanted, by *tell*, one of them is for all values.
    """

    def __init__(self) -> None:
        self.filters: dict[str, list[Series]] = {}
        self.current_tags: Callable[[], Mapping[str, str]] = dict
        self.listener: ValueListener | None = None

    def filters_of(self, name: str) -> list[Series]:
        """The filters of the metric *name*, which may change."""
        found = self.filters.setdefault(name, [])
        if self.listener is not None and Series(name) not in found:
            found.append(Series(name))
        return found


_watched = _Watched()


def watch_metrics(
    filters: Iterable[Series], current_tags: Callable[[], Mapping[str, str]], listener: ValueListener | None = None
) -> None:
    """Have metrics of the script count into the series of *filters*, and into no others that were asked for before.

    *here* says the tags of the place (scenario, group) whose code runs; it is asked for metrics with a filter only.
    *tell* is called with every single value, from the thread that adds it.
    """
    _watched.current_tags, _watched.listener = current_tags, listener
    for asked in _watched.filters.values():
        asked.clear()
    for series in filters:
        if series.metric not in BUILTIN and series.tags:
            asked = _watched.filters.setdefault(series.metric, [])
            if series not in asked:
                asked.append(series)
    for name in _declared:
        _watched.filters_of(name)


def declared() -> dict[str, UserMetric]:
    """Every user metric of this process by name."""
    return _declared


def specs() -> dict[str, MetricSpec]:
    """Every metric that can exist in a run: built in, or declared by the script."""
    return BUILTIN | {name: metric.spec for name, metric in _declared.items()}
