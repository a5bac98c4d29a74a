"""Non-negative weighted least squares: exact where there is no noise, and intervals that hold what they promise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastload.model.cost.least_squares import MOST_CONDITION, fit_non_negative
from fastload.model.points import FloatArray
from fastload.model.student_t import t_quantile


def mixed(rows: int, columns: int, chance: np.random.Generator) -> FloatArray:
    """How often each kind of work was done in each second."""
    return np.array(1 + chance.poisson(chance.uniform(5, 60, (rows, columns))), dtype=np.float64)


def test_without_noise_the_coefficients_are_exact() -> None:
    chance = np.random.default_rng(1)
    x, truth = mixed(20, 4, chance), np.array([0.5, 2.0, 0.0, 7.25])
    fit = fit_non_negative(x, x @ truth, 1 / x.sum(axis=1))
    assert fit is not None
    assert fit.values == pytest.approx(truth, abs=1e-9)
    assert fit.low == pytest.approx(truth, abs=1e-6)
    assert fit.high == pytest.approx(truth, abs=1e-6)


def test_one_column_is_the_ratio_of_the_sums() -> None:
    x, y = np.array([[10.0], [20.0], [70.0]]), np.array([12.0, 21.0, 60.0])
    fit = fit_non_negative(x, y, 1 / x[:, 0])
    assert fit is not None
    value = 93 / 100
    errors = (y - value * x[:, 0]) ** 2 / x[:, 0]
    # The residuals 2.7, 2.4, -5.1: each is like the next, if anything.
    weighted = (y - value * x[:, 0]) / np.sqrt(x[:, 0])
    alike = max(0.0, float(weighted[1:] @ weighted[:-1]) / float(weighted @ weighted))
    half = t_quantile(2) * np.sqrt(errors.sum() / 2 / 100 * (1 + alike) / (1 - alike))
    assert fit.values[0] == pytest.approx(value)
    assert (fit.low[0], fit.high[0]) == pytest.approx((max(0.0, value - half), value + half))


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_the_truth_is_within_the_interval_as_often_as_it_says(columns: int) -> None:
    truth = np.array([2.0, 5.0, 1.0, 9.0])[:columns]
    inside = total = 0
    for seed in range(300):
        chance = np.random.default_rng(seed)
        x = mixed(25, columns, chance)
        # Each request has a cost of its own: the variance grows with their number.
        y = x @ truth + np.sqrt((x * truth**2).sum(axis=1)) * chance.normal(0, 0.5, len(x))
        fit = fit_non_negative(x, y, 1 / x.sum(axis=1))
        assert fit is not None
        inside += int(((fit.low <= truth) & (truth <= fit.high)).sum())
        total += columns
    assert 0.93 <= inside / total <= 0.99


def test_residuals_that_are_alike_make_the_interval_longer() -> None:
    inside = 0
    for seed in range(200):
        chance = np.random.default_rng(seed)
        x, level, y = chance.uniform(80, 120, (60, 1)), 0.0, []
        for count in x[:, 0]:
            level = 0.6 * level + chance.normal(0, 0.2)
            y.append(count * (2 + level))
        fit = fit_non_negative(x, np.array(y), 1 / x[:, 0])
        assert fit is not None
        inside += int(fit.low[0] <= 2 <= fit.high[0])
    # Taken as independent, they would hold the truth in 65 of 100.
    assert inside >= 175


def test_no_coefficient_is_negative_and_no_other_choice_is_better() -> None:
    for seed in range(60):
        chance = np.random.default_rng(seed)
        x = chance.uniform(1, 10, (12, 4))
        y = x @ np.array([1.0, 0.0, 0.0, 0.5]) + chance.normal(0, 4, 12)
        fit = fit_non_negative(x, y, np.ones(12))
        assert fit is not None
        assert (fit.values >= 0).all()
        assert (fit.low <= fit.values).all()
        assert (fit.values <= fit.high).all()
        best = float(((y - x @ fit.values) ** 2).sum())
        for size in range(5):
            for chosen in map(list, itertools.combinations(range(4), size)):
                found = np.zeros(4)
                if chosen:
                    found[chosen] = np.linalg.lstsq(x[:, chosen], y, rcond=None)[0]
                if (found >= 0).all():
                    assert best <= float(((y - x @ found) ** 2).sum()) + 1e-6


def test_nothing_is_told_where_nothing_is_determined() -> None:
    chance = np.random.default_rng(3)
    column = chance.uniform(1, 10, 12)
    assert fit_non_negative(np.column_stack([column, 3 * column]), column, np.ones(12)) is None
    assert fit_non_negative(np.column_stack([column, np.zeros(12)]), column, np.ones(12)) is None
    assert fit_non_negative(mixed(3, 3, chance), np.ones(3), np.ones(3)) is None


def test_the_condition_tells_shares_that_hardly_change() -> None:
    chance = np.random.default_rng(4)
    total = chance.uniform(50, 150, 30)
    steady, changing = 0.5 + chance.normal(0, 0.005, 30), chance.uniform(0.2, 0.8, 30)
    conditions = []
    for share in (steady, changing):
        x = np.column_stack([total * share, total * (1 - share)])
        fit = fit_non_negative(x, x @ np.array([1.0, 2.0]), 1 / total)
        assert fit is not None
        conditions.append(fit.condition)
    assert conditions[0] > MOST_CONDITION > conditions[1]
