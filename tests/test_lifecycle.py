"""The life of a test: what runs around the load, and every way in which it can end, with the real command."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

import fastload as fl
from tests.conftest import Cli, Nginx, wait_until
from tests.life import Life

VISIT = """
@fl.scenario(vus=2, iterations=4)
async def visit(vu):
    await vu.get("/visit")
"""
TEARDOWN = """
@fl.teardown
async def after(vu):
    await vu.get("/teardown")
"""
WAITING = (
    """
import asyncio, fastload as fl
@fl.scenario(vus=2, duration="60s", graceful_stop="30s")
async def visit(vu):
    await vu.get("/visit")
    await vu.sleep(60)
"""
    + TEARDOWN
)


# Setup and teardown.


def test_setup_runs_once_and_its_value_is_there_for_everybody(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
seen = []

@fl.setup
async def before(vu):
    seen.append("setup")
    await vu.post("/setup")
    await vu.get("/nowhere/404", name="setup")
    return {"token": "abc", "ids": [1, (2, None)], 7: b"raw", "yes": True, "x": 0.5}

@fl.scenario(executor="per-vu-iterations", vus=4, iterations=2)
async def visit(vu):
    data = vu.setup_data
    assert data == {"token": "abc", "ids": [1, [2, None]], 7: b"raw", "yes": True, "x": 0.5}, data
    seen.append(vu.id)
    await vu.get(f"/visit/{data['token']}/{vu.id}/{'setup' in seen}", name="visit")

@fl.teardown
async def after(vu):
    await vu.get(f"/teardown/{vu.setup_data['token']}/{','.join(map(str, seen))}")
""",
        "-w",
        "2",
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.paths[:2] == ["/setup", "/nowhere/404"]
    assert done.paths[-1] == "/teardown/abc/setup"
    assert done.counts == {
        "/setup": 1,
        "/nowhere/404": 1,
        "/teardown/abc/setup": 1,
        **{f"/visit/abc/{vu}/False": 2 for vu in range(1, 5)},
    }
    assert done.metric("http_reqs")["count"] == done.metric("iterations")["count"] == 8
    assert [(one["name"], one["requests"]) for one in done.summary["endpoints"]] == [("visit", 8)]
    counts = done.summary["requests"]
    assert (counts["setup"], counts["finished"], counts["started"]) == (3, 8, len(done.paths))
    assert "3 by setup and teardown, in no metric" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("options", "body", "message", "code"),
    [
        ("", "raise ValueError('no token')", "ValueError: no token", 107),
        ("", "return {'ids': [1, {2}]}", "setup returned a value of type set at", 107),
        ("", "return vu.get('/x')", "setup returned something to await", 107),
        ("", "fl.fail('not today')", "not today", 107),
        ("", "raise SystemExit(3)", "SystemExit: 3", 107),
        ("", "raise KeyboardInterrupt", "KeyboardInterrupt", 107),
        ("", "raise asyncio.CancelledError", "CancelledError", 107),
        ("(timeout='800ms')", "await asyncio.sleep(60)", "it took longer than 0.8 s", 107),
        ("(timeout='800ms')", "time.sleep(60)", "it took longer than 0.8 s, and did not end", 107),
        ("", "os.kill(os.getpid(), 9)", "the script ended it: before (script.py:11): os.kill(os.getpid(), 9)", 107),
        ("", "os._exit(3)", "the script ended it: before (script.py:11): os._exit(3)", 107),
        ("", "subprocess.run(['kill', '-9', str(os.getpid())])", "its process was lost: killed by SIGKILL", 107),
        ("", "fl.abort('the database is down')", "the database is down", 108),
        ("", "fl.abort('')", "no reason given", 108),
        (
            "",
            "\n    async with asyncio.TaskGroup() as group:\n        group.create_task(give_up())",
            "in a group",
            108,
        ),
    ],
)
def test_without_setup_no_load_is_made_and_teardown_runs(
    life: Life, options: str, body: str, message: str, code: int
) -> None:
    done = life.run(
        f"""
import asyncio, os, subprocess, time
import fastload as fl

async def give_up():
    fl.abort("in a group")

@fl.setup{options}
async def before(vu):
    await vu.get("/setup")
    {body}

@fl.teardown
async def after(vu):
    await vu.get(f"/teardown/{{vu.setup_data}}")
"""
        + VISIT,
        "-w",
        "2",
    )
    assert done.code == code, done.stdout + done.stderr
    assert done.counts == {"/setup": 1, "/teardown/None": 1}
    assert message in done.stdout
    assert done.summary["passed"] is False
    assert done.metric("http_reqs")["count"] == 0
    assert all(worker["cpu_percent"]["series"] == [] for worker in done.summary["workers"])
    if code == 107:
        assert (done.summary["stopped_by"], done.summary["stop_reason"]) == ("error", "")
        (error,) = done.summary["hook_errors"]
        assert error["hook"] == "setup"
        assert message in error["message"]
        if body.startswith(("raise", "await", "fl.fail")):
            assert 'script.py",line' in "".join(done.stdout.split()), "a long path is folded"
            assert body in error["message"], "the user's own line"
        assert "fastload/load/" not in done.stdout
    else:
        assert (done.summary["stopped_by"], done.summary["stop_reason"]) == ("abort", message)
        assert done.summary["hook_errors"] == []


def test_a_teardown_that_raises_costs_no_result(life: Life) -> None:
    done = life.run(
        "import fastload as fl"
        + VISIT
        + """
@fl.teardown
async def after(vu):
    await vu.get("/teardown")
    raise ValueError("still locked")
"""
    )
    assert done.code == 107
    assert done.counts == {"/visit": 4, "/teardown": 1}
    assert done.metric("iterations")["count"] == 4
    assert done.summary["stopped_by"] == ""
    assert [error["hook"] for error in done.summary["hook_errors"]] == ["teardown"]
    assert "FAILED  teardown: ValueError: still locked" in done.stdout


def test_an_error_of_setup_and_one_of_teardown_are_both_told(life: Life) -> None:
    done = life.run(
        "import fastload as fl"
        + VISIT
        + """
@fl.setup
async def before(vu):
    raise ValueError("first")
@fl.teardown
async def after(vu):
    vu.setup_data["token"]
"""
    )
    assert [error["hook"] for error in done.summary["hook_errors"]] == ["setup", "teardown"]
    assert "not subscriptable" in done.stdout
    assert done.paths == []


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("--no-setup", {"/visit": 4, "/teardown": 1}),
        ("--no-teardown", {"/setup": 1, "/visit": 4}),
    ],
)
def test_setup_and_teardown_can_be_left_out(life: Life, option: str, wanted: dict[str, int]) -> None:
    script = (
        "import fastload as fl"
        + VISIT
        + TEARDOWN
        + """
@fl.setup
async def before(vu):
    await vu.get("/setup")
"""
    )
    done = life.run(script, option)
    assert done.code == 0
    assert done.counts == wanted


def test_teardown_without_setup_has_no_data(life: Life) -> None:
    done = life.run(
        "import fastload as fl"
        + VISIT
        + """
@fl.teardown
async def after(vu):
    await vu.get(f"/teardown/{vu.setup_data}")
"""
    )
    assert done.code == 0
    assert done.counts == {"/visit": 4, "/teardown/None": 1}


# Ctrl-C and its like.

SETUP_THAT_WAITS = """
import asyncio, time
import fastload as fl
@fl.setup
async def before(vu):
    await vu.get("/setup")
    {wait}
"""


@pytest.mark.parametrize(
    "wait",
    [
        "await asyncio.sleep(60)",
        "time.sleep(60)",
        # It goes on as if nothing was.
        "\n    try:\n        await asyncio.sleep(60)\n    except asyncio.CancelledError:\n        return 1",
        "\n    try:\n        await asyncio.sleep(60)\n    finally:\n        raise ValueError('in a hurry')",
    ],
)
def test_ctrl_c_in_setup(life: Life, wait: str) -> None:
    life.start(SETUP_THAT_WAITS.format(wait=wait) + VISIT + TEARDOWN)
    life.wait_for("/setup")
    life.signal()
    done = life.finish()
    assert done.code == 105, done.stdout + done.stderr
    assert done.counts == {"/setup": 1, "/teardown": 1}
    assert done.summary["stopped_by"] == "interrupt"
    assert [error["hook"] for error in done.summary["hook_errors"]] == ["setup"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_in_the_load(life: Life, number: signal.Signals) -> None:
    life.start(WAITING, "-w", "2")
    life.wait_for("/visit", 2)
    life.signal(number)
    done = life.finish()
    assert done.code == 105, done.stdout + done.stderr
    assert done.counts == {"/visit": 2, "/teardown": 1}
    assert done.summary["stopped_by"] == "interrupt"
    assert done.summary["requests"]["iterations_interrupted"] == 2


def test_a_second_ctrl_c_ends_the_load_at_once_and_teardown_runs(life: Life) -> None:
    life.start(
        """
import fastload as fl

async def leave(vu):
    await vu.get("/leaving")
    await vu.sleep(3)
    await vu.get("/gone")

@fl.scenario(vus=2, duration="60s", on_stop=leave)
async def visit(vu):
    await vu.get("/visit")
    await vu.sleep(60)
"""
        + TEARDOWN,
        "-w",
        "2",
    )
    life.wait_for("/visit", 2)
    life.signal()
    life.wait_for("/leaving", 2)
    life.signal()
    done = life.finish()
    assert done.code == 105, done.stdout + done.stderr
    assert done.counts == {"/visit": 2, "/leaving": 2, "/teardown": 1}
    assert done.summary["workers"][0]["lost"] is False


@pytest.mark.parametrize("wait", ["await asyncio.sleep(60)", "time.sleep(60)"])
def test_ctrl_c_ends_teardown(life: Life, wait: str) -> None:
    life.start(
        "import asyncio, time, fastload as fl"
        + VISIT
        + f"""
@fl.teardown
async def after(vu):
    await vu.get("/teardown")
    {wait}
"""
    )
    life.wait_for("/teardown")
    life.signal()
    done = life.finish()
    assert done.code == 105, done.stdout + done.stderr
    assert done.counts == {"/visit": 4, "/teardown": 1}
    assert done.summary["hook_errors"] == [{"hook": "teardown", "message": "it was interrupted"}]
    assert done.metric("iterations")["count"] == 4


def test_ctrl_c_before_setup_means_neither_setup_nor_teardown(life: Life) -> None:
    done = life.run(
        "import os, fastload as fl"
        + VISIT
        + TEARDOWN
        + """
@fl.setup
async def before(vu):
    await vu.get("/setup")
@fl.test_start
def begins(plan):
    os.kill(os.getpid(), 2)
"""
    )
    assert done.code == 105, done.stdout + done.stderr
    assert done.paths == []
    assert (done.summary["stopped_by"], done.summary["hook_errors"]) == ("interrupt", [])


# Other ends.


def test_a_stop_by_the_library_in_setup(nginx: Nginx, tmp_path: Path) -> None:
    async def before(vu: fl.VU) -> None:
        (tmp_path / "began").touch()
        await vu.sleep(60)

    async def visit(vu: fl.VU) -> None:
        await vu.get("/")

    async def after(_: fl.VU) -> None:
        (tmp_path / "ended").touch()

    run = fl.start(visit, vus=1, iterations=1, workers=1, base_url=nginx.url, setup=before, teardown=after)
    wait_until((tmp_path / "began").exists)
    assert run.status()["phase"] == "starting"
    run.stop()
    summary = run.wait()
    assert (summary.stopped_by, summary.hook_errors) == ("control", (("setup", "it was interrupted"),))
    assert (summary.passed, summary.metrics["http_reqs"].count) == (False, 0)
    assert (tmp_path / "ended").exists()


def test_teardown_runs_after_a_worker_was_lost(life: Life) -> None:
    done = life.run(
        """
import os, fastload as fl
@fl.scenario(vus=2, iterations=4)
async def visit(vu):
    await vu.get("/visit")
    if vu.id == 1:
        os.kill(os.getpid(), 9)
"""
        + TEARDOWN,
        "-w",
        "2",
    )
    assert done.code == 97, done.stdout + done.stderr
    assert done.paths[-1] == "/teardown"
    assert done.counts["/visit"] == 3
    assert done.summary["notes"] == [
        "worker 0 failed: the script ended it: visit (script.py:7): os.kill(os.getpid(), 9)"
    ]


def test_every_worker_lost_before_the_start_means_neither_setup_nor_teardown(life: Life) -> None:
    done = life.run(
        "import os, fastload as fl"
        + VISIT
        + TEARDOWN
        + """
@fl.setup
async def before(vu):
    await vu.get("/setup")

def take_away(plan):
    import psutil, time
    workers = psutil.Process().children()[:2]
    for one in workers:
        one.kill()
    while any(one.status() != psutil.STATUS_ZOMBIE for one in workers):
        time.sleep(0.01)

fl.test_start(take_away)
""",
        "-w",
        "2",
    )
    assert done.code == 97, done.stdout + done.stderr
    assert done.paths == []


def test_abort_ends_all_workers_at_once(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
@fl.scenario(vus=4, duration="60s")
async def visit(vu):
    await vu.get(f"/visit/{vu.id}")
    if vu.id == 1:
        await vu.sleep(0.3)
        try:
            fl.abort("the queue is full")
        except Exception:
            await vu.get("/never")
    await vu.sleep(60)
"""
        + TEARDOWN,
        "-w",
        "2",
    )
    assert done.code == 108, done.stdout + done.stderr
    assert (done.summary["stopped_by"], done.summary["stop_reason"]) == ("abort", "the queue is full")
    assert "by the script: the queue is full" in " ".join(done.stdout.split())
    assert done.counts == {**{f"/visit/{vu}": 1 for vu in range(1, 5)}, "/teardown": 1}
    assert done.summary["requests"]["iterations_interrupted"] == 4
    assert done.summary["passed"] is False


def test_a_threshold_can_end_the_run(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
@fl.scenario(vus=1, duration="60s", thresholds={"http_reqs": "count<3 abort"})
async def visit(vu):
    await vu.get("/visit")
    await vu.sleep(0.05)
"""
        + TEARDOWN
    )
    assert done.code == 99, done.stdout + done.stderr
    assert (done.summary["stopped_by"], done.summary["stop_reason"]) == ("threshold", "http_reqs: count<3 abort")
    assert "by a threshold: http_reqs: count<3" in " ".join(done.stdout.split())
    assert done.paths[-1] == "/teardown"


def test_paused_without_anybody_to_resume_is_refused(life: Life) -> None:
    done = life.run("import fastload as fl" + VISIT + TEARDOWN, "--paused")
    assert done.code == 104
    assert "nobody could resume it" in done.stderr
    assert "--control" in done.stderr
    assert done.paths == []


# In the parent.

AROUND = (
    """
import sys
import fastload as fl
calls = []

@fl.test_start
def begins(plan):
    calls.append(f"start {plan.scenarios[0].name}")
    print("printed at the start")

@fl.handle_summary
def report(summary):
    calls.append("summary")
    print("printed for the summary")
    count = summary.metrics["iterations"].count
    return {"stdout": f"made {count:.0f}\\n", "stderr": "psst\\n", "report.txt": "text", "report.bin": b"\\x00\\xff"}

@fl.test_stop
def ends(summary):
    print("printed at the stop")
    with open("calls.txt", "w") as file:
        print(*calls, f"stop {summary.passed}", sep="\\n", file=file)
"""
    + VISIT
)


def test_functions_around_the_test_are_called_once_and_in_order(life: Life) -> None:
    done = life.run(AROUND)
    assert done.code == 0, done.stdout + done.stderr
    assert (life.folder / "calls.txt").read_text().splitlines() == ["start visit", "summary", "stop True"]
    assert done.stdout.splitlines() == [
        "printed at the start",
        "printed for the summary",
        "made 4",
        "printed at the stop",
    ]
    assert done.stderr == "psst\n"
    assert (life.folder / "report.txt").read_text() == "text"
    assert (life.folder / "report.bin").read_bytes() == b"\x00\xff"


def test_with_json_what_they_print_goes_to_stderr(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(AROUND)
    done = cli("run", "script.py", "--json", "--base-url", nginx.url)
    assert json.loads(done.stdout)["metrics"]["iterations"]["count"] == 4
    for said in ("printed at the start", "printed for the summary", "made 4", "psst", "printed at the stop"):
        assert said in done.stderr


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("test_stop", "raise ValueError('late')", "ValueError: late"),
        ("handle_summary", "raise ValueError('no report')", "ValueError: no report"),
        ("handle_summary", "raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("handle_summary", "return 7", "handle_summary returned int"),
        ("handle_summary", "return {'report.txt': 7}", "handle_summary returned int for 'report.txt'"),
    ],
)
def test_an_error_in_them_costs_no_result(life: Life, kind: str, body: str, message: str) -> None:
    done = life.run(f"import fastload as fl\n@fl.{kind}\ndef hook(given):\n    {body}\n" + VISIT)
    assert done.code == 107, done.stdout + done.stderr
    assert done.metric("iterations")["count"] == 4
    assert message in done.stdout + done.stderr
    assert "iterations" in done.stdout, "fastload's own report"
    assert "fastload/around_test.py" not in done.stdout + done.stderr


def test_a_test_start_that_raises_means_no_load_and_no_setup(life: Life) -> None:
    done = life.run(
        "import fastload as fl"
        + VISIT
        + TEARDOWN
        + """
@fl.setup
async def before(vu):
    await vu.get("/setup")
@fl.test_start
def begins(plan):
    raise ValueError("not on a Friday")
@fl.test_stop
def ends(summary):
    print("stopped by", summary.stopped_by)
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    assert done.paths == []
    assert done.summary["hook_errors"][0]["hook"] == "test_start"
    assert "not on a Friday" in done.stdout
    assert "stopped by error" in done.stdout


def test_a_file_that_cannot_be_written_is_said_and_the_others_are(life: Life) -> None:
    done = life.run(
        "import fastload as fl\n@fl.handle_summary\ndef report(summary):\n"
        "    return {'stdout': 'mine', 'a.txt': 'a', 'no/where.txt': 'b', 'c.txt': 'c'}\n" + VISIT
    )
    assert done.code == 104, done.stdout + done.stderr
    assert done.stdout == "mine\n"
    assert "no/where.txt" in done.stderr
    assert (life.folder / "a.txt").read_text() == "a"
    assert (life.folder / "c.txt").read_text() == "c"
    assert done.metric("iterations")["count"] == 4
