"""Error tables and deltas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fastload.model.frames import Frame, FrameDecoder, encode
from fastload.model.metrics import Series
from fastload.model.records import Delta, ErrorTable, WorkerStats
from fastload.model.series import SeriesTable

whats = st.sampled_from([None, ("GET", "/"), ("GET", "/a"), ("", "/")])
kinds = st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=3), whats), max_size=12)


def table_of(errors: Sequence[tuple[Any, ...]]) -> ErrorTable:
    table = ErrorTable()
    for error in errors:
        table.count(*error)
    return table


def test_errors_keep_their_first_message() -> None:
    table = table_of([("reset", "one"), ("reset", "two"), ("timeout", "three")])
    assert table.entries == {"reset": (2, "one"), "timeout": (1, "three")}
    assert table.total == 3


@given(kinds, kinds)
def test_merged_errors_are_those_of_all(first: list[tuple[Any, ...]], second: list[tuple[Any, ...]]) -> None:
    merged, other = table_of(first), table_of(second)
    merged.merge(other)
    assert merged == table_of(first + second)
    assert other == table_of(second)
    assert merged.total == len(first) + len(second)


def test_errors_know_which_names_they_are_of() -> None:
    a, b = ("GET", "/a"), ("", "a")
    table = table_of([("reset", "", a), ("reset", "", b), ("reset", "", a), ("reset", ""), ("timeout", "", b)])
    assert table.by_name == {"reset": {a: 2, b: 1}, "timeout": {b: 1}}
    assert table.to_plain() == {"reset": [4, "", [["GET", "/a", 2], ["", "a", 1]]], "timeout": [1, "", [["", "a", 1]]]}
    assert ErrorTable.from_plain(table.to_plain()) == table
    assert ErrorTable.from_plain({"reset": (4, "x")}) == ErrorTable({"reset": (4, "x")})


def test_the_list_is_most_frequent_first() -> None:
    table = table_of([("a", "x"), ("b", "y"), ("b", "z"), ("c", "")])
    assert table.to_list() == [
        {"kind": "b", "count": 2, "first": "y"},
        {"kind": "a", "count": 1, "first": "x"},
        {"kind": "c", "count": 1, "first": ""},
    ]


def test_a_delta_survives_the_wire() -> None:
    table = SeriesTable()
    table.counter(Series("http_reqs")).value = 3
    table.trend(Series.of("http_req_duration", name_="/")).record(1_234)
    stats = WorkerStats(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    delta = Delta(1, 7, table, table_of([("reset", "x", ("GET", "/"))]), table_of([("KeyError", "trace")]), stats)
    (frame,) = FrameDecoder().feed(encode(Frame("delta", delta.to_body())))
    copy = Delta.from_body(frame.body)
    assert (copy.worker, copy.seq, copy.stats) == (1, 7, stats)
    assert (copy.errors, copy.exceptions) == (delta.errors, delta.exceptions)
    assert copy.table.to_plain() == table.to_plain()
