"""Why the loop is late is told right, and the line of the script is named only when it did that."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FrameType

import pytest

import fastload
from fastload.load.recording.stall_watch import OTHER_THREAD, StallWatch
from fastload.model.judging.stalls import StallTable
from tests.conftest import wait_until

LONG_S = 0.2


class Undisturbed(StallWatch):
    """As if the process had a CPU whenever it wants one: on a busy machine nothing else can be told for sure."""

    def _run_delay_ns(self) -> int:
        return 0


class Starved(StallWatch):
    """As if the process had no CPU at all."""

    def _run_delay_ns(self) -> int:
        return time.monotonic_ns()


class Quiet(Undisturbed):
    """As if no line of the test were a script's."""

    def _on_alarm(self, number: int, _frame: FrameType | None) -> None:
        super()._on_alarm(number, None)


@contextmanager
def watching(kind: type[StallWatch] = Undisturbed, outermost: CodeType | None = None) -> Iterator[StallWatch]:
    watch = kind(outermost)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def table_of(
    block: Callable[[], object], kind: type[StallWatch] = Undisturbed, outermost: CodeType | None = None
) -> StallTable:
    """What is told when *block* runs between two turns of the loop."""
    table = StallTable()
    with watching(kind, outermost) as watch:
        watch.arm()
        block()
        watch.wake(table)
    return table


def stall_of(block: Callable[[], object], kind: type[StallWatch] = Undisturbed) -> tuple[str, str]:
    """The cause and the line of the one stall."""
    (stall,) = table_of(block, kind).stalls
    return stall


def line_of(function: Callable[[], object], offset: int) -> int:
    return function.__code__.co_firstlineno + offset


@pytest.mark.parametrize("file", ["runner.py", "control/supervisor.py", "model/frames.py", "load/worker.py"])
def test_a_line_of_fastload_is_never_named(file: str) -> None:
    """As in a process that was stopped while none of the script's code ran."""
    block = compile(f"block({LONG_S})", str(Path(fastload.__file__).parent / file), "eval")
    _, line = stall_of(lambda: eval(block, {"block": time.sleep}))
    assert Path(file).name not in line, line


def test_the_command_is_never_named() -> None:
    """The file that pip makes for it lies in no package."""
    block = compile(f"block({LONG_S})", str(Path(sys.executable).parent / "fastload"), "eval")
    _, line = stall_of(lambda: eval(block, {"block": time.sleep}))
    assert "(fastload:" not in line, line


def test_callers_of_the_worker_are_never_named() -> None:
    """A program that calls fl.run is below all the frames of a worker, and does nothing there."""

    def run_worker() -> None:
        exec(
            compile(f"block({LONG_S})", str(Path(fastload.__file__).parent / "worker.py"), "exec"),
            {"block": time.sleep},
        )

    table = table_of(run_worker, Undisturbed, run_worker.__code__)
    assert [line for _, line in table.stalls] == [""]


def test_sleep() -> None:
    def think() -> None:
        time.sleep(LONG_S)

    table = table_of(think)
    ((cause, line), stall), *_ = table.stalls.items()
    assert (cause, line) == ("blocked", f"think (test_stall_watch.py:{line_of(think, 1)}): time.sleep(LONG_S)")
    assert 1e6 * (LONG_S - 0.011) <= stall.total_us == stall.longest_us < 10_000_000
    assert table.watched_us >= 1e6 * LONG_S
    assert sum(table.late_us.values()) == stall.total_us


def test_a_busy_loop() -> None:
    def count() -> None:
        end = time.thread_time() + LONG_S
        while time.thread_time() < end:
            pass

    found: list[tuple[str, str]] = []

    def has_ran() -> bool:
        found.append(stall_of(count, StallWatch))
        return found[-1][0] != "starved"

    with preferred():
        wait_until(has_ran)
    cause, name = found[-1]
    assert cause == "busy"
    assert re.match(rf"count \(test_stall_watch.py:({line_of(count, 2)}|{line_of(count, 3)})\): (while|pass)", name)


@contextmanager
def preferred() -> Iterator[None]:
    """This process before all others: on a busy machine it would wait for a CPU for longer than it runs."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def run_a_program() -> None:
    subprocess.run([sys.executable, "-c", f"import time; time.sleep({LONG_S})"], check=True)


def ask_who_never_answers(port: int) -> None:
    with pytest.raises(OSError, match="timed out"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=LONG_S)


def test_many_short_calls_are_not_a_long_one() -> None:
    """At full speed the script is found at any moment, and no line of it holds up the loop."""

    def visit() -> None:
        sum(range(500))

    def run_worker() -> None:
        end_s = time.monotonic() + LONG_S
        while time.monotonic() < end_s:
            visit()

    table = table_of(run_worker, StallWatch, run_worker.__code__)
    assert [line for _, line in table.stalls] == [""]


def test_deep_in_the_standard_library_it_is_the_scripts_line() -> None:
    cause, name = stall_of(run_a_program)
    assert cause == "blocked"
    assert name.startswith(f"run_a_program (test_stall_watch.py:{line_of(run_a_program, 1)}): subprocess.run([")


def test_a_request_of_another_library() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        _, name = stall_of(lambda: ask_who_never_answers(port))
    assert name.startswith("ask_who_never_answers (test_stall_watch.py:")
    assert "urllib.request.urlopen(" in name


def test_who_has_no_cpu_is_not_to_blame() -> None:
    assert stall_of(lambda: time.sleep(LONG_S), Starved) == ("starved", "")


def test_a_short_sleep_of_the_script_is_named_and_is_no_stall() -> None:
    """A busy machine may make a stall of it, but not each time."""

    def nap() -> None:
        time.sleep(0.02)

    def is_short() -> bool:
        table = table_of(nap)
        assert ("blocked", f"nap (test_stall_watch.py:{line_of(nap, 1)}): time.sleep(0.02)") in table.stalls
        return not table.stalled_us

    wait_until(is_short)
    assert table_of(lambda: None).late_us == {}


def in_a_process_that_is_stopped(code: str, tmp_path: Path) -> list[str]:
    """Stop a process while it is in *code*, and return what its watch tells: cause and line of each stall."""
    program = tmp_path / "watched.py"
    program.write_text(
        "import sys, time, select\n"
        "from fastload.load.recording.stall_watch import StallWatch\n"
        "from fastload.model.judging.stalls import StallTable\n"
        "def work():\n"
        f"    {code}\n"
        "watch, table = StallWatch(), StallTable()\n"
        "watch.start()\n"
        "watch.arm()\n"
        "print('ready', flush=True)\n"
        "work()\n"
        "watch.wake(table)\n"
        "watch.stop()\n"
        "for cause, line in table.stalls: print(cause, line, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdin
    assert process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        stopped_s = time.monotonic()
        wait_until(lambda: time.monotonic() > stopped_s + 0.3)
        os.kill(process.pid, signal.SIGCONT)
        return process.communicate("go on\n", timeout=10)[0].splitlines()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize(
    "code", ["sys.stdin.readline()", "select.select([0], [], [])", "while not select.select([0], [], [], 0)[0]: pass"]
)
def test_a_stopped_process_is_not_the_scripts_fault(code: str, tmp_path: Path) -> None:
    (told,) = in_a_process_that_is_stopped(code, tmp_path)
    assert told.strip() == "stopped"


def test_a_script_beside_the_package_is_the_users() -> None:
    script = Path(fastload.__file__).parent.with_name("fastload-scripts") / "shop.py"
    names: dict[str, Callable[[], None]] = {}
    exec(compile(f"def buy():\n    time.sleep({LONG_S})\n", str(script), "exec"), {"time": time}, names)
    assert stall_of(names["buy"]) == ("blocked", "buy (shop.py:2)")


def test_the_stalls_of_each_line_are_added() -> None:
    table = StallTable()
    with watching() as watch:
        for lasting_s in (LONG_S / 2, LONG_S, LONG_S / 2):
            watch.arm()
            time.sleep(lasting_s)
            watch.wake(table)
    ((_, name), stall), *others = table.stalls.items()
    assert not others
    assert "time.sleep(lasting_s)" in name
    assert stall.count == 3
    assert stall.longest_us < stall.total_us / 1.5


def test_two_turns_in_time_name_nothing() -> None:
    table = StallTable()
    with watching() as watch:
        for _ in range(3):
            watch.arm()
            watch.wake(table)
    assert not table.stalls


def test_the_handlers_from_before_are_there_again() -> None:
    def mine(_number: int, _frame: object) -> None:
        pass

    before = signal.signal(signal.SIGALRM, mine)
    try:
        with watching():
            assert signal.getsignal(signal.SIGALRM) is not mine
        assert signal.getsignal(signal.SIGALRM) is mine
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_without_the_kernels_account_a_stall_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object) -> int:
        raise FileNotFoundError

    monkeypatch.setattr(os, "open", refused)
    cause, line = stall_of(lambda: time.sleep(LONG_S), StallWatch)
    assert cause == "blocked"
    assert "time.sleep(LONG_S)" in line


def test_a_thread_that_holds_pythons_lock_is_to_blame() -> None:
    """The loop waits for the lock: it neither runs nor waits for a CPU, and none of its lines blocks."""
    busy = threading.Thread(target=lambda: sum(range(30_000_000)))
    wait = compile("busy.start(); busy.join()", str(Path(fastload.__file__).parent / "worker.py"), "exec")
    with preferred():
        assert stall_of(lambda: exec(wait, {"busy": busy}), Quiet) == ("busy", OTHER_THREAD)


def test_the_work_of_other_threads_is_not_the_loops() -> None:
    """A helper thread that computes does not make a sleeping loop busy."""
    busy = threading.Thread(target=lambda: sum(range(4_000_000)))
    busy.start()
    cause, _ = stall_of(lambda: time.sleep(LONG_S))
    busy.join()
    assert cause == "blocked"
