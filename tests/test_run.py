"""`fastload run` and `fl.run` end to end: scripts, load models, bad scripts, notebooks, user metrics."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

import fastload as fl
from fastload.targets import RunningTarget
from tests.conftest import REPO, Cli, Nginx

GET = """
import fastload as fl

my_ms = fl.Trend("my_duration", unit="ms")
sizes = fl.Trend("my_size", unit="bytes")
hits = fl.Counter("hits")
good = fl.Rate("good")
depth = fl.Gauge("depth")


@fl.scenario
async def visit(vu: fl.VU) -> None:
    reply = await vu.get("/json", name="json")
    my_ms.add(reply.duration_ms)
    sizes.add(len(reply.body))
    hits.add(2)
    good.add(reply.json()["name"] == "fastload")
    depth.add(vu.iteration)
    vu.check(reply, {"status is 200": reply.status == 200, "is json": lambda r: r.json() is not None})
"""


def write_script(folder: Path, text: str) -> None:
    (folder / "script.py").write_text(text)


def summary_of(cli: Cli, *args: str, code: int = 0, **env: str) -> dict[str, Any]:
    done = cli("run", "script.py", *args, "--json", "-q", **env)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_iterations_are_exact_and_metrics_arrive(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(tmp_path, GET)
    before = nginx.wait_requests(0)
    summary = summary_of(cli, "-u", "7", "-i", "100", "-w", "3", "--base-url", nginx.url)
    metrics = summary["metrics"]
    assert metrics["iterations"]["count"] == metrics["http_reqs"]["count"] == 100
    assert metrics["my_duration"]["count"] == 100
    assert metrics["my_duration"]["max"] == pytest.approx(metrics["http_req_duration"]["max"], rel=0.002)
    assert metrics["my_size"]["avg"] == 20
    assert metrics["hits"]["count"] == 200
    assert metrics["good"] == {"rate": 1, "passes": 100, "fails": 0}
    assert metrics["depth"]["max"] > 0
    assert metrics["checks"] == {"rate": 1, "passes": 200, "fails": 0}
    assert {check["name"]: check["passes"] for check in summary["checks"]} == {"status is 200": 100, "is json": 100}
    assert [(item["name"], item["method"], item["requests"]) for item in summary["endpoints"]] == [("json", "GET", 100)]
    assert nginx.wait_requests(before + 100) - before == 100


def test_vu_ids_are_unique_over_workers(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(
        tmp_path,
        """
import fastload as fl
@fl.scenario(vus=6, duration="500ms")
async def visit(vu: fl.VU) -> None:
    await vu.get(f"/json?vu={vu.id}", name=f"vu {vu.id}")
    await vu.sleep(0.01, 0.02)
""",
    )
    summary = summary_of(cli, "-w", "3", "--base-url", nginx.url)
    assert {item["name"] for item in summary["endpoints"]} == {f"vu {number}" for number in range(1, 7)}
    assert summary["metrics"]["vus"]["max"] == 6


def test_stages_of_the_script_and_of_the_command_line(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(
        tmp_path,
        """
import fastload as fl
@fl.scenario(
    stages=["500ms:3", "600ms:3", "0s:0"],
    thresholds={"iterations": "count>0", "http_req_failed": "rate<0.01"},
)
async def visit(vu: fl.VU) -> None:
    await vu.get("/")
    await vu.sleep(0.05)
""",
    )
    summary = summary_of(cli, "-w", "1", "--base-url", nginx.url)
    assert summary["plan"]["scenarios"][0]["executor"] == "ramping-vus"
    assert 1.1 <= summary["duration_s"] < 6
    assert [result["ok"] for result in summary["thresholds"]] == [True, True]
    assert summary["metrics"]["vus"]["max"] == 3
    replaced = summary_of(cli, "-u", "2", "-d", "300ms", "--base-url", nginx.url)
    assert replaced["plan"]["scenarios"][0]["executor"] == "constant-vus"
    assert replaced["plan"]["scenarios"][0]["vus"] == 2


def test_constant_arrival_rate(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(tmp_path, GET)
    summary = summary_of(cli, "-r", "100/s", "-d", "1s", "-w", "2", "--base-url", nginx.url)
    assert summary["metrics"]["iterations"]["count"] == 100
    assert summary["metrics"]["http_req_response_time"]["count"] == 100
    assert summary["plan"]["scenarios"][0]["model"] == "open"


def test_a_duration_or_rate_on_the_command_line_keeps_the_rest_of_the_script(
    cli: Cli, nginx: Nginx, tmp_path: Path
) -> None:
    write_script(
        tmp_path,
        """
import fastload as fl
@fl.scenario(rate=100, duration="30s", max_vus=7)
async def visit(vu: fl.VU) -> None:
    await vu.get("/")
""",
    )
    (shorter,) = summary_of(cli, "-d", "300ms", "--base-url", nginx.url)["plan"]["scenarios"]
    assert (shorter["rate_per_s"], shorter["duration_s"], shorter["max_vus"]) == (100, 0.3, 7)
    (fewer,) = summary_of(cli, "-i", "3", "--base-url", nginx.url)["plan"]["scenarios"]
    assert (fewer["executor"], fewer["iterations"]) == ("shared-iterations", 3)


def test_rates_count_what_ended_in_time(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    """Iterations that go on after the end are counted, but a rate per second leaves them out."""
    write_script(
        tmp_path,
        """
import fastload as fl
@fl.scenario
async def visit(vu: fl.VU) -> None:
    await vu.sleep(0.8)
    await vu.get("/")
""",
    )
    metrics = summary_of(cli, "-u", "4", "-d", "500ms", "-w", "1", "--base-url", nginx.url)["metrics"]
    assert metrics["http_reqs"] == {"count": 4, "rate": 0}
    assert metrics["iterations"] == {"count": 4, "rate": 0}


def test_short_runs_know_how_hard_the_workers_worked(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(tmp_path, GET)
    (worker,) = summary_of(cli, "-u", "4", "-d", "300ms", "-w", "1", "--base-url", nginx.url)["workers"]
    assert worker["cpu_percent"]["mean"] > 0
    assert worker["rss_bytes"] > 10_000_000
    # What it used to get ready is not the run's: a run of nothing but a pause uses next to none.
    write_script(
        tmp_path,
        """
import fastload as fl
@fl.scenario
async def wait(vu: fl.VU) -> None:
    await vu.sleep(0.3)
""",
    )
    (worker,) = summary_of(cli, "-i", "1", "-w", "1")["workers"]
    assert worker["cpu_percent"]["mean"] < 50


def test_starts_left_in_line_are_dropped_and_said(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(
        tmp_path,
        """
import fastload as fl
@fl.scenario
async def visit(vu: fl.VU) -> None:
    await vu.sleep(0.3)
    await vu.get("/")
""",
    )
    summary = summary_of(cli, "-r", "100", "-d", "600ms", "--max-vus", "2", "-w", "1", "--base-url", nginx.url)
    metrics = summary["metrics"]
    assert metrics["iterations"]["count"] + metrics["dropped_iterations"]["count"] == 60
    assert metrics["dropped_iterations"]["count"] > 50
    assert summary["verdict"]["state"] != "VALID"


def test_env_reaches_the_script_and_the_vus(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(
        tmp_path,
        """
import os
import fastload as fl
at_import = os.environ["WHO"]
@fl.scenario
async def visit(vu: fl.VU) -> None:
    await vu.get("/", name=f"{at_import} {vu.env['WHO']} {os.environ['WHO']}")
""",
    )
    summary = summary_of(cli, "-e", "WHO=me=you", "--base-url", nginx.url)
    assert summary["endpoints"][0]["name"] == "me=you me=you me=you"
    assert summary["plan"]["env"] == ["WHO"]


def test_the_shipped_scenario_against_the_shipped_target(cli: Cli) -> None:
    done = cli("run", str(REPO / "scenarios" / "ingest.py"), "--target", "sequencer", "-u", "2", "-i", "20")
    assert "✓ status is 200" in done.stdout, done.stdout + done.stderr
    assert "events_ingested" in done.stdout
    assert "2,000" in done.stdout
    assert done.returncode in (0, 99), done.stderr


def test_every_iteration_that_raises_is_shown_and_exits_107(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(
        tmp_path,
        """
import fastload as fl
@fl.scenario
async def visit(vu: fl.VU) -> None:
    await vu.get("/")
    raise ValueError("my own mistake")
""",
    )
    done = cli("run", "script.py", "-u", "2", "-i", "10", "--base-url", nginx.url)
    assert done.returncode == 107, done.stderr
    assert "my own mistake" in done.stdout
    assert 'script.py",line6' in "".join(done.stdout.split()), "a long path is folded"
    assert "load/executors/slot_pool.py" not in done.stdout


def test_a_blocking_call_makes_the_verdict_invalid(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(
        tmp_path,
        """
import time
import fastload as fl
@fl.scenario
async def visit(vu: fl.VU) -> None:
    await vu.get("/")
    time.sleep(0.15)
""",
    )
    summary = summary_of(cli, "-u", "2", "-i", "6", "-w", "1", "--base-url", nginx.url)
    assert summary["verdict"]["state"] == "INVALID"
    assert any("time.sleep(0.15)" in reason for reason in summary["verdict"]["reasons"])
    summary_of(cli, "-u", "2", "-i", "6", "-w", "1", "--base-url", nginx.url, "--strict", code=96)


def test_leaving_the_process_is_recorded_as_what_it_is(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(
        tmp_path,
        """
import sys
import fastload as fl
@fl.scenario
async def visit(vu: fl.VU) -> None:
    await vu.get("/")
    sys.exit(3)
""",
    )
    summary = summary_of(cli, "-u", "2", "-i", "4", "-w", "1", "--base-url", nginx.url, code=107)
    assert [(item["kind"], item["count"]) for item in summary["exceptions"]] == [("SystemExit", 4)]


def test_prints_of_a_script_never_mix_with_the_json(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(
        tmp_path,
        """
import fastload as fl
@fl.scenario
async def visit(vu: fl.VU) -> None:
    await vu.get("/")
    print("hello from the script")
""",
    )
    done = cli("run", "script.py", "-i", "2", "--base-url", nginx.url, "--json")
    json.loads(done.stdout)
    assert done.stderr.count("hello from the script") == 2


@pytest.mark.parametrize(
    ("script", "args", "message", "hint"),
    [
        ("import fastlaod", [], "No module named 'fastlaod'", "nothing was sent"),
        ("def f(:", [], "SyntaxError", "nothing was sent"),
        ("x = 1\n\ny = x / 0", [], 'script.py", line 3', "nothing was sent"),
        ("import sys\nsys.exit(3)", [], "SystemExit", "nothing was sent"),
        ("x = 1", [], "declares no scenario", "@fl.scenario"),
        ("async def visit(vu): ...", [], "declares no scenario", "put @fl.scenario above 'async def visit'"),
        (
            "import fastload as fl\n@fl.scenario\ndef visit(vu): ...",
            [],
            "visit (script.py:2) is not async",
            "async def visit",
        ),
        (
            "import fastload as fl\n@fl.scenario\nasync def visit(): ...",
            [],
            "cannot be called with the VU",
            "async def",
        ),
        (
            "import fastload as fl\n@fl.scenario(duration='10')\nasync def visit(vu): ...",
            [],
            "'10' is not a duration",
            "10s",
        ),
        (
            "import fastload as fl\n@fl.scenario(thresholds={'http_req_durations': 'avg<5'})\nasync def visit(vu): ...",
            [],
            "no metric of that name",
            "http_req_duration",
        ),
        ("import fastload as fl\nfl.Trend('http_reqs')", [], "is a built-in metric", "name of its own"),
        ("import fastload as fl\nfl.Trend('a b')", [], "metric name 'a b'", "letters"),
        (GET, ["--scenario", "vist"], "no scenario 'vist'", "visit"),
        ("import fastload as fl\n@fl.scenario(threshold={})\nasync def v(vu): ...", [], "'threshold'", "'thresholds'?"),
        (GET, ["-d", "10"], "'10' is not a duration", "10s"),
        (GET, ["-s", "10"], "not DURATION:VUS", "30s:10"),
        (GET, ["-s", "10s:3", "-i", "5"], "exclude each other", "stages"),
        (GET, ["-u", "1", "-w", "2", "-d", "1s"], "1 VU cannot be shared by 2 workers", "2 VUs"),
        (GET, ["-u", "0"], "vus 0 is below 1", "at least 1"),
        (GET, ["-i", "0"], "iterations 0 is below 1", "at least 1"),
        (GET, ["-e", "FOO"], "'FOO' is not NAME=VALUE", "API_KEY=secret"),
        (GET, ["--base-url", "localhost"], "no http:// or https:// scheme", "http://localhost"),
        (GET, ["--target", "sequenser"], "sequenser", "sequencer"),
        (GET, ["--vsu", "3"], "--vsu", "--help"),
        (GET, ["--summary", "none/x.json"], "none/x.json", "mkdir"),
        (GET, ["--threshold", "p(95)<5"], "has no metric", "METRIC: EXPRESSION"),
        (GET, ["--watch", "nosuchprocess"], "nosuchprocess", ""),
        (GET, ["-r", "fast"], "'fast' is not a rate", "1k/s"),
    ],
)
def test_bad_input_is_one_clear_error_before_the_first_request(
    cli: Cli, nginx: Nginx, tmp_path: Path, script: str, args: list[str], message: str, hint: str
) -> None:
    write_script(tmp_path, script)
    before = nginx.wait_requests(0)
    base = [] if {"--base-url", "--target"} & set(args) else ["--base-url", nginx.url]
    done = cli("run", "script.py", *base, *args)
    assert done.returncode == 104, done.stdout + done.stderr
    error, _, hinted = done.stderr.partition("Hint:")
    assert error.startswith("Error: ")
    assert message in error
    assert hint in hinted + error
    assert "fastload/" not in done.stderr.replace("fastload/1", ""), "only the user's own lines"
    assert nginx.wait_requests(before) == before


def test_a_missing_script_suggests_its_neighbour(cli: Cli, tmp_path: Path) -> None:
    write_script(tmp_path, GET)
    done = cli("run", "scirpt.py")
    assert done.returncode == 104
    assert "did you mean 'script.py'?" in done.stderr


async def visit(vu: fl.VU) -> None:
    reply = await vu.get("/json")
    vu.check(reply, {"found": reply.status == 200})


def test_the_library_in_a_plain_script(nginx: Nginx) -> None:
    summary = fl.run(
        visit, vus=4, iterations=40, base_url=nginx.url, workers=2, thresholds={"http_req_duration": "p(95)<5000"}
    )
    assert summary.passed
    assert summary.metrics["http_req_duration"].p(95) > 0  # type: ignore[operator]
    assert summary.metrics["http_reqs"].count == 40
    assert summary.verdict.state in ("VALID", "SUSPECT", "INVALID")
    assert summary.to_dict()["version"] == 1
    assert summary.checks[0].passes == 40
    json.dumps(summary.to_dict())


def test_the_library_where_an_event_loop_runs_as_in_a_notebook(nginx: Nginx) -> None:
    async def cell() -> fl.Summary:
        return fl.run(visit, vus=2, iterations=10, base_url=nginx.url, workers=1)

    assert asyncio.run(cell()).metrics["http_reqs"].count == 10


def test_the_library_outside_the_main_thread(nginx: Nginx) -> None:
    found: list[fl.Summary] = []
    thread = threading.Thread(
        target=lambda: found.append(fl.run(visit, vus=2, iterations=10, base_url=nginx.url, workers=1))
    )
    thread.start()
    thread.join()
    assert found[0].metrics["http_reqs"].count == 10


def test_nothing_is_left_behind(nginx: Nginx) -> None:
    process = psutil.Process()
    fl.run(visit, vus=2, iterations=4, base_url=nginx.url, workers=2)
    files, threads, children = process.num_fds(), threading.active_count(), process.children()
    fl.run(visit, vus=2, iterations=4, base_url=nginx.url, workers=2)
    # What an earlier test left may end in this one.
    assert process.num_fds() <= files
    assert threading.active_count() <= threads
    assert set(process.children()) <= set(children)


def test_bare_functions_are_checked_too() -> None:
    def plain(vu: fl.VU) -> None: ...

    with pytest.raises(fl.PlanError, match="not async"):
        fl.run(plain)  # type: ignore[arg-type]
    with pytest.raises(fl.PlanError, match="no scenario"):
        fl.run()


def test_a_relative_url_without_a_base_says_so(cli: Cli, tmp_path: Path) -> None:
    write_script(tmp_path, GET)
    done = cli("run", "script.py", "-i", "3")
    assert (done.returncode, done.stdout) == (104, "")
    assert "there is no base URL" in done.stderr
    # What the source does not show for certain, each iteration tells.
    write_script(tmp_path, GET.replace('"/json"', 'str("/json")'))
    done = cli("run", "script.py", "-i", "3")
    assert done.returncode == 107
    assert "there is no base URL" in done.stdout


def test_several_scenarios_run_at_the_same_time(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    write_script(
        tmp_path,
        """
import fastload as fl
@fl.scenario(vus=2, duration="600ms")
async def readers(vu: fl.VU) -> None:
    await vu.get("/json", name="read")
    await vu.sleep(0.01)
@fl.scenario(rate=50, duration="600ms")
async def writers(vu: fl.VU) -> None:
    await vu.post("/", json={"a": 1}, name="write")
""",
    )
    summary = summary_of(cli, "-w", "2", "--base-url", nginx.url)
    by_name = {item["name"]: item["requests"] for item in summary["endpoints"]}
    assert by_name["write"] == 30
    assert by_name["read"] >= 2
    assert 0.6 <= summary["duration_s"] < 6


def test_the_ingest_scenario_reconciles(cli: Cli, sequencer: RunningTarget) -> None:
    done = cli(
        "run",
        str(REPO / "scenarios" / "ingest.py"),
        "--base-url",
        sequencer.base_url,
        "-u",
        "3",
        "-i",
        "9",
        "--json",
        "-q",
    )
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["events_ingested"]["count"] == 900
    assert metrics["http_req_failed"]["rate"] == 0
