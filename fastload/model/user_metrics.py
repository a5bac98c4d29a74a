"""User metrics, which a script declares and adds values to: `Counter`, `Gauge`, `Rate`, `Trend`."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fastload.model.errors import PlanError
from fastload.model.metrics import BUILTIN, MAX_NAMES, OTHER_TAGS, Kind, MetricSpec, Series
from fastload.model.names import are_plain, as_name, tag_texts
from fastload.model.public_types import PublicABC

if TYPE_CHECKING:
    # Importing numpy takes time that a script which declares metrics need not spend.
    from fastload.model.series import SeriesTable

MOST_VALUE = 10**100
"""Largest value that a user metric takes: the sum of any number of them is finite."""
# Comparing numbers of one type takes half of the time.
_LEAST, _LEAST_FLOAT, _MOST_FLOAT = -MOST_VALUE, -float(MOST_VALUE), float(MOST_VALUE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MAX_TAG_SETS = 10_000


class UserMetric(metaclass=PublicABC):
    """Metric of a script, declared once, at module level. The summary shows it under its name.

    ``spec`` has the metric's ``name``, ``kind`` and ``unit``; ``kind`` is "counter", "gauge", "rate" or "trend".

    Two declarations of one name share their values; they must agree in kind and unit.

    Raises:
        PlanError: the name is malformed, is the name of a built-in metric, or was declared with another kind or unit;
            or it is declared while load is made: no other process would know it.
    """

    kind: Kind

    def __init__(self, name: str, *, unit: str = "") -> None:
        name, unit = as_name(name, "the name of a metric"), as_name(unit, "unit=")
        if not _NAME.fullmatch(name):
            raise PlanError(
                f"metric name {name!r} is not valid",
                hint="use letters, digits and _, not starting with a digit",
            )
        if name in BUILTIN:
            raise PlanError(f"{name!r} is a built-in metric", hint="give your metric a name of its own")
        if _registry.is_closed and name not in _declared:
            raise PlanError(f"metric {name!r} is declared during the run", hint="declare it at the top of the script")
        self.spec = MetricSpec(name, self.kind, unit)
        known = _declared.setdefault(name, self)
        if known.spec != self.spec:
            raise PlanError(
                f"metric {name!r} is already declared as a {known.spec.kind} in {known.spec.unit or 'no unit'}",
                hint="one name, one kind, one unit",
            )
        # All declarations of the name share these lists. `_values` has every value, in the order of `add` calls;
        # values with tags are also in the lists of their series in `_tagged`.
        self._values: list[Any] = known._values if known is not self else []
        self._tagged: dict[_Tags, list[Any]] = known._tagged if known is not self else {}
        self._filters = _registry.filters_of(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec.name!r})"

    def _drain(self, table: SeriesTable) -> None:
        """Move the values since the last drain into *table*."""
        name = self.spec.name
        for series, pending in ((Series(name), self._values), *self._tagged_lists()):
            if pending:
                values = pending.copy()
                # Not clear(): another thread may have added a value since the copy.
                del pending[: len(values)]
                self._fold(values, table, series)

    def _discard(self) -> None:
        """Drop the values since the last drain."""
        for _, pending in ((None, self._values), *self._tagged_lists()):
            pending.clear()

    def _tagged_lists(self) -> list[tuple[Series, list[Any]]]:
        return [(Series(self.spec.name, tags), pending) for tags, pending in list(self._tagged.items())]

    def _add(self, value: Any, tags: Mapping[str, str] | None) -> None:
        """Add a value that has tags, or a value of a metric with filters."""
        own = _own_tags(tags) if tags else {}
        into = {tuple(sorted(own.items()))} if own else set()
        if self._filters:
            place = {**_registry.current_tags(), **own}
            into.update(series.tags for series in self._filters if series.tags and series.matches(place))
        if _registry.listener is not None:
            _registry.listener(self.spec.name, value, own)
        self._values.append(value)
        for one in into:
            self._list_of(one).append(value)

    def _refusal(self, value: Any) -> ValueError:
        # Not the value itself: Python writes no integer of more than 4,300 digits.
        what = "a huge integer" if isinstance(value, int) else repr(value)
        return ValueError(f"{self.spec.kind} {self.spec.name!r} takes a finite number up to 10**100, not {what}")

    def _list_of(self, tags: _Tags) -> list[Any]:
        pending = self._tagged.get(tags)
        if pending is None:
            if len(self._tagged) >= MAX_NAMES and Series(self.spec.name, tags) not in self._filters:
                tags = OTHER_TAGS
            pending = self._tagged.setdefault(tags, [])
        return pending

    @abstractmethod
    def _fold(self, values: list[Any], table: SeriesTable, series: Series) -> None:
        """Add *values* to *series*, a series of this metric, in *table*."""


class Counter(UserMetric):
    """Sum of values: ``orders = fl.Counter("orders"); orders.add(3)``."""

    kind = Kind.COUNTER

    def add(self, value: float = 1, tags: Mapping[str, str] | None = None) -> None:
        """Add *value*, 1 by default. With *tags* it counts in the total and in the series of exactly these tags.

        Raises:
            ValueError: *value* is not finite, or over 10**100; here and not when the worker sends its values.
            TypeError: *value* is not a number.
        """
        number = value if type(value) is int else float(value + 0)
        if not _LEAST <= number <= MOST_VALUE:
            raise self._refusal(value)
        if tags is None and not self._filters:
            self._values.append(number)
        else:
            self._add(number, tags)

    def _fold(self, values: list[Any], table: SeriesTable, series: Series) -> None:
        table.counter(series).value += sum(values)


class Gauge(UserMetric):
    """Last, least and greatest value: ``depth = fl.Gauge("queue_depth"); depth.add(12)``."""

    kind = Kind.GAUGE

    def add(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Make *value* the last value; with *tags* also the last value of the series of exactly these tags.

        Raises as `Counter.add`.
        """
        try:
            number = float(value)
        except OverflowError:
            raise self._refusal(value) from None
        if not _LEAST_FLOAT <= number <= _MOST_FLOAT:
            raise self._refusal(value)
        if tags is None and not self._filters:
            self._values.append(number)
        else:
            self._add(number, tags)

    def _fold(self, values: list[Any], table: SeriesTable, series: Series) -> None:
        series_value = table.gauge(series)
        for value in values:
            series_value.set(value)


class Rate(UserMetric):
    """Share of true values: ``ok = fl.Rate("token_success"); ok.add(reply.ok)``."""

    kind = Kind.RATE

    def add(self, value: bool, tags: Mapping[str, str] | None = None) -> None:
        """Count *value*, true or false; with *tags* also in the series of exactly these tags.

        Raises:
            ValueError: *value* is NaN, which is neither.
        """
        if value != value:
            raise self._refusal(value)
        if tags is None and not self._filters:
            self._values.append(bool(value))
        else:
            self._add(bool(value), tags)

    def _fold(self, values: list[Any], table: SeriesTable, series: Series) -> None:
        series_value = table.rate(series)
        series_value.trues += sum(values)
        series_value.total += len(values)


class Trend(UserMetric):
    """Distribution of values, with percentiles: ``ingest = fl.Trend("ingest_duration", unit="ms"); ingest.add(12.5)``.

    Values are kept to three significant digits. The units "ms" (default), "s" and "us" are times, up to an hour.
    Any other *unit* is a label, for values from 0.001 to 10**12. Values outside of the range are counted at the nearer
    end of it, and the summary says how many.
    """

    kind = Kind.TREND

    def __init__(self, name: str, *, unit: str = "ms") -> None:
        super().__init__(name, unit=unit)

    def add(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Record *value*, in the trend's unit; with *tags* also in the series of exactly these tags.

        Raises as `Counter.add`.
        """
        try:
            number = float(value)
        except OverflowError:
            raise self._refusal(value) from None
        if not _LEAST_FLOAT <= number <= _MOST_FLOAT:
            raise self._refusal(value)
        if tags is None and not self._filters:
            self._values.append(number)
        else:
            self._add(number, tags)

    def _fold(self, values: list[Any], table: SeriesTable, series: Series) -> None:
        table.trend(series, self.spec.highest).fold_floats(values, self.spec.scale)


def _own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return `tag_texts` of *tags*, cached: a tagged value is added as often as a request is sent."""
    try:
        key = tuple(tags.items())
        found = _tag_texts.get(key)
    except (AttributeError, TypeError):
        # No mapping, or what cannot be hashed: the error says which it is.
        return tag_texts(tags)
    if found is None:
        found = tag_texts(tags)
        if found == tags and are_plain((*found, *found.values())) and len(_tag_texts) < _MAX_TAG_SETS:
            _tag_texts[key] = found
    return found


_Tags = tuple[tuple[str, str], ...]
ValueListener = Callable[[str, Any, Mapping[str, str]], None]
"""Callback for each added value: gets the name of the user metric, the value, and the tags given with it."""
_declared: dict[str, UserMetric] = {}
_tag_texts: dict[tuple[Any, ...], dict[str, str]] = {}


class _FilterRegistry:
    """Filters of user metrics (series that thresholds ask for), by metric.

    ``current_tags`` returns the tags of the scope whose code runs. A metric keeps a reference to its list of filters,
    so a metric may be declared before or after the filters are known. With a ``listener`` the list also has the series
    without tags, so that every value of the metric goes through `UserMetric._add`.
    """

    def __init__(self) -> None:
        self.is_closed = False
        self.filters: dict[str, list[Series]] = {}
        self.current_tags: Callable[[], Mapping[str, str]] = dict
        self.listener: ValueListener | None = None

    def filters_of(self, name: str) -> list[Series]:
        """Return the list of filters of the metric *name*. The list may change later."""
        found = self.filters.setdefault(name, [])
        if self.listener is not None and Series(name) not in found:
            found.append(Series(name))
        return found


_registry = _FilterRegistry()


def set_metric_filters(
    filters: Iterable[Series], current_tags: Callable[[], Mapping[str, str]], listener: ValueListener | None = None
) -> None:
    """Set the filters of user metrics: values also count in the series of *filters*. Filters set before are removed.

    *current_tags* returns the tags of the scope (scenario, group) whose code runs; it is called only for metrics with a
    filter. *listener* is called with every single value, in the thread that adds the value.
    """
    _registry.current_tags, _registry.listener = current_tags, listener
    for asked in _registry.filters.values():
        asked.clear()
    for series in filters:
        if series.metric not in BUILTIN and series.tags:
            asked = _registry.filters.setdefault(series.metric, [])
            if series not in asked:
                asked.append(series)
    for name in _declared:
        _registry.filters_of(name)


def close_declarations() -> None:
    """Refuse new metrics from now on. Workers call this: the parent knows only what was declared before the fork."""
    _registry.is_closed = True


def declared() -> dict[str, UserMetric]:
    """Return the user metrics of this process, by name."""
    return _declared


def specs() -> dict[str, MetricSpec]:
    """Return the specs of all metrics of a run, built-in and declared by the script, by name."""
    return BUILTIN | {name: metric.spec for name, metric in _declared.items()}
