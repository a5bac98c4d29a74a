"""Traces: start times from files and lists, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.load.script.trace_files import read_trace
from fastload.model.errors import PlanError


def write(folder: Path, text: str) -> str:
    (folder / "starts.txt").write_text(text)
    return "starts.txt"


def test_one_time_a_line_in_any_order(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, "1.5\n0\n0.000000001\n1e-3\n"), folder=str(tmp_path))
    assert trace.name == "starts.txt"
    assert list(trace.due_ns) == [0, 1, 1_000_000, 1_500_000_000]


def test_comments_and_empty_lines_are_left_out(tmp_path: Path) -> None:
    text = "# seconds\n\n0.25  # the first\n   \n  0.5\n#1\n"
    assert list(read_trace(write(tmp_path, text), folder=str(tmp_path)).due_ns) == [250_000_000, 500_000_000]


def test_the_first_column_counts(tmp_path: Path) -> None:
    text = "\ufeff2.0,GET,/a,b\n1.0, POST\n3.0\tx\r\n"
    (tmp_path / "starts.csv").write_text(text)
    assert list(read_trace(tmp_path / "starts.csv").due_ns) == [10**9, 2 * 10**9, 3 * 10**9]


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_list(times: list[float]) -> None:
    trace = read_trace(iter(times))
    assert trace.name == "a list"
    assert list(trace.due_ns) == [round(one * 1e9) for one in sorted(times)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.1\n# no\nsoon\n", "trace starts.txt, line 3: 'soon' is not a number of seconds"),
        ("time,url\n0.1,/\n", "trace starts.txt, line 1: 'time' is not a number of seconds"),
        ("0.1\n-0.1\n", "trace starts.txt, line 2: '-0.1' is not a time of a test"),
        ("nan\n", "trace starts.txt, line 1: 'nan' is not a time of a test"),
        ("0\ninf\n", "trace starts.txt, line 2: 'inf' is not a time of a test"),
        ("1763742082\n", "trace starts.txt, line 1: '1763742082' is not a time of a test"),
        ("# only this\n\n", "trace 'starts.txt' has no start"),
        ("", "trace 'starts.txt' has no start"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_trace(write(tmp_path, text), folder=str(tmp_path))
    assert str(caught.value) == said
    assert caught.value.hint


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([0.1, "soon"], "trace, entry 2: 'soon' is not a number of seconds"),
        ([None], "trace, entry 1: None is not a number of seconds"),
        ([0.0, -1.0], "trace, entry 2: -1.0 is not a time of a test"),
        ([], "trace 'a list' has no start"),
    ],
)
def test_a_list_that_is_wrong(times: list[float], said: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_trace(times)
    assert str(caught.value) == said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path, "0")
    with pytest.raises(PlanError, match="cannot be read: No such file") as caught:
        read_trace("start.txt", folder=str(tmp_path))
    assert caught.value.hint == "did you mean 'starts.txt'?"
    with pytest.raises(PlanError, match="cannot be read: Is a directory"):
        read_trace(tmp_path)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "starts.bin").write_bytes(b"\xc3\x28\x00\x80")
    with pytest.raises(PlanError, match="cannot be read: it is not UTF-8 text"):
        read_trace(tmp_path / "starts.bin")
