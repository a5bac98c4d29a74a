"""What a request, its VU, its scenario and the run say of it, against servers that tell what they saw."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import fastload as fl
from fastload.load.client.expected_statuses import expected_statuses
from fastload.load.client.prepared_request import filled_url
from fastload.load.client.request_options import RequestDefaults, defaults_of
from fastload.model.http_settings import HttpSettings
from fastload.model.metrics import Series
from fastload.planning.transport import make_http
from tests.conftest import Nginx
from tests.load.harness import SETTINGS, Connection, Harness, Peer, Run, harness, lines_of


def echo_head(connection: Connection, head: bytes) -> None:
    connection.reply(head)


def by_path(connection: Connection, head: bytes) -> None:
    """Answer with the status that the path names, with the rest of the path as a header."""
    _, status, *rest = head.split()[1].decode().split("/")
    header = f"Location: /{'/'.join(rest)}\r\n" if status.startswith("3") and rest else ""
    connection.reply(b"", status=f"{status} Status", headers=header)


def silent(_connection: Connection, _head: bytes) -> None:
    """Never answers."""


async def seen(vu: fl.VU, url: str = "/", **options: Any) -> dict[str, str]:
    """The headers that the server saw."""
    return lines_of((await vu.get(url, **options)).text)


def failed(made: Harness) -> tuple[int, int, dict[str, int]]:
    """(failed, finished well, errors by kind) since the last call."""
    delta = made.take()
    errors = {kind: count for kind, (count, _) in delta.errors.entries.items()}
    return delta.stats.failed, delta.stats.finished, errors


class TestHeaders:
    def test_layers(self, run: Run) -> None:
        http = HttpSettings(timeout_s=20, headers=("X-A: run", "X-B: run", "X-C: run", "X-D: run"))
        defaults = defaults_of("s", {"x-b": "scenario", "X-C": "scenario", "X-D": "scenario"}, None, None, None)

        async def main() -> None:
            async with Peer(echo_head) as peer, harness(peer.url, http=http) as made:
                vu, other = made.vu(requests=defaults), made.vu()
                vu.headers["X-c"] = "vu"
                vu.headers["x-d"] = "vu"
                got = await seen(vu, headers={"X-D": "request"})
                assert [got[f"x-{name}"] for name in "abcd"] == ["run", "scenario", "vu", "request"]
                again = await seen(vu)
                assert [again[f"x-{name}"] for name in "abcd"] == ["run", "scenario", "vu", "vu"]
                assert [(await seen(other))[f"x-{name}"] for name in "abcd"] == ["run"] * 4
                vu.headers = {"X-A": "new"}
                assert [(await seen(vu))[f"x-{name}"] for name in "abcd"] == ["new", "scenario", "scenario", "scenario"]

        run(main())

    def test_taken_away_and_empty(self, run: Run) -> None:
        http = HttpSettings(timeout_s=20, headers=("X-Run: run",))

        async def main() -> None:
            async with Peer(echo_head) as peer, harness(peer.url, http=http) as made:
                got = await seen(made.vu(), headers={"X-Run": None, "User-Agent": None, "Accept": None, "X-Empty": ""})
                assert not got.keys() & {"x-run", "user-agent", "accept"}
                assert "x-empty:" in got
                assert (await seen(made.vu()))["x-run"] == "run"

        run(main())

    @pytest.mark.parametrize("value", ["a\nb", "a\r\nX-More: 1"])
    def test_a_line_break_is_refused(self, value: str) -> None:
        async def main() -> None:
            async with harness("http://127.0.0.1:9") as made:
                with pytest.raises(fl.PlanError, match="'X-A' has a line break"):
                    await made.vu().get("/", headers={"X-A": value})

        asyncio.run(main())


class TestSettings:
    def test_auth(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(echo_head) as peer, harness(peer.url) as made:
                vu = made.vu()
                assert (await seen(vu, auth=("ada", "pw")))["authorization"] == "Basic YWRhOnB3"
                assert (await seen(vu, auth=fl.Auth("bearer", token="t")))["authorization"] == "Bearer t"
                assert "authorization" not in await seen(vu)
                vu.auth = ("me", "pw")
                assert vu.auth == fl.Auth("basic", "me", "pw")
                assert (await seen(vu))["authorization"] == "Basic bWU6cHc="
                assert (await seen(vu, auth=("ada", "pw")))["authorization"] == "Basic YWRhOnB3"
                vu.auth = None
                assert "authorization" not in await seen(vu)
                scenario = made.vu(requests=RequestDefaults(http=fl.RequestSettings(auth=fl.Auth("basic", "s", "pw"))))
                assert (await seen(scenario))["authorization"] == "Basic czpwdw=="

        run(main())

    def test_timeouts(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(silent) as peer, harness(peer.url) as made:
                vu = made.vu()
                for timeout in ("50ms", 0.05):
                    assert (await vu.get("/", timeout=timeout)).error == "timeout"
                vu.http = fl.RequestSettings(timeout_s=0.05)
                assert (await vu.get("/")).error == "timeout"

        run(main())

    def test_the_nearest_layer_counts(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(silent) as peer, harness(peer.url) as made:
                defaults = RequestDefaults(http=fl.RequestSettings(timeout_s=20, max_redirects=0))
                vu = made.vu(requests=defaults)
                vu.http = fl.RequestSettings(timeout_s=19)
                assert (await vu.get("/", http=fl.RequestSettings(timeout_s=18), timeout="50ms")).error == "timeout"

        run(main())

    def test_base_url(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(echo_head) as first, Peer(echo_head) as second, harness(first.url) as made:
                vu, other = made.vu(), made.vu()
                assert vu.base_url == first.url
                vu.base_url = f"{second.url}/base/"
                assert vu.base_url == f"{second.url}/base"
                assert (await vu.get("a")).url == f"{second.url}/base/a"
                assert (await vu.get(f"{first.url}/b")).url == f"{first.url}/b"
                assert (await other.get("/c")).url == f"{first.url}/c"
                with pytest.raises(fl.PlanError, match=r"vu\.base_url 'nowhere' has no http"):
                    vu.base_url = "nowhere"

        run(main())

    @pytest.mark.parametrize(
        ("options", "said", "hint"),
        [
            ({"jsn": {}}, "a request has no option 'jsn'", "did you mean 'json'?"),
            ({"timeout": "5"}, "timeout", ""),
            ({"timeout": 0}, "timeout 0 is not above 0", ""),
            ({"max_redirects": -1}, "max_redirects -1 is below 0", "0 follows none"),
            ({"auth": "me"}, "auth is a str", '("user", "password")'),
            ({"expected": "2xx"}, "expected: '2xx' names no statuses", "200-299"),
            ({"expected": 20}, "expected: 20 is no HTTP status", ""),
            ({"expected": ()}, "expected: () names no statuses", ""),
            ({"path": {"a": 1}}, "path= has 'a'", ""),
        ],
    )
    def test_mistakes(self, options: dict[str, Any], said: str, hint: str) -> None:
        async def main() -> None:
            async with harness("http://127.0.0.1:9") as made:
                with pytest.raises(fl.PlanError) as caught:
                    await made.vu().get("/", **options)
                assert said in caught.value.message
                assert hint in caught.value.hint
                assert made.take().stats.started == 0

        asyncio.run(main())


class TestRedirects:
    def test_off_and_limited(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(by_path) as peer, harness(peer.url) as made:
                vu = made.vu()
                assert (await vu.get("/302/302/200")).status == 200
                off = await vu.get("/302/200", max_redirects=0)
                assert (off.status, off.ok, len(peer.requests)) == (302, True, 4)
                assert (await vu.get("/302/302/200", max_redirects=1)).error == "redirects"
                assert (await vu.get("/302/200")).status == 200, "nothing is left of it"

        run(main())


class TestTemplates:
    def test_name_and_url(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(echo_head) as peer, harness(f"{peer.url}/v1") as made:
                vu = made.vu()
                for user in ("ada/b", "bob ü"):
                    await vu.get("/users/{user}/items/{n}", path={"user": user, "n": 7}, params={"q": 1})
                assert [head.split()[1] for _, head in peer.requests] == [
                    "/v1/users/ada%2Fb/items/7?q=1",
                    "/v1/users/bob%20%C3%BC/items/7?q=1",
                ]
                names = {tags["name"] for tags, _ in made.take().table.of_metric("http_reqs")}
                assert names == {"/users/{user}/items/{n}"}

        run(main())

    def test_mistakes(self) -> None:
        with pytest.raises(fl.PlanError, match="path= has no value for it") as caught:
            filled_url("/users/{user}", {"usr": 1})
        assert caught.value.hint == "did you mean 'usr'?"

    def test_names_as_they_stand(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            for fold, expected in ((True, {"/users/{id}"}), (False, {"/users/1", "/users/2"})):
                async with harness(nginx.url, http=HttpSettings(timeout_s=20, fold_paths=fold)) as made:
                    vu = made.vu()
                    for url in ("/users/1?page=1", "/users/2"):
                        await vu.get(url)
                    assert {tags["name"] for tags, _ in made.take().table.of_metric("http_reqs")} == expected

        run(main())


class TestExpectedStatuses:
    def test_of_a_request(self, run: Run) -> None:
        filters = [
            Series.of("http_reqs", error="http_200"),
            Series.of("http_reqs", error=""),
            Series.of("http_req_duration", status="404", error=""),
        ]

        async def main() -> None:
            async with Peer(by_path) as peer, harness(peer.url, filters=filters) as made:
                vu = made.vu()
                good = await vu.get("/404", expected=(200, 404))
                assert (good.ok, good.status, good.error_code) == (True, 404, 0)
                bad = await vu.get("/200", expected="201-204,404")
                assert (bad.ok, bad.status, bad.error) == (False, 200, "")
                assert not (await vu.get("/500", expected=404)).ok
                assert (await vu.get("/200", expected=range(200, 300))).ok
                assert not (await vu.get("/404")).ok
                delta = made.take()
                assert (delta.stats.failed, delta.stats.finished) == (3, 2)
                errors = {kind: count for kind, (count, _) in delta.errors.entries.items()}
                assert errors == {"http_200": 1, "http_500": 1, "http_404": 1}
                said = {kind: message for kind, (_, message) in delta.errors.entries.items()}
                assert said["http_200"] == "GET /{id} answered 200, expected was 201-204,404"
                assert said["http_500"] == "GET /{id} answered 500, expected was 404"
                assert said["http_404"] == "GET /{id} answered 404"
                rate = delta.table.get("http_req_failed")
                assert (rate.trues, rate.total) == (3, 5)
                by_tags = {tuple(tags.items()): sink for tags, sink in delta.table.of_metric("http_reqs")}
                assert by_tags[(("error", "http_200"),)].value == 1
                assert by_tags[(("error", ""),)].value == 2
                assert by_tags[(("method", "GET"), ("name", "/{id}"), ("status", "404"))].value == 2

        run(main())

    def test_of_a_scenario_and_of_the_run(self, run: Run) -> None:
        async def main() -> None:
            http = HttpSettings(timeout_s=20, expected="404")
            async with Peer(by_path) as peer, harness(peer.url, http=http) as made:
                vu = made.vu()
                assert ((await vu.get("/404")).ok, (await vu.get("/200")).ok) == (True, False)
                own = made.vu(requests=RequestDefaults(expected=expected_statuses((200, 500))))
                assert ((await own.get("/500")).ok, (await own.get("/404")).ok) == (True, False)
                assert (await own.get("/404", expected=404)).ok
                assert failed(made) == (2, 3, {"http_200": 1, "http_404": 1})

        run(main())

    def test_a_failed_request_is_never_expected(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(silent) as peer, harness(peer.url) as made:
                reply = await made.vu().get("/", expected=200, timeout="50ms")
                assert (reply.ok, reply.error, reply.error_code) == (False, "timeout", 1050)
                assert failed(made) == (1, 0, {"timeout": 1})

        run(main())

    def test_within_a_block_that_judges(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(by_path) as peer, harness(peer.url) as made:
                vu = made.vu()
                async with vu.expect("GET", "/404", expected=404) as reply:
                    assert reply.ok
                assert failed(made) == (0, 1, {})
                async with vu.expect("GET", "/200", expected=404) as reply:
                    assert not reply.ok
                assert failed(made) == (1, 0, {"http_200": 1})
                async with vu.expect("GET", "/200", expected=404) as reply:
                    reply.success()
                assert failed(made) == (0, 1, {})

        run(main())


class TestBatch:
    def test_of_every_form(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                replies = await vu.batch(
                    [
                        "/method",
                        ("POST", "/method"),
                        ("PUT", "/method", {"headers": {"X-Test": "t"}, "params": {"a": 1}}),
                        {"method": "PATCH", "url": "/method", "name": "patch"},
                        {"url": "/method"},
                        vu.delete("/method"),
                    ]
                )
                assert [reply.text.strip() for reply in replies] == [
                    "GET", "POST", "PUT t a=1", "PATCH", "GET", "DELETE"
                ]  # fmt: skip
                named = await vu.batch({"one": "/method", "two": ("POST", "/method")})
                assert {key: reply.method for key, reply in named.items()} == {"one": "GET", "two": "POST"}
                assert await vu.batch([]) == []
                assert made.take().stats.finished == 8

        run(main())

    def test_limits(self, run: Run) -> None:
        most: list[int] = []

        async def main() -> None:
            def answer(connection: Connection, _head: bytes) -> None:
                most.append(vu._in_flight)
                asyncio.get_running_loop().call_later(0.005, connection.reply)

            async with Peer(answer) as peer, harness(peer.url) as made:
                vu = made.vu()
                for options, wanted in (({}, 6), ({"per_host": 30}, 20), ({"limit": 2}, 2), ({"per_host": 1}, 1)):
                    most.clear()
                    replies = await vu.batch([f"/{number}" for number in range(30)], **options)
                    assert all(reply.ok for reply in replies)
                    assert max(most) == wanted
                most.clear()
                await vu.batch([vu.get("/") for _ in range(30)], limit=4)
                assert max(most) == 4

        run(main())

    @pytest.mark.parametrize(("items", "said"), [([3], "batch: 3 is no request"), ([("GET",)], "is no request")])
    def test_mistakes(self, items: list[Any], said: str) -> None:
        async def main() -> None:
            async with Peer(silent) as peer, harness(peer.url) as made:
                vu = made.vu()
                with pytest.raises(fl.PlanError, match=said):
                    await vu.batch([vu.get("/"), *items])
                with pytest.raises(fl.PlanError, match="a limit of 0 is below 1"):
                    await vu.batch(["/"], limit=0)
                with pytest.raises(fl.PlanError, match="a request has no option 'nme'"):
                    await vu.batch(["/", ("GET", "/", {"nme": "x"})])
                assert made.in_flight == 0, "what was under way is given up"

        asyncio.run(main())


class TestScenarioOptions:
    def test_are_checked_when_they_are_declared(self) -> None:
        for options, said in (
            ({"cookies": "kept"}, "cookies 'kept' is unknown"),
            ({"expected": "x"}, "expected: 'x' names no statuses"),
            ({"http": SETTINGS}, "http is a HttpSettings"),
            ({"headers": ["a"]}, "headers is a list"),
            ({"headers": {"A": "b\r\nX: y"}}, "the header 'A' has a line break in it"),
        ):
            with pytest.raises(fl.PlanError, match=said):
                fl.scenario(**options)

    def test_reach_every_request_of_a_run(self, nginx: Nginx) -> None:
        @fl.scenario(
            iterations=3,
            headers={"X-Test": "mine"},
            expected=(200, 404),
            http=fl.RequestSettings(max_redirects=0),
            cookies="clear",
        )
        async def visit(vu: fl.VU) -> None:
            vu.check((await vu.get("/method")).text, {"header": lambda text: "mine" in text})
            vu.check(await vu.get("/status/404"), {"expected": lambda reply: reply.ok})
            vu.check(await vu.get("/redirect"), {"not followed": lambda reply: reply.status == 302 and not reply.ok})
            vu.check((await vu.get("/cookie")).text, {"no cookie": lambda text: text == "c="})

        summary = fl.run(visit, base_url=nginx.url, workers=1)
        assert all(not check.fails for check in summary.checks), summary.exceptions
        assert len(summary.checks) == 4
        assert summary.metrics["http_req_failed"].rate == 0.25


class TestOptionsOfTheRun:
    def test_are_taken_from_a_configuration(self) -> None:
        http = make_http({"expected": "200-299,404", "fold_paths": False})
        assert (http.expected, http.fold_paths) == ("200-299,404", False)
        with pytest.raises(fl.PlanError, match="expected: '2xx' names no statuses"):
            make_http({"expected": "2xx"})
