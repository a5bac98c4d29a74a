"""The live block and the plain lines."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from dataclasses import replace
from typing import Any

import pyte
import pytest
from rich.cells import cell_len
from rich.console import Console

from fastload.model.errors import OutputError
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs, SharedIterations
from fastload.model.metrics import Series
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.series import SeriesTable
from fastload.outputs.terminal.console import open_console, progress_output
from fastload.outputs.terminal.layout import Legible
from fastload.outputs.terminal.live import LiveBlock, render_snapshot, shown_lines
from fastload.outputs.terminal.plain_lines import PlainLines
from fastload.outputs.terminal.recent import Recent
from fastload.outputs.terminal.sparkline import condense, sparkline
from tests.outputs.samples import (
    add_calls,
    add_requests,
    closed_bench,
    durations,
    failing_threshold,
    make_plan,
    make_snapshot,
    target_series,
)
from tests.outputs.terminal.consoles import FakeTerminal, memory_console

CLOSED = make_plan(ConstantVUs(64, 10.0))


def block(plan: Plan = CLOSED, width: int = 80, **changes: Any) -> list[str]:
    console, stream = memory_console(width)
    console.print(Legible(render_snapshot(plan, make_snapshot(**changes))))
    return stream.getvalue().splitlines()


def plain_lines(times: list[float], **changes: Any) -> list[str]:
    console, stream = memory_console(60)
    output = PlainLines(console)
    output.start(CLOSED)
    for elapsed_s in times:
        output.snapshot(make_snapshot(elapsed_s, **changes))
    output.stop(closed_bench())
    return stream.getvalue().splitlines()


@pytest.fixture
def dumb_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that can redraw, whatever runs the tests."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def test_the_block_reads_exactly_so() -> None:
    assert block() == [
        "GET http://127.0.0.1:8080/",
        "running     5s/10s  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━───────────────────────────  50%",
        "",
        "load          64 VUs",
        "requests    12,345/s  61,725  in all",
        "failed           0/s       0  in all",
        "latency     p50 1.20ms  p95 3.40ms  p99 5.60ms  of the last second",
        "workers     45% 47% CPU",
        "target      100% CPU  12.3 MB RSS",
    ]


def test_the_block_tells_what_goes_wrong() -> None:
    thresholds = (failing_threshold(), ThresholdResult("http_req_failed", "rate<0.1", False, None))
    lines = block(workers_lost=1, failed=12, failed_per_s=3.0, thresholds=thresholds)
    assert "failed           3/s      12  in all" in lines
    assert "workers     45% 47% CPU  1 lost" in lines
    assert lines[-1] == "failing     ✗ http_req_duration p(95)<5  p(95)=6.20ms"
    busy = ThresholdResult("target_cpu", "<90", False, 98.0, aggregate="avg", kind="resource", unit="%")
    assert block(thresholds=(busy,))[-1] == "failing     ✗ target_cpu <90  avg=98%"
    gone = target_series(alive=False).samples[0]
    assert block(target=gone)[-1] == "target      is not running"


def test_of_many_failing_thresholds_five_are_shown() -> None:
    lines = block(thresholds=(failing_threshold(),) * 7)
    assert sum("✗" in line for line in lines) == 5
    assert lines[-1].strip() == "and 2 more"


def test_the_block_of_an_open_run_shows_the_offered_rate() -> None:
    plan = make_plan(ConstantArrivalRate(1000, 10.0, 100), title="shop.py")
    lines = block(plan)
    assert lines[0] == "shop.py  http://127.0.0.1:8080"
    assert re.search(r"load +64 VUs +1,000 starts/s offered", "\n".join(lines))


def test_a_run_by_count_has_a_time_limit_not_a_length() -> None:
    assert "5s of at most 10m" in block(make_plan(SharedIterations(2, 10)))[1]


def test_many_workers_are_one_range() -> None:
    assert "workers     50% mean of 9, 46% to 54% CPU" in block(worker_cpu_percent=tuple(range(46, 55)))


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_the_block_keeps_its_height_and_fits_at_every_width(width: int) -> None:
    lines = block(width=width, thresholds=(failing_threshold(),))
    assert len(lines) == 10
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.usefixtures("dumb_proof")
def test_the_live_block_redraws_starts_no_thread_and_leaves_nothing() -> None:
    stream = FakeTerminal()
    output = LiveBlock(open_console(stream, width=80))
    assert stream.getvalue() == ""
    threads, stdout, stderr = threading.active_count(), sys.stdout, sys.stderr
    output.start(CLOSED)
    output.snapshot(make_snapshot(1.0))
    first = len(stream.getvalue())
    output.snapshot(make_snapshot(2.0))
    assert threading.active_count() == threads
    assert (sys.stdout, sys.stderr) == (stdout, stderr)
    second = stream.getvalue()[first:]
    assert second.count("\x1b[1A") == 11
    assert "2s/10s" in second
    output.stop(closed_bench())
    ending = stream.getvalue()
    assert "\x1b[?25h" in ending[ending.rindex("2s/10s") :]
    assert ending.endswith("\x1b[1A\x1b[2K")


@pytest.mark.usefixtures("dumb_proof")
def test_the_live_block_can_be_closed_twice_and_stopped_unstarted() -> None:
    stream = FakeTerminal()
    output = LiveBlock(open_console(stream, width=80))
    output.stop(closed_bench())
    assert stream.getvalue() == ""
    output.start(CLOSED)
    output.close()
    written = stream.getvalue()
    output.close()
    output.snapshot(make_snapshot())
    assert stream.getvalue() == written


def busy_snapshot(second: int, names: int = 3, **changes: Any) -> Snapshot:
    """A second with requests to some names, a call, WebSocket messages and events of streams."""
    table = SeriesTable()
    for number in range(names):
        add_requests(table, durations(100 - number, 500 * (number + 1)), name=f"/{number}")
    add_requests(table, durations(7), name="/broken", method="POST", statuses={"200": 4, "500": 3})
    add_calls(table, "sign", durations(5), raised=1)
    for metric, count in (("ws_msgs_sent", 20), ("ws_msgs_received", 30), ("stream_events", 4)):
        table.counter(Series(metric)).value += count
    changes = {"requests_per_s": 100.0 * second, "failed_per_s": 3.0, "p95_ms": 1.0 * second} | changes
    return make_snapshot(float(second), table=table, **changes)


def remembered(seconds: int, **changes: Any) -> tuple[Recent, Snapshot]:
    """What the live block knows after so many seconds, and the last of them."""
    recent = Recent()
    for second in range(1, seconds + 1):
        recent.add(now := busy_snapshot(second, **changes))
    return recent, now


def drawn_block(recent: Recent, now: Snapshot, width: int, height: int = 40) -> list[str]:
    """The live block in a terminal of that size."""
    console, stream = memory_console(width)
    console.height = height
    console.print(Legible(render_snapshot(CLOSED, now, recent)))
    return stream.getvalue().splitlines()


def block_after(seconds: int, width: int, **changes: Any) -> list[str]:
    return drawn_block(*remembered(seconds, **changes), width)


def test_the_last_minute_is_drawn_as_bars() -> None:
    lines = block_after(8, 80)
    assert lines[10:13] == [
        "requests/s  ▂▃▄▅▅▆▇█  max 800",
        "p95         ▂▃▄▅▅▆▇█  max 8.00ms",
        "failed/s    ████████  max 3",
    ]
    assert block_after(8, 80, failed_per_s=0.0)[12] == "failed/s    ▁▁▁▁▁▁▁▁  max 0"
    assert block_after(2, 80, p95_ms=None)[11] == "p95             max -"


def test_more_than_a_minute_moves_out_and_fewer_columns_hold_it_too() -> None:
    recent, now = remembered(90)
    assert (recent.first, len(recent.seconds)) == (30, 60)
    wide, narrow = drawn_block(recent, now, 200)[10], drawn_block(recent, now, 50)[10]
    assert len(wide) == 12 + 60 + len("  max 9,000")
    drawn = narrow[12:].partition("  max")[0]
    assert 10 <= len(drawn) <= 50 - 12 - len("  max 9,000")
    assert drawn == "".join(sorted(drawn))
    assert drawn.endswith("█")


def test_bars_keep_their_height_while_they_move() -> None:
    values = [float(number % 7) for number in range(100)]
    at = {first: condense(values[first : first + 60], first, 60, 20, max) for first in range(40)}
    for first in range(39):
        before, after = at[first], at[first + 1]
        # The first and the last may be of fewer seconds than the others.
        assert after[1:-1] in (before[1:-1], [*before[2:-1], before[-1]], [*before[2:], after[-2]])


def test_what_failed_once_shows_beside_thousands() -> None:
    assert sparkline([0.0, 1.0, 5000.0, None]) == "▁▂█ "


def test_a_wide_terminal_has_a_table_of_the_names_that_came_most() -> None:
    lines = block_after(2, 80, requests_per_s=307.0)
    title = next(number for number, line in enumerate(lines) if line.startswith("endpoints"))
    assert lines[title].split() == ["endpoints", "requests", "per", "s", "p50", "p95", "p99", "failed"]
    assert [line.split()[:4] for line in lines[title + 1 :]] == [
        ["GET", "/0", "200", "100"],
        ["GET", "/1", "198", "99"],
        ["GET", "/2", "196", "98"],
        ["POST", "/broken", "14", "7"],
        ["call", "sign", "12", "6"],
    ]
    assert lines[title + 4].split()[-1] == "6"
    assert lines[title + 1].split()[4:7] == ["644µs", "1.03ms", "1.08ms"]
    assert not any(line.startswith("endpoints") for line in block_after(2, 79))


def test_calls_messages_and_events_show_where_there_are_any() -> None:
    lines = block_after(3, 80)
    assert lines[6:9] == [
        "calls          6/s      18  in all, 3 failed",
        "messages      50/s     150  in all",
        "events         4/s      12  in all",
    ]
    assert not any("calls" in line for line in block())


def sessions_snapshot(second: int, opened: int = 10, refused: int = 0, **changes: Any) -> Snapshot:
    """A second of a run that has sent no request so far, but *opened* WebSockets, or was *refused*."""
    table = SeriesTable()
    for metric, count in (("ws_sessions", opened), ("ws_msgs_sent", 20), ("ws_msgs_received", 30)):
        table.counter(Series(metric)).value += count if opened else 0
    failed = table.rate(Series("ws_failed"))
    failed.trues, failed.total = refused, opened + refused
    for took_us in range(1000, 1000 + opened):
        table.trend(Series("ws_connecting")).record(took_us)
    nothing = {"requests": 0, "requests_per_s": 0.0, "p50_ms": None, "p95_ms": None, "p99_ms": None}
    return make_snapshot(float(second), table=table, span_s=1.0, **nothing | changes)


def test_a_run_with_websockets_alone_is_about_them() -> None:
    recent = Recent()
    for second in (1, 2, 3):
        recent.add(now := sessions_snapshot(second, refused=second - 1))
    lines = drawn_block(recent, now, 80)
    assert lines[3:11] == [
        "load        64 VUs",
        "sessions      10/s   30  in all",
        "failed         2/s    3  in all",
        "messages      50/s  150  in all",
        "connecting  p50 1.00ms  p95 1.01ms  p99 1.01ms  of the last second",
        "messages/s  ███  max 50",
        "p95         ███  max 1.01ms",
        "failed/s    ▁▅█  max 2",
    ]
    recent.add(now := make_snapshot(4.0))
    lines = drawn_block(recent, now, 80)
    assert [line.split()[0] for line in lines[4:9]] == ["requests", "failed", "sessions", "messages", "latency"]
    assert lines[6] == "sessions         0/s      30  in all, 3 failed"


def test_plain_lines_of_a_run_with_websockets_alone() -> None:
    console, stream = memory_console(60)
    output = PlainLines(console, every_s=1.0)
    output.start(CLOSED)
    for snapshot in (sessions_snapshot(1), sessions_snapshot(2, opened=0, refused=4), make_snapshot(3.0)):
        output.snapshot(snapshot)
    opened, refused, requests = stream.getvalue().splitlines()
    assert "64 VUs  10 sessions/s  0 failed/s  connecting p50 1.00ms p95 1.01ms p99 1.01ms  50 messages/s" in opened
    assert "64 VUs  0 sessions/s  4 failed/s  connecting p50 - p95 - p99 -  0 messages/s" in refused
    assert "12,345 req/s  0 failed/s  p50 1.20ms p95 3.40ms p99 5.60ms  0 sessions/s (0 failed/s)" in requests


def test_a_run_of_which_all_websockets_are_refused_is_about_them() -> None:
    recent = Recent()
    recent.add(now := sessions_snapshot(1, opened=0, refused=4))
    assert drawn_block(recent, now, 80)[4:6] == [
        "sessions       0/s  0  in all",
        "failed         4/s  4  in all",
    ]


def test_what_outputs_lose_is_told() -> None:
    troubles = tuple(f"output {number} lost 1 of 5 seconds: it is too slow" for number in range(5))
    lines = block(troubles=troubles)
    assert lines[-4] == "outputs     output 0 lost 1 of 5 seconds: it is too slow"
    assert lines[-1].strip() == "and 2 more"
    assert block(troubles=("output x: a\n\x1b[31mb",))[-1] == "outputs     output x: a ?[31mb"
    assert plain_lines([5.0], troubles=troubles)[0].endswith("target 100%  5 outputs lost data")


def test_the_block_takes_no_more_lines_than_there_are_for_what_can_be_left_out() -> None:
    recent, now = remembered(5, names=40)
    for height in (1, 5, 9, 14, 15, 16, 18, 24, 60):
        lines = drawn_block(recent, now, 130, height)
        assert len(lines) <= max(height, 12)
        assert any(line.startswith("requests/s") for line in lines) == (height >= 15)
        assert sum(bool(re.match(r"GET /\d", line)) for line in lines) == max(0, min(12, height - 17))


def test_nothing_is_ever_wider_than_the_terminal() -> None:
    recent, now = remembered(65, names=20, requests_per_s=1234567.0, p95_ms=123.4)
    for width in (*range(1, 45), 60, 80, 119, 120, 121, 200):
        for one in (
            replace(now, troubles=("x" * 300,) * 4),
            replace(now, message="m" * 300, thresholds=(failing_threshold(),), workers_lost=3),
        ):
            assert max(map(cell_len, drawn_block(recent, one, width))) <= width


def test_a_narrow_terminal_still_has_all_percentiles() -> None:
    assert "p50 95 99   1.20ms  3.40ms  5.60ms" in block(width=40)


def test_a_stream_without_block_characters_has_bars_of_ascii() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    recent, now = remembered(8)
    open_console(stream, width=80).print(Legible(render_snapshot(CLOSED, now, recent)))
    stream.seek(0)
    assert "requests/s  .-:==+*#  max 800" in stream.read()


@pytest.mark.usefixtures("dumb_proof")
def test_without_colours_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def written() -> str:
        stream = FakeTerminal()
        output = LiveBlock(open_console(stream, width=130))
        output.start(CLOSED)
        output.snapshot(busy_snapshot(1, thresholds=(failing_threshold(),), troubles=("lost",)))
        output.stop(closed_bench())
        return stream.getvalue()

    coloured = re.compile(r"\x1b\[[\d;]*3[0-7]m")
    assert coloured.search(written())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured.search(written())


@pytest.mark.usefixtures("dumb_proof")
@pytest.mark.parametrize("size", [(40, 10), (80, 24), (130, 40), (130, 6)])
def test_a_terminal_shows_the_last_block_and_nothing_of_it_afterwards(size: tuple[int, int]) -> None:
    """What the escape codes do, in a terminal that is emulated."""
    width, height = size
    screen = pyte.Screen(width, height)
    terminal = pyte.Stream(screen)
    stream = FakeTerminal()
    console = open_console(stream, width=width)
    console.height = height
    screen.set_mode(pyte.modes.LNM)
    output = LiveBlock(console)
    output.start(CLOSED)
    for second in range(1, 71):
        output.snapshot(busy_snapshot(second, names=2 + second % 5))
        terminal.feed(stream.getvalue())
        stream.seek(0)
        stream.truncate()
    shown = [line.rstrip() for line in screen.display]
    assert shown[0] == "GET http://127.0.0.1:8080/"
    assert shown[1].startswith("running     1m10s/10s")
    assert any(line.startswith("requests/s") for line in shown) == (height >= 24)
    assert any(line.startswith("GET /0") for line in shown) == (height >= 24)
    output.stop(closed_bench())
    terminal.feed(stream.getvalue())
    assert not "".join(screen.display).strip()


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[1;31mred\x1b[0m \x1b[38:5:9mred\x1b[m\n", "\x1b[1;31mred\x1b[0m \x1b[38:5:9mred\x1b[m\n"),
        ("10%\r 50%\r100%\n", "100%\n"),
        ("of Windows\r\n", "of Windows\n"),
        ("a\x1b[2Jb\x1b[10;5Hc\x1b[?25ld\x1bce\x1b7f\n", "abcdef\n"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b(Bb\n", "alinkb\n"),
        ("bell\x07 back\x08 form\x0c vertical\x0b c1\x9b2J\n", "bell back form vertical c12J\n"),
        ("cut off \x1b[", "cut off "),
    ],
)
def test_what_a_script_prints_keeps_its_colours_and_moves_no_cursor(printed: str, shown: str) -> None:
    assert shown_lines(printed) == shown


def test_plain_lines_tell_what_comes_beside_requests_once_it_came() -> None:
    console, stream = memory_console(60)
    output = PlainLines(console, every_s=1.0)
    output.start(CLOSED)
    for snapshot in (make_snapshot(1.0), busy_snapshot(2), make_snapshot(3.0)):
        output.snapshot(snapshot)
    before, now, after = stream.getvalue().splitlines()
    assert "calls" not in before
    assert "6 calls/s (1 failed/s)  50 messages/s  4 events/s  workers" in now
    assert "0 calls/s (0 failed/s)  0 messages/s  0 events/s  workers" in after


def test_plain_lines_come_after_one_second_and_then_every_five() -> None:
    times = [second * 1.0 for second in range(12)]
    assert [line.split("/")[0].strip() for line in plain_lines(times)] == ["1s", "5s", "10s"]


def test_plain_lines_depend_on_the_time_of_the_snapshot_only() -> None:
    assert [line.split("/")[0].strip() for line in plain_lines([0.999, 1.998, 4.997, 5.996, 13.0, 14.0, 15.1])] == [
        "1s",
        "5s",
        "13s",
        "15s",
    ]


def test_a_plain_line_reads_exactly_so_and_never_wraps() -> None:
    assert plain_lines([5.0]) == [
        " 5s/10s  64 VUs  12,345 req/s  0 failed/s  p50 1.20ms p95 3.40ms p99 5.60ms  workers 45% 47%  target 100%"
    ]


def test_one_vu_is_not_several() -> None:
    (line,) = plain_lines([5.0], vus=1)
    assert line.startswith(" 5s/10s  1 VU  ")


def test_a_plain_line_tells_phase_losses_and_failing_thresholds() -> None:
    changes = {"phase": "warm-up", "workers_lost": 2, "thresholds": (failing_threshold(),), "target": None}
    (line,) = plain_lines([5.0], **changes)
    assert line.startswith(" 5s/10s  warm-up  64 VUs")
    assert line.endswith("workers 45% 47%  2 workers lost  1 threshold failing")


def test_plain_lines_have_no_escape_codes_on_a_coloured_console() -> None:
    stream = FakeTerminal()
    output = PlainLines(open_console(stream, color=True, width=80))
    output.start(CLOSED)
    output.snapshot(make_snapshot(1.0))
    assert "\x1b" not in stream.getvalue()


@pytest.mark.usefixtures("dumb_proof")
def test_only_a_terminal_that_can_redraw_gets_the_live_block(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress_output(open_console(FakeTerminal())), LiveBlock)
    assert isinstance(progress_output(open_console(io.StringIO())), PlainLines)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(progress_output(open_console(io.StringIO())), PlainLines)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_output(open_console(FakeTerminal())), PlainLines)


def closed_pipe() -> io.TextIOWrapper:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w", encoding="utf-8")


def test_a_reader_that_went_away_silences_the_console_only() -> None:
    with closed_pipe() as stream:
        console = open_console(stream, width=80)
        output = PlainLines(console)
        output.start(CLOSED)
        output.snapshot(make_snapshot(1.0))
        assert console.quiet
        output.snapshot(make_snapshot(5.0))


def test_a_full_disk_is_an_output_error() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:  # noqa: ARG002 - its own interface
            raise OSError(28, "No space left on device")

    output = PlainLines(Console(file=Full()))
    output.start(CLOSED)
    with pytest.raises(OutputError, match="the progress could not be written: No space left"):
        output.snapshot(make_snapshot(1.0))
