"""Parser of sets of HTTP statuses, as scripts and options write them."""

from __future__ import annotations

from collections.abc import Collection

from fastload.model.errors import PlanError

StatusSpec = int | str | Collection[int]
"""Set of HTTP statuses as written: ``404``, ``(200, 404)``, ``range(200, 300)`` or ``"200-299,404"``."""
LEAST, MOST = 100, 999
_HINT = 'write 404, (200, 404), range(200, 300) or "200-299,404"'


def parse_statuses(spec: StatusSpec, *, what: str) -> frozenset[int]:
    """Return the HTTP statuses named by *spec*.

    Raises:
        PlanError: *spec* names no status, or a value outside of 100..999; the message begins with *what*.
    """
    if isinstance(spec, str):
        numbers = [number for part in spec.split(",") for number in _part(part.strip(), spec, what)]
    elif isinstance(spec, int) and not isinstance(spec, bool):
        numbers = [spec]
    elif isinstance(spec, Collection) and not isinstance(spec, bytes):
        numbers = list(spec)
    else:
        raise PlanError(f"{what}: {spec!r} names no statuses", hint=_HINT)
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool) or not LEAST <= number <= MOST:
            raise PlanError(f"{what}: {number!r} is no HTTP status", hint=_HINT)
    if not numbers:
        raise PlanError(f"{what}: {spec!r} names no statuses", hint=_HINT)
    return frozenset(numbers)


def _part(part: str, spec: str, what: str) -> range:
    """Return the statuses of *part*: one status, or a range like ``200-299`` with both ends included."""
    first, dash, last = part.partition("-")
    if not (first.isdecimal() and (last.isdecimal() or not dash)):
        raise PlanError(f"{what}: {spec!r} names no statuses", hint=_HINT)
    return range(int(first), int(last or first) + 1)
