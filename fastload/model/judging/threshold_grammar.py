"""Grammar of thresholds: a metric with tags, ``http_reqs{name:/,status:200}``, and a condition on it.

The condition is ``[AGGREGATE] OP NUMBER[UNIT] [for DURATION | over DURATION] [abort [after DURATION]] [optional]``.
A threshold on the verdict of the run compares it with a state: ``verdict>=SUSPECT``.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from fastload.model.errors import PlanError, nearest
from fastload.model.metrics import AGGREGATES, Kind, MetricSpec, Series
from fastload.model.resources import RESOURCE_METRICS
from fastload.model.units import parse_duration_s

RESOURCE, VERDICT = "resource", "verdict"
"""Kinds of subjects of a threshold, in addition to the four kinds of metrics."""
STATES = ("INVALID", "SUSPECT", "VALID")
"""States of the verdict, from the worst to the best. The limit of a threshold on the verdict is an index into them."""

_LONGEST_TEXT = 10_000
"""Limit of a threshold's text: it may have long names of requests, and it is read in a moment."""
_NAME = re.compile(r"\s*([A-Za-z_]\w*)\s*")
_HEAD = re.compile(
    r"(?:(?P<aggregate>p\s*\(\s*(?P<percent>[0-9]+(?:\.[0-9]+)?)\s*\)|[A-Za-z_]\w*)\s*)?"
    r"(?P<comparison><=|>=|===|==|!=|<|>)\s*(?P<rest>.*)",
    re.DOTALL,
)
_QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1)[^\\])*\1""", re.DOTALL)
_ESCAPED = re.compile(r"""\\(["'\\])""")
_NUMBER = re.compile(
    r"(?P<number>[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)(?P<unit>[A-Za-zµ%]*(?:/s)?)(?=\s|$)(?P<words>.*)",
    re.DOTALL,
)
# Signs that are none of the grammar, and what they mean.
_SIGNS = {"=": "==", "=<": "<=", "=>": ">=", "<>": "!="}
_SINGLE_SIGN = re.compile(rf"([^=<>!]*)({'|'.join(sorted(_SIGNS, reverse=True))})([^=<>!]*)")
WORDS = ("for", "over", "abort", "optional")
"""Words that may follow the limit."""
_US = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
_BYTES = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_DEFAULT = {Kind.COUNTER.value: "count", Kind.RATE.value: "rate", Kind.GAUGE.value: "value", RESOURCE: "avg"}
_EXAMPLE = {
    Kind.COUNTER.value: "count>100",
    Kind.GAUGE.value: "value<10",
    Kind.RATE.value: "rate<0.01",
    Kind.TREND.value: "p(95)<500",
    VERDICT: "verdict==VALID",
}
_OTHER_WORDS = {"mean": "avg", "average": "avg", "median": "med", "minimum": "min", "maximum": "max"}
"""Other names of aggregates, and their names here."""
_RESOURCE_EXAMPLE = {"%": "avg<90%", "bytes": "max<2GB", "": "max<1000"}


class Condition(NamedTuple):
    """Condition of a threshold. *limit* is in the metric's unit. *percent* (0..100) belongs to the aggregate ``p``.

    *for_s* and *over_s* are windows in whole seconds; at most one of them is not 0.
    """

    aggregate: str
    percent: float
    comparison: str
    limit: float
    for_s: int = 0
    over_s: int = 0
    aborts: bool = False
    abort_after_s: float = 0.0
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """Subject of a threshold: a metric, a resource or the verdict.

    *kind* is one of `metrics.Kind`, ``RESOURCE`` or ``VERDICT``.
    """

    spec: MetricSpec
    kind: str

    @property
    def aggregates(self) -> tuple[str, ...]:
        """Aggregates of the subject; ``p(N)`` stands for any percentile."""
        if self.kind == RESOURCE:
            return ("avg", "min", "med", "max", "value", "p(N)")
        return AGGREGATES[self.spec.kind]

    @property
    def example(self) -> str:
        """Example of a condition on the subject, for hints."""
        return _RESOURCE_EXAMPLE[self.spec.unit] if self.kind == RESOURCE else _EXAMPLE[self.kind]

    def units(self, aggregate: str) -> dict[str, Fraction]:
        """Return the units allowed for a limit. Each maps to its size in the metric's own unit."""
        if self.kind == Kind.RATE:
            return {"%": Fraction(1, 100)}
        if self.kind == Kind.TREND and aggregate == "count":
            return {}
        if self.spec.unit in _US:
            return {unit: Fraction(us, self.spec.scale) for unit, us in _US.items()}
        if self.spec.unit == "bytes":
            units = {unit: Fraction(size) for unit, size in _BYTES.items()}
        else:
            units = {self.spec.unit: Fraction(1)} if self.spec.unit else {}
        if self.kind == Kind.COUNTER and aggregate == "rate":
            units = {"/s": Fraction(1)} | {f"{unit}/s": size for unit, size in units.items()} | units
        return units


def split_thresholds(text: str) -> list[str]:
    """Split *text* into thresholds at its semicolons, except for those in the braces of a tag filter."""
    parts, begin, depth, at, before = [], 0, 0, 0, ""
    while at < len(text):
        character = text[at]
        if character in "\"'" and depth and before == ":":
            # A quoted value: see `_scan_value`.
            found = _QUOTED.match(text, at)
            at = found.end() - 1 if found else at
        elif character == ";" and not depth:
            parts.append(text[begin:at])
            begin = at + 1
        before = before if character.isspace() else character
        depth = max(0, depth + (character == "{") - (character == "}"))
        at += 1
    return [*parts, text[begin:]]


def parse_series(text: str, tags: Collection[str] | None = None) -> tuple[Series, str]:
    """Parse the metric and its tag filter at the start of *text*. Return the series and the rest of the text.

    *tags* are the permitted tag names; None permits every name.

    Raises:
        PlanError: no metric name, a malformed filter, a tag that is not permitted, or two values for one tag.
    """
    _check_length(text)
    match = _NAME.match(text)
    if match is None:
        raise no_metric(text)
    rest = text[match.end() :]
    if not rest.startswith("{"):
        return Series(match[1]), rest
    pairs, rest = _scan_filter(text, rest[1:])
    found: dict[str, str] = {}
    for key, value in pairs:
        if tags is not None and key not in tags:
            hint = nearest(key, tags) or f"there are {', '.join(sorted(tags))}"
            raise PlanError(f"threshold on {text!r}: there is no tag {key!r}", hint=hint)
        if found.setdefault(key, value) != value:
            raise PlanError(f"threshold on {text!r}: {key!r} cannot have two values", hint="write two thresholds")
    return Series(match[1], tuple(sorted(found.items()))), rest


def subject_of(series: Series, known: Mapping[str, MetricSpec]) -> Subject:
    """Return the subject of *series*: a metric of *known*, a resource, or the verdict.

    Raises:
        PlanError: no subject has that name, or *series* has tags on a resource or on the verdict.
    """
    name = series.metric
    if spec := known.get(name):
        return Subject(spec, spec.kind.value)
    if resource := RESOURCE_METRICS.get(name):
        subject = Subject(MetricSpec(name, Kind.GAUGE, resource.unit), RESOURCE)
    elif name == VERDICT:
        subject = Subject(MetricSpec(name, Kind.GAUGE), VERDICT)
    else:
        names = (*known, *RESOURCE_METRICS, VERDICT)
        hint = nearest(name, names) or "the built-in metrics are listed in the docs, page 'What the numbers mean'"
        raise PlanError(f"threshold on {name!r}: there is no metric of that name", hint=hint)
    if series.tags:
        raise PlanError(f"threshold on {series.label!r}: {name} has no tags", hint=f"write {name!r}")
    return subject


def parse_condition(subject: Subject, text: str) -> Condition:
    """Parse *text* as a condition on *subject*.

    Raises:
        PlanError: *text* breaks the grammar, the metric does not have the aggregate or the unit, or a window is not
            a whole number of seconds from 1 on.
    """
    _check_length(text)
    text = text.strip()
    match = _HEAD.fullmatch(text)
    if match is None:
        raise _malformed(subject, text)
    if subject.kind == VERDICT:
        return _verdict_condition(subject, text, match)
    aggregate = _aggregate(subject, text, match)
    number = _NUMBER.fullmatch(match["rest"])
    if number is None:
        raise _malformed(subject, text)
    unit, words = number["unit"], number["words"].split()
    units = subject.units(aggregate)
    if not unit and words and (words[0] in units or words[0] in _US or words[0] in _BYTES):
        unit = words.pop(0)
    limit = _limit(text, number["number"], _factor(subject, text, unit, units))
    condition = Condition(aggregate, float(match["percent"] or 0), match["comparison"], limit)
    return _parse_modifiers(condition, text, words)


def check_expression(metric: str, text: str) -> None:
    """Check that *text* can be a condition on some *metric*, whose kind and unit are not known.

    Raises:
        PlanError: it breaks the grammar, or no kind of metric has its aggregate.
    """
    _check_length(text)
    subject = Subject(MetricSpec(metric, Kind.TREND), Kind.TREND.value)
    match = _HEAD.fullmatch(text)
    number = _NUMBER.fullmatch(match["rest"]) if match else None
    if match is None or number is None:
        raise _malformed(subject, text)
    known = {name for names in AGGREGATES.values() for name in names}
    if match["aggregate"] and not match["percent"] and match["aggregate"] not in known:
        raise PlanError(
            f"threshold {text!r} on {metric}: no metric has {match['aggregate']!r}",
            hint=nearest(match["aggregate"], known),
        )
    if float(match["percent"] or 0) > 100:
        _aggregate(subject, text, match)


def no_metric(text: str) -> PlanError:
    """Return the error for a threshold that begins with its condition."""
    hint = "write 'METRIC: EXPRESSION', like 'http_req_duration: p(95)<50'"
    return PlanError(f"threshold {text!r} has no metric", hint=hint)


def _scan_filter(text: str, rest: str) -> tuple[list[tuple[str, str]], str]:
    """Parse the pairs TAG:VALUE up to the closing brace. Return the pairs and the text after the brace."""
    pairs: list[tuple[str, str]] = []
    while True:
        key, colon, rest = rest.partition(":")
        # k6 takes quotes around tags too.
        key = key.strip().strip("\"'")
        if not colon or not key or set(key) & set(",{}"):
            raise _bad_filter(text)
        value, rest = _scan_value(text, rest.lstrip())
        # k6 writes group names with the root group in front, whose name is empty: "::outer".
        pairs.append((key, value.removeprefix("::") if key == "group" else value))
        if rest.startswith("}"):
            return pairs, rest[1:]
        rest = rest[1:]


def _scan_value(text: str, rest: str) -> tuple[str, str]:
    """Parse one value. Return the value and the rest of the text.

    A value without quotes ends at a comma or closing brace; braces in the value itself nest, as in ``/orders/{id}``. In
    quotes a backslash escapes a quote and a backslash; before anything else it is a backslash.
    """
    if rest[:1] in ('"', "'"):
        found = _QUOTED.match(rest)
        after = rest[found.end() :].lstrip() if found else ""
        if found is None or after[:1] not in (",", "}"):
            raise _bad_filter(text)
        return _ESCAPED.sub(r"\1", found[0][1:-1]), after
    depth = 0
    for position, character in enumerate(rest):
        if not depth and character in ",}":
            if value := rest[:position].strip():
                return value, rest[position:]
            break
        depth += (character == "{") - (character == "}")
    raise _bad_filter(text)


def _bad_filter(text: str) -> PlanError:
    return PlanError(
        f"threshold on {text!r}: what is in braces is not TAG:VALUE",
        hint="write it like http_req_duration{name:/users,status:200}; "
        "quote a value that is empty, or has commas or braces, and write \\ before a quote in it",
    )


def _aggregate(subject: Subject, text: str, match: re.Match[str]) -> str:
    written, percent = match["aggregate"], match["percent"]
    name = subject.spec.name
    if written is None:
        if default := _DEFAULT.get(subject.kind):
            return default
        raise PlanError(
            f"threshold {text!r}: which value of the trend {name}?",
            hint=f"write {subject.example!r}; it has {', '.join(subject.aggregates)}",
        )
    aggregate = "p" if percent else written
    if "p(N)" in subject.aggregates and not percent and re.fullmatch(r"p\d*", written):
        hint = f"write p({written[1:]})" if written[1:] else f"write {subject.example!r}"
        raise PlanError(f"threshold {text!r}: which percentile?", hint=hint)
    wanted = "p(N)" if aggregate == "p" else aggregate
    if wanted not in subject.aggregates:
        meant = _OTHER_WORDS.get(aggregate.lower(), aggregate.lower())
        guess = f"write {meant}" if meant in subject.aggregates else nearest(aggregate, subject.aggregates)
        raise PlanError(
            f"threshold {text!r}: a {subject.kind} like {name} has no {wanted!r}",
            hint=f"it has {', '.join(subject.aggregates)}" + (f"; {guess}" if guess else ""),
        )
    if float(percent or 0) > 100:
        raise PlanError(f"threshold {text!r}: a percentile is 0 to 100", hint=f"write {subject.example!r}")
    return aggregate


def _factor(subject: Subject, text: str, unit: str, units: Mapping[str, Fraction]) -> Fraction:
    if not unit:
        return Fraction(1)
    factor = units.get(unit)
    if factor is None:
        guess = nearest(next((known for known in units if known.lower() == unit.lower()), unit), units)
        fit = f"units are {', '.join(units)}" if units else "write the number without a unit"
        raise PlanError(
            f"threshold {text!r}: {unit!r} is no unit of {subject.spec.name}",
            hint=fit + (f"; {guess}" if guess else ""),
        )
    return factor


def _limit(text: str, number: str, factor: Fraction) -> float:
    """Return *number* times *factor*, by way of a float: the fraction of 1e99999999 has as many digits."""
    value = float(number)
    with contextlib.suppress(OverflowError):
        if math.isfinite(value):
            return float(Fraction(repr(value)) * factor)
    raise PlanError(f"threshold {text!r}: {number} is too large", hint="write a smaller limit, up to 1e300")


def _check_length(text: str) -> None:
    if len(text) > _LONGEST_TEXT:
        raise PlanError(
            f"threshold {text[:50]!r}... has {len(text):,} characters", hint=f"write {_LONGEST_TEXT:,} at most"
        )


def _parse_modifiers(condition: Condition, text: str, words: list[str]) -> Condition:
    seen: set[str] = set()
    while words:
        word = words.pop(0)
        if word in seen or (word in ("for", "over") and seen & {"for", "over"}):
            raise PlanError(
                f"threshold {text!r}: {word!r} is one too many", hint="one window each; write several thresholds"
            )
        seen.add(word)
        if word in ("for", "over"):
            window_s = _window_s(text, word, words)
            condition = condition._replace(for_s=window_s) if word == "for" else condition._replace(over_s=window_s)
        elif word == "abort":
            after_s = _duration_s(text, words.pop(0), words) if words[:1] == ["after"] else 0.0
            condition = condition._replace(aborts=True, abort_after_s=after_s)
        elif word == "optional":
            condition = condition._replace(optional=True)
        else:
            hint = "write a threshold for each condition"
            if word not in ("and", "or", "&&", "||"):
                hint = nearest(word, WORDS) or "after the number come 'for 10s' or 'over 10s', 'abort', 'optional'"
            raise PlanError(f"threshold {text!r}: {word!r} is not understood", hint=hint)
    return condition


def _duration_s(text: str, word: str, words: list[str]) -> float:
    if not words:
        raise PlanError(f"threshold {text!r}: {word} how long?", hint=f"write it like '{word} 10s'")
    return parse_duration_s(words.pop(0), what=f"threshold {text!r}: {word}")


def _window_s(text: str, word: str, words: list[str]) -> int:
    window_s = _duration_s(text, word, words)
    if window_s < 1 or window_s != int(window_s):
        raise PlanError(
            f"threshold {text!r}: a window is whole seconds, and one at least", hint=f"write it like '{word} 10s'"
        )
    return int(window_s)


def _verdict_condition(subject: Subject, text: str, match: re.Match[str]) -> Condition:
    state, *words = match["rest"].split() or [""]
    if match["aggregate"] not in (None, VERDICT) or state.upper() not in STATES:
        hint = f"write {subject.example!r}; the states are {', '.join(STATES)}"
        raise PlanError(f"threshold {text!r} on {VERDICT} is not OP STATE", hint=hint)
    condition = Condition("", 0.0, match["comparison"], STATES.index(state.upper()))
    condition = _parse_modifiers(condition, text, words)
    if condition.for_s or condition.over_s or condition.aborts:
        raise PlanError(
            f"threshold {text!r}: the {VERDICT} is judged once, at the end",
            hint=f"write {subject.example!r}",
        )
    return condition


def _malformed(subject: Subject, text: str) -> PlanError:
    wanted = "OP STATE" if subject.kind == VERDICT else "AGGREGATE OP NUMBER"
    written = _SINGLE_SIGN.fullmatch(text)
    meant = f"{written[1].strip()}{_SIGNS[written[2]]}{written[3].strip()}" if written else subject.example
    return PlanError(f"threshold {text!r} on {subject.spec.name} is not {wanted}", hint=f"write {meant!r}")
