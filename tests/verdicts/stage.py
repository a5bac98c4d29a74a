"""Stage of the verdicts: run one case with the real command and a real server, and say what is wrong with its verdict.

Server and load have a CPU of their own where the machine has two: else they disturb each other, which is another case.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from fastload.model.errors import FastloadError
from fastload.targets import PlainOptions, running
from tests.conftest import REPO, cli_command, cli_env, free_port
from tests.verdicts.cases import HEAD, Case

_CGROUPS = Path("/sys/fs/cgroup/cpu")
_NGINX = """
daemon off; master_process off; pid {root}/pid; error_log {root}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root};
    uwsgi_temp_path {root}; scgi_temp_path {root};
    server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 ok; }} }}
}}
"""


class Staged(NamedTuple):
    """Result of a case: its summary, and what is wrong with the verdict, "" if it is right."""

    summary: dict[str, Any]
    wrong: str


class NotHere(Exception):
    """This machine cannot stage the case; the text says why."""


def stage(case: Case, folder: Path) -> Staged:
    """Run *case* in *folder*.

    Raises:
        NotHere: this machine cannot.
    """
    with (
        _network(case) as network,
        _served(case, folder, network) as (url, server_pid),
        _around(case) as (prepare, disturb),
    ):
        process = subprocess.Popen(
            [*network, *_command(case, folder, url)],
            cwd=folder,
            env=cli_env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: _begin(prepare),
        )
        try:
            disturb(process.pid, server_pid)
            said = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
    assert (folder / "summary.json").exists(), said
    summary = json.loads((folder / "summary.json").read_text())
    return Staged(summary, wrong_with(case, summary))


def wrong_with(case: Case, summary: dict[str, Any]) -> str:
    """Return what is wrong with the verdict of *summary*; "" if it is right."""
    verdict = summary["verdict"]
    leading = verdict["findings"][0]
    # The case is what leads, if it is a fault; else what gives the limit.
    if case.cause not in [one["cause"] for one in verdict["findings"]]:
        return f"no {case.cause} in {[one['cause'] for one in verdict['findings']]}"
    finding = next(one for one in verdict["findings"] if one["cause"] == case.cause)
    if verdict["state"] not in case.states:
        return f"{verdict['state']} for {' or '.join(case.states)}: {verdict['reasons']}"
    if finding["state"] != "VALID" and leading["cause"] != case.cause:
        return f"{leading['cause']} before {case.cause}: {verdict['reasons']}"
    if case.remedy and case.remedy not in finding["remedy"]:
        return f"remedy {finding['remedy']!r}"
    if not verdict["limit"].startswith(case.limit):
        return f"limit {verdict['limit']!r}"
    return ""


OTHERS_PERCENT = 50.0
"""CPU of processes that are no part of the run, in per cent of a core, from which on they may have disturbed it."""


def is_disturbed(summary: dict[str, Any]) -> bool:
    """Whether other work may have taken the CPU of the run or of its target: the verdict says so, or there was some."""
    told = {one["cause"] for one in summary["verdict"]["findings"]}
    own = sum(worker["cpu_percent"]["mean"] for worker in summary["workers"])
    if summary["target"]:
        own += summary["target"]["mean"]["cpu_percent"]
    others = summary["host"]["mean"]["cpu_percent"] * (os.cpu_count() or 1) - own
    return bool(told & {"no_cpu", "host_cpu", "target_starved"}) or others >= OTHERS_PERCENT


@contextlib.contextmanager
def neighbour(cpu: int) -> Iterator[None]:
    """A process that keeps one CPU busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=lambda: _pin(cpu))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _command(case: Case, folder: Path, url: str) -> list[str]:
    kind, *options = case.command.split()
    if kind == "bench":
        target = [url, "--ingest"] if case.server == "sequencer" else [f"{url}/"]
        arguments = ["bench", *target, *options]
    else:
        (folder / "staged.py").write_text(HEAD + case.script)
        arguments = ["run", "staged.py", "--base-url", url, *options]
    workers = [] if "-w" in options else ["-w", "1"]
    return cli_command(*arguments, *workers, "-q", "--summary", "summary.json")


def _begin(prepare: Callable[[], None]) -> None:
    _pin(1)
    prepare()


def _pin(cpu: int) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[cpu % len(cpus)]})


@contextlib.contextmanager
def _network(case: Case) -> Iterator[list[str]]:
    """Yield the words before a command that runs in the network of *case*: one with few ports, or this machine's."""
    if case.events != "few ports":
        yield []
        return
    name = f"staged{os.getpid()}"
    inside = ["ip", "netns", "exec", name]
    with contextlib.ExitStack() as stack:
        try:
            _run("ip", "netns", "add", name)
            stack.callback(_run, "ip", "netns", "delete", name)
            _run(*inside, "ip", "link", "set", "lo", "up")
            _run(*inside, "sysctl", "-qw", "net.ipv4.ip_local_port_range=32768 32783")
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotHere(f"no network of its own can be made: {error}") from error
        yield inside


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def _served(case: Case, folder: Path, network: list[str]) -> Iterator[tuple[str, int]]:
    """Start the server of *case*; yield its URL and its PID."""
    if case.server == "nobody":
        yield f"http://127.0.0.1:{free_port()}", 0
        return
    name, _, limit = case.server.partition(" ")
    if name in ("sequencer", "plain"):
        options = PlainOptions(limits=(limit,) if limit else ()) if name == "plain" else None
        try:
            started = running(name, options)
        except FastloadError as error:
            raise NotHere(f"no such target can be started: {error}") from error
        with started as target:
            yield target.base_url, target.pids[0]
        return
    command, port = [sys.executable, "-m", "tests.verdicts.servers", *case.server.split()], 0
    if case.server == "nginx":
        port = free_port()
        (folder / "nginx.conf").write_text(_NGINX.format(root=folder, port=port))
        command = ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(
        [*network, *command], cwd=REPO, env=cli_env(), stdout=subprocess.PIPE, text=True, preexec_fn=lambda: _pin(0)
    )
    assert process.stdout
    try:
        port = port or int(process.stdout.readline())
        if case.server != "deaf" and not network:
            _await_port(port, process)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _await_port(port: int, process: subprocess.Popen[str]) -> None:
    from tests.conftest import answers

    end_s = time.monotonic() + 20
    while not answers(port):
        assert process.poll() is None
        assert time.monotonic() < end_s
        time.sleep(0.01)


Disturb = Callable[[int, int], None]


@contextlib.contextmanager
def _around(case: Case) -> Iterator[tuple[Callable[[], None], Disturb]]:
    """Yield what the process of the command does before it begins, and what is done to it, or to the server, then."""
    with contextlib.ExitStack() as stack:
        match case.events:
            case "ulimit":
                yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)), _nothing
            case "quota":
                join = stack.enter_context(_quota(15))
                yield join, _nothing
            case "hog":
                stack.enter_context(neighbour(1))
                yield _no_preparation, _nothing
            case "stop worker" | "stop all":
                whole = case.events == "stop all"
                yield _no_preparation, lambda pid, _: _stop_for_a_second(pid, whole=whole)
            case "kill target":
                yield (
                    _no_preparation,
                    lambda pid, server: _after_load_for(2.0, pid, lambda: os.kill(server, signal.SIGKILL)),
                )
            case _:
                yield _no_preparation, _nothing


def _no_preparation() -> None: ...


def _nothing(_pid: int, _server_pid: int) -> None: ...


@contextlib.contextmanager
def _quota(percent: int) -> Iterator[Callable[[], None]]:
    """A cgroup with a CPU quota; yield the function with which a process joins it."""
    group = _CGROUPS / f"staged_{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        raise NotHere(f"no cgroup for a CPU quota can be made: {error}") from error
    try:
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text(str(percent * 1000))
        yield lambda: _write(group / "cgroup.procs", str(os.getpid()))
    finally:
        group.rmdir()


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _stop_for_a_second(pid: int, *, whole: bool) -> None:
    def stop() -> None:
        workers = psutil.Process(pid).children(recursive=True)
        pids = [*([pid] if whole else []), *(worker.pid for worker in workers)]
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for one in pids:
                os.kill(one, number)
            if number is signal.SIGSTOP:
                time.sleep(1.0)

    _after_load_for(1.0, pid, stop)


def _after_load_for(seconds: float, pid: int, act: Callable[[], None]) -> None:
    """Act so many seconds after the command has forked its worker: the load begins within half a second of that."""
    end_s = time.monotonic() + 30
    command = psutil.Process(pid)
    while not command.children():
        assert time.monotonic() < end_s
        time.sleep(0.02)
    time.sleep(0.5 + seconds)
    act()


def main(times: int = 1, names: tuple[str, ...] = (), *, with_neighbour: bool = False) -> int:
    """Stage all cases, or those of *names*, *times* over, and print a line for each; return how many were wrong."""
    from tests.verdicts.cases import BESIDE_NEIGHBOUR, CASES

    wrong = 0
    others = BESIDE_NEIGHBOUR if with_neighbour else {}
    with neighbour(0) if with_neighbour else contextlib.nullcontext():
        for case in (others.get(one.name, one) for one in CASES if not names or one.name in names):
            for _ in range(times):
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        staged = stage(case, Path(folder))
                    except (NotHere, AssertionError) as error:
                        print(f"not staged {case.name}: {error}", flush=True)
                        wrong += not isinstance(error, NotHere)
                        continue
                verdict = staged.summary["verdict"]
                wrong += bool(staged.wrong)
                print(
                    f"{'WRONG' if staged.wrong else 'right'} {case.name}: {verdict['state']}, {verdict['reasons'][0]}"
                )
                print(f"      {verdict['limit']}" + (f"\n      {staged.wrong}" if staged.wrong else ""), flush=True)
    print(f"{wrong} wrong")
    return wrong
