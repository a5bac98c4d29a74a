"""The samplers of a run: a target that ends and comes back under another PID is found again, if it can be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from fastload.control.sampling.samplers import Samplers, find_target_again, find_target_processes
from fastload.model.load_models import ConstantVUs
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.resources import ProcessSample
from tests.conftest import answers, free_port, wait_until


@contextmanager
def server(port: int) -> Iterator[int]:
    """A server on *port*; yield its PID."""
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port))
        yield process.pid
    finally:
        process.kill()
        process.wait()


def samplers_of(port: int, *watch: str, known: tuple[int, ...] = ()) -> Samplers:
    plan = Plan(
        "run",
        "shop.py",
        (ScenarioPlan("browse", ConstantVUs(1, 9.0), work=lambda: None),),
        1,
        base_url=f"http://127.0.0.1:{port}",
        watch=watch,
    )
    watched = find_target_processes(plan, known)
    samplers = Samplers({}, watched, "", partial(find_target_again, plan, known, watched))
    samplers.prime()
    return samplers


def sampled(samplers: Samplers) -> ProcessSample:
    samplers.sample({})
    assert samplers.last_target is not None
    return samplers.last_target


@pytest.mark.parametrize("watch", ["", ":{port}", "{port}"])
def test_a_target_that_comes_back_is_found_again(watch: str) -> None:
    port = free_port()
    with server(port) as first:
        samplers = samplers_of(port, *([watch.format(port=port)] if watch else []))
        assert sampled(samplers).alive
    assert not sampled(samplers).alive
    cpus = samplers.target_cpus
    assert cpus >= 1, "what a target may use is known after it has ended"
    with server(port) as second:
        assert first != second
        wait_until(lambda: sampled(samplers).alive)
        assert samplers.target_cpus == cpus


@pytest.mark.parametrize("by", ["pid", "known"])
def test_a_pid_does_not_come_back(by: str) -> None:
    port = free_port()
    with server(port) as first:
        samplers = samplers_of(port, str(first)) if by == "pid" else samplers_of(port, known=(first,))
        assert sampled(samplers).alive
    with server(port):
        assert not any(sampled(samplers).alive for _ in range(3))


def test_one_of_two_comes_back_and_the_other_is_kept() -> None:
    ports = free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(server(ports[0]))
        with server(ports[1]):
            samplers = samplers_of(ports[0], *(f":{port}" for port in ports))
            assert sampled(samplers).alive
        assert sampled(samplers).processes == 1
        stack.enter_context(server(ports[1]))
        wait_until(lambda: sampled(samplers).processes == 2)
