"""The table of stalls: sums by cause and by line, bounded, and the same after a frame."""

from __future__ import annotations

from fastload.model.frames import pack, unpack
from fastload.model.judging.stalls import MOST_LINES, StallCount, Stalls, StallTable, worst_first


def table() -> StallTable:
    made = StallTable(watched_us=1_000_000)
    made.add_late("blocked", 90_000)
    made.add_late("blocked", 10_000)
    made.add_late("starved", 0)
    made.add_stall("blocked", "a (x.py:1)", StallCount(1, 60_000, 60_000))
    made.add_stall("blocked", "a (x.py:1)", StallCount(1, 40_000, 40_000))
    made.add_stall("starved", "", StallCount(1, 120_000, 120_000))
    return made


def test_sums_by_cause_and_line() -> None:
    assert table().late_us == {"blocked": 100_000}
    assert worst_first(table()) == (
        Stalls("starved", "", 1, 120.0, 120.0),
        Stalls("blocked", "a (x.py:1)", 2, 100.0, 60.0),
    )


def test_a_frame_carries_it() -> None:
    assert StallTable.from_plain(unpack(pack(table().to_plain()))) == table()


def test_merging_adds() -> None:
    both = table()
    both.merge(table())
    assert (both.watched_us, both.late_us) == (2_000_000, {"blocked": 200_000})
    assert both.stalls["blocked", "a (x.py:1)"] == StallCount(4, 200_000, 60_000)


def test_lines_are_bounded_and_no_time_is_lost() -> None:
    made = StallTable()
    for number in range(3 * MOST_LINES):
        made.add_stall("busy", f"f (x.py:{number})", StallCount(1, 1_000, 1_000))
    assert len(made.stalls) == MOST_LINES + 1
    assert sum(stall.total_us for stall in made.stalls.values()) == 3_000 * MOST_LINES
