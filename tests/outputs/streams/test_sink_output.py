"""Streams and their feed: whatever a sink does, the run goes on, and what was lost is told."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from fastload.control.signals import caught_stop_signals
from fastload.model.errors import OutputError, PlanError
from fastload.model.metrics import Series
from fastload.model.records import Snapshot
from fastload.model.series import CounterValue, SeriesTable
from fastload.outputs.base import Output
from fastload.outputs.output_manager import OutputManager
from fastload.outputs.streams.sink_output import (
    CAPACITY_SECONDS,
    CAPACITY_SERIES,
    FILES_PATIENCE_S,
    PATIENCE_S,
    SinkOutput,
)
from fastload.outputs.summary_json import SummaryFile, SummaryStream
from tests.conftest import wait_until
from tests.outputs.samples import closed_bench, make_snapshot
from tests.outputs.sinks import Keeper, fastload_threads, make_header

SUMMARY = closed_bench()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait_until(lambda: not [one for one in threading.enumerate() if one not in before and "fastload" in one.name])


def started(stream: SinkOutput) -> SinkOutput:
    stream.header = make_header()
    stream.start(SUMMARY.plan)
    return stream


def seconds(count: int) -> list[Snapshot]:
    return [make_snapshot(float(number)) for number in range(count)]


def raiser(error: BaseException, times: int = 1_000) -> Callable[[], None]:
    """Raises *error*, so many times."""
    left = [times]

    def act() -> None:
        if left[0]:
            left[0] -= 1
            raise error

    return act


def waiter(event: threading.Event) -> Callable[[], None]:
    def act() -> None:
        event.wait(20)

    return act


def tell(stream: SinkOutput, snapshots: list[Snapshot], kept: Keeper) -> None:
    """Give it all, one after the other, so that the queue is never full."""
    for number, snapshot in enumerate(snapshots, 1):
        stream.snapshot(snapshot)
        wait_until(lambda number=number: len(kept.snapshots) + stream._refused >= number)  # type: ignore[misc]


def test_a_sink_gets_the_header_all_seconds_in_order_and_the_summary() -> None:
    kept = Keeper()
    stream = started(SinkOutput("kept", kept))
    sent = seconds(8)
    tell(stream, sent, kept)
    stream.stop(SUMMARY)
    assert kept.header is stream.header
    assert kept.snapshots == sent
    assert kept.closed == [SUMMARY.to_dict()]
    assert stream.trouble == ""


def test_a_full_queue_drops_and_counts_and_never_waits() -> None:
    going_on = threading.Event()
    kept = Keeper(write=waiter(going_on))
    stream = started(SinkOutput("slow", kept))
    for snapshot in seconds(CAPACITY_SECONDS + 20):
        stream.snapshot(snapshot)
    lost = stream._dropped
    assert lost in (19, 20)
    assert stream.trouble == f"output slow lost {lost} of 30 seconds: it is too slow"
    going_on.set()
    stream.stop(SUMMARY)
    assert len(kept.snapshots) == 30 - lost
    assert kept.closed


def test_a_queue_is_bounded_by_series_too() -> None:
    going_on = threading.Event()
    kept = Keeper(write=waiter(going_on))
    stream = started(SinkOutput("slow", kept))

    def offer(series: int) -> int:
        table = SeriesTable({Series("m", (("n", str(number)),)): CounterValue() for number in range(series)})
        stream.snapshot(replace(make_snapshot(), table=table))
        return stream._dropped

    assert offer(1) == 0
    wait_until(lambda: not stream._waiting)
    assert offer(2 * CAPACITY_SERIES) == 0, "one second fits in whatever its size"
    assert offer(1) == 1
    going_on.set()
    wait_until(lambda: len(kept.snapshots) == 2)
    going_on.clear()
    assert offer(1) == 1
    wait_until(lambda: not stream._waiting)
    assert [offer(CAPACITY_SERIES // 4) for _ in range(5)] == [1, 1, 1, 1, 2]
    going_on.set()
    stream.stop(SUMMARY)
    assert len(kept.snapshots) == 7


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OutputError("the server said no"), "the server said no"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("one\nline \x1b[31mof\ttext"), "ValueError: one line [31mof text"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (MemoryError("x" * 5000), "MemoryError: " + "x" * 287),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_a_sink_raises_is_counted_and_the_next_second_is_tried_again(error: BaseException, said: str) -> None:
    kept = Keeper(write=raiser(error, times=2))
    stream = started(SinkOutput("moody", kept))
    tell(stream, seconds(5), kept)
    assert stream.trouble == f"output moody lost 2 of 5 seconds: {said.strip()}"
    stream.stop(SUMMARY)
    assert len(kept.snapshots) == 3
    assert kept.closed


def test_a_sink_that_opens_later_has_lost_what_came_before() -> None:
    kept = Keeper(open=raiser(OSError(5, "not yet"), times=3))
    stream = started(SinkOutput("late", kept))
    tell(stream, seconds(4), kept)
    stream.stop(SUMMARY)
    assert stream.trouble == "output late lost 2 of 4 seconds: not yet"
    assert len(kept.snapshots) == 2


def test_a_sink_that_opened_just_in_time_has_lost_nothing() -> None:
    kept = Keeper(open=raiser(OSError(5, "not yet"), times=1))
    stream = started(SinkOutput("late", kept))
    wait_until(lambda: bool(stream.trouble))
    tell(stream, seconds(2), kept)
    assert stream.trouble == ""
    stream.stop(SUMMARY)


def test_a_sink_that_never_opens_is_not_closed() -> None:
    kept = Keeper(open=raiser(OSError(5, "never")))
    stream = started(SinkOutput("shut", kept))
    tell(stream, seconds(2), kept)
    stream.stop(SUMMARY)
    assert stream.trouble == "output shut lost 2 of 2 seconds: never"
    assert kept.closed == []


def test_after_the_end_the_first_failure_is_the_last() -> None:
    going_on, tries = threading.Event(), []

    def act() -> NoReturn:
        tries.append(1)
        going_on.wait(20)
        raise OutputError("gone")

    stream = started(SinkOutput("gone", Keeper(write=act)))
    for snapshot in seconds(5):
        stream.snapshot(snapshot)
    stream.end(None)
    going_on.set()
    stream.join()
    assert stream.trouble == "output gone lost 5 of 5 seconds: gone"
    assert len(tries) == 1


def test_what_close_raises_is_told_though_no_second_was_lost() -> None:
    stream = started(SinkOutput("file", Keeper(close=raiser(OSError(28, "No space left on device")))))
    stream.stop(SUMMARY)
    assert stream.trouble == "output file is not complete: No space left on device"


@pytest.mark.parametrize("method", ["open", "write", "close"])
def test_a_sink_that_hangs_is_left_behind(method: str) -> None:
    going_on = threading.Event()
    hang: dict[str, Any] = {method: waiter(going_on)}
    stream = started(SinkOutput("stuck", Keeper(**hang), patience_s=0.5))
    stream.snapshot(make_snapshot())
    stream.stop(SUMMARY)
    assert stream.trouble.endswith("it did not end within 0.5 s")
    assert ("not complete" in stream.trouble) == (method != "open")
    assert [one.daemon for one in threading.enumerate() if one.name == "fastload-stuck"] == [True]
    going_on.set()


class WaitedFor(threading.Event):
    """Says whether somebody waits for it."""

    waiting = False

    def wait(self, timeout: float | None = None) -> bool:
        self.waiting = True
        try:
            return super().wait(timeout)
        finally:
            self.waiting = False


@contextlib.contextmanager
def pressing_ctrl_c(stream: SinkOutput, heard: Callable[[], None] | None = None) -> Iterator[None]:
    """Ctrl-C while *stream* is waited for, and at no other moment: it would end the tests. With *heard*, which is
    called then, only once."""
    ended = stream._ended = WaitedFor()
    main, over = threading.get_ident(), threading.Event()

    def interrupt(*_: object) -> None:
        if ended.waiting and not over.is_set():
            if heard is not None:
                over.set()
                heard()
            raise KeyboardInterrupt

    def press() -> None:
        # Again and again: a thread that is just about to wait does not hear it.
        while not over.wait(0.2):
            signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, interrupt)
    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_a_sink_is_waited_for_ends_the_waiting() -> None:
    going_on = threading.Event()
    stream = SinkOutput("stuck", Keeper(close=waiter(going_on)), patience_s=20)
    with pressing_ctrl_c(stream):
        started(stream).stop(SUMMARY)
    going_on.set()
    assert stream.trouble == "output stuck is not complete: nobody waited for it"


def test_after_one_ctrl_c_a_file_that_gets_on_is_still_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastload.outputs.streams.sink_output.HURRY_S", 20.0)
    going_on = threading.Event()
    file = Keeper(required=True, close=waiter(going_on))
    stream = SinkOutput("file", file, patience_s=20)
    with pressing_ctrl_c(stream, heard=going_on.set):
        started(stream).stop(SUMMARY)
    assert (stream.trouble, len(file.closed)) == ("", 1)


def test_the_second_ctrl_c_leaves_a_file_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastload.outputs.streams.sink_output.HURRY_S", 20.0)
    going_on = threading.Event()
    stream = SinkOutput("file", Keeper(required=True, close=waiter(going_on)), patience_s=20)
    with pressing_ctrl_c(stream):
        started(stream).stop(SUMMARY)
    going_on.set()
    assert stream.trouble == "output file is not complete: nobody waited for it"


def test_an_output_that_blocks_is_left_by_the_second_ctrl_c() -> None:
    class Told:
        required = True
        presses = 0

        def start(self, plan: Any) -> None: ...
        def snapshot(self, snapshot: Snapshot) -> None: ...
        def stop(self, summary: Any) -> None:  # noqa: ARG002 - the interface
            told.append(self.presses)
            for _ in range(self.presses):
                signal.raise_signal(signal.SIGINT)
            told.append(self.presses)

    class Blocks(Told):
        presses = 2

    class Pressed(Told):
        presses = 1

    told: list[int] = []
    with caught_stop_signals() as requests:
        summary = OutputManager([Blocks(), Pressed()], requests.raising).stop(SUMMARY)
    assert told == [2, 1, 1]
    assert summary.notes == (*SUMMARY.notes, "output Blocks was given up: it was interrupted")
    assert summary.outputs_failed


def test_an_output_that_is_given_up_has_the_name_that_its_user_gave() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        outputs: list[Output] = [SummaryFile("/dev/full", option="--summary"), SummaryStream(full)]
        notes = OutputManager(outputs).stop(SUMMARY).notes[len(SUMMARY.notes) :]
    assert [note.partition(" was given up: ")[0] for note in notes] == ["output --summary", "output --json"]


def test_files_are_waited_for_longer_than_systems() -> None:
    assert SinkOutput("system", Keeper()).patience_s == PATIENCE_S == 5
    assert SinkOutput("file", Keeper(required=True)).patience_s == FILES_PATIENCE_S == 60


def test_each_stream_has_its_own_patience() -> None:
    going_on = threading.Event()
    slow = SinkOutput("slow", Keeper(required=True, close=waiter(going_on)), patience_s=20)
    stuck = SinkOutput("stuck", Keeper(required=True, close=waiter(going_on)), patience_s=0.1)

    def go_on() -> None:
        wait_until(lambda: bool(stuck.trouble))
        going_on.set()

    thread = threading.Thread(target=go_on)
    thread.start()
    summary, _ = run_through(stuck, slow, snapshots=1)
    thread.join()
    assert summary.notes == ("output stuck is not complete: it did not end within 0.1 s",)


def test_ctrl_c_ends_the_waiting_for_all_that_end_together() -> None:
    going_on = threading.Event()
    first, second = (SinkOutput(name, Keeper(close=waiter(going_on)), patience_s=20) for name in ("first", "second"))
    feed = OutputManager([first, second])
    with pressing_ctrl_c(first):
        feed.start(SUMMARY.plan, make_header())
        summary = feed.finish(SUMMARY.plan, SUMMARY)
    going_on.set()
    assert summary.notes == tuple(
        f"output {name} is not complete: nobody waited for it" for name in ("first", "second")
    )


def test_a_check_that_raises_anything_is_an_error_before_the_run() -> None:
    with pytest.raises(PlanError, match="output bad cannot work: ZeroDivisionError: oh"):
        SinkOutput("bad", Keeper(check=raiser(ZeroDivisionError("oh")))).check()
    with pytest.raises(PlanError, match="as it is"):
        SinkOutput("bad", Keeper(check=raiser(PlanError("as it is")))).check()


def run_through(*streams: SinkOutput, strict: bool = False, snapshots: int = 3) -> tuple[Any, list[Snapshot]]:
    """A feed's life: the summary that comes out, and what an output beside the streams was shown."""
    shown: list[Snapshot] = []

    class Watcher:
        def start(self, plan: Any) -> None: ...
        def snapshot(self, snapshot: Snapshot) -> None:
            shown.append(snapshot)

        def stop(self, summary: Any) -> None: ...

    plan = replace(SUMMARY.plan, strict_outputs=strict)
    feed = OutputManager([*streams, Watcher()])
    feed.start(plan, make_header())
    for number, snapshot in enumerate(seconds(snapshots), 1):
        feed.snapshot(snapshot)
        for stream in streams:
            kept = stream._sink
            assert isinstance(kept, Keeper)
            wait_until(lambda n=number, s=stream, k=kept: len(k.snapshots) + s._refused >= n)  # type: ignore[misc]
    return feed.stop(feed.finish(plan, SUMMARY)), shown


def test_troubles_are_shown_while_the_run_lasts_and_noted_at_its_end() -> None:
    summary, shown = run_through(SinkOutput("db", Keeper(write=raiser(OutputError("no"), times=2))))
    assert [one.troubles for one in shown] == [
        (),
        ("output db lost 1 of 1 second: no",),
        ("output db lost 2 of 2 seconds: no",),
    ]
    assert summary.notes == ("output db lost 2 of 3 seconds: no",)
    assert not summary.outputs_failed


@pytest.mark.parametrize(
    ("required", "strict", "fails"), [(False, False, False), (True, False, True), (False, True, True)]
)
def test_losses_fail_the_run_when_asked_to(required: bool, strict: bool, fails: bool) -> None:
    lossy = SinkOutput("lossy", Keeper(required=required, write=raiser(OutputError("no"), times=1)))
    summary, _ = run_through(lossy, SinkOutput("fine", Keeper()), strict=strict)
    assert summary.outputs_failed is fails


@pytest.mark.parametrize("required", [False, True])
def test_an_output_that_fails_fails_the_run_when_it_keeps_something(required: bool) -> None:
    class Shown:
        def start(self, plan: Any) -> None:  # noqa: ARG002 - the interface
            raise BrokenPipeError(32, "Broken pipe")

        def snapshot(self, snapshot: Snapshot) -> None: ...
        def stop(self, summary: Any) -> None: ...

    class Kept(Shown):
        required = True

    feed = OutputManager([Kept() if required else Shown()])
    feed.start(SUMMARY.plan, make_header())
    assert len(feed.notes) == 1
    assert feed.failed is required
    assert feed.stop(SUMMARY).outputs_failed is required


def test_what_the_options_ask_to_be_kept_is_required(tmp_path: Path) -> None:
    assert SummaryFile(tmp_path / "a.json").required
    assert SummaryStream(io.BytesIO()).required


def test_nothing_lost_fails_nothing() -> None:
    summary, shown = run_through(SinkOutput("fine", Keeper(required=True)), strict=True)
    assert (summary.notes, summary.outputs_failed) == ((), False)
    assert all(one.troubles == () for one in shown)


def test_files_and_then_the_saved_run_are_told_what_was_lost_before_them() -> None:
    saved, page, db = (
        Keeper(required=kind != "db", write=raiser(OutputError(kind), 1)) for kind in ("run", "page", "db")
    )
    run_through(SinkOutput("run", saved), SinkOutput("page", page), SinkOutput("db", db))
    notes = [kept.closed[0]["notes"] for kept in (db, page, saved) if kept.closed[0] is not None]
    lost = [f"output {name} lost 1 of 3 seconds: {name}" for name in ("db", "page")]
    assert notes == [[], lost[:1], lost]


def test_a_run_without_a_summary_still_closes_every_sink() -> None:
    kept = [Keeper(), Keeper()]
    streams = [SinkOutput(f"kept{number}", one) for number, one in enumerate(kept)]
    feed = OutputManager(streams)
    feed.start(SUMMARY.plan, make_header())
    feed.snapshot(make_snapshot())
    feed.abandon()
    assert [one.closed for one in kept] == [[None], [None]]
    assert fastload_threads() == []


def test_several_that_hang_cost_the_patience_once() -> None:
    going_on = threading.Event()
    streams = [SinkOutput(f"stuck{n}", Keeper(close=waiter(going_on)), patience_s=0.5) for n in range(20)]
    ended = threading.Event()

    def end() -> None:
        run_through(*streams, snapshots=1)
        ended.set()

    with contextlib.ExitStack() as stack:
        stack.callback(going_on.set)
        thread = threading.Thread(target=end)
        thread.start()
        stack.callback(thread.join)
        # One after the other they would take ten seconds.
        assert ended.wait(8)
