"""Thresholds without samples: which of their tags no sample of the run had."""

from __future__ import annotations

from fastload.model.errors import nearest
from fastload.model.judging.threshold_tags import NAMED_METRICS, OPEN_TAGS, REQUEST_COUNTERS
from fastload.model.judging.thresholds import Threshold
from fastload.model.metrics import BUILTIN, WEBSOCKET_METRICS, Kind, Series
from fastload.model.series import SeriesTable

_VOLUMES = ("data_sent", "data_received")
_SHOWN_AT_MOST = 5


def why_no_sample(threshold: Threshold, table: SeriesTable) -> str:
    """Return why no sample of a whole run belongs to the series of *threshold*; "" if one does, or may have.

    A counter of outcomes is 0 when there was no such outcome, and that is a sample: of
    ``http_reqs{name:/a,status:500}`` only the name has to be seen.
    """
    series = threshold.series
    is_counter = threshold.kind == Kind.COUNTER
    if series in table.series_values or (is_counter and series.metric not in BUILTIN):
        # What a script counts may be what must not happen.
        return ""
    for tag, value in series.tags:
        if tag in OPEN_TAGS or series.metric not in BUILTIN:
            seen = _values_seen(series, tag, table)
            if value not in seen:
                return _unseen(tag, value, seen)
    if not series.tags or (is_counter and not _shows_samples(series)):
        return ""
    # Of this metric: a scenario that made requests and no checks has its tag elsewhere.
    return (
        f"no sample of {series.metric} had {_pair(*series.tags[0]) if len(series.tags) == 1 else 'all of these tags'}"
    )


def _shows_samples(series: Series) -> bool:
    """Return whether a counter's series is there from the first sample that had its tags, whatever its outcome."""
    if series.metric in NAMED_METRICS:
        return "error" not in dict(series.tags)
    return series.metric in REQUEST_COUNTERS and not series.is_kept


def _values_seen(series: Series, tag: str, table: SeriesTable) -> list[str]:
    """Return the values that *tag* had, in the series that every run keeps of such metrics."""
    metric = series.metric
    if tag == "name" and metric not in NAMED_METRICS:
        like = ("http_reqs", *(WEBSOCKET_METRICS if metric in _VOLUMES else ()))
    elif metric in BUILTIN:
        like = {"name": (metric,), "group": ("group_duration",), "check": ("checks",)}[tag]
    else:
        like = (metric,)
    found = [
        dict(one.tags).get(tag)
        for one in table.series_values
        if one.metric in like and (one.is_kept or (metric not in BUILTIN and one != series))
    ]
    return list(dict.fromkeys(value for value in found if value is not None))


def _unseen(tag: str, value: str, seen: list[str]) -> str:
    shown = [_pair(tag, one) for one in seen[:_SHOWN_AT_MOST]]
    more = f" and {len(seen) - len(shown):,} more" if len(seen) > len(shown) else ""
    there = f"there was {', '.join(shown)}{more}" if seen else f"no sample had a {tag}"
    guess = nearest(value, seen)
    return f"no sample had {_pair(tag, value)}; {there}" + (f"; {guess}" if guess else "")


def _pair(tag: str, value: str) -> str:
    return f"{tag}:{value}"
