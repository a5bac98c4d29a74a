"""Changes of the load in words, and back."""

from __future__ import annotations

import pytest

from fastload.model.load_changes import LoadChange, changed_load


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (LoadChange(3.0, "shop", 10, 1000, "VUs", "the dashboard"), "shop: 10 → 1,000 VUs, by the dashboard"),
        (LoadChange(0.0, "a: b", 0, 1.5, "starts/s", "the keyboard"), "a: b: 0 → 1.5 starts/s, by the keyboard"),
        (LoadChange(9.5, "x\ny", 5e6, 0.000005, "starts/s", "it"), "x\ny: 5,000,000 → 0.000005 starts/s, by it"),
    ],
)
def test_a_change_can_be_read_from_its_text(change: LoadChange, text: str) -> None:
    assert change.text == text
    assert LoadChange.parse(change.t_s, text) == change


@pytest.mark.parametrize("text", ["", "pause, by the program", "a: . → 1 VUs, by x", "a: 1 → 2 users, by x"])
def test_other_texts_are_no_change(text: str) -> None:
    assert LoadChange.parse(1.0, text) is None


def test_the_load_in_words_has_what_became_of_it() -> None:
    first = LoadChange(3.0, "shop", 10, 20, "VUs", "the dashboard")
    second = LoadChange(75.04, "shop", 20, 1500, "VUs", "the dashboard")
    asked = "10 VUs for 2m"
    assert changed_load(asked, "shop", []) == asked
    assert changed_load(asked, "other", [first]) == asked
    assert changed_load(asked, "shop", [first]) == "10 VUs for 2m at first; changed to 20 VUs at 3s"
    assert changed_load(asked, "shop", [first, second]) == (
        "10 VUs for 2m at first; changed 2 times, last to 1,500 VUs at 1m15s"
    )
