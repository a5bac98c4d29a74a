"""Text units, both ways."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.errors import PlanError
from fastload.model.units import (
    format_bytes,
    format_count,
    format_duration_s,
    format_ms,
    format_percent,
    format_were,
    is_rate_stage,
    parse_duration_s,
    parse_rate_per_s,
    parse_rate_stage,
    parse_stage,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10), ("1m30s", 90), ("500ms", 0.5), ("0s", 0), ("1.5h", 5400), ("2d", 172_800), ("250us", 0.00025),
        ("250µs", 0.00025), ("9ns", 9e-9), (" 5m ", 300), ("1h2m3s4ms", 3723.004),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10", "write 10s or 10m"),
        ("1.5", "write 1.5s or 1.5m"),
        ("", 'write it like "30s"'),
        ("nan", 'write it like "30s"'),
        ("inf", 'write it like "30s"'),
        ("-5", 'write it like "30s"'),
        ("-5s", 'write it like "30s"'),
        ("10 s", 'write it like "30s"'),
        ("10sec", 'write it like "30s"'),
        ("s", 'write it like "30s"'),
        ("1m30", 'write it like "30s"'),
    ],
)
def test_durations_that_are_none(text: str, hint: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_duration_s(text, what="--duration")
    assert caught.value.message == f"--duration {text!r} is not a duration with a unit"
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("500", 500), ("1.5k", 1500), ("1k/s", 1000), ("90/min", 1.5), ("60/m", 1), ("3600/h", 1), ("2M", 2e6),
        ("1K", 1000), ("0.5", 0.5), (" 7/sec ", 7),
    ],
)  # fmt: skip
def test_rates(text: str, rate: float) -> None:
    assert parse_rate_per_s(text) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize("text", ["", "0", "0/s", "-1", "k", "1/w", "1 k", "1e3", "10/2x", "nan"])
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(PlanError, match="is not a rate above zero") as caught:
        parse_rate_per_s(text, what="--rate")
    assert caught.value.message.startswith(f"--rate {text!r}")
    assert "1k/s" in caught.value.hint


def test_stages() -> None:
    assert parse_stage("30s:10") == (30.0, 10)
    assert parse_stage("0s: 5") == (0.0, 5)
    assert parse_stage("1m30s:0") == (90.0, 0)


@pytest.mark.parametrize(
    "written", [("1s", 2), ["1s", 2], (2, "1s"), {"duration": "1s", "target": 2}, {"target": "2", "duration": "1s"}]
)
def test_a_stage_as_others_write_it_shows_the_text(written: Any) -> None:
    for parse in (parse_stage, parse_rate_stage, is_rate_stage):
        with pytest.raises(PlanError, match="is no text") as caught:
            parse(written)
        assert caught.value.hint == 'write "1s:2": the duration, a colon, and the VUs (or the rate) at its end'


def test_a_stage_with_its_parts_swapped() -> None:
    with pytest.raises(PlanError, match="is not DURATION:VUS") as caught:
        parse_stage("2:1s")
    assert "the duration first" in caught.value.hint


@pytest.mark.parametrize("text", ["30s", "30s:", "30s:x", "30s:1.5", "30s:-1", ":5", "30:5", "30s:²"])
def test_stages_that_are_none(text: str) -> None:
    with pytest.raises(PlanError, match="stage") as caught:
        parse_stage(text)
    assert text in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("value_ms", "text"),
    [
        (None, "-"), (math.nan, "-"), (0, "0s"), (0.001, "1.00µs"), (0.0123, "12.3µs"), (0.84, "840µs"),
        (0.9994, "999µs"), (0.9996, "1.00ms"), (1.234, "1.23ms"), (9.996, "10.0ms"), (12.34, "12.3ms"),
        (99.96, "100ms"), (999.4, "999ms"), (999.6, "1.00s"), (1250, "1.25s"), (59_949, "59.9s"),
        (59_951, "1m00s"), (61_400, "1m01s"), (3_600_000, "60m00s"),
    ],
)  # fmt: skip
def test_times_for_people(value_ms: float | None, text: str) -> None:
    assert format_ms(value_ms) == text


@given(st.floats(1e-3, 3.6e6))
def test_times_for_people_are_short_and_within_half_a_per_cent(value_ms: float) -> None:
    text = format_ms(value_ms)
    assert len(text) <= 6
    if "m" not in text or text.endswith("ms"):
        assert parse_duration_s(text) * 1e3 == pytest.approx(value_ms, rel=0.0051)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.35, "350ms"), (2.5, "2.50s"), (10, "10s"), (10.4, "10s"), (59.4, "59s"), (59.7, "1m"),
        (90, "1m30s"), (120, "2m"), (3599.6, "1h00m"), (7500, "2h05m"),
    ],
)  # fmt: skip
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration_s(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (7, "7"), (12_345, "12,345"), (3.5, "3.5"), (3.14159, "3.14"), (123.4, "123"), (999.4, "999"),
        (999.6, "1,000"), (1234.5, "1,234"), (-999.6, "-1,000"), (1e15, "1,000,000,000,000,000"), (0.005, "0.005"),
    ],
)  # fmt: skip
def test_counts_for_people(value: float, text: str) -> None:
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"), (999, "999 B"), (999.6, "1.00 kB"), (61_234, "61.2 kB"), (1_300_000_000, "1.30 GB"),
        (999_600, "1.00 MB"), (2e15, "2000 TB"),
    ],
)  # fmt: skip
def test_bytes_for_people(value: float, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0, "0.00%"), (0.00001, "<0.01%"), (0.0001, "0.01%"), (0.0123, "1.23%"), (0.9999, "99.99%"),
        (0.99999, ">99.99%"), (1, "100.00%"),
    ],
)  # fmt: skip
def test_percentages_never_hide_the_last_failure(ratio: float, text: str) -> None:
    assert format_percent(ratio) == text


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "", "0 were"),
        (1, "", "1 was"),
        (1.0004, "VU", "1 VU was"),
        (2, "VU", "2 VUs were"),
        (0.5, "VU", "0.5 VUs were"),
    ],
)
def test_a_verb_agrees_with_the_number_that_is_shown(count: float, noun: str, text: str) -> None:
    assert format_were(count, noun) == text
