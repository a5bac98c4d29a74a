"""Confidence intervals of the figures of a run, and of the differences between runs.

Values of one run are not independent: a slow second is slow for every request in it, and often the next second is
slow, too. So a run is divided into a few long stretches of time (*batches*). The differences between the batches say
how much the figure of the whole run varies. This is the method of batch means (Schmeiser, Batch size effects in the
analysis of simulation output, 1982, where 10 to 30 batches are enough). The interval for independent values is then
computed with a smaller number of values: the number divided by the *design effect* (Korn and Graubard, Confidence
intervals for proportions with small expected number of positive counts, 1998).

- A share has the score interval (Wilson 1927), which is valid for shares of 0 and near 0, too.
- A quantile has the interval of order statistics: take the interval of the share of values up to the quantile, and read
  both ends off the histogram (Woodruff 1952). With a design effect of 1 it is the well-known binomial interval.
- A rate per second has the interval of its batches, on a log scale.
- The interval of a difference is computed from the intervals of both sides (Zou and Donner, Construction of confidence
  limits about effect measures, 2008), so that it is as skewed as these are.
- Two runs of the same plan have the same course: a ramp is not chance. Then the differences between batches at the same
  time count, and not the differences between the batches of each run.
- Repeated runs vary more than the batches within a run: their interval is Welch's t interval over the runs.

Why not a bootstrap of seconds: with few seconds its intervals are too short, because it does not use Student's t; it
costs a thousand times as much; and it needs a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fastload.model.histogram import Histogram, highest_equivalents
from fastload.model.points import FloatArray
from fastload.model.student_t import CONFIDENCE, least_where, t_quantile, t_tails

FEWEST_VALUES = 10
"""Fewest values for an interval: above (or below) a quantile, of a share, or counts of a rate."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimate of a figure of one run.

    - *at* is the figure on the scale of differences: the logarithm of a rate or of a quantile, the share itself.
    - *waves* are the contributions of the batches to the error; their sum is 0.
    - *variance* is the variance that the sum of the waves would have if all values were independent.
    - *least_effect* is the lower limit of the design effect.
    - ``bounds(t, effect)`` are the ends of the interval at *t* standard errors for the design effect *effect*.
    - *values* is the number of values; for a quantile, of values on its rarer side. Divided by the design effect it is
      the number of independent values.
    - *step* is the error that the rounding of stored values may add, on the scale of *at*.
    """

    at: float
    waves: FloatArray
    variance: float
    least_effect: float
    bounds: Callable[[float, float], tuple[float, float]]
    values: float
    step: float = 0.0

    @property
    def batches(self) -> int:
        return len(self.waves)

    @property
    def effect(self) -> float:
        """Design effect of this run: its variance relative to the variance of independent values."""
        return self.effect_of(variance_of(self.waves))

    def effect_of(self, variance: float) -> float:
        """Return the design effect for a true variance of *variance*."""
        return max(self.least_effect, variance / self.variance) if self.variance else 1.0


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of the second side from the first, on the scale of `Estimate.at`.

    *at* is the difference; *low* and *high* are the ends of its interval. *p* is the chance of a difference at least as
    large if there is no real difference.
    """

    at: float
    low: float
    high: float
    p: float


def rate_estimate(counts: FloatArray, spans_s: FloatArray, rate: float) -> Estimate:
    """Return the estimate of a *rate* per second, above 0. The batches counted *counts* in *spans_s* seconds."""
    total = float(counts.sum())
    waves = (counts - total / float(spans_s.sum()) * spans_s) / total

    def bounds(t: float, effect: float) -> tuple[float, float]:
        half = t * math.sqrt(effect)
        return math.log(rate) - half, math.log(rate) + half

    return Estimate(math.log(rate), waves, 1.0, 0.0, bounds, total, step=1 / total)


def share_estimate(trues: FloatArray, totals: FloatArray) -> Estimate:
    """Return the estimate of the share of *trues* in *totals*, both by batch."""
    count = float(totals.sum())
    share = float(trues.sum()) / count

    def bounds(t: float, effect: float) -> tuple[float, float]:
        return score_interval(share, count / effect, t)

    waves = (trues - share * totals) / count
    return Estimate(share, waves, share * (1 - share) / count, 1.0, bounds, count)


def quantile_estimate(whole: Histogram, batches: Sequence[Histogram | None], q: float) -> Estimate:
    """Return the estimate of the quantile *q* of *whole*. *whole* has values, and is the sum of *batches*."""
    cumulative = np.cumsum(whole.counts)

    def bounds(t: float, effect: float) -> tuple[float, float]:
        low, high = score_interval(q, whole.count / effect, t)
        at_low, at_high = whole.quantiles((low, high))
        return _log(at_low), _log(at_high)

    index = int(np.searchsorted(cumulative, max(1, math.ceil(q * whole.count - 1e-9))))
    below = np.array([batch.counts[: index + 1].sum() if batch else 0 for batch in batches], dtype=np.float64)
    counts = np.array([batch.count if batch else 0 for batch in batches], dtype=np.float64)
    share = float(cumulative[index]) / whole.count
    (value,) = whole.quantiles((q,))
    below_it, at_it = highest_equivalents(np.array([index - 1, index])).tolist()
    return Estimate(
        at=_log(value),
        waves=(below - share * counts) / whole.count,
        variance=share * (1 - share) / whole.count,
        least_effect=1.0,
        bounds=bounds,
        values=whole.count * min(q, 1 - q),
        step=math.log1p((at_it - below_it) / max(1, value)),
    )


def compare_two(a: Estimate, b: Estimate, *, same_course: bool) -> Difference | None:
    """Return the difference of *b* from *a*, for one run on each side; None with too few independent values.

    *same_course*: the batches of both runs are at the same times of one plan.
    """
    if same_course and a.batches == b.batches:
        variance, expected = variance_of(b.waves - a.waves), a.variance + b.variance
        effect_a = effect_b = max(a.least_effect, variance / expected) if expected else 1.0
        freedom = a.batches - 1.0
    else:
        effect_a, effect_b = a.effect, b.effect
        freedom = _welch_freedom(effect_a * a.variance, a.batches - 1, effect_b * b.variance, b.batches - 1)
    if a.values < FEWEST_VALUES * effect_a or b.values < FEWEST_VALUES * effect_b:
        return None
    step = max(a.step, b.step)

    def interval(t: float) -> tuple[float, float]:
        low_a, high_a = a.bounds(t, effect_a)
        low_b, high_b = b.bounds(t, effect_b)
        at = b.at - a.at
        low = at - math.hypot(b.at - low_b, high_a - a.at)
        return low - step, at + math.hypot(high_b - b.at, a.at - low_a) + step

    return _difference(b.at - a.at, interval, freedom)


def compare_groups(a: Sequence[Estimate], b: Sequence[Estimate]) -> Difference:
    """Return the difference of *b* from *a*, for repeated runs: at least two on one side.

    A single run on its side is assumed to vary as much as the runs of the other side. Runs are assumed to vary at least
    as much as their batches indicate, so that two runs that agree by chance prove nothing.
    """
    spread_a, spread_b = _spread(a), _spread(b)
    if len(a) == 1 or len(b) == 1:
        variance = spread_a if len(a) > 1 else spread_b
        error, freedom = math.sqrt(variance / len(a) + variance / len(b)), float(len(a) + len(b) - 2)
    else:
        parts = spread_a / len(a), spread_b / len(b)
        error, freedom = math.sqrt(sum(parts)), _welch_freedom(parts[0], len(a) - 1, parts[1], len(b) - 1)
    at = mean_of(b) - mean_of(a)
    step = max(one.step for one in (*a, *b))

    def interval(t: float) -> tuple[float, float]:
        return at - t * error - step, at + t * error + step

    return _difference(at, interval, freedom)


def mean_of(estimates: Sequence[Estimate]) -> float:
    """Return the mean of `Estimate.at` over a group of runs."""
    return sum(one.at for one in estimates) / len(estimates)


def variance_of(waves: FloatArray) -> float:
    """Return the variance of the sum of *waves*, estimated from their spread; infinite for a single wave."""
    count = len(waves)
    return float(waves @ waves) * count / (count - 1) if count > 1 else math.inf


def score_interval(share: float, count: float, t: float) -> tuple[float, float]:
    """Return Wilson's interval of a *share* of *count* values, at *t* standard errors."""
    squared = t * t
    middle = (share + squared / (2 * count)) / (1 + squared / count)
    half = t / (1 + squared / count) * math.sqrt(share * (1 - share) / count + squared / (4 * count * count))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def benjamini_hochberg(p_values: Sequence[float], level: float = 1 - CONFIDENCE) -> list[bool]:
    """Return which of many differences are shown: on average at most a share *level* of these is chance.

    If there is no real difference, the chance that any difference is shown is at most *level* (Benjamini and Hochberg
    1995; also valid for positively dependent quantities, Benjamini and Yekutieli 2001).
    """
    ordered = sorted(p_values)
    bound = max((p for rank, p in enumerate(ordered, 1) if p <= level * rank / len(ordered)), default=-1.0)
    return [p <= bound for p in p_values]


def _difference(at: float, interval: Callable[[float], tuple[float, float]], freedom: float) -> Difference:
    freedom = math.floor(freedom * 100) / 100
    low, high = interval(t_quantile(freedom))

    def has_zero(t: float) -> bool:
        below, above = interval(t)
        return below <= 0 <= above

    # p is the level at which the interval just includes 0. So p and the interval always agree.
    p = 1.0 if has_zero(0.0) else t_tails(least_where(has_zero), freedom)
    return Difference(at, low, high, p)


def _spread(runs: Sequence[Estimate]) -> float:
    """Return the variance of one run's figure: the variance between *runs*, but at least that of their batches."""
    within = sum(_within(run) for run in runs) / len(runs)
    if len(runs) == 1:
        return within
    mean = mean_of(runs)
    return max(within, sum((run.at - mean) ** 2 for run in runs) / (len(runs) - 1))


def _within(run: Estimate) -> float:
    """Return the variance of a run's figure by its batches; 0 if the run is too short to estimate it."""
    effect = run.effect
    if not math.isfinite(effect):
        return 0.0
    low, high = run.bounds(1.0, effect)
    return ((high - low) / 2) ** 2


def _welch_freedom(a: float, freedom_a: float, b: float, freedom_b: float) -> float:
    """Return the degrees of freedom of a sum of two variances (Satterthwaite 1946, Welch 1947)."""
    if not a + b or not math.isfinite(a + b):
        return float(min(freedom_a, freedom_b))
    return float((a + b) ** 2 / (a * a / freedom_a + b * b / freedom_b))


def _log(stored: int) -> float:
    """Return the logarithm of a stored integer. 0 counts as 1: values below the resolution cannot be distinguished."""
    return math.log(max(1, stored))
