"""Error tables and deltas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fastload.model.frames import Frame, FrameDecoder, encode
from fastload.model.metrics import OTHER_NAME, Series
from fastload.model.records import MOST_KINDS, MOST_NAMES_LISTED, Delta, ErrorTable, WorkerStats
from fastload.model.redaction import MOST_TEXT
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


def test_the_names_of_a_kind_are_the_most_frequent_ones() -> None:
    table = table_of([("reset", "", ("GET", f"/{number}")) for number in range(20)])
    table.merge(table_of([("reset", "", ("", "call"))] * 2))
    names = table.names_of("reset")
    assert names[:2] == [{"method": "", "name": "call", "count": 2}, {"method": "GET", "name": "/0", "count": 1}]
    assert len(names) == MOST_NAMES_LISTED
    assert table.names_of("timeout") == []


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


class TestBounds:
    """Whatever a script raises, a table stays small: when it counts, when it merges, and when it comes from a frame."""

    def test_kinds_after_the_first_are_counted_together(self) -> None:
        table = table_of([(f"Error{number}", f"message {number}", ("GET", "/")) for number in range(3_000)])
        assert len(table.entries) == MOST_KINDS + 1
        assert table.total == 3_000
        assert table.entries[OTHER_NAME] == (3_000 - MOST_KINDS, f"Error{MOST_KINDS}: message {MOST_KINDS}")
        assert sum(sum(names.values()) for names in table.by_name.values()) == 3_000
        assert table.by_name[OTHER_NAME] == {("GET", "/"): 3_000 - MOST_KINDS}
        (note,) = table.limit_notes("types of exceptions")
        assert note == (
            f"there were more than {MOST_KINDS} types of exceptions: 2,900 failures of the others are counted together "
            f"as {OTHER_NAME}"
        )
        assert table_of([("a",)]).limit_notes("types") == []

    def test_own_kinds_and_statuses_are_never_among_them(self) -> None:
        table = table_of([(f"Error{number}",) for number in range(MOST_KINDS)])
        own = ("generator_fd", "timeout", "http_503", "http_299")
        for kind in (*own, "judged: slow", "http_x"):
            table.count(kind)
        assert {kind: table.entries[kind][0] for kind in (*own, "judged", OTHER_NAME)} == {
            **dict.fromkeys(own, 1),
            "judged": 1,
            OTHER_NAME: 1,
        }

    def test_merging_keeps_the_bound_and_the_total(self) -> None:
        merged = ErrorTable()
        for first in range(0, 3_000, 60):
            merged.merge(table_of([(f"Error{number}", "", ("GET", "/")) for number in range(first, first + 60)]))
        assert (len(merged.entries), merged.total) == (MOST_KINDS + 1, 3_000)
        assert sum(sum(names.values()) for names in merged.by_name.values()) == 3_000

    def test_a_frame_is_bounded_too(self) -> None:
        plain = {f"Error{number}": [1, "m" * 50_000, [["GET", "/", 1]]] for number in range(300)}
        table = ErrorTable.from_plain(plain)
        assert (len(table.entries), table.total) == (MOST_KINDS + 1, 300)
        assert max(len(message) for _, message in table.entries.values()) <= MOST_TEXT

    def test_long_texts_say_how_much_is_missing(self) -> None:
        table = table_of([("K" * 10_000, "begin" + "m" * 5_000_000 + "end")])
        ((kind, (_, message)),) = table.entries.items()
        assert len(kind) <= 200
        assert len(message) <= MOST_TEXT
        assert message.startswith("begin")
        assert message.endswith("end")
        assert "4,996,068 characters left out" in message

    def test_secrets_do_not_stay(self) -> None:
        table = table_of([("judged: http://a:b@c/?key=s3cret", "GET http://a:b@c/?key=s3cret: refused")] * 2)
        assert table.entries == {"judged: http://c/?key=***": (2, "GET http://c/?key=***: refused")}
