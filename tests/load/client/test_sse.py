"""Lines and server-sent events of a body that comes in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastload as fl
from fastload.load.client import sse
from fastload.load.client.sse import EventParser, LineSplitter, ServerEvent


def events(*pieces: bytes) -> list[ServerEvent]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def data(*pieces: bytes) -> list[str]:
    return [event.data for event in events(*pieces)]


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    """*whole* in pieces, some of them empty."""
    bounds = sorted(scope % (len(whole) + 1) for scope in places)
    return [whole[begin:end] for begin, end in zip([0, *bounds], [*bounds, len(whole)], strict=True)]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"data: a\n\n", ["a"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b"data:a\n\ndata:  a\n\n", ["a", " a"]),
        (b"data\n\n", [""]),
        (b"data\ndata\n\n", ["\n"]),
        (b"data: a\r\rdata: b\r\n\r\n", ["a", "b"]),
        (b": a comment\n\nevent: ping\n\ndata: a\n\n", ["a"]),
        (b"datax: a\nnothing\n\n", []),
        (b"data: a: b\n\n", ["a: b"]),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", ["a"]),
        (b"data: [DONE]\n\n", ["[DONE]"]),
        (b"data: not ended\n", []),
        (b"data: not ended", []),
        ("data: ü€\n\n".encode(), ["ü€"]),
        (b"data: \xff\n\n", ["�"]),
        (b"", []),
    ],
)
def test_what_the_standard_says_of_data(body: bytes, wanted: list[str]) -> None:
    assert data(body) == wanted
    assert data(*(body[at : at + 1] for at in range(len(body)))) == wanted


def test_fields() -> None:
    body = b"event: token\nid: 7\nretry: 1500\ndata: {}\n\ndata: 1\nid: a\0b\nretry: soon\n\ndata: 2\nid\n\n"
    assert events(body) == [
        ServerEvent("token", "{}", "7", 1500),
        ServerEvent("message", "1", "7", 1500),
        ServerEvent("message", "2", "", 1500),
    ]
    assert events(b'data: {"a": [1]}\n\n')[0].json() == {"a": [1]}
    with pytest.raises(ValueError, match="unexpected"):
        events(b"data: {\n\n")[0].json()


LINES = st.sampled_from([b"data: a", b"data", b"event: x", b"id: 1", b":", b"", b"", b"\xef\xbb\xbf"])


@given(st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=20), st.lists(st.integers(0, 200)))
def test_pieces_make_no_difference(lines: list[tuple[bytes, bytes]], places: list[int]) -> None:
    body = b"".join(line + end for line, end in lines)
    assert events(*cut(body, places)) == events(body)


@given(st.lists(LINES, max_size=20), st.sampled_from([b"\r", b"\r\n"]))
def test_line_ends_make_no_difference(lines: list[bytes], end: bytes) -> None:
    assert events(*(line + end for line in lines)) == events(*(line + b"\n" for line in lines))


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r")), max_size=10),
    st.lists(st.integers(0, 300), max_size=9),
)
def test_lines_are_whole(lines: list[str], places: list[int]) -> None:
    for end in ("\n", "\r\n"):
        body = end.join(lines).encode()
        splitter = LineSplitter()
        found = [line for piece in cut(body, places) for line in splitter.feed(piece)]
        assert [*found, splitter.end()] == [line.encode() for line in (lines or [""])]


def test_a_single_cr_is_no_end_of_a_plain_line() -> None:
    assert LineSplitter().feed(b"a\rb\n") == [b"a\rb"]
    assert LineSplitter(cr=True).feed(b"a\rb\n") == [b"a", b"b"]


def test_a_line_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_LINE_BYTES", 100)
    splitter = LineSplitter()
    splitter.feed(b"x" * 100)
    with pytest.raises(fl.FastloadError, match="longer than 100 bytes"):
        splitter.feed(b"x")
