"""Nothing is left behind, however a target or the process that started it ends."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from fastload.model.errors import TargetError
from fastload.targets import find_target, running, target_names
from tests.targets.events import Client, make_batch, make_event

ROOT = Path(__file__).parents[2]
HOLDER = """
import time
from fastload.targets import running
with running("sequencer", workers=2) as target:
    print(target.port, *target.pids, flush=True)
    time.sleep(60)
"""
HOLDER_KILLED_AT_THE_END = """
import os, signal, sys
from fastload.targets import running
def press(frame, event, _):
    if event == "call" and frame.f_code.co_name == "rmtree":
        os.kill(os.getpid(), signal.SIGKILL)
with running("sequencer", workers=2) as target:
    print(target.port, *target.pids, flush=True)
    sys.setprofile(press)
"""
FORKING_HOLDER = """
import os, time
from fastload.targets import running
with running("sequencer", workers=2) as target:
    child = os.fork()
    if child:
        print(child, target.port, *target.pids, flush=True)
    time.sleep(60)
"""
SERVER = """
from fastload.targets import serve
serve("sequencer", port=0, announce=lambda line: print(line, flush=True))
print("ended", flush=True)
"""


def wait_for(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def script_process(script: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_nothing_left(port: int, pids: tuple[int, ...], temporary: Path) -> None:
    wait_for(lambda: not any(map(is_alive, pids)))
    assert not accepts(port)
    wait_for(lambda: not list(temporary.iterdir()))


def test_stop_leaves_nothing(temporary: Path) -> None:
    with running("sequencer", workers=2) as target:
        pids = target.pids
        assert all(map(is_alive, pids))
        assert list(temporary.iterdir())
        with Client(target.port) as client:
            assert client.ingest(make_batch(make_event())).status == 200
            target.stop()
        target.stop()
    assert_nothing_left(target.port, pids, temporary)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_stops_it(temporary: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), running("sequencer") as target:
        raise error
    assert_nothing_left(target.port, target.pids, temporary)


@pytest.mark.parametrize("function", ["terminate", "wait", "rmtree"])
def test_ctrl_c_while_it_stops_leaves_nothing(temporary: Path, function: str) -> None:
    def press(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == function:
            sys.setprofile(None)
            raise KeyboardInterrupt

    target = None
    try:
        with pytest.raises(KeyboardInterrupt), running("sequencer", workers=2) as target:
            sys.setprofile(press)
    finally:
        sys.setprofile(None)
    assert target is not None
    assert_nothing_left(target.port, target.pids, temporary)


def test_a_forked_child_that_leaves_the_block_does_not_stop_it() -> None:
    with running("sequencer") as target:
        child = os.fork()
        if not child:
            target.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        with Client(target.port) as client:
            assert client.get("/health").status == 200


def test_processes_are_in_their_own_sessions() -> None:
    with running("sequencer", workers=2) as target:
        assert [os.getsid(pid) for pid in target.pids] == list(target.pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_takes_it_along(temporary: Path, number: signal.Signals) -> None:
    with script_process(HOLDER) as parent:
        assert parent.stdout is not None
        port, *pids = map(int, parent.stdout.readline().split())
        assert accepts(port)
        parent.send_signal(number)
        parent.wait(10)
    assert_nothing_left(port, tuple(pids), temporary)


def test_a_parent_that_is_killed_before_it_deletes_leaves_nothing(temporary: Path) -> None:
    with script_process(HOLDER_KILLED_AT_THE_END) as parent:
        assert parent.stdout is not None
        port, *pids = map(int, parent.stdout.readline().split())
        assert parent.wait(20) == -signal.SIGKILL
    assert_nothing_left(port, tuple(pids), temporary)


def test_a_killed_parent_takes_it_along_although_a_child_keeps_the_pipe(temporary: Path) -> None:
    with script_process(FORKING_HOLDER) as parent:
        assert parent.stdout is not None
        child, port, *pids = map(int, parent.stdout.readline().split())
        try:
            parent.kill()
            parent.wait(10)
            assert_nothing_left(port, tuple(pids), temporary)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_gracefully_on_a_signal(temporary: Path, number: signal.Signals) -> None:
    with script_process(SERVER) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("sequencer on http://127.0.0.1:")
        port = int(line.split(":")[2].split()[0])
        pid = int(line.rstrip(")\n").split()[-1])
        server.send_signal(number)
        assert server.stdout.readline() == "ended\n"
        assert server.wait(10) == 0
    assert_nothing_left(port, (pid,), temporary)


def test_a_server_may_have_as_many_connections_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(500, hard), hard))
    try:
        with running("score") as target:
            assert resource.prlimit(target.pids[0], resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_lost_process_is_noticed(temporary: Path) -> None:
    with running("sequencer", workers=2) as target:
        target.check()
        os.kill(target.pids[1], signal.SIGKILL)

        def is_noticed() -> bool:
            try:
                target.check()
            except TargetError as error:
                return f"process {target.pids[1]} exited with -9" in error.message
            return False

        wait_for(is_noticed)
    assert_nothing_left(target.port, target.pids, temporary)


def test_port_in_use(temporary: Path) -> None:
    with running("sequencer") as first:
        with (
            pytest.raises(TargetError, match=f"port {first.port} is in use by .*pid {first.pids[0]}") as caught,
            running("sequencer", port=first.port, workers=2),
        ):
            pass
        assert "another port" in caught.value.hint
        assert len(list(temporary.iterdir())) == 1


def test_registry() -> None:
    assert "sequencer" in target_names()
    assert "POST /api/v1/ves/events/ingest" in find_target("sequencer").description
    with pytest.raises(TargetError) as caught:
        find_target("sequenser")
    assert caught.value.hint == "did you mean 'sequencer'?"
