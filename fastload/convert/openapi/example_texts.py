"""Made-up texts and numbers of a schema: of its format, pattern, length and bounds."""

from __future__ import annotations

import datetime
from fractions import Fraction
from math import ceil, floor
from typing import Any

from fastload.convert.openapi.patterns import matches, matching_text

_TEXT = "text"
_LONGEST_TEXT = 10_000
_MOST_TRIES = 100
_DAY = datetime.date(2026, 1, 31)
_FORMATS = {
    "time": "12:00:{seconds:02}Z",
    "duration": "PT{next}M",
    "email": "user{variant}@example.com",
    "idn-email": "user{variant}@example.com",
    "hostname": "example{variant}.com",
    "idn-hostname": "example{variant}.com",
    "ipv4": "192.0.2.{next}",
    "ipv6": "2001:db8::{next}",
    "uri": "https://example.com/{variant}",
    "url": "https://example.com/{variant}",
    "iri": "https://example.com/{variant}",
    "uri-reference": "/{variant}",
    "iri-reference": "/{variant}",
    "uri-template": "/{variant}",
    "json-pointer": "/{variant}",
    "relative-json-pointer": "{variant}0",
    "regex": "a{variant}",
    "uuid": "00000000-0000-4000-8000-{variant:0>12}",
    "byte": "dGV4dA==",
    "password": "password{variant}",
}


def text_for(schema: dict[str, Any], variant: int) -> str | None:
    """Return a text for *schema*; other variants give other texts where that can be. None: no text for its pattern."""
    least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", _LONGEST_TEXT))
    least = min(least, _LONGEST_TEXT)
    formatted = _formatted(schema, variant)
    if "pattern" in schema:
        # A format says more than its pattern: that of a date has months without end.
        if formatted is not None and least <= len(formatted) <= most and matches(str(schema["pattern"]), formatted):
            return formatted
        return matching_text(str(schema["pattern"]), least, most, variant)
    if formatted is not None:
        return (formatted * (least // len(formatted) + 1))[: max(least, len(formatted))][:most]
    mark = str(variant or "")
    size = min(max(least, len(_TEXT + mark)), most)
    return (_TEXT * (size // len(_TEXT) + 1))[: max(0, size - len(mark))] + mark


def _formatted(schema: dict[str, Any], variant: int) -> str | None:
    form = str(schema.get("format", ""))
    if form in ("date", "date-time"):
        day = (_DAY + datetime.timedelta(days=variant)).isoformat()
        return day if form == "date" else f"{day}T12:00:00Z"
    if str(schema.get("contentEncoding", "")).startswith("base64"):
        form = "byte"
    if form not in _FORMATS:
        return None
    return _FORMATS[form].format(variant=variant or "", next=variant + 1, seconds=variant % 60)


def number_for(schema: dict[str, Any], kind: str, variant: int) -> int | float:
    """Return a number within the bounds of *schema* that is a multiple of its ``multipleOf``.

    *kind* is "integer" or "number". Other variants are other numbers, as long as the bounds allow it.
    """
    step = Fraction(str(schema.get("multipleOf") or (1 if kind == "integer" else 0.5)))
    if kind == "integer":
        # The smallest whole number that is a multiple of it.
        step = Fraction(step.numerator)
    least, above = _bound(schema, "minimum"), _bound(schema, "exclusiveMinimum")
    most, below = _bound(schema, "maximum"), _bound(schema, "exclusiveMaximum")
    first = step
    if least is not None or above is not None:
        starts = [ceil(least / step)] if least is not None else []
        starts += [floor(above / step) + 1] if above is not None else []
        first = max(starts) * step
    elif most is not None or below is not None:
        first = min(first, _last(most, below, step))
    value = first + variant * step
    for _ in range(_MOST_TRIES):
        # Most servers divide floats: 0.29 / 0.01 is no whole number there.
        if (float(value) / float(step)).is_integer():
            break
        value += step
    if _is_over(value, most, below):
        value = first
    if _is_over(value, most, below) and kind == "number" and "multipleOf" not in schema:
        value = _between(least, above, most, below)
    return int(value) if kind == "integer" or value.denominator == 1 else float(value)


def _bound(schema: dict[str, Any], key: str) -> Fraction | None:
    return Fraction(str(schema[key])) if schema.get(key) is not None else None


def _last(most: Fraction | None, below: Fraction | None, step: Fraction) -> Fraction:
    """Return the largest multiple of *step* within the upper bounds."""
    ends = [floor(most / step)] if most is not None else []
    ends += [ceil(below / step) - 1] if below is not None else []
    return min(ends) * step


def _is_over(value: Fraction, most: Fraction | None, below: Fraction | None) -> bool:
    return (most is not None and value > most) or (below is not None and value >= below)


def _between(*bounds: Fraction | None) -> Fraction:
    """Return the middle of bounds that have no multiple between them."""
    least, above, most, below = bounds
    low = max(one for one in (least, above) if one is not None)
    high = min(one for one in (most, below) if one is not None)
    return (low + high) / 2
