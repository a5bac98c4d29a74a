"""Values of a wrong type in the calls of a script: each ends in a clear error before anything is sent."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

import fastload as fl
from tests.conftest import Nginx
from tests.load.client.peer_answers import ok
from tests.load.harness import Connection, Peer, Run, harness

Call = Callable[[Any], Awaitable[Any]]


async def refusal(call: Call) -> fl.PlanError:
    """Return the error of *call*, which must send nothing. Values are of any type, so the VU is of any type too."""
    async with harness("http://127.0.0.1:9") as made:
        with pytest.raises(fl.PlanError) as caught:
            await call(made.vu())
        assert made.take().stats.started == 0
        assert caught.value.__suppress_context__ or caught.value.__context__ is None, "one error, without a chain"
        return caught.value


async def check(vu: Any, checks: Any, subject: Any = None) -> bool:
    """`VU.check` as something to await, as all other calls."""
    holds: bool = vu.check(subject, checks)
    return holds


async def set_http(vu: Any) -> None:
    vu.http = {"timeout_s": 1}


@pytest.mark.parametrize(
    ("call", "said", "hint"),
    [
        (lambda vu: vu.batch("/ok"), "requests is a str", 'vu.batch(["/ok"])'),
        (lambda vu: vu.batch(b"/ok"), "requests is a bytes", 'vu.batch(["/"])'),
        (lambda vu: vu.batch(3), "requests is a int", 'vu.batch(["/"])'),
        (lambda vu: check(vu, "a"), "checks is a str", 'vu.check(reply, {"ok": reply.ok})'),
        (lambda vu: check(vu, True), "checks is a bool", 'vu.check(reply, {"ok": reply.ok})'),
        (lambda vu: vu.sleep("1s"), "vu.sleep('1s')", "vu.sleep(1)"),
        (lambda vu: vu.sleep(1, "2"), "vu.sleep(1, '2')", "vu.sleep(1)"),
        (lambda vu: vu.sleep(None), "vu.sleep(None)", "vu.sleep(1)"),
        (lambda vu: vu.sleep(-1), "vu.sleep(-1)", "vu.sleep(1)"),
        (lambda vu: vu.sleep(-1, 1), "vu.sleep(-1, 1)", "vu.sleep(1)"),
        (lambda vu: vu.sleep(9, -1), "vu.sleep(9, -1)", "vu.sleep(1)"),
        (lambda vu: vu.sleep(math.nan), "vu.sleep(nan)", "vu.sleep(1)"),
        (lambda vu: vu.sleep(math.inf), "vu.sleep(inf)", "vu.sleep(1)"),
        (lambda vu: vu.get("/", http={"timeout_s": 1}), "http is a dict", "fl.RequestSettings("),
        (lambda vu: vu.get("/", http=fl.HttpSettings()), "http is a HttpSettings", "fl.RequestSettings("),
        (lambda vu: vu.get("/", http={"timeout_s": 1}, timeout=1), "http is a dict", "fl.RequestSettings("),
        (set_http, "http is a dict", "fl.RequestSettings("),
        (lambda vu: vu.get("/", params="a=1"), "params is a str", 'params={"page": 1}'),
        (lambda vu: vu.get("/", params="a=1", timeout=1), "params is a str", 'params={"page": 1}'),
        (lambda vu: vu.get("/", params=7), "params is a int", 'params={"page": 1}'),
        (lambda vu: vu.post("/", json={1, 2}), "json cannot be encoded: Type is not JSON serializable: set", "sorted("),
        (lambda vu: vu.post("/", json={"a": object()}, timeout=1), "json cannot be encoded", "dicts"),
        (lambda vu: vu.post("/", body=b""), "no option 'body'", "data="),
        (lambda vu: vu.get("/", verify=False), "no option 'verify'", "fl.RequestSettings(verify_tls=False)"),
        (lambda vu: vu.get("/", allow_redirects=False), "no option 'allow_redirects'", "max_redirects=0"),
        (lambda vu: vu.get("/", catch_response=True), "no option 'catch_response'", "vu.expect("),
        (lambda vu: vu.get("/", stream=True), "no option 'stream'", "vu.stream("),
        (lambda vu: vu.get("/", jsn={}), "no option 'jsn'", "did you mean 'json'?"),
    ],
)
def test_is_refused(call: Call, said: str, hint: str) -> None:
    error = asyncio.run(refusal(call))
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize("condition", ["no", "", b"no", bytearray(b"x"), lambda _: "no"])
def test_a_text_is_no_condition(condition: Any) -> None:
    error = asyncio.run(refusal(lambda vu: check(vu, {"is good": condition})))
    assert "check 'is good' is a text" in error.message
    assert "compare it" in error.hint


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        ((False, "the status is 200"), "tuple"),
        ({False}, "set"),
        ((one for one in (False,)), "generator"),
        (lambda _: lambda: False, "function"),
        ("abc".isdigit, "builtin_function_or_method"),
    ],
)
def test_what_is_true_whatever_it_says_is_no_condition(condition: Any, kind: str) -> None:
    given = condition if kind != "builtin_function_or_method" else lambda _: condition
    error = asyncio.run(refusal(lambda vu: check(vu, {"is good": given})))
    assert f"check 'is good' is a {kind}, and no condition" in error.message
    assert "reply.status == 200" in error.hint


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        (None, False),
        (np.True_, True),
        (np.False_, False),
        (re.search("a", "bab"), True),
        ([], False),
        (lambda number: number == 7, True),
        (lambda number: number & 8, False),
    ],
)
def test_a_condition_is_as_true_as_in_python(condition: Any, holds: bool) -> None:
    async def main() -> None:
        async with harness("http://127.0.0.1:9") as made:
            assert made.vu().check(7, {"holds": condition}) is holds

    asyncio.run(main())


def test_pauses_that_can_be_made(run: Run) -> None:
    async def main() -> None:
        async with harness("http://127.0.0.1:9") as made:
            vu = made.vu()
            for given in ((0,), (0.001,), (np.float64(0.001),), (0, 0.001), (0.002, 0.001)):
                await vu.sleep(*given)

    run(main())


class TestJson:
    def test_without_a_response(self, run: Run) -> None:
        async def main() -> None:
            async with harness("http://127.0.0.1:9") as made:
                reply = await made.vu().get("/items")
                with pytest.raises(fl.ReplyError, match="/items: there was no response: connect_refused") as caught:
                    reply.json()
                assert caught.value.hint == reply.message
                assert caught.value.__suppress_context__

        run(main())

    def test_of_a_part_of_a_response(self, run: Run) -> None:
        def half(connection: Connection, _head: bytes) -> None:
            connection.transport.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a": ')
            connection.transport.close()

        async def main() -> None:
            async with Peer(half) as peer, harness(peer.url) as made:
                reply = await made.vu().get("/")
                with pytest.raises(fl.ReplyError, match="there was no whole response: partial"):
                    reply.json()

        run(main())

    def test_of_an_empty_body(self, run: Run) -> None:
        def empty(connection: Connection, _head: bytes) -> None:
            connection.reply(b"")

        async def main() -> None:
            async with Peer(empty) as peer, harness(peer.url) as made:
                with pytest.raises(fl.ReplyError, match=r"\(200\) is empty") as caught:
                    (await made.vu().get("/")).json()
                assert caught.value.__suppress_context__

        run(main())

    def test_of_something_else_shows_its_begin(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                with pytest.raises(fl.ReplyError, match="is not JSON") as caught:
                    (await made.vu().get("/")).json()
                assert "it begins with" in caught.value.hint

        run(main())


async def visit(vu: fl.VU) -> None:
    await vu.get("/ok")


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        ({"watch": "8080"}, "fl.run: watch is a str", "watch=['8080']"),
        ({"watch": b"80"}, "fl.run: watch is a bytes", "watch=["),
        ({"out": "junit=x.xml"}, "fl.run: out is a str", "out=['junit=x.xml']"),
        ({"stages": "10s:20"}, "fl.run: stages is a str", "stages=['10s:20']"),
        ({"outputs": "x"}, "outputs has a str", ""),
        ({"thresholds": "p95<5"}, "thresholds are 'p95<5', and no mapping", ""),
        ({"trace": b"ab"}, "trace is a bytes", "trace="),
        ({"http": {"timeout_s": 1}}, "fl.run: http is a dict", "fl.HttpSettings("),
        ({"http": fl.RequestSettings()}, "fl.run: http is a RequestSettings", "fl.HttpSettings("),
        ({"thresholds": {"http_req_duration": " p95<5"}}, "threshold 'p95<5'", ""),
    ],
)
def test_options_of_a_run(options: dict[str, Any], said: str, hint: str, nginx: Nginx) -> None:
    with pytest.raises(fl.PlanError) as caught:
        fl.run(visit, base_url=nginx.url, **options)
    assert said in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        ({"stages": "10s:20"}, "fl.scenario: stages is a str", "stages=['10s:20']"),
        ({"http": {"timeout_s": 1}}, "http is a dict", "fl.RequestSettings("),
    ],
)
def test_options_of_a_scenario(options: dict[str, Any], said: str, hint: str) -> None:
    with pytest.raises(fl.PlanError) as caught:
        fl.scenario(**options)(visit)
    assert said in caught.value.message
    assert hint in caught.value.hint
