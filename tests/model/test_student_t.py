"""Student's t against published tables."""

from __future__ import annotations

import pytest

from fastload.model.student_t import t_quantile, t_tails


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042), (120, 1.980), (5000, 1.960)],
)
def test_students_t_is_that_of_the_tables(freedom: float, expected: float) -> None:
    assert t_quantile(freedom) == pytest.approx(expected, abs=6e-4)
    assert t_tails(expected, freedom) == pytest.approx(0.05, abs=3e-4)


def test_students_t_far_out_and_with_much_freedom() -> None:
    assert t_quantile(4, 0.999) == pytest.approx(8.610, abs=1e-3)
    assert t_quantile(999.9) == pytest.approx(t_quantile(1000.1), abs=3e-3)
    assert t_tails(0, 7) == 1
    assert 0 <= t_tails(1e4, 3) < 1e-10
