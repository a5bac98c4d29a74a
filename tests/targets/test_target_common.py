"""What every target has: counters that add up, latency, failures, limits, keys, options, and the command."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import re
import socket
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import click
import pytest

import fastload.targets
from fastload.cli.main import run_cli
from fastload.cli.target import target as command
from fastload.model.errors import PlanError, TargetError
from fastload.targets import TargetOptions, find_target, running, serve, target_names
from fastload.targets.application import _send_stream
from fastload.targets.messages import Response
from fastload.targets.spec import COMMON_ANSWER_KINDS, TargetSpec
from tests.conftest import Cli
from tests.targets.events import Answer, Client, ask_at_once

SOURCES = Path(fastload.targets.__file__).parent
# A guarded request of each target, and what it gets from one that has just started.
GUARDED: dict[str, tuple[str, Any, str]] = {
    "sequencer": ("/api/v1/ves/events/ingest", {"agent_id": "x", "events": []}, "empty_batch"),
    "did": ("/api/v1/did/enroll", {}, "missing_field"),
    "widget": ("/api/designs/1/render", {"type": "2d", "prompt": "p"}, "job_queued"),
    "generation": ("/api/auth/login", {"email": "test@example.com", "password": "testpassword123"}, "logged_in"),
    "plain": ("/", {}, "plain_taken"),
    "score": ("/embed/auto-verify", {"address": f"0x{7:040x}", "scorerId": "1"}, "score_verified"),
}
NAMES = sorted(GUARDED)


def options_of(name: str, **values: Any) -> TargetOptions:
    return find_target(name).options_type(**values)


def ask(client: Client, name: str) -> Answer:
    path, body, _ = GUARDED[name]
    return client.post(path, body)


def test_every_target_is_here() -> None:
    assert {*NAMES} == {*target_names()}


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_is_counted_once_by_route_and_by_kind(name: str) -> None:
    path, _, expected = GUARDED[name]
    with running(name, options_of(name), workers=2) as target:
        first = ask_at_once(target.port, 6, lambda client, _: ask(client, name))
        with Client(target.port) as client:
            assert client.get("/nowhere").status == 404
            assert client.request("DELETE", path).status == 405
            assert client.get("/health").body == {"status": "ok"}
            before = client.get("/stats").body
            after = client.get("/stats").body
    statuses = collections.Counter(f"{answer.status // 100}xx" for answer in first)
    route = next(label for label in before["routes"] if label.startswith("POST"))
    assert before["routes"][route] == statuses
    assert before["routes"]["unmatched"] == {"4xx": 2}
    assert before["outcomes"] == {expected: 6, "not_found": 1, "method_not_allowed": 1}
    # The target asked /health of itself until it was ready, each of the six before they began, and one here.
    health = before["routes"]["GET /health"]["2xx"]
    assert health >= 7
    assert before["requests"] == sum(before["outcomes"].values()) + health
    assert (before["processes"], after["requests"]) == (2, before["requests"] + 1)


@pytest.mark.parametrize("name", NAMES)
def test_injected_failures(name: str) -> None:
    with running(name, options_of(name, failure_rate=1.0)) as target, Client(target.port) as client:
        answers = [ask(client, name) for _ in range(20)]
        assert {answer.status for answer in answers} == {500, 503}
        assert all(answer.body == {"error": "injected"} for answer in answers)
        assert client.get("/health").status == 200
        stats = client.get("/stats")
    assert stats.status == 200
    assert stats.body["outcomes"] == {"injected": 20}


def statuses_with(**values: Any) -> list[int]:
    """What 60 requests get."""
    options = options_of("score", **values)
    with running("score", options) as target, Client(target.port) as client:
        answers = [ask(client, "score").status for _ in range(60)]
        outcomes = client.get("/stats").body["outcomes"]
    failed = sum(status >= 500 for status in answers)
    assert outcomes == {"score_verified": 60 - failed, "injected": failed}
    return answers


def test_a_share_of_failures_repeats_with_a_seed() -> None:
    first = statuses_with(failure_rate=0.3, seed=4)
    assert set(first) == {200, 500, 503}
    assert 5 <= sum(status >= 500 for status in first) <= 35
    assert statuses_with(failure_rate=0.3, seed=4) == first
    assert statuses_with(failure_rate=0.3, seed=5) != first


def test_an_injected_failure_changes_nothing() -> None:
    wallet = {"wallet_address": "addr_test1a", "biometric_hash": "a" * 64}
    with running("did", options_of("did", failure_rate=0.5, seed=1)) as target, Client(target.port) as client:
        statuses = [client.post("/api/v1/did/enroll", wallet).status for _ in range(30)]
    seen = [status for status in statuses if status < 500]
    assert 0 < len(seen) < 30
    assert seen == [201] + [409] * (len(seen) - 1)


@pytest.mark.parametrize("name", NAMES)
def test_latency_is_waited(name: str) -> None:
    with running(name, options_of(name, latency="80ms..90ms")) as target, Client(target.port) as client:
        start_s = time.monotonic()
        assert ask(client, name).status < 500
        assert time.monotonic() - start_s >= 0.08


def test_latency_holds_up_nobody_else() -> None:
    with running("did", options_of("did", latency="1h")) as target, socket.socket() as waiting:
        waiting.connect(("127.0.0.1", target.port))
        waiting.sendall(b"POST /api/v1/did/enroll HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        with Client(target.port) as client:
            assert client.get("/health").status == 200
            assert client.get("/stats").body["outcomes"] == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_rate_limit_is_exact(name: str) -> None:
    with running(name, options_of(name, rate_limit_per_minute=4), workers=2) as target:
        answers = ask_at_once(target.port, 7, lambda client, _: ask(client, name))
    limited = [answer for answer in answers if answer.status == 429]
    assert len(limited) == 3
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in limited)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"generation"}))
def test_a_key_is_asked_for_before_the_limit_counts(name: str) -> None:
    header, before = find_target(name).key_headers[0]
    with (
        running(name, options_of(name, api_key="k", rate_limit_per_minute=2)) as target,
        Client(target.port) as client,
    ):
        path, body, _ = GUARDED[name]
        assert [client.post(path, body).status for _ in range(5)] == [401] * 5
        assert client.post(path, body, {header: f"{before}k"}).status not in (401, 429)
        assert client.get("/health").status == 200


def declared(package: str) -> set[str]:
    spec = find_target(package)
    return {*spec.own_answer_kinds}


@pytest.mark.parametrize("name", NAMES)
def test_every_outcome_that_the_source_has_is_declared(name: str) -> None:
    found: dict[str, set[str]] = {}
    for path in SOURCES.rglob("*.py"):
        where = path.parent.name if path.parent != SOURCES else "common"
        text = path.read_text()
        codes = re.findall(r'(?:ApiError\(\s*\d+|ApiError\(\s*[^,"]+|limit_error\()[,\s]*"(\w+)"', text)
        found.setdefault(where, set()).update(codes, re.findall(r'outcome="(\w+)"', text))
    assert declared(name) >= found[name] - {*COMMON_ANSWER_KINDS}
    assert {*COMMON_ANSWER_KINDS} | {"client_limited", "invalid_parameter"} >= found["common"]
    assert len({*find_target(name).outcomes}) == len(find_target(name).outcomes)


def test_ports_are_those_of_the_systems() -> None:
    assert {name: find_target(name).default_port for name in NAMES} == {
        "sequencer": 8080,
        "did": 8000,
        "widget": 8080,
        "generation": 5001,
        "score": 8080,
        "plain": 8080,
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latency": "20"}, "latency '20' is not a duration"),
        ({"failure_rate": 1.01}, "failure_rate must be a share from 0 to 1, not 1.01"),
        ({"failure_rate": -0.1}, "failure_rate must be a share"),
        ({"rate_limit_per_minute": -1}, "rate_limit_per_minute must be at least 0"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_options_of_all_fail_before_the_start(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        options_of(name, **values)._validate(1)


@pytest.mark.parametrize("name", NAMES)
def test_an_option_of_the_command_is_a_field_of_the_options(name: str) -> None:
    sub = command.commands[name]
    fields = {field.name for field in dataclasses.fields(find_target(name).options_type)}
    parameters = {parameter.name for parameter in sub.params if isinstance(parameter, click.Option)}
    assert parameters - {"port", "host", "workers"} <= fields
    assert parameters >= {"port", "host", "workers", "latency", "failure_rate", "rate_limit_per_minute", "seed"}


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["wigdet"], "no target is called 'wigdet'", "did you mean 'widget'?"),
        (["did", "--latency", "20"], "--latency '20' is not a duration", "20s"),
        (["did", "--latency", "norm(1s,1s)"], "called 'norm'", "did you mean 'normal'?"),
        (["score", "--failure-rate", "5"], "--failure-rate '5' is not a share from 0 to 1", '"1%"'),
        (["score", "--failure-rate", "101%"], "is not a share", ""),
        (["score", "--failure-rate", "few"], "is not a share", ""),
        (["did", "--max-age", "0s"], "max_age_s must be above zero, not 0", ""),
        (["widget", "--nonce-ttl", "60"], "--nonce-ttl '60' is not a duration", "60s"),
        (["widget", "--job-time", "2"], "--job-time '2' is not a duration", "2s"),
        (["generation", "--api-key", "k"], "--api-key", "--help"),
        (["generation", "--email", "me"], "email 'me' is no address", "test@example.com"),
        (["score", "--rate-limit", "-1"], "-1 is not in the range", ""),
    ],
)
def test_a_wrong_option_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str, hint: str
) -> None:
    assert run_cli(["target", *words]) == 104
    said = capsys.readouterr().err
    assert message in said.splitlines()[0]
    assert hint in said


def test_shares_and_durations_of_the_command() -> None:
    def parsed(name: str, *words: str) -> dict[str, Any]:
        with command.commands[name].make_context(name, [*words]) as context:
            return {key: value for key, value in context.params.items() if value is not None}

    assert parsed("did", "--failure-rate", "1%", "--max-age", "2m")["failure_rate"] == 0.01
    assert parsed("did", "--failure-rate", "0.25", "--max-age", "2m")["max_age_s"] == 120
    assert parsed("did") == {"port": 8000, "host": "127.0.0.1", "workers": 1}
    assert parsed("generation", "--mock", "--port", "0") == {
        "port": 0,
        "host": "127.0.0.1",
        "workers": 1,
        "mock": True,
    }


def test_a_port_that_is_taken_is_named_with_its_holder(cli: Cli) -> None:
    with running("score") as target:
        done = cli("target", "did", "--port", str(target.port))
        assert done.returncode == 104
        assert f"port {target.port} is in use by" in done.stderr
        assert f"(pid {target.pids[0]})" in done.stderr
        assert "choose another port" in done.stderr


def test_serve_takes_the_port_of_the_target() -> None:
    with socket.socket() as holder:
        # It may be taken already, by anybody: then it is in use just as well.
        with contextlib.suppress(OSError):
            holder.bind(("127.0.0.1", find_target("did").default_port))
            holder.listen()
        with pytest.raises(TargetError, match="port 8000 is in use"):
            serve("did")


def test_a_stream_ends_with_its_client() -> None:
    sent: list[Any] = []
    closed = []

    async def pieces() -> AsyncGenerator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def run() -> None:
        first = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await first.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if message.get("body"):
                first.set()

        await asyncio.wait_for(_send_stream(Response(b"", stream=pieces()), receive, send), 20)

    asyncio.run(run())
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert closed == [True]


def test_a_stream_that_fails_is_not_hidden() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"first"
        raise ValueError("on purpose")

    async def receive() -> dict[str, Any]:
        return await asyncio.Event().wait() and {}

    async def send(_: Any) -> None:
        return

    with pytest.raises(ValueError, match="on purpose"):
        asyncio.run(_send_stream(Response(b"", stream=pieces()), receive, send))


def test_the_description_names_every_route() -> None:
    spec: TargetSpec
    for spec in map(find_target, NAMES):
        for route in spec.routes:
            assert f"{route.method} {route.path}" in spec.description
            assert route.limited or not route.needs_api_key
