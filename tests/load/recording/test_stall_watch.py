"""What blocks the loop is named: by the script's own line, and only when it blocks."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fastload
from fastload.load.recording.stall_watch import STALL_S, StallWatch
from tests.conftest import wait_until

LONG_S = STALL_S * 2


class Undisturbed(StallWatch):
    """As if the process had a CPU whenever it wants one: on a busy machine nothing else can be told for sure."""

    def _run_delay_ns(self) -> int:
        return 0


class Starved(StallWatch):
    """As if the process had no CPU at all."""

    def _run_delay_ns(self) -> int:
        return time.monotonic_ns()


@contextmanager
def watching(kind: type[StallWatch] = Undisturbed) -> Iterator[StallWatch]:
    watch = kind()
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def stalls_of(block: Callable[[], object], kind: type[StallWatch] = Undisturbed) -> dict[str, float]:
    """What is named when *block* runs between two turns of the loop."""
    with watching(kind) as watch:
        watch.arm()
        block()
        watch.arm()
        return dict(watch.lines_that_blocked)


def line_of(function: Callable[[], object], offset: int) -> int:
    return function.__code__.co_firstlineno + offset


@pytest.mark.parametrize("file", ["runner.py", "control/supervisor.py", "model/frames.py", "load/worker.py"])
def test_a_line_of_fastload_is_never_named(file: str) -> None:
    """As in a process that was stopped while none of the script's code ran."""
    block = compile(f"block({LONG_S})", str(Path(fastload.__file__).parent / file), "eval")
    named = stalls_of(lambda: eval(block, {"block": time.sleep}))
    assert not any(Path(file).name in line for line in named), named


def test_sleep() -> None:
    def think() -> None:
        time.sleep(LONG_S)

    (name,), (stalled_ms,) = zip(*stalls_of(think).items(), strict=True)
    assert name == f"think (test_stall_watch.py:{line_of(think, 1)}): time.sleep(LONG_S)"
    assert 1000 * LONG_S <= stalled_ms < 10_000


def test_a_busy_loop() -> None:
    def count() -> None:
        end = time.thread_time() + LONG_S
        while time.thread_time() < end:
            pass

    (name,) = stalls_of(count)
    assert re.match(rf"count \(test_stall_watch.py:({line_of(count, 2)}|{line_of(count, 3)})\): (while|pass)", name)


def run_a_program() -> None:
    subprocess.run([sys.executable, "-c", f"import time; time.sleep({LONG_S})"], check=True)


def ask_who_never_answers(port: int) -> None:
    with pytest.raises(OSError, match="timed out"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=LONG_S)


def test_deep_in_the_standard_library_it_is_the_scripts_line() -> None:
    (name,) = stalls_of(run_a_program)
    assert name.startswith(f"run_a_program (test_stall_watch.py:{line_of(run_a_program, 1)}): subprocess.run([")


def test_a_request_of_another_library() -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        (name,) = stalls_of(lambda: ask_who_never_answers(port))
    assert name.startswith("ask_who_never_answers (test_stall_watch.py:")
    assert "urllib.request.urlopen(" in name


def test_the_longest_of_each_place_is_kept() -> None:
    with watching() as watch:
        for lasting_s in (LONG_S, 2 * LONG_S, LONG_S):
            watch.arm()
            time.sleep(lasting_s)
        watch.arm()
        ((name, stalled_ms),) = watch.lines_that_blocked.items()
    assert "time.sleep(lasting_s)" in name
    assert stalled_ms >= 2000 * LONG_S


def test_nothing_is_named_when_nothing_blocks() -> None:
    def named() -> dict[str, float]:
        with watching(StallWatch) as watch:
            watch.arm()
            for _ in range(6):
                time.sleep(STALL_S / 4)
                watch.arm()
        return watch.lines_that_blocked

    # A machine that stands still makes a step long, but not each time.
    wait_until(lambda: not named())


def test_a_process_without_a_cpu_is_not_held_against_the_script() -> None:
    assert stalls_of(lambda: time.sleep(LONG_S), Starved) == {}


def test_a_stall_at_the_very_end_is_kept() -> None:
    with watching() as watch:
        watch.arm()
        time.sleep(LONG_S)
    assert len(watch.lines_that_blocked) == 1


def test_a_script_beside_the_package_is_the_users(tmp_path: Path) -> None:
    import fastload

    script = Path(fastload.__file__).parent.with_name("fastload-scripts") / "shop.py"
    names: dict[str, Callable[[], None]] = {}
    exec(compile(f"def buy():\n    time.sleep({LONG_S})\n", str(script), "exec"), {"time": time}, names)
    assert list(stalls_of(names["buy"])) == ["buy (shop.py:2)"]


def test_the_signal_is_left_as_found() -> None:
    def mine(_number: int, _frame: object) -> None:
        raise AssertionError("it came after the end")

    for handler in (mine, signal.SIG_IGN, signal.SIG_DFL):
        before = signal.signal(signal.SIGALRM, handler)
        try:
            with watching() as watch:
                watch.arm()
                assert signal.getsignal(signal.SIGALRM) is not handler
            assert signal.getsignal(signal.SIGALRM) is handler
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        finally:
            signal.signal(signal.SIGALRM, before)
