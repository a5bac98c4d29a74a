"""Names and values as pairs, as httpx and requests take them, and JSON with keys that are no texts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import fastload as fl
from tests.load.harness import Connection, Peer, Run, harness, lines_of


def echo(connection: Connection, head: bytes) -> None:
    """Answer with the target, the headers and the body of the request."""
    text = head.decode("latin-1")
    seen = {"url": text.split()[1], "headers": lines_of(text), "body": connection.body.decode("latin-1")}
    connection.reply(json.dumps(seen).encode())


def seen_by_server(run: Run, send: Callable[[fl.VU], Any], **defaults: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def main() -> None:
        async with Peer(echo) as peer, harness(peer.url) as made:
            vu = made.vu()
            for name, value in defaults.items():
                setattr(vu, name, value)
            found.update((await send(vu)).json())

    run(main())
    return found


HEADERS: Any = [("X-A", "1"), ["X-B", "2"]]


@pytest.mark.parametrize("more", [{}, {"timeout": 5}], ids=["plain", "with an option"])
@pytest.mark.parametrize("given", [HEADERS, tuple(HEADERS), dict(HEADERS).items()], ids=["list", "tuple", "items"])
def test_headers(run: Run, given: Any, more: dict[str, Any]) -> None:
    found = seen_by_server(run, lambda vu: vu.get("/", headers=given, **more))
    assert (found["headers"]["x-a"], found["headers"]["x-b"]) == ("1", "2")


def test_headers_of_a_vu_below_those_of_a_request(run: Run) -> None:
    found = seen_by_server(run, lambda vu: vu.get("/", headers=[("x-b", "3")]), headers=HEADERS)
    assert (found["headers"]["x-a"], found["headers"]["x-b"]) == ("1", "3")


def test_headers_of_a_scenario() -> None:
    async def visit(vu: fl.VU) -> None: ...

    assert fl.scenario(headers=HEADERS)(visit)._request_defaults.headers == {"X-A": "1", "X-B": "2"}


@pytest.mark.parametrize("more", [{}, {"timeout": 5}], ids=["plain", "with an option"])
def test_params_and_a_form(run: Run, more: dict[str, Any]) -> None:
    pairs = [("tag", "a b"), ("tag", 2), ("n", 1)]
    found = seen_by_server(run, lambda vu: vu.post("/", params=pairs, data=pairs, **more))
    assert found["url"] == "/?tag=a+b&tag=2&n=1"
    assert found["body"] == "tag=a+b&tag=2&n=1"
    assert found["headers"]["content-type"] == "application/x-www-form-urlencoded"


def test_pairs_that_can_be_read_once_are_a_form_in_each_try(run: Run) -> None:
    bodies: list[bytes] = []

    def answer(connection: Connection, _head: bytes) -> None:
        bodies.append(connection.body)
        connection.reply(b"{}", status="503 Busy" if len(bodies) == 1 else "200 OK")

    async def main() -> None:
        async with Peer(answer) as peer, harness(peer.url) as made:
            retry = fl.Retry(times=1, wait="1ms")
            assert (await made.vu().post("/", data=zip("ab", "12", strict=True), retry=retry)).ok

    run(main())
    assert bodies == [b"a=1&b=2"] * 2


def test_a_text_in_place_of_headers_is_one_error(run: Run) -> None:
    async def main() -> None:
        async with harness("http://127.0.0.1:9") as made:
            extras: list[dict[str, Any]] = [{}, {"json": 1}, {"timeout": 5}]
            for more in extras:
                wrong: Any = "X-A: 1"
                with pytest.raises(fl.PlanError, match="headers is a str") as caught:
                    await made.vu().post("/", headers=wrong, **more)
                assert caught.value.__context__ is None

    run(main())


def test_a_key_that_json_does_not_have_is_told(run: Run) -> None:
    async def main() -> None:
        async with harness("http://127.0.0.1:9") as made:
            with pytest.raises(fl.PlanError) as caught:
                await made.vu().post("/", json={(1, 2): 3})
        assert caught.value.message == "json cannot be encoded: a key of a dict is no text, number, boolean or None"
        assert "list of pairs" in caught.value.hint

    run(main())


def test_fields_beside_files(run: Run) -> None:
    found = seen_by_server(run, lambda vu: vu.post("/", data=[("tag", "a"), ("tag", "b")], files={"f": b"x"}))
    assert found["body"].count('name="tag"') == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"headers": ["ab"]}, "headers is a list without names and values"),
        ({"headers": [("a", "1", "2")]}, "headers is a list without names and values"),
        ({"headers": [("a", "1"), ("b", "2"), ("a", "3")]}, "headers has 'a' twice"),
        ({"headers": [("a\n", "1")]}, "header"),
        ({"params": ["ab"]}, "params is a list without names and values"),
        ({"data": ["ab"]}, "data is a list without names and values"),
        ({"data": ["ab"], "files": {"f": b"x"}}, "data beside files is a list without names and values"),
    ],
)
def test_what_are_no_pairs(run: Run, options: dict[str, Any], said: str) -> None:
    async def main() -> None:
        async with harness("http://127.0.0.1:9") as made:
            extras: list[dict[str, Any]] = [{}, {"timeout": 5}]
            for more in extras:
                with pytest.raises(fl.PlanError) as caught:
                    await made.vu().post("/", **options, **more)
                assert said in caught.value.message
            assert made.take().stats.started == 0

    run(main())


@pytest.mark.parametrize(
    "value", [{1: 2}, {1.5: "x", -3: "y"}, {True: 1, False: 0, None: None}, {"a": [{2: {3: "deep"}}]}], ids=repr
)
@pytest.mark.parametrize("more", [{}, {"timeout": 5}], ids=["plain", "with an option"])
def test_keys_of_json_that_are_no_texts_become_those_of_python(run: Run, value: Any, more: dict[str, Any]) -> None:
    found = seen_by_server(run, lambda vu: vu.post("/", json=value, **more))
    assert found["body"] == json.dumps(value, separators=(",", ":"))


def test_other_keys_of_json_are_refused(run: Run) -> None:
    async def main() -> None:
        async with harness("http://127.0.0.1:9") as made:
            with pytest.raises(fl.PlanError, match="json cannot be encoded"):
                await made.vu().post("/", json={(1, 2): math.pi})

    run(main())


NUMPY: Any = numpy


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"params": NUMPY.array([1, 2])}, "params is a ndarray without names and values"),
        ({"cookies": NUMPY.array([1, 2])}, "cookies"),
        ({"path": NUMPY.array([1, 2])}, "path is a ndarray"),
        ({"files": NUMPY.array([1, 2])}, "files is a ndarray without names and values"),
        ({"headers": NUMPY.array([1, 2])}, "headers is a ndarray without names and values"),
        ({"expected": NUMPY.array(200)}, "expected: array(200) names no statuses"),
        ({"expected": NUMPY.array([[200]])}, "expected: array([200]) is no HTTP status"),
    ],
)
def test_an_array_is_told_by_its_option(run: Run, options: dict[str, Any], said: str) -> None:
    """The truth value of an array is an error of numpy's own, which names no option."""

    async def main() -> None:
        async with harness("http://127.0.0.1:9") as made:
            with pytest.raises(fl.PlanError) as caught:
                await made.vu().post("/{n}" if "path" in options else "/", **options)
            assert said in caught.value.message

    run(main())


def test_statuses_in_an_array(run: Run) -> None:
    """The text of a long array leaves elements out: two of them are not the same because their texts are."""
    missing, there = NUMPY.full(2000, 200), NUMPY.full(2000, 200)
    there[1000] = 404

    async def main() -> None:
        def not_found(connection: Connection, _head: bytes) -> None:
            connection.reply(status="404 Not Found")

        async with Peer(not_found) as peer, harness(peer.url, http=fl.HttpSettings(expected=there)) as made:
            vu = made.vu()
            assert not (await vu.get("/", expected=missing)).ok
            assert (await vu.get("/", expected=there)).ok
            assert (await vu.get("/")).ok, "of the run"

    run(main())
