"""Sparklines: the course of a figure as a row of bars, one character high."""

from __future__ import annotations

from collections.abc import Callable, Sequence

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-:=+*#"
"""Bars for a stream whose encoding has no block characters."""

BarValue = float | None
Join = Callable[[Sequence[float]], float]


def sparkline(values: Sequence[BarValue], *, bars: str = BARS) -> str:
    """Return one bar per value, scaled to the maximum of *values*; None gives a blank.

    Only values up to 0 get the lowest bar, so that a single failure is visible beside thousands.
    """
    top = max((value for value in values if value is not None), default=0.0)
    return "".join(" " if value is None else _bar(value, top, bars) for value in values)


def condense(values: Sequence[BarValue], first: int, seconds: int, width: int, join: Join) -> list[BarValue]:
    """Reduce *values*, one per second and about *seconds* at most, to at most *width*; *join* merges neighbours.

    *first* is the number of the first value since the start of the run. These numbers alone decide which values are
    merged, so that a bar keeps its height while it moves.
    """
    if width <= 0:
        return []
    size = max(1, round(seconds / width))
    groups: dict[int, list[float]] = {}
    for number, value in enumerate(values, first):
        group = groups.setdefault(number // size, [])
        if value is not None:
            group.append(value)
    return [join(group) if group else None for group in groups.values()][-width:]


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return sum(values) / len(values)


def _bar(value: float, top: float, bars: str) -> str:
    if value <= 0:
        return bars[0]
    return bars[max(1, min(len(bars) - 1, round(value / top * (len(bars) - 1))))]
