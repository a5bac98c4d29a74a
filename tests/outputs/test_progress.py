"""The live block and the plain lines."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from fastload.model.errors import OutputError
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs, SharedIterations
from fastload.model.plan import Plan
from fastload.model.thresholds import ThresholdResult
from fastload.outputs.layout import Legible
from fastload.outputs.live import LiveBlock, render_snapshot
from fastload.outputs.plain import PlainLines
from fastload.outputs.terminal import open_console, progress_output
from tests.outputs.consoles import FakeTerminal, memory_console
from tests.outputs.samples import closed_bench, failing_threshold, make_plan, make_snapshot, target_series

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
    assert second.count("\x1b[1A") == 8
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
