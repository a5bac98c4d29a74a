"""`fastload bench` end to end: real servers, the command as a process, counts held against the server's."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from fastload.targets import RunningTarget
from tests.conftest import Cli, Nginx, answers, cli_command, cli_env, free_port, wait_until


def summary_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON on stdout, which must be all there is."""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ingested(target: RunningTarget) -> int:
    """How many ingest requests the sequencer has answered with 200."""
    with urllib.request.urlopen(f"{target.base_url}/stats") as reply:
        routes = json.load(reply)["routes"]
    return sum(int(route.get("2xx", 0)) for name, route in routes.items() if "ingest" in name)


def looked_at(url: str) -> int:
    """How many requests for its health the sequencer at *url* has answered."""
    with urllib.request.urlopen(f"{url}/stats") as reply:
        return sum(json.load(reply)["routes"].get("GET /health", {}).values())


def children_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; an orphan that nobody reaped yet does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start_bench(*args: str, cwd: Path) -> subprocess.Popen[str]:
    """``fastload bench`` in the background."""
    return start("bench", *args, cwd=cwd)


def start(*args: str, cwd: Path) -> subprocess.Popen[str]:
    """The command in the background, in a session of its own as a terminal would give it."""
    return subprocess.Popen(
        cli_command(*args),
        cwd=cwd,
        env=cli_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_workers(process: subprocess.Popen[str], count: int) -> list[psutil.Process]:
    """The worker processes, once all run."""
    wait_until(lambda: len(children_of(process.pid)) >= count)
    return children_of(process.pid)


def test_counts_equal_the_servers(cli: Cli, sequencer: RunningTarget) -> None:
    before = ingested(sequencer)
    done = cli(
        "bench", sequencer.base_url, "--ingest", "-n", "400", "-c", "16", "-w", "4", "--batch-size", "5", "--json", "-q"
    )
    assert done.returncode == 0, done.stderr
    summary = summary_of(done)
    assert summary["metrics"]["http_reqs"]["count"] == 400
    assert summary["requests"] == {
        "started": 400,
        "finished": 400,
        "failed": 0,
        "interrupted": 0,
        "warmup": 0,
        "lost": 0,
        "setup": 0,
        "iterations_interrupted": 0,
        "challenges": 0,
    }
    assert len(summary["workers"]) == 4
    assert summary["endpoints"][0]["statuses"] == {"200": 400}
    assert ingested(sequencer) - before == 400


def test_timed_run_with_warm_up_reconciles_with_nginx(cli: Cli, nginx: Nginx) -> None:
    before = nginx.wait_requests(0)
    done = cli("bench", nginx.url, "-d", "1s", "--warmup", "300ms", "-c", "8", "-w", "2", "--json", "-q")
    summary = summary_of(done)
    counts = summary["requests"]
    assert counts["warmup"] > 0
    assert counts["started"] == counts["finished"] + counts["failed"] + counts["interrupted"] + counts["warmup"]
    assert summary["metrics"]["http_reqs"]["count"] == counts["finished"]
    assert nginx.wait_requests(before + counts["started"]) - before == counts["started"]
    assert 1 <= summary["duration_s"] < 10
    assert summary["target"]["mean"]["cpu_percent"] > 0, "the local target is found by its port"


def test_without_a_url_the_sequencer_is_started_and_stopped(cli: Cli, tmp_path: Path) -> None:
    done = cli("bench", "-d", "1s", "-c", "4", "--batch-size", "10", "--summary", "out.json", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out.json").read_text())
    assert summary["metrics"]["http_reqs"]["count"] > 0
    assert summary["metrics"]["http_req_failed"]["rate"] == 0
    assert summary["target"]["max"]["rss_bytes"] > 0
    port = int(summary["plan"]["base_url"].rpartition(":")[2])
    assert not answers(port)
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    for part in ("METRICS", "http_req_duration", "RESOURCES", "target", "LIMIT"):
        assert part in done.stdout


def test_open_model_offers_what_was_asked_for(cli: Cli, nginx: Nginx) -> None:
    # As many connections as starts: whatever is held up, none is left in line at the end.
    args = ("-r", "200", "-d", "1s", "-c", "200", "-w", "2", "--json", "-q")
    summary = summary_of(cli("bench", nginx.url, *args))
    assert summary["metrics"]["http_reqs"]["count"] == 200
    assert summary["metrics"]["http_req_response_time"]["count"] == 200
    assert summary["metrics"]["iteration_lateness"]["count"] == 200
    summary = summary_of(cli("bench", nginx.url, "-r", "100", "-n", "50", "-w", "1", "--json", "-q"))
    assert summary["metrics"]["http_reqs"]["count"] == 50


WINDOW_S = 4.0
HEALTH = """
import fastload as fl


@fl.scenario(rate=400, duration="4s", max_vus=64)
async def look(vu: fl.VU) -> None:
    await vu.get("/health")
"""


@pytest.mark.parametrize("by", ["bench", "script"])
def test_a_frozen_target_shows_in_the_percentiles_as_the_closed_form_says(tmp_path: Path, by: str) -> None:
    """Frozen for F of T seconds at a constant rate: P(response > x) = (F - x) / T, with no coordinated omission."""
    (tmp_path / "script.py").write_text(HEALTH)
    # Nothing makes a response come early. That a busy machine makes it late does not happen each time.
    for _ in range(3):
        trend, shortest_s, longest_s = responses_of_a_frozen_target(tmp_path, by)
        assert trend["count"] == 1600
        in_time = True
        for percent, key in ((95.0, "p(95)"), (99.0, "p(99)"), (99.9, "p(99.9)")):
            outside_s = (1 - percent / 100) * WINDOW_S
            assert trend[key] >= 990 * (shortest_s - outside_s), key
            in_time = in_time and trend[key] <= 1050 * (longest_s - outside_s)
        if in_time:
            return
    pytest.fail(f"three times later than {longest_s} s explain: {trend}")


def responses_of_a_frozen_target(tmp_path: Path, by: str) -> tuple[dict[str, Any], float, float]:
    """The response times, and how long the target was frozen at least and at most."""
    target = subprocess.Popen(
        cli_command("target", "sequencer", "--port", "0"), env=cli_env(), stderr=subprocess.PIPE, text=True
    )
    assert target.stderr is not None
    try:
        url = target.stderr.readline().split(" on ")[1].split()[0]
        servers = children_of(target.pid)
        bench = (
            start("run", "script.py", "--base-url", url, "-w", "1", "--json", cwd=tmp_path)
            if by == "script"
            else start_bench(url + "/health", "-r", "400", "-d", "4s", "-c", "64", "-w", "1", "--json", cwd=tmp_path)
        )
        # The window must hold the whole freeze: begin well inside it.
        wait_until(lambda: looked_at(url) > 100)
        before_s = time.monotonic()
        for server in servers:
            server.suspend()
        frozen_s = time.monotonic()
        time.sleep(1.2)  # The freeze itself.
        over_s = time.monotonic()
        for server in servers:
            server.resume()
        after_s = time.monotonic()
        out, err = bench.communicate(timeout=60)
        assert bench.returncode == 0, err
    finally:
        target.terminate()
        target.wait(20)
        target.stderr.close()
    return json.loads(out)["metrics"]["http_req_response_time"], over_s - frozen_s, after_s - before_s


def test_refused_connections_end_with_counts_and_without_spinning(cli: Cli) -> None:
    done = cli("bench", f"http://127.0.0.1:{free_port()}", "-d", "2s", "-w", "1", "-c", "8", "--json")
    assert done.returncode == 108, done.stderr
    assert "no response" in done.stderr
    assert "connect_refused" in done.stderr
    summary = summary_of(done)
    assert summary["metrics"]["http_req_failed"]["rate"] == 1
    assert summary["metrics"]["http_req_duration"]["p(95)"] is None
    assert [error["kind"] for error in summary["errors"]] == ["connect_refused"]
    # Eight connections, doubling pauses from 10 ms to 1 s: about 9 tries each in 2 s, and fewer of who is held up.
    assert 16 < summary["errors"][0]["count"] < 120
    assert summary["workers"][0]["cpu_percent"]["mean"] < 50


def test_thresholds_decide_the_exit_code(cli: Cli, nginx: Nginx) -> None:
    passing = cli("bench", nginx.url, "-n", "100", "--threshold", "http_req_failed: rate<0.01")
    assert passing.returncode == 0
    assert "✓" in passing.stdout
    failing = cli("bench", nginx.url, "-n", "100", "--threshold", "http_req_duration: p(95)<0.001", "--json", "-q")
    assert failing.returncode == 99
    assert summary_of(failing)["thresholds"][0]["ok"] is False
    assert summary_of(failing)["passed"] is False


def test_failed_statuses_are_counted(cli: Cli, nginx: Nginx) -> None:
    summary = summary_of(cli("bench", nginx.url + "/status/500", "-n", "64", "--json", "-q"))
    assert summary["metrics"]["http_req_failed"] == {"rate": 1.0, "passes": 0, "fails": 64}
    assert summary["errors"][0]["kind"] == "http_500"
    assert summary["metrics"]["http_req_duration"]["count"] == 64


def test_json_alone_on_stdout(cli: Cli, nginx: Nginx) -> None:
    done = cli("bench", nginx.url, "-n", "64", "--json")
    summary_of(done)
    assert "METRICS" in done.stderr


@pytest.mark.parametrize(
    ("args", "sent"),
    [
        (["-X", "PUT", "-b", "text"], "PUT  "),
        (["-b", "@body.txt", "-H", "X-Test: 1"], "POST 1 "),
        (["-X", "delete"], "DELETE  "),
    ],
)
def test_methods_bodies_and_headers_arrive(cli: Cli, nginx: Nginx, tmp_path: Path, args: list[str], sent: str) -> None:
    (tmp_path / "body.txt").write_text("file")
    before = nginx.wait_requests(0)
    done = cli("bench", nginx.url + "/method", "-n", "1", *args, "--json", "-q")
    assert done.returncode == 0, done.stderr
    nginx.wait_requests(before + 1)
    assert f'"{sent.split()[0]} /method' in nginx.access_log.read_text().splitlines()[-1]


def test_https_is_verified_unless_told_otherwise(cli: Cli, nginx: Nginx) -> None:
    refused = summary_of(cli("bench", nginx.tls, "-n", "2", "-w", "1", "--json", "-q"))
    assert refused["errors"][0]["kind"] == "tls_verify"
    taken = summary_of(cli("bench", nginx.tls, "-n", "64", "-k", "--http", "2", "--json", "-q"))
    assert taken["metrics"]["http_req_failed"]["rate"] == 0
    assert taken["metrics"]["http_req_tls_handshaking"]["max"] > 0


def test_ctrl_c_once_lets_requests_end_and_keeps_the_summary(nginx: Nginx, tmp_path: Path) -> None:
    nginx.wait_requests(0)
    logged_bytes = nginx.access_log.stat().st_size
    bench = start_bench(nginx.url, "-d", "60s", "-w", "2", "-c", "8", "--json", cwd=tmp_path)
    wait_until(lambda: nginx.access_log.stat().st_size > logged_bytes)
    os.killpg(bench.pid, signal.SIGINT)
    out, err = bench.communicate(timeout=20)
    assert bench.returncode == 105, err
    summary = json.loads(out)
    assert summary["stopped_by"] == "interrupt"
    counts = summary["requests"]
    assert counts["started"] == counts["finished"] > 0
    assert counts["interrupted"] == 0


def test_ctrl_c_twice_stops_at_once(tmp_path: Path) -> None:
    """A target that never answers: the first Ctrl-C waits for its requests, the second does not."""
    silent = subprocess.Popen([sys.executable, "-c", _SILENT_SERVER], stdout=subprocess.PIPE, text=True)
    assert silent.stdout is not None
    with_backlog = int(silent.stdout.readline())
    try:
        bench = start_bench(
            f"http://127.0.0.1:{with_backlog}", "-d", "60s", "-w", "2", "-c", "8", "--json", cwd=tmp_path
        )
        assert len(wait_workers(bench, 2)) == 2
        wait_until(lambda: sum(len(worker.net_connections()) for worker in children_of(bench.pid)) >= 8)
        bench.send_signal(signal.SIGINT)
        time.sleep(0.3)  # The first one ends nothing: give it the time to do so.
        assert bench.poll() is None
        bench.send_signal(signal.SIGTERM)
        out, err = bench.communicate(timeout=20)
        assert bench.returncode == 105, err
        counts = json.loads(out)["requests"]
        assert counts["interrupted"] == counts["started"] == 8
    finally:
        silent.kill()
        silent.wait()
        silent.stdout.close()


_SILENT_SERVER = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
held = []
while True:
    held.append(server.accept())
"""


def test_a_killed_worker_is_noticed_and_its_counts_are_kept(nginx: Nginx, tmp_path: Path) -> None:
    bench = start_bench(nginx.url, "-d", "6s", "-w", "2", "-c", "8", "--json", cwd=tmp_path)
    workers = wait_workers(bench, 2)
    wait_until(lambda: all(worker.cpu_times().user > 0.1 for worker in workers))
    time.sleep(1.2)  # Let a first delta be delivered: what was delivered must not be lost.
    workers[0].kill()
    out, err = bench.communicate(timeout=60)
    assert bench.returncode == 97, err
    summary = json.loads(out)
    assert [worker["lost"] for worker in summary["workers"]].count(True) == 1
    assert summary["verdict"]["state"] in ("SUSPECT", "INVALID")
    assert any("SIGKILL" in note for note in summary["notes"])
    lost = summary["requests"]["lost"]
    assert lost <= 4
    counts = summary["requests"]
    assert counts["started"] == counts["finished"] + counts["failed"] + counts["interrupted"] + lost
    assert 6 <= summary["duration_s"] < 16, "it does not wait for who is lost"


def test_a_killed_worker_can_stop_the_run(nginx: Nginx, tmp_path: Path) -> None:
    bench = start_bench(nginx.url, "-d", "60s", "-w", "2", "--on-worker-loss", "stop", "--json", cwd=tmp_path)
    workers = wait_workers(bench, 2)
    wait_until(lambda: all(worker.cpu_times().user > 0.3 for worker in workers))
    workers[1].kill()
    out, err = bench.communicate(timeout=20)
    assert bench.returncode == 97, err
    assert json.loads(out)["stopped_by"] == "worker-loss"


def test_workers_die_with_their_parent(nginx: Nginx, tmp_path: Path) -> None:
    bench = start_bench(nginx.url, "-d", "60s", "-w", "2", cwd=tmp_path)
    workers = wait_workers(bench, 2)
    bench.kill()
    bench.communicate(timeout=10)
    wait_until(lambda: not any(is_alive(worker) for worker in workers))


def test_the_shipped_target_dies_with_its_parent(tmp_path: Path) -> None:
    bench = start_bench("-d", "60s", cwd=tmp_path)
    wait_until(lambda: len(children_of(bench.pid)) >= 2)
    family = children_of(bench.pid)
    bench.kill()
    bench.communicate(timeout=10)
    wait_until(lambda: not any(is_alive(process) for process in family))


def test_a_full_disk_costs_the_file_and_not_the_run(cli: Cli, nginx: Nginx) -> None:
    done = cli("bench", nginx.url, "-n", "64", "--summary", "/dev/full")
    assert "METRICS" in done.stdout or "Error" in done.stderr
    assert done.returncode == 104


def test_a_closed_stdout_does_not_break_the_run(nginx: Nginx, tmp_path: Path) -> None:
    command = " ".join(cli_command("bench", nginx.url, "-d", "1s", "-w", "1")) + " | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=tmp_path, env=cli_env(), capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr


def test_the_bars_and_statuses_are_those_of_all_requests(cli: Cli, nginx: Nginx) -> None:
    done = cli("bench", nginx.url, "-n", "300", "-c", "4", "-w", "2")
    assert done.returncode == 0, done.stderr
    bars = re.findall(r"^  up to \S+(?:, the slowest)? +(\d+) +[\d.]+%", done.stdout, re.MULTILINE)
    assert sum(map(int, bars)) == 300
    assert re.search(r"^  200 +300 +100.00%  ■+$", done.stdout, re.MULTILINE)
