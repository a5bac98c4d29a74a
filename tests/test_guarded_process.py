"""Scripts that end, cancel or close what is not theirs: nothing measured is lost, or the line that did it is named."""

from __future__ import annotations

import pytest

from tests.life import Life, Outcome

HEAD = "import asyncio, ctypes, os, signal, socket, sys, threading\nimport fastload as fl\n"
LINE = 8


def run(life: Life, line: str, *args: str) -> Outcome:
    """A run in which one iteration of ten runs *line*."""
    return life.run(
        f"""{HEAD}
@fl.scenario(vus=2, iterations=10)
async def visit(vu):
    await vu.get("/visit")
    if vu.iteration_in_test == 4:
        {line}
    await vu.get("/second")
""",
        *args,
    )


HARMLESS = {
    "stop": "asyncio.get_running_loop().stop()",
    "SIGTERM": "signal.signal(signal.SIGTERM, lambda *_: None)",
    "own SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "chdir": "os.chdir('/')",
    "fork": "os.fork()",
    "fork that exits": "os.fork() or os._exit(3)",
    "default time-out": "socket.setdefaulttimeout(0.0001)",
    "no stdout": "sys.stdout = sys.stderr = None; print('lost')",
    "closerange": "os.closerange(0, 64)",
    "close": "[os.close(fd) for fd in range(64) if os.path.exists(f'/dev/fd/{fd}')]",
    "its own descriptor": "fd = os.open('/', os.O_RDONLY); os.close(fd); assert not os.path.exists(f'/dev/fd/{fd}')",
}


@pytest.mark.parametrize("line", HARMLESS.values(), ids=HARMLESS)
def test_it_changes_nothing_of_the_run(life: Life, line: str) -> None:
    done = run(life, line)
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {"/visit": 10, "/second": 10}
    assert done.metric("http_reqs")["count"] == 20
    assert done.metric("iterations")["count"] == 10
    assert done.summary["exceptions"] == []


def test_only_iterations_are_cancelled_with_all_tasks(life: Life) -> None:
    done = run(life, "[task.cancel() for task in asyncio.all_tasks()]")
    assert done.code == 0, done.stdout + done.stderr
    requests = done.summary["requests"]
    assert requests["started"] == requests["finished"] + requests["failed"] + requests["interrupted"]
    assert done.metric("iterations")["count"] + done.metric("iterations_failed")["count"] == 10
    assert {one["kind"] for one in done.summary["exceptions"]} == {"CancelledError"}


def test_closing_the_loop_fails_the_iteration(life: Life) -> None:
    done = run(life, "asyncio.get_running_loop().close()")
    assert done.code == 0, done.stdout + done.stderr
    assert done.metric("iterations")["count"] == 9
    assert [(one["kind"], one["count"]) for one in done.summary["exceptions"]] == [("RuntimeError", 1)]


ENDS = {
    "os._exit": "os._exit(0)",
    "os.kill": "os.kill(os.getpid(), 9)",
    "os.abort": "os.abort()",
    "raise_signal": "signal.raise_signal(signal.SIGUSR1)",
    "a thread": "threading.Thread(target=lambda: os._exit(7)).start(); await asyncio.sleep(30)",
}


@pytest.mark.parametrize("line", ENDS.values(), ids=ENDS)
def test_what_ends_a_worker_is_named_and_what_it_measured_counts(life: Life, line: str) -> None:
    done = run(life, line, "-w", "1")
    assert done.code == 97, done.stdout + done.stderr
    (note,) = done.summary["notes"]
    assert note.startswith("worker 0 failed: the script ended it: ")
    assert f"(script.py:{LINE}): {line}" in note
    # What was answered before, to the last request.
    requests = done.summary["requests"]
    assert requests["finished"] >= 9
    assert requests["started"] == requests["finished"] + requests["lost"]
    assert len(done.paths) == requests["finished"] or requests["lost"]


@pytest.mark.parametrize("hook", ["setup", "teardown"])
def test_what_ends_the_process_of_setup_and_teardown_is_named(life: Life, hook: str) -> None:
    done = life.run(
        f"""{HEAD}
@fl.{hook}
async def around(vu):
    await vu.get("/around")
    os._exit(3)
@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    await vu.get("/visit")
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    (error,) = done.summary["hook_errors"]
    assert error["message"] == "the script ended it: around (script.py:7): os._exit(3)"
    assert done.summary["requests"]["setup"] == 1


def test_a_crash_in_c_shows_the_line(life: Life) -> None:
    done = run(life, "ctypes.string_at(0)")
    assert done.code == 97
    assert 'script.py", line 8 in visit' in done.stderr
