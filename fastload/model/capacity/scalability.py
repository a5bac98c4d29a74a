"""The Universal Scalability Law, fitted to the steps of a capacity search.

Gunther, Guerrilla Capacity Planning, 2007: with N requests in flight a system answers

    X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))

per second. *lambda* is the rate of one request at a time, *sigma* the share of the work that waits for its turn
(contention), *kappa* what requests cost each other (coherence). The law holds for closed loads; for an open one N is
the rate times the mean time of a request (Little's law).

N / X is linear in the parameters 1 / lambda, sigma / lambda and kappa / lambda. So they are found by weighted least
squares, without an iteration: each X is known to about the same share, so each N / X has the weight (X / N) ** 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from fastload.model.histogram import FloatArray
from fastload.model.units import format_number_of

FEWEST_STEPS = 5
LEAST_RANGE = 4.0
"""How many times the smallest N the largest must be: on less, every curve looks straight."""
LEAST_R2 = 0.9
_FAR = 10.0


@dataclass(frozen=True, slots=True)
class Scalability:
    """Fit of the Universal Scalability Law.

    *rate_1* is lambda in requests/s; *sigma* is 0 to 1, *kappa* 0 or more; ``*_error`` are their standard errors. *r2*
    is the share of the variance of X that the curve explains, *residuals* are measured minus fitted X as shares of the
    fitted one, by step. *peak_n* and *peak_per_s*: where X is highest; None if that is over ten times as far as was
    measured, or nowhere. *twice*: how many times the rate twice as many cores give at most.
    """

    rate_1: float
    rate_1_error: float
    sigma: float
    sigma_error: float
    kappa: float
    kappa_error: float
    r2: float
    residuals: tuple[float, ...]
    peak_n: float | None
    peak_per_s: float | None
    twice: float

    def at(self, n: float) -> float:
        """Return X(*n*), in requests/s."""
        return self.rate_1 * n / (1 + self.sigma * (n - 1) + self.kappa * n * (n - 1))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def fit_scalability(points: Sequence[tuple[float, float]]) -> Scalability | str:
    """Return the fit to *points*, (N, X) of each step; or the reason, as a sentence, why they do not carry one."""
    used = sorted((n, x) for n, x in points if n >= 1 and x > 0)
    if len(used) < FEWEST_STEPS:
        steps = format_number_of(len(used), "step")
        return f"only {steps} had a request in flight all the time, and the law needs {FEWEST_STEPS}"
    n, x = (np.array(column) for column in zip(*used, strict=True))
    if n[-1] < LEAST_RANGE * n[0]:
        return f"the steps had {n[0]:.3g} to {n[-1]:.3g} requests in flight, too narrow a range for a curve"
    parameters, errors = _least_squares(n, x)
    rate_1 = 1 / parameters[0]
    sigma, kappa = parameters[1] * rate_1, parameters[2] * rate_1
    fitted = rate_1 * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))
    r2 = 1 - float(((x - fitted) ** 2).sum() / ((x - x.mean()) ** 2).sum())
    if r2 < LEAST_R2 or sigma >= 1:
        return f"the law does not describe these steps (R2 {r2:.2f})"
    peak_n = math.sqrt((1 - sigma) / kappa) if kappa > 0 else math.inf
    is_near = peak_n <= _FAR * n[-1]
    found = Scalability(
        rate_1=rate_1,
        rate_1_error=errors[0] * rate_1**2,
        sigma=sigma,
        sigma_error=errors[1] * rate_1,
        kappa=kappa,
        kappa_error=errors[2] * rate_1,
        r2=r2,
        residuals=tuple(float(one) for one in (x - fitted) / fitted),
        peak_n=peak_n if is_near else None,
        peak_per_s=None,
        twice=2 / (1 + sigma + 2 * kappa),
    )
    if not is_near:
        return found
    return Scalability(**{**asdict(found), "peak_per_s": found.at(peak_n)})


def _least_squares(n: FloatArray, x: FloatArray) -> tuple[list[float], list[float]]:
    """Return the parameters 1/lambda, sigma/lambda and kappa/lambda, none below 0, and their standard errors.

    Of all ways to fix the last two at 0, the best one without a negative parameter is taken; with so few parameters
    that is the same as non-negative least squares.
    """
    columns = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1)
    weights = x / n
    best: tuple[float, list[float], list[float]] = (math.inf, [], [])
    for free in ((0,), *((0, *more) for count in (1, 2) for more in combinations((1, 2), count))):
        design = columns[:, free] * weights[:, None]
        solution, *_ = np.linalg.lstsq(design, np.ones_like(n), rcond=None)
        if (solution < 0).any() or solution[0] <= 0:
            continue
        rest = float(((1 - design @ solution) ** 2).sum())
        if rest < best[0]:
            freedom = max(1, len(n) - len(free))
            variances = np.diag(np.linalg.pinv(design.T @ design)) * rest / freedom
            values, errors = [0.0] * 3, [0.0] * 3
            for at, value, variance in zip(free, solution, variances, strict=True):
                values[at], errors[at] = float(value), math.sqrt(max(0.0, float(variance)))
            best = (rest, values, errors)
    return best[1], best[2]
