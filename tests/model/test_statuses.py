"""Sets of statuses, as scripts and options write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.errors import PlanError
from fastload.model.statuses import LEAST, MOST, parse_statuses, statuses_text

STATUSES = st.integers(LEAST, MOST)


@given(st.lists(STATUSES, min_size=1))
def test_every_form_names_the_same(statuses: list[int]) -> None:
    wanted = frozenset(statuses)
    for spec in (statuses, tuple(statuses), wanted, ",".join(map(str, statuses))):
        assert parse_statuses(spec, what="x") == wanted
    assert parse_statuses(statuses[0], what="x") == {statuses[0]}


@given(STATUSES, STATUSES)
def test_ranges_have_both_ends(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert parse_statuses(f"{low}-{high}", what="x") == frozenset(range(low, high + 1))
    assert parse_statuses(f" {low} - {high} ".replace(" - ", "-"), what="x") == frozenset(range(low, high + 1))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "names no statuses"),
        ("2xx", "names no statuses"),
        ("200-", "names no statuses"),
        ("300-200", "names no statuses"),
        ("200,,404", "names no statuses"),
        ((), "names no statuses"),
        (None, "names no statuses"),
        (b"200", "names no statuses"),
        (True, "names no statuses"),
        (99, "99 is no HTTP status"),
        ("99-200", "99 is no HTTP status"),
        ((200, "404"), "'404' is no HTTP status"),
        (1000, "1000 is no HTTP status"),
    ],
)
def test_mistakes(spec: Any, said: str) -> None:
    with pytest.raises(PlanError, match=r"^expected: ") as caught:
        parse_statuses(spec, what="expected")
    assert said in caught.value.message


@pytest.mark.parametrize("text", ["200", "200-299", "200-299,404", "200,202,204", "100-999"])
def test_a_set_is_shown_as_an_option_takes_it(text: str) -> None:
    assert statuses_text(parse_statuses(text, what="expected")) == text
