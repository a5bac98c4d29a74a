"""Limits of targets, each by the requests that meet it: what it lets through, and what it costs the server."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import json
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from fastload.cli.main import run_cli
from fastload.model.errors import PlanError
from fastload.targets import PlainOptions, RunningTarget, running
from fastload.targets.limits import limit_names, parse_limits
from tests.conftest import Cli, cli_command, cli_env
from tests.targets.events import Answer, Client

TICKS_S = 0.04
"""How much CPU time may not be seen yet: the kernel shows it in ticks of 10 ms, of user and system apart."""


@dataclasses.dataclass(frozen=True)
class Load:
    """What clients got, and what it cost the server; times in seconds."""

    answers: list[Answer]
    seconds: float
    cpu_s: float

    @property
    def statuses(self) -> collections.Counter[int]:
        return collections.Counter(answer.status for answer in self.answers)


def cpu_s(target: RunningTarget) -> float:
    """CPU time of all server processes so far."""
    times = [psutil.Process(pid).cpu_times() for pid in target.pids]
    return sum(one.user + one.system for one in times)


def load(target: RunningTarget, *, clients: int = 8, each: int = 10) -> Load:
    """Send *each* requests by each of so many clients, one after the other, and wait for all answers."""

    def one(_: int) -> list[Answer]:
        with Client(target.port) as client:
            return [client.get("/") for _ in range(each)]

    before_s, start_s = cpu_s(target), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(clients) as threads:
        answers = [answer for answers in threads.map(one, range(clients)) for answer in answers]
    return Load(answers, time.monotonic() - start_s, cpu_s(target) - before_s)


def limited(*limits: str, seed: int | None = None) -> PlainOptions:
    return PlainOptions(limits=limits, seed=seed)


@pytest.mark.parametrize(("limit", "slots", "service_s"), [("pool=4:20ms", 4, 0.02), ("slots=8:50ms", 8, 0.05)])
@pytest.mark.parametrize("workers", [1, 2])
def test_so_many_are_served_at_once_and_the_rest_wait_without_cpu(
    limit: str, slots: int, service_s: float, workers: int
) -> None:
    with running("plain", limited(limit), workers=workers) as target:
        made = load(target, clients=16)
    assert made.statuses == {200: 160}
    # All of them need so long at least, however fast the machine is.
    assert made.seconds >= 160 / slots * service_s * 0.99
    # A request of this server takes some 0.2 ms.
    assert made.cpu_s < 0.5 * made.seconds


def test_a_lock_is_held_by_one_request_at_a_time() -> None:
    with running("plain", limited("lock=10ms")) as target:
        made = load(target, clients=8)
    assert made.seconds >= 80 * 0.01 * 0.99
    assert made.cpu_s < 0.5 * made.seconds


def test_one_thread_works_and_nothing_else_is_answered_meanwhile() -> None:
    with running("plain", limited("one-thread=10ms")) as target:
        made = load(target, clients=4)
        threads = psutil.Process(target.pids[0]).threads()
    assert made.statuses == {200: 40}
    assert made.cpu_s >= 40 * 0.01 - TICKS_S
    assert made.seconds >= 40 * 0.01
    busiest_s = max(thread.user_time + thread.system_time for thread in threads)
    assert busiest_s >= 40 * 0.01 - TICKS_S


def test_cpu_is_the_work_of_threads_and_not_of_the_loop() -> None:
    with running("plain", limited("cpu=10ms")) as target:
        made = load(target, clients=4)
        threads = psutil.Process(target.pids[0]).threads()
    assert made.cpu_s >= 40 * 0.01 - TICKS_S
    busy = [thread for thread in threads if thread.user_time + thread.system_time >= 0.05]
    # One for each CPU; the event loop is not among them.
    assert len(busy) >= min(2, len(psutil.Process().cpu_affinity()))
    loop = next(thread for thread in threads if thread.id == target.pids[0])
    assert loop not in sorted(threads, key=lambda thread: thread.user_time)[-1:]


def test_over_the_rate_is_429_with_retry_after() -> None:
    with running("plain", limited("rate=50/s"), workers=2) as target:
        made = load(target, clients=8, each=40)
        with Client(target.port) as client:
            outcomes = client.get("/stats").body["outcomes"]
    passed, refused = made.statuses[200], made.statuses[429]
    assert passed + refused == 320
    # The bucket holds a tenth of a second.
    assert 1 <= passed <= 50 * made.seconds + 6
    assert refused
    assert {answer.headers["retry-after"] for answer in made.answers if answer.status == 429} == {"1"}
    assert outcomes == {"plain_read": passed, "rate_limited": refused}


def test_requests_at_the_rate_all_pass() -> None:
    with running("plain", limited("rate=600/min")) as target, Client(target.port) as client:
        for _ in range(6):
            assert client.get("/").status == 200
            time.sleep(0.1)


def test_a_share_of_errors_repeats_with_a_seed() -> None:
    def statuses() -> list[int]:
        with running("plain", limited("errors=30%", seed=3)) as target, Client(target.port) as client:
            found = [client.get("/").status for _ in range(100)]
            assert client.get("/stats").body["outcomes"]["injected"] == found.count(500)
        return found

    first = statuses()
    assert set(first) == {200, 500}
    assert 10 <= first.count(500) <= 55
    assert statuses() == first


def test_a_leak_keeps_memory_for_each_request() -> None:
    with running("plain", limited("leak=1MB")) as target:
        process = psutil.Process(target.pids[0])
        load(target, clients=1, each=5)
        before = process.memory_info().rss
        load(target, clients=2, each=30)
        grown = process.memory_info().rss - before
    assert 50_000_000 <= grown <= 90_000_000


def test_several_limits_hold_together() -> None:
    with running("plain", limited("pool=2:10ms", "errors=100%")) as target:
        refused = load(target, each=5)
    # What is refused takes no connection.
    assert refused.statuses == {500: 40}
    with running("plain", limited("lock=5ms", "one-thread=5ms")) as target:
        made = load(target, each=5)
    assert made.statuses == {200: 40}
    assert made.cpu_s >= 40 * 0.005 - TICKS_S


def test_health_and_counters_are_not_limited() -> None:
    with running("plain", limited("lock=1h", "errors=100%")) as target, Client(target.port) as client:
        assert client.get("/health").status == 200
        assert client.get("/stats").status == 200


@pytest.mark.parametrize("name", ["sequencer", "widget", "did", "generation", "score"])
def test_a_limit_goes_with_every_target(name: str) -> None:
    from tests.targets.test_target_common import GUARDED, options_of

    path, body, _ = GUARDED[name]
    with running(name, options_of(name, limits=("rate=1/min",))) as target, Client(target.port) as client:
        statuses = [client.post(path, body).status for _ in range(4)]
        answer = client.post(path, body)
    assert [status == 429 for status in statuses] == [False, False, True, True]
    assert 50 <= int(answer.headers["retry-after"]) <= 60


def test_nothing_is_left_of_the_files(temporary: Path) -> None:
    with running("plain", limited("pool", "rate", "leak")) as target, Client(target.port) as client:
        assert client.get("/").status == 200
        assert sorted(path.name for path in temporary.glob("*/limit-*")) == ["limit-pool", "limit-rate"]
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("pol=4", "'pol=4': no limit is called 'pol'", "did you mean 'pool'?"),
        ("onethread", "no limit is called 'onethread'", "did you mean 'one-thread'?"),
        ("LOCK", "no limit is called 'LOCK'", "did you mean 'lock'?"),
        ("", "no limit is called ''", "there are rate, errors"),
        ("pool=0", "'pool=0' takes a whole number from 1 to 1,000, not '0'", "write it like pool=4:20ms"),
        ("pool=4.5", "takes a whole number", "write it like pool=4:20ms"),
        ("pool=4:20", "'20' is not a duration with a unit", "write it like pool=4:20ms"),
        ("pool=", "takes a whole number", "write it like pool=4:20ms"),
        ("slots=20ms", "takes a whole number from 1 to 1,000, not '20ms'", "write it like slots=8:10ms"),
        ("lock=0s", "limits nothing: its time is 0", "write it like lock=5ms"),
        ("one-thread=2", "'2' is not a duration with a unit", "write it like one-thread=2ms"),
        ("lock=expo(5ms)", "no distribution is called 'expo'", "did you mean 'exp'?"),
        ("rate=-1", "rate '-1' is not a rate above zero", "write it like rate=100/s"),
        ("rate=0/s", "is not a rate above zero", "write it like rate=100/s"),
        ("errors=0%", "limits nothing", "write it like errors=5%"),
        ("errors=500", "'500' is not a share from 0 to 1", "write it like errors=5%"),
        ("leak=big", "'big' is not a number of bytes", "write it like leak=100KB"),
        ("leak=0", "limits nothing", "write it like leak=100KB"),
        ("quota=0", "takes a number of CPUs from 0.01 to", "write it like quota=0.5"),
        ("quota=nan", "takes a number of CPUs", "write it like quota=0.5"),
        ("quota=1000000", "takes a number of CPUs", "write it like quota=0.5"),
        ("accept-queue=0", "takes a whole number from 1 to 4,096", "write it like accept-queue=8:100ms"),
        ("fds=10", "takes a whole number from 64 to 1,000,000, not '10'", "write it like fds=128"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_with_what_can(text: str, message: str, hint: str) -> None:
    with pytest.raises(PlanError) as caught:
        PlainOptions(limits=(text,))._validate(1)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_limit_is_given_once_and_in_a_list() -> None:
    with pytest.raises(PlanError, match="limits has 'pool' twice: 'pool' and 'pool=5'"):
        parse_limits(["pool", "rate", "pool=5"])
    with pytest.raises(PlanError, match="limits is a list of texts, not 'pool=4'"):
        parse_limits("pool=4")


def test_what_is_left_out_has_a_default_and_times_are_distributions() -> None:
    for name in limit_names():
        assert [limit.name for limit in parse_limits([name])] == [name]
    (limit,) = parse_limits([" pool = 7 "])
    assert (limit.amount, limit.time and limit.time.text) == (7, "20ms")
    (limit,) = parse_limits(["slots=2:lognormal(p50=20ms,p99=200ms)"])
    assert (limit.amount, limit.time and limit.time.text) == (2, "lognormal(p50=20ms,p99=200ms)")
    # What refuses comes before what takes time.
    assert [limit.name for limit in parse_limits(["lock", "leak", "rate"])] == ["rate", "lock", "leak"]


SCRIPT = """
import fastload as fl

@fl.scenario(vus=4, iterations=40)
async def ask(vu):
    await vu.get("/")
"""


def test_a_run_starts_a_target_with_limits(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(SCRIPT)
    words = ("run", "ask.py", "--target", "plain", "--target-limit", "slots=2:50ms", "-w", "1", "-q", "--json")
    done = cli(*words, FASTLOAD_TARGET_LIMITS="errors=100%,lock=exp(5ms)")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    # What is given here goes over the environment; 40 requests of 50 ms, two at a time.
    assert summary["metrics"]["http_req_failed"]["rate"] == 0
    assert summary["metrics"]["http_req_duration"]["max"] >= 50


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--target", "plain", "--target-limit", "pol=4"], "--target-limit 'pol=4': no limit", "did you mean 'pool'?"),
        (["--target", "plain", "--target-limit", "pool=0"], "takes a whole number from 1", "pool=4:20ms"),
        (["--target-limit", "pool"], "--target-limit needs --target", "ships with fastload"),
        (["--base-url", "http://127.0.0.1:1", "--target-limit", "pool"], "--target-limit needs --target", "ships"),
    ],
)
def test_a_wrong_limit_of_a_run_is_one_clear_line(
    cli: Cli, tmp_path: Path, words: list[str], message: str, hint: str
) -> None:
    (tmp_path / "ask.py").write_text(SCRIPT)
    done = cli("plan", "ask.py", *words)
    assert done.returncode == 104
    assert message in done.stderr
    assert hint in done.stderr


def test_an_address_on_the_command_line_goes_over_a_limited_target_in_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(SCRIPT)
    (tmp_path / "fastload.toml").write_text('target = "plain"\ntarget_limits = ["pool"]\n')
    assert cli("plan", "ask.py").returncode == 0
    done = cli("plan", "ask.py", "--base-url", "http://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    assert "http://127.0.0.1:1" in done.stdout


def test_the_command_says_what_limits_the_server() -> None:
    command = cli_command("target", "plain", "--port", "0", "--limit", "pool=2", "--limit", "leak")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=cli_env()) as process:
        assert process.stderr
        assert process.stderr.readline().rstrip().endswith(", limited by pool=2, leak")
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("text", "message"), [("pol=4", "--limit 'pol=4': no limit is called 'pol'"), ("pool=0", "--limit 'pool=0' takes")]
)
def test_a_wrong_limit_of_the_command_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    assert run_cli(["target", "plain", "--limit", text]) == 104
    assert message in capsys.readouterr().err.splitlines()[0]
