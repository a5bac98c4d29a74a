"""The one rule by which values of a script become names."""

from __future__ import annotations

import datetime
import pathlib
import uuid
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.errors import PlanError
from fastload.model.names import LONGEST_NAME, are_plain, as_name, as_text, tag_texts
from fastload.model.redaction import shortened
from tests.hostile import Color, HostileObject, HostileText, Point


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        (HostileText("kept"), "kept"),
        (7, "7"),
        (True, "True"),
        (1.5, "1.5"),
        (10**40, "1" + "0" * 40),
        (np.int64(7), "7"),
        (np.float32(1.5), "1.5"),
        (np.bool_(1), "True"),
        (Color.RED, "red"),
        (Color.SEVEN, "7"),
        (Color.PAIR, "PAIR"),
        (HTTPStatus.NOT_FOUND, "404"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (pathlib.Path("a") / "b", "a/b"),
        (ValueError("a message"), "a message"),
        ("half \ud800 of a pair", "half \\ud800 of a pair"),
        ("é😀", "é😀"),
    ],
)
def test_what_is_a_text(value: Any, text: str) -> None:
    found = as_text(value, "it")
    assert (found, type(found)) == (text, str)
    assert as_name(value, "it") == text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "it is a NoneType"),
        (b"bytes", "it is a bytes"),
        (("a", 1), "it is a tuple"),
        ([], "it is a list"),
        ({"a": 1}, "it is a dict"),
        ({1}, "it is a set"),
        (np.array([1]), "it is a ndarray"),
        (print, "it is a builtin_function_or_method"),
        (dict, "it is a type"),
        (HostileObject(), "it is a HostileObject"),
        (object(), "it is a object"),
        (Point(), "it is a Point"),
        (10**5000, "it is a int, whose text cannot be made"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_refused(value: Any, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        as_text(value, "it")
    assert caught.value.message.startswith(said)
    assert caught.value.hint


def test_a_name_is_one_line_that_every_output_can_show() -> None:
    assert as_name("a\nb\x1b[31m\0\x85\u2028c", "it") == "a\\nb\\x1b[31m\\x00\\x85\\u2028c"
    assert as_name("no\u00a0break, \u200d joined", "it") == "no\u00a0break, \u200d joined"


def test_a_long_name_keeps_both_ends() -> None:
    name = as_name("/begin" + "x" * 1_000_000 + "end", "it")
    assert LONGEST_NAME - 50 < len(name) <= LONGEST_NAME
    assert name.startswith("/begin")
    assert name.endswith("end")
    assert "characters left out" in name
    assert as_name("x" * LONGEST_NAME, "it") == "x" * LONGEST_NAME


@given(text=st.text(max_size=2000), most=st.integers(200, 700))
def test_names_can_be_written_and_stay_what_they_are(text: str, most: int) -> None:
    name = as_name(text, "it")
    name.encode()
    assert as_name(name, "it") == name
    assert len(name) <= LONGEST_NAME
    assert len(shortened(text, most)) <= max(most, 0)


def test_tags() -> None:
    assert tag_texts({"a": 1, Color.RED: None.__class__.__name__}) == {"a": "1", "red": "NoneType"}
    for tags, said in (
        (5, "tags is a int"),
        ({"a": None}, "'a' in tags is a NoneType"),
        ({("a",): 1}, "a name in tags"),
        ({"": "a"}, "tags has an empty name"),
    ):
        with pytest.raises(PlanError, match=said):
            tag_texts(tags)


def test_equal_values_with_other_texts_are_not_plain() -> None:
    assert are_plain(("a", "b"))
    for values in ((1,), (True,), (HostileText("a"),)):
        assert not are_plain(values)
