"""Parser of sets of HTTP statuses, as scripts and options write them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from fastload.model.errors import PlanError
from fastload.model.plain_numbers import as_whole

StatusSpec = int | str | Collection[int]
"""Set of HTTP statuses as written: ``404``, ``(200, 404)``, ``range(200, 300)`` or ``"200-299,404"``."""
LEAST, MOST = 100, 999
_DIGITS_AT_MOST = 9
_HINT = 'write 404, (200, 404), range(200, 300) or "200-299,404"'


def is_default(spec: StatusSpec) -> bool:
    """Return whether *spec* is empty, which leaves the default: statuses below 400."""
    # Not `not spec`: an array of numpy has no truth value.
    return isinstance(spec, str | list | tuple) and not spec


def parse_statuses(spec: StatusSpec, *, what: str) -> frozenset[int]:
    """Return the HTTP statuses named by *spec*.

    Raises:
        PlanError: *spec* names no status, or a value outside of 100..999; the message begins with *what*.
    """
    numbers: Iterable[Any]
    if isinstance(spec, str):
        numbers = (number for part in spec.split(",") for number in _part(part.strip(), spec, what))
    elif as_whole(spec) is not None:
        numbers = (spec,)
    elif isinstance(spec, Collection) and not isinstance(spec, bytes) and getattr(spec, "shape", None) != ():
        # An array of numpy without a dimension has no elements.
        numbers = spec
    else:
        raise PlanError(f"{what}: {spec!r} names no statuses", hint=_HINT)
    found = set()
    # One after the other: a range may be far too long for a list.
    for one in numbers:
        number = as_whole(one)
        if number is None or not LEAST <= number <= MOST:
            raise PlanError(f"{what}: {one!r} is no HTTP status", hint=_HINT)
        found.add(number)
    if not found:
        raise PlanError(f"{what}: {spec!r} names no statuses", hint=_HINT)
    return frozenset(found)


def statuses_text(statuses: Collection[int]) -> str:
    """Return *statuses* as an option takes them, like ``200-299,404``."""
    runs: list[list[int]] = []
    for status in sorted(statuses):
        if runs and status == runs[-1][1] + 1:
            runs[-1][1] = status
        else:
            runs.append([status, status])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


def _part(part: str, spec: str, what: str) -> range:
    """Return the statuses of *part*: one status, or a range like ``200-299`` with both ends included."""
    first, dash, last = part.partition("-")
    # Longer ones are no statuses, and int() refuses thousands of digits.
    too_long = max(len(first), len(last)) > _DIGITS_AT_MOST
    if too_long or not (first.isdecimal() and (last.isdecimal() or not dash)):
        raise PlanError(f"{what}: {spec!r} names no statuses", hint=_HINT)
    return range(int(first), int(last or first) + 1)
