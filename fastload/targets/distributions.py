"""Distributions of times, written as text: a fixed time, a range, or a named distribution."""

from __future__ import annotations

import dataclasses
import math
import random
import re
from collections.abc import Callable

from fastload.model.errors import PlanError, nearest
from fastload.model.units import parse_duration_s

_CALL = re.compile(r"(\w+)\((.*)\)")
# The 99th percentile of the normal distribution, in standard deviations.
_Z99 = 2.3263478740408408
_PARAMETERS = {"normal": ("mean", "sd"), "exp": ("mean",), "lognormal": ("p50", "p99")}
EXAMPLES = '"20ms", "10ms..50ms", "normal(20ms,5ms)", "exp(20ms)", "lognormal(p50=20ms,p99=200ms)"'

_Draw = Callable[[random.Random], float]


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A distribution of times in seconds, none below zero."""

    text: str
    _draw: _Draw

    def sample_s(self, source: random.Random) -> float:
        """Draw one time, in seconds, with the random numbers of *source*."""
        return max(0.0, self._draw(source))


def parse_distribution(text: str, *, what: str) -> Distribution:
    """Return the distribution that *text* describes.

    ``20ms`` is a fixed time, ``10ms..50ms`` is uniform; ``normal(mean,sd)`` is cut off at zero, ``exp(mean)`` is
    exponential, ``lognormal(p50,p99)`` has a long tail. Parameters are given by order or by name.

    Raises:
        PlanError: *text* has none of these forms; *what* is the name of the option in the message.
    """
    call = _CALL.fullmatch(text.strip())
    if call:
        return Distribution(text, _named(text, call[1], call[2], what))
    low_text, dots, high_text = text.partition("..")
    low_s = parse_duration_s(low_text, what=what)
    if not dots:
        return Distribution(text, lambda _source: low_s)
    high_s = parse_duration_s(high_text, what=what)
    if high_s < low_s:
        raise PlanError(f"{what} {text!r} ends before it begins", hint=f"write {high_text}..{low_text}")
    return Distribution(text, lambda source: source.uniform(low_s, high_s))


def _named(text: str, name: str, inside: str, what: str) -> _Draw:
    if name not in _PARAMETERS:
        raise PlanError(
            f"{what} {text!r}: no distribution is called {name!r}",
            hint=nearest(name, _PARAMETERS) or f"write it like {EXAMPLES}",
        )
    values = _values(text, name, inside, what)
    if name == "normal":
        mean_s, sd_s = values
        return lambda source: source.gauss(mean_s, sd_s)
    if name == "exp":
        return lambda source: -math.log(1.0 - source.random()) * values[0]
    p50_s, p99_s = values
    if not 0 < p50_s <= p99_s:
        raise PlanError(f"{what} {text!r}: p50 must be above zero, and p99 not below it")
    mu, sigma = math.log(p50_s), math.log(p99_s / p50_s) / _Z99
    return lambda source: source.lognormvariate(mu, sigma)


def _values(text: str, name: str, inside: str, what: str) -> list[float]:
    """Return the values of the parameters in the order of `_PARAMETERS`, in seconds."""
    names = _PARAMETERS[name]
    given: dict[str, float] = {}
    for position, part in enumerate(inside.split(",")):
        label, equals, value = (piece.strip() for piece in part.rpartition("="))
        if not equals:
            label = names[position] if position < len(names) else ""
        if label not in names or label in given:
            break
        given[label] = parse_duration_s(value, what=f"{what} {text!r}: {label}")
    else:
        if len(given) == len(names):
            return [given[label] for label in names]
    raise PlanError(f"{what} {text!r}: {name} takes {' and '.join(names)}", hint=f"write it like {EXAMPLES}")
