"""Columns that never wrap, paragraphs that hang, characters that fit the stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import RenderableType

from fastload.model.wire_text import one_line
from fastload.outputs.terminal.layout import Cell, Column, Columns, Paragraph, legible, shorten
from tests.outputs.terminal.consoles import memory_console


def lines(renderable: RenderableType, width: int) -> list[str]:
    console, stream = memory_console(width)
    console.print(renderable)
    return stream.getvalue().splitlines()


COLUMNS = [Column("NAME", right=False, shrink_to=4), Column("p50"), Column("p99", drop=1), Column("min", drop=2)]
ROWS = [[Cell(text) for text in row] for row in (("alphabet", "1ms", "22ms", "3ms"), ("b", "100ms", "2s", "0s"))]


def test_numbers_are_right_aligned_under_their_titles() -> None:
    assert lines(Columns(COLUMNS, ROWS), 80) == [
        "NAME        p50   p99  min",
        "alphabet    1ms  22ms  3ms",
        "b         100ms    2s   0s",
    ]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (26, "alphabet    1ms  22ms  3ms"),
        (22, "alp…    1ms  22ms  3ms"),
        (19, "alp…   1ms 22ms 3ms"),
        (18, "alph…    1ms  22ms"),
        (14, "alphab…    1ms"),
        (10, "alp…   1ms"),
    ],
)
def test_narrow_tables_shrink_then_close_up_then_drop_columns(width: int, expected: str) -> None:
    assert lines(Columns(COLUMNS, ROWS), width)[1] == expected


def test_no_number_is_cut_where_nothing_more_may_be_dropped() -> None:
    columns = [Column("NAME", right=False, shrink_to=10), Column("p50"), Column("p99")]
    rows = [[Cell("abcdefghijkl"), Cell("1,234ms"), Cell("56,789ms")]]
    for width, expected in (
        (25, "abcdefg… 1,234ms 56,789ms"),
        (24, "abcdefghijkl 1,234ms"),
        (16, "abcdefg… 1,234ms"),
        (15, "abcdefghijkl"),
    ):
        assert lines(Columns(columns, rows), width)[1] == expected


@pytest.mark.parametrize(
    ("width", "expected"),
    [(17, "1 of 23, 4 of 567"), (16, "1 of 23, …"), (10, "1 of 23, …"), (9, "")],
)
def test_what_stands_between_commas_is_left_out_whole(width: int, expected: str) -> None:
    assert shorten("1 of 23, 4 of 567", width, "parts") == expected
    rows = [[Cell("a"), Cell("")], [Cell("b"), Cell("1 of 23, 4 of 567")]]
    assert lines(Columns([Column(), Column(), Column()], rows), width + 3)[1:] == [f"b  {expected}".rstrip()]


def test_the_column_with_the_highest_drop_goes_first() -> None:
    assert lines(Columns(COLUMNS, ROWS), 16)[0].split() == ["NAME", "p50", "p99"]
    assert lines(Columns(COLUMNS, ROWS), 12)[0].split() == ["NAME", "p50"]


def test_a_remark_runs_across_the_other_columns_without_widening_them() -> None:
    rows = [*ROWS, [Cell("c"), Cell("a remark that is long")]]
    assert lines(Columns(COLUMNS, rows), 80)[0] == "NAME        p50   p99  min"
    assert lines(Columns(COLUMNS, rows), 80)[3] == "c         a remark that is long"


def test_the_first_column_can_be_widened_to_match_another_table() -> None:
    assert lines(Columns(COLUMNS, ROWS, first_width=10), 80)[0] == "NAME          p50   p99  min"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=4), st.integers(10, 60))
def test_no_content_and_no_width_makes_a_row_wrap(rows: list[tuple[str, str, str]], width: int) -> None:
    columns = [Column("A", right=False, shrink_to=4), Column("B", drop=1), Column("C", right=False, shrink_to=3)]
    cells = [[Cell(one_line(text)) for text in row] for row in rows]
    shown = lines(Columns(columns, cells), width)
    assert len(shown) == len(rows) + 1
    assert all(cell_len(line) <= width for line in shown)


@given(texts.map(one_line), st.integers(1, 30), st.sampled_from(["end", "middle"]))
def test_shortened_text_fits_and_short_text_stays(text: str, width: int, cut: str) -> None:
    short = shorten(text, width, "end" if cut == "end" else "middle")
    assert cell_len(short) <= width
    if cell_len(text) <= width:
        assert short == text


def test_where_a_text_is_cut() -> None:
    assert shorten("/users/{id}/orders", 11) == "/users/{id…"
    assert shorten("/users/{id}/orders", 11, "middle") == "/user…rders"


def test_paragraphs_hang_under_their_first_line() -> None:
    assert lines(Paragraph("  • ", "one two three four"), 14) == ["  • one two", "    three four"]


def test_a_folded_paragraph_loses_nothing() -> None:
    assert "".join(line.strip() for line in lines(Paragraph("  ", "x" * 50, fold=True), 20)) == "x" * 50


def test_one_line_shows_no_control_codes() -> None:
    assert one_line("a\n b\t\x1b[0m \udc80\x07") == "a b ?[0m ??"


def test_legible_replaces_one_for_one() -> None:
    assert legible("✓ 12µs … é", "ascii") == "+ 12us ~ ?"
    assert legible("✓ 12µs … é", "utf-8") == "✓ 12µs … é"
    assert legible("✓ 12µs é", "iso8859-1") == "+ 12us é"
