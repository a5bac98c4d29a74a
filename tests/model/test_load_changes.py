"""Changes of the load in words, and back."""

from __future__ import annotations

import pytest

from fastload.model.load_changes import LoadChange, LoadChanges, changed_load, changes_left_out, count_changes


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


def test_what_came_before_the_measured_part_is_what_it_began_with() -> None:
    changes = LoadChanges(warmup_s=3.0)
    for t_s, after in ((0.5, 4), (2.9, 8)):
        changes.add(LoadChange(t_s, "shop", 2, after, "VUs", "the keyboard"))
    asked = "2 VUs for 3s"
    assert changed_load(asked, "shop", changes) == "2 VUs for 3s, begun with 8 VUs"
    assert [change.when for change in changes] == ["before the measured part"] * 2
    changes.add(LoadChange(4.0, "shop", 8, 1, "VUs", "the keyboard"))
    assert changed_load(asked, "shop", changes) == "2 VUs for 3s, begun with 8 VUs; changed to 1 VU at 1s"
    assert [*changes][-1].when == "at 1s"
    assert count_changes(changes) == 3


def test_of_many_changes_the_newest_are_kept_and_all_are_counted() -> None:
    changes = LoadChanges(warmup_s=1.0)
    changes.add(LoadChange(0.0, "shop", 1, 5, "VUs", "the keyboard"))
    changes.add(LoadChange(2.0, "other", 1, 3, "VUs", "the keyboard"))
    for number in range(1, 501):
        changes.add(LoadChange(1.0 + number, "shop", number, number + 1, "VUs", "the keyboard"))
    kept = [*changes]
    assert (len(kept), changes.left_out) == (200, 302)
    # What the load of each was is told, however long ago it was changed.
    assert [(change.scenario, change.after) for change in kept[:3]] == [("shop", 5), ("other", 3), ("shop", 304)]
    assert kept[-1].after == 501
    assert count_changes(kept) == 502
    assert changed_load("1 VU for 9m", "shop", kept) == (
        "1 VU for 9m, begun with 5 VUs; changed 500 times, last to 501 VUs at 8m20s"
    )
    assert changed_load("1 VU for 9m", "other", kept) == "1 VU for 9m at first; changed to 3 VUs at 1s"
    assert changes_left_out(changes.left_out) == ["302 earlier changes of the load are not listed"]


def test_changes_of_an_earlier_version_have_no_number() -> None:
    plain = {"t_s": 2.0, "scenario": "shop", "before": 1, "after": 5, "unit": "VUs", "who": "the keyboard"}
    changes = [LoadChange.from_plain(plain), LoadChange.from_plain(plain | {"t_s": 4.0, "after": 6, "later": 1})]
    assert count_changes(changes) == 2
    assert changed_load("1 VU for 9s", "shop", changes) == "1 VU for 9s at first; changed 2 times, last to 6 VUs at 4s"
