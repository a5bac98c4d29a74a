"""A row of bars, one character high: how a figure went, in the width that there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-:=+*#"
"""For a stream that has no block characters."""

BarValue = float | None
Join = Callable[[Sequence[float]], float]


def sparkline(values: Sequence[BarValue], *, bars: str = BARS) -> str:
    """A bar for each of *values*, the highest one being as high as a bar can be; a blank for None.

    Only what is not above 0 has the lowest bar, so that a single failure shows beside thousands.
    """
    top = max((value for value in values if value is not None), default=0.0)
    return "".join(" " if value is None else _bar(value, top, bars) for value in values)


def condense(values: Sequence[BarValue], first: int, seconds: int, width: int, join: Join) -> list[BarValue]:
    """*values*, of which there may be about *seconds*, in at most *width*: neighbours become one by *join*.

    *first* is the number of the first value since the beginning. What is joined depends on these numbers, not on what
    else is there, so that bars keep their height while they move.
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
    """The mean of at least one value."""
    return sum(values) / len(values)


def _bar(value: float, top: float, bars: str) -> str:
    if value <= 0:
        return bars[0]
    return bars[max(1, min(len(bars) - 1, round(value / top * (len(bars) - 1))))]
