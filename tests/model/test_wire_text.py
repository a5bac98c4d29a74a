"""Text to and from servers: nothing of it raises, and nothing of it begins another line."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.errors import PlanError
from fastload.model.wire_text import check_line, curl_text, read_text, shown, utf8


@given(st.text())
def test_text_is_sent_as_utf8(text: str) -> None:
    assert read_text(utf8(text)) == text
    assert curl_text(text) == (text if text.isascii() else text.encode())


@given(st.binary())
def test_every_byte_can_be_read_and_sent_again(raw: bytes) -> None:
    assert isinstance(read_text(raw), str)
    assert utf8(os.fsdecode(raw)) == raw
    shown(os.fsdecode(raw)).encode()


def test_what_is_no_utf8() -> None:
    assert read_text(b"\xfc") == "ü"
    assert read_text("ü".encode()) == "ü"
    assert utf8("a\ud800b") == "a\ufffdb".encode()
    assert shown("a\udcff") == "a\ufffd"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", "fastload.lenient")


@pytest.mark.parametrize(("text", "what"), [("a\nb", "a line break"), ("a\rb", "a line break"), ("\0", "a NUL")])
def test_lines(text: str, what: str) -> None:
    with pytest.raises(PlanError, match=f"the name has {what} in it"):
        check_line(text, "the name")
    assert check_line("a\tü", "the name") == "a\tü"
