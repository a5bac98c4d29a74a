"""Exceptions by line and message: what is one group, what the bounds are, and that counts stay exact."""

from __future__ import annotations

from fastload.model.frames import Frame, FrameDecoder, encode
from fastload.model.raise_sites import MOST_GROUPS, MOST_MESSAGES, MOST_OF_LINE, RaiseSite
from fastload.model.records import MOST_KINDS, ErrorTable


def table_of(*raised: tuple[str, str, int, str]) -> ErrorTable:
    """The table of exceptions, each (class, file, line, message)."""
    table = ErrorTable()
    for kind, file, line, message in raised:
        table.count_raised(kind, f"{kind}: {message}", RaiseSite.of(file, line, message))
    return table


def rows_of(table: ErrorTable) -> list[tuple[str, str, int, int | None]]:
    return [(row["kind"], row["where"], row["count"], row["messages"]) for row in table.raised_list()]


def words(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def test_lines_and_messages_are_rows_and_numbers_are_not() -> None:
    table = table_of(
        *(("ValueError", "/a/shop.py", 7, f"no stock of item {number}") for number in range(30)),
        *(("ValueError", "/a/shop.py", 7, "payment refused") for _ in range(20)),
        *(("ValueError", "/a/shop.py", 9, "no stock of item 1") for _ in range(10)),
        ("KeyError", "", 0, "'id'"),
    )
    assert rows_of(table) == [
        ("ValueError", "shop.py:7", 30, 30),
        ("ValueError", "shop.py:7", 20, 1),
        ("ValueError", "shop.py:9", 10, 1),
        ("KeyError", "", 1, 1),
    ]
    assert table.raised_list()[0]["first"] == "ValueError: no stock of item 0"
    assert table.entries["ValueError"] == (60, "ValueError: no stock of item 0")


def test_what_differs_from_one_to_the_next_is_a_word_with_a_digit() -> None:
    same = ["order 7f3c-91aa of 10.0.0.1:80", "order 00000000-beef-1 of [::1]:443", "order a1 of ::1"]
    one, two = ({RaiseSite.of("a.py", 1, text).pattern for text in texts} for texts in (same[::2], same))
    assert len(one) == 1
    assert len(two) == 2
    assert RaiseSite.of("/x/a.py", 1, "m").pattern != RaiseSite.of("/y/a.py", 1, "m").pattern


def test_the_different_messages_are_counted_up_to_a_limit() -> None:
    table = table_of(*(("E", "a.py", 1, f"id {number % 250}") for number in range(5_000)))
    assert rows_of(table) == [("E", "a.py:1", 5_000, MOST_MESSAGES)]


def test_a_line_has_few_rows_and_one_for_the_others() -> None:
    table = table_of(*(("E", "a.py", 1, words(number)) for number in range(1_000)))
    rows = rows_of(table)
    assert rows[0] == ("E", "a.py:1", 1_000 - MOST_OF_LINE, MOST_MESSAGES)
    assert rows[1:] == [("E", "a.py:1", 1, 1)] * MOST_OF_LINE


def test_the_table_is_bounded_and_no_class_is_lost() -> None:
    lines = [("Many", "a.py", line, "m") for line in range(2_000)]
    classes = [(f"E{number}", "b.py", number, "m" * 9_000) for number in range(300)]
    table = table_of(*lines, *classes)
    assert sum(count for _, _, count, _ in rows_of(table)) == table.total == 2_300
    assert len(table.raised.groups) <= MOST_GROUPS + MOST_KINDS
    assert max(len(one.first) for one in table.raised.groups.values()) <= 4_000
    assert rows_of(table)[0] == ("Many", "", 2_000 - MOST_GROUPS, 1)
    assert {kind for kind, *_ in rows_of(table)} == set(table.entries)


def test_tables_merge_to_what_one_table_says() -> None:
    raised = [("E", "a.py", 1 + number % 3, f"id {number % 40}") for number in range(300)]
    merged = ErrorTable()
    for begin in range(0, 300, 7):
        (frame,) = FrameDecoder().feed(encode(Frame("x", {"t": table_of(*raised[begin : begin + 7]).to_plain()})))
        merged.merge(ErrorTable.from_plain(frame.body["t"]))
    assert merged == table_of(*raised)


def test_a_table_of_an_earlier_version_adds_to_a_new_one() -> None:
    table = table_of(("E", "a.py", 1, "new"))
    table.merge(ErrorTable.from_plain({"E": [4, "old"], "F": [2, "old", []]}))
    assert rows_of(table) == [("E", "", 4, None), ("F", "", 2, None), ("E", "a.py:1", 1, 1)]


def test_the_list_survives_a_saved_summary() -> None:
    table = table_of(("E", "a.py", 1, "b"), ("E", "a.py", 1, "c"), ("F", "a.py", 2, "1"), ("F", "a.py", 2, "2"))
    table.merge(ErrorTable({"E": (3, "old")}))
    rows = table.raised_list()
    assert ErrorTable.from_raised_list(rows).raised_list() == rows
    old = [{"kind": "E", "count": 3, "first": "x"}]
    assert ErrorTable.from_raised_list(old).entries == {"E": (3, "x")}
