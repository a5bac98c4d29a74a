"""The notes on data that was used up."""

from __future__ import annotations

from fastload.control.data_ends import DataEnds


def test_one_sentence_for_each_scenario_and_data() -> None:
    ends = DataEnds()
    assert ends.notes(2) == []
    ends.add("login", "the rows of a were used", 0, 3.01)
    ends.add("buy", "the rows of b were used", 1, 7.0)
    ends.add("login", "the rows of a were used", 1, 3.04)
    ends.add("sell", "the rows of b were used", 0, 1.0)
    ends.add("sell", "the rows of b were used", 1, 2.0)
    assert ends.notes(2) == [
        "login ended early, after 3.0 s: the rows of a were used",
        "buy ended early, in 1 of 2 workers after 7.0 s: the rows of b were used",
        "sell ended early, after 1.0 s in the first worker and 2.0 s in the last one: the rows of b were used",
    ]
