"""The fit of the Universal Scalability Law: parameters that are known, and data that carry no fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fastload.model.capacity.scalability import Scalability, fit_scalability

N = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96)


def law(n: float, rate_1: float, sigma: float, kappa: float) -> float:
    return rate_1 * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


def fitted(points: Sequence[tuple[float, float]]) -> Scalability:
    found = fit_scalability(points)
    assert isinstance(found, Scalability), found
    return found


def test_exact_points_give_the_parameters_back() -> None:
    found = fitted([(n, law(n, 1000, 0.02, 0.0005)) for n in N])
    assert found.rate_1 == pytest.approx(1000)
    assert found.sigma == pytest.approx(0.02)
    assert found.kappa == pytest.approx(0.0005)
    assert found.r2 == pytest.approx(1)
    assert found.peak_n == pytest.approx(np.sqrt(0.98 / 0.0005))
    assert found.peak_per_s == pytest.approx(law(found.peak_n or 0, 1000, 0.02, 0.0005))
    assert found.at(32) == pytest.approx(law(32, 1000, 0.02, 0.0005))
    assert found.residuals == pytest.approx([0] * len(N), abs=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_noise_of_three_per_cent_moves_them_by_a_few_standard_errors(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = [(n, law(n, 1000, 0.05, 0.001) * random.normal(1, 0.03)) for n in N]
    found = fitted(points)
    for value, error, true in (
        (found.rate_1, found.rate_1_error, 1000),
        (found.sigma, found.sigma_error, 0.05),
        (found.kappa, found.kappa_error, 0.001),
    ):
        assert abs(value - true) < 5 * error + 1e-9


@pytest.mark.parametrize(("sigma", "kappa"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.002)])
def test_no_parameter_is_below_zero(sigma: float, kappa: float) -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        found = fitted([(n, law(n, 500, sigma, kappa) * random.normal(1, 0.02)) for n in N])
        assert found.sigma >= 0
        assert found.kappa >= 0


def test_a_peak_that_is_far_from_what_was_measured_is_not_told() -> None:
    found = fitted([(n, law(n, 1000, 0.01, 1e-8)) for n in N])
    assert found.peak_n is None
    assert found.peak_per_s is None


def test_twice_the_cores_give_twice_the_rate_at_most() -> None:
    assert fitted([(n, law(n, 1000, 0, 0)) for n in N]).twice == pytest.approx(2)
    assert fitted([(n, law(n, 1000, 1 / 3, 0)) for n in N]).twice == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], "only 0 steps had a request in flight"),
        ([(0.1 * n, 100.0 * n) for n in range(1, 9)], "only 0 steps"),
        ([(n, 100.0 * n) for n in (10, 11, 12, 13, 14, 15)], "too narrow a range"),
        ([(n, x) for n, x in zip(N, (900, 10, 800, 40, 1000, 20, 700, 3, 900, 1), strict=True)], "does not describe"),
    ],
)
def test_data_that_carry_no_fit_are_refused_with_a_sentence(points: list[tuple[float, float]], reason: str) -> None:
    found = fit_scalability(points)
    assert isinstance(found, str)
    assert reason in found
