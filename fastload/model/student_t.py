"""Student's t: its tails, and the distance from 0 that it does not exceed with some chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
"""Chance with which the true value is within an interval."""
_NODES = 128
_MOST_T = 1e4
_ALMOST_NORMAL = 1000.0


def t_tails(t: float, freedom: float) -> float:
    """Return the chance that Student's t is further from 0 than *t* (>= 0), with at least 1 degree of *freedom*."""
    if freedom > _ALMOST_NORMAL:
        return math.erfc(t / math.sqrt(2))
    inside = _t_integral(math.atan(t / math.sqrt(freedom)), freedom)
    return max(0.0, 1 - inside / _t_integral(math.pi / 2, freedom))


@lru_cache(1000)
def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Return the distance from 0 that Student's t does not exceed with chance *confidence*."""
    return least_where(lambda t: t_tails(t, freedom) <= 1 - confidence)


def _t_integral(angle: float, freedom: float) -> float:
    """Return the integral of Student's density from 0, without its constant factor.

    With t = sqrt(freedom) * tan(angle) the integrand is cos ** (freedom - 1). It is smooth, so that Gauss's rule gives
    twelve digits.
    """
    nodes, weights = _gauss()
    return float(weights @ np.cos((nodes + 1) * (angle / 2)) ** (freedom - 1)) * angle / 2


@cache
def _gauss() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


def least_where(holds: Callable[[float], bool]) -> float:
    """Return the least t from which on *holds* is true; a number over `_MOST_T` if there is none up to `_MOST_T`."""
    low, high = 0.0, 1.0
    while high < _MOST_T and not holds(high):
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
