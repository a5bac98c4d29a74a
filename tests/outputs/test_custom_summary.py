"""What a script's ``handle_summary`` may return."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastload.model.errors import FastloadError
from fastload.outputs.custom_summary import CustomSummary, read_custom_summary, write_files


@pytest.mark.parametrize(
    ("returned", "wanted"),
    [
        (None, CustomSummary()),
        ("text", CustomSummary("text")),
        ("", CustomSummary()),
        ({}, CustomSummary()),
        ({"stdout": "out", "stderr": b"err \xff"}, CustomSummary("out", "err \N{REPLACEMENT CHARACTER}")),
        (
            {"a.txt": "über", Path("b.bin"): b"\x00", "stdout": "out"},
            CustomSummary("out", "", {"a.txt": "über".encode(), "b.bin": b"\x00"}),
        ),
    ],
)
def test_texts_and_files(returned: Any, wanted: CustomSummary) -> None:
    assert read_custom_summary(returned) == wanted


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (7, "returned int"),
        (["text"], "returned list"),
        (b"text", "returned bytes"),
        ({"a.json": {"b": 1}}, "returned dict for 'a.json'"),
        ({"a.txt": "fine", "b.txt": None}, "returned NoneType for 'b.txt'"),
        ({1: "text"}, "returned str for 1"),
    ],
)
def test_anything_else_is_refused(returned: Any, message: str) -> None:
    with pytest.raises(FastloadError, match=message) as caught:
        read_custom_summary(returned)
    assert "return a text, or a dict" in caught.value.hint


def test_files_are_replaced_and_one_that_fails_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("something older and longer")
    paths = [str(tmp_path / name) for name in ("a", "no/b", "c")]
    problems = write_files(dict.fromkeys(paths, b"new"))
    assert problems == [f"summary file {paths[1]!r} could not be written: No such file or directory"]
    assert [(tmp_path / name).read_bytes() for name in ("a", "c")] == [b"new", b"new"]
