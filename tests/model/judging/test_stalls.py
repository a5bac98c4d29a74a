"""The table of stalls: sums by cause and by line, bounded, and the same after a frame."""

from __future__ import annotations

from itertools import islice

import pytest

from fastload.model.frames import pack, unpack
from fastload.model.judging.stalls import (
    PROBE_INTERVAL_US,
    StallCount,
    Stalls,
    StallTable,
    probe_intervals_us,
    worst_first,
)


def table() -> StallTable:
    made = StallTable(watched_us=1_000_000)
    made.add_late("blocked", 80_000, 100_000)
    made.add_late("starved", 20_000, 100_000)
    made.add_late("starved", 1_000, 1_000)
    made.add_late("busy", 0, 1_000)
    made.stalled_us = 220_000
    made.add_stall("blocked", "a (x.py:1)", StallCount(1, 60_000, 60_000))
    made.add_stall("blocked", "a (x.py:1)", StallCount(1, 40_000, 40_000))
    made.add_stall("starved", "", StallCount(1, 120_000, 120_000))
    return made


def test_sums_by_cause_and_line() -> None:
    assert table().late_us == {"blocked": 80_000, "starved": 21_000}
    assert worst_first(table()) == (
        Stalls("starved", "", 1, 120.0, 120.0),
        Stalls("blocked", "a (x.py:1)", 2, 100.0, 60.0),
    )


def test_a_long_stall_holds_up_many_events() -> None:
    """100 ms hold up eleven events, one for each 10 ms: six times 100 ms are more than a hundred times 1 ms."""
    assert table().waited_us == {"blocked": 480_000, "starved": 120_000 + 1_050}


def test_a_frame_carries_it() -> None:
    assert StallTable.from_plain(unpack(pack(table().to_plain()))) == table()


def test_merging_adds() -> None:
    both = table()
    both.merge(table())
    assert both.stalled_us == 440_000
    assert (both.watched_us, both.late_us) == (2_000_000, {"blocked": 160_000, "starved": 42_000})
    assert both.stalls["blocked", "a (x.py:1)"] == StallCount(4, 200_000, 60_000)


def test_lines_are_bounded_and_no_time_is_lost() -> None:
    made = StallTable()
    for number in range(60):
        made.add_stall("busy", f"f (x.py:{number})", StallCount(1, 1_000, 1_000))
    assert len(made.stalls) == 20 + 1
    assert sum(stall.total_us for stall in made.stalls.values()) == 60_000


@pytest.mark.parametrize("block_ms", [3, 5, 7, 10, 12, 20, 40])
def test_a_loop_that_is_always_blocked_is_late_on_average(block_ms: int) -> None:
    """Each wake-up comes at the end of the block in which it is due, and the next one is asked for there."""
    block_us = 1000 * block_ms
    asked_us = list(islice(probe_intervals_us(), 1000))
    late_us = [-one % block_us for one in asked_us]
    assert sum(late_us) / len(late_us) > block_us / 4


def test_the_times_between_wake_ups_are_10_ms_on_average() -> None:
    asked_us = list(islice(probe_intervals_us(), 1000))
    assert sum(asked_us) / len(asked_us) == pytest.approx(PROBE_INTERVAL_US, rel=0.01)
    assert (min(asked_us), max(asked_us)) == pytest.approx((5_000, 15_000), rel=0.01)
