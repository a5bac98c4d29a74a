"""Weighted least squares, with the interval of each coefficient, and without negative coefficients.

The model is ``y = X b + error``, with one row for each second and one column for each kind of work: the CPU time of a
second is the sum over the kinds of how often it was done times what it costs.

- Weights. The variance of a sum of independent costs grows with their number, so a row of n requests has the weight
  1 / n (Draper and Smith, Applied Regression Analysis, 1998, section 9.2). With a single column of n this is the ratio
  estimator: all CPU time by all requests (Cochran, Sampling Techniques, 1977, section 6.2).
- Estimate: ``b = (X' W X)^-1 X' W y``. Its covariance is ``s^2 (X' W X)^-1``, with the residuals e and
  ``s^2 = e' W e / (rows - columns)``; its interval is Student's t times the square root of the diagonal.
- Residuals of neighbouring seconds are alike (garbage collections, a cache that warms up). With the correlation r of
  each with the next, the variance is larger by about (1 + r) / (1 - r) (Bayley and Hammersley, The effective number of
  independent observations in an autocorrelated time series, 1946).
- No work has a negative cost: the estimate is that with the least squares of all with no negative coefficient (Lawson
  and Hanson, Solving Least Squares Problems, 1974, algorithm NNLS). The intervals are those of the plain estimate, cut
  at 0.
- Collinearity: the condition number of the weighted columns, each scaled to length 1, over `MOST_CONDITION` (Belsley,
  Kuh and Welsch, Regression Diagnostics, 1980, section 3.3: from 30 on it is harmful).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastload.model.points import FloatArray
from fastload.model.student_t import t_quantile

MOST_CONDITION = 30.0
_MOST_CORRELATION = 0.9
_SINGULAR = 1e8
_NEGLIGIBLE = 1e-10


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Estimated coefficients: the *values*, and the ends of their intervals. *condition* is that of the columns."""

    values: FloatArray
    low: FloatArray
    high: FloatArray
    condition: float


def fit_non_negative(columns: FloatArray, y: FloatArray, weights: FloatArray) -> Coefficients | None:
    """Return the coefficients of *columns* (rows, columns) that explain *y*; rows have positive *weights*.

    None if there are not more rows than columns, or a column is a sum of others, so that nothing is determined.
    """
    rows, count = columns.shape
    roots = np.sqrt(weights)
    x, seen = columns * roots[:, None], y * roots
    lengths = np.sqrt((x * x).sum(axis=0))
    if rows <= count or not lengths.all():
        return None
    # Columns of one length: rounding does not depend on how often each kind of work was done.
    x = x / lengths
    sizes = np.linalg.svd(x, compute_uv=False)
    condition = float(sizes[0] / sizes[-1]) if sizes[-1] > 0 else math.inf
    if condition > _SINGULAR:
        return None
    inverse = np.linalg.inv(x.T @ x)
    plain = inverse @ (x.T @ seen)
    errors = seen - x @ plain
    variance = float(errors @ errors) / (rows - count) * _inflation(errors)
    half = t_quantile(rows - count) * np.sqrt(variance * np.diag(inverse))
    values = plain if (plain >= 0).all() else _non_negative(x, seen)
    # With the negative ones at 0, the others move: the interval has the estimate in it all the same.
    low, high = np.clip(plain - half, 0.0, values), np.maximum(values, plain + half)
    return Coefficients(values / lengths, low / lengths, high / lengths, condition)


def _inflation(errors: FloatArray) -> float:
    total = float(errors @ errors)
    if not total:
        return 1.0
    correlation = min(_MOST_CORRELATION, max(0.0, float(errors[1:] @ errors[:-1]) / total))
    return (1 + correlation) / (1 - correlation)


def _non_negative(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the coefficients without negative ones that have the least squares."""
    count = x.shape[1]
    free = np.zeros(count, dtype=bool)
    values = np.zeros(count)
    # Each turn frees one coefficient, and each of these is freed few times: the bound only keeps rounding from a loop.
    for _ in range(3 * count):
        slope = x.T @ (y - x @ values)
        slope[free] = -math.inf
        if slope.max() <= _NEGLIGIBLE * float(np.abs(x.T @ y).max()):
            break
        free[int(slope.argmax())] = True
        while True:
            trial = np.zeros(count)
            trial[free] = np.linalg.lstsq(x[:, free], y, rcond=None)[0]
            below = free & (trial <= 0)
            if not below.any():
                break
            # Go towards the trial as far as no coefficient becomes negative, and fix the one that comes to 0 first.
            step = float((values[below] / np.maximum(values[below] - trial[below], _NEGLIGIBLE)).min())
            values = values + step * (trial - values)
            free &= values > _NEGLIGIBLE
        values = trial
    return values
