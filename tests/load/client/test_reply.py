"""What a reply tells beside its status: history, facts, times, and JSON by a path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastload as fl
from fastload.load.client.json_path import NoSuchPathError, at_path
from fastload.load.client.reply_parts import parts_read_by
from fastload.load.engine.header_lines import Redirect, last_headers, redirects
from fastload.model.http_settings import HttpSettings
from tests.conftest import Nginx
from tests.load.harness import Connection, Peer, Run, harness

DATA = {"data": {"items": [{"id": 7, "tags": ["a", "b"]}, {"id": 8}]}, "n": None, "0": "zero"}


class TestJsonPaths:
    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("data.items.0.id", 7),
            ("data.items.-1.id", 8),
            ("data.items.0.tags", ["a", "b"]),
            ("n", None),
            ("0", "zero"),
        ],
    )
    def test_lead_to_values(self, path: str, value: Any) -> None:
        assert at_path(DATA, path) == value

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("dta", "there is no 'dta' at the top: did you mean 'data'?"),
            ("data.items.2", "the array at data.items has 2 items, and no 2"),
            ("data.items.-3", "has 2 items, and no -3"),
            ("data.items.first", "data.items is an array, and 'first' is no number"),
            ("data.items.0.id.x", "there is no 'x' in int 7 at data.items.0.id"),
            ("n.x", "there is no 'x' in NoneType"),
        ],
    )
    def test_that_lead_nowhere_say_where_they_end(self, path: str, said: str) -> None:
        with pytest.raises(NoSuchPathError) as caught:
            at_path(DATA, path)
        assert said in str(caught.value)

    @given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner, min_size=1), max_leaves=5))
    def test_every_leaf_has_one(self, data: Any) -> None:
        found, path = data, []
        while isinstance(found, list):
            path.append(str(len(found) - 1))
            found = found[-1]
        if path:
            assert at_path(data, ".".join(path)) == found

    def test_of_a_reply(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                reply = await made.vu().get("/json")
                assert reply.json("name") == "fastload"
                with pytest.raises(fl.ReplyError, match=r"/json \(200\) has no 'zz'") as missing:
                    reply.json("zz")
                assert str(missing.value.hint).startswith("there is no 'zz' at the top: it has ")
                # A traceback has it once.
                assert missing.value.__suppress_context__
                with pytest.raises(fl.ReplyError, match=r"/json \(200\) has no 'name\.x'") as caught:
                    reply.json("name.x")
                assert caught.value.hint == "there is no 'x' in str 'fastload' at name"

        run(main())


class TestHistory:
    @staticmethod
    def answer(connection: Connection, head: bytes) -> None:
        path = head.split()[1].decode()
        to = {"/a": ("301 Moved", "b?x=1"), "/b?x=1": ("307 Again", f"{connection.peer.url}/c")}.get(path)
        if to:
            connection.reply(
                status=to[0], headers=f"Location: {to[1]}\r\nSet-Cookie: at={path[1]}\r\nX-Hop: {path}\r\n"
            )
        else:
            connection.reply(headers="Set-Cookie: end=1; Path=/\r\n")

    def test_of_redirects(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(self.answer) as peer, harness(peer.url) as made:
                vu = made.vu(headers=True)
                reply = await vu.get("/a")
                assert reply.history == (
                    Redirect(301, f"{peer.url}/a", f"{peer.url}/b?x=1"),
                    Redirect(307, f"{peer.url}/b?x=1", f"{peer.url}/c"),
                )
                assert (reply.url, reply.final_url) == (f"{peer.url}/a", f"{peer.url}/c")
                assert reply.cookies == {"end": "1"}
                assert "x-hop" not in reply.headers
                direct = await vu.get("/c")
                assert (direct.history, direct.final_url) == ((), f"{peer.url}/c")
                off = await vu.get("/a", max_redirects=0)
                assert (off.history, off.headers["location"]) == ((), "b?x=1")

        run(main())

    def test_of_lines(self) -> None:
        challenged = (
            b"HTTP/1.1 401 No\r\n|X: 1\r\n|\r\n|HTTP/1.1 100 Continue\r\n|\r\n|HTTP/2 200\r\n|Y: 2\r\n|\r\n".split(b"|")
        )
        assert (redirects("http://a/", challenged), last_headers(challenged)) == ((), {"y": "2"})
        assert (redirects("http://a/", []), last_headers([])) == ((), {})


class TestFacts:
    def test_of_http(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(lambda connection, _: connection.reply(b"12345")) as peer, harness(peer.url) as made:
                vu = made.vu(headers=True)
                for _ in range(2):
                    reply = await vu.get("/")
                    assert (reply.protocol, reply.tls_version) == ("1.1", "")
                    assert reply.remote_address == ("127.0.0.1", peer.port)
                    assert reply.local_address[0] == "127.0.0.1"
                    assert reply.local_address[1] not in (0, peer.port)
                    assert (reply.error_code, reply.tries) == (0, 1)
                    assert reply.bytes_received > len(reply.body)
                    assert reply.bytes_sent > 0

        run(main())

    def test_of_tls(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.tls, http=HttpSettings(ca_file=str(nginx.ca_file))) as made:
                vu = made.vu(headers=True)
                for _ in range(2):
                    reply = await vu.get("/")
                    assert reply.protocol == "2"
                    assert reply.tls_version in ("1.2", "1.3")
                first, second = [(await made.vu().get("/")).timings, (await vu.get("/")).timings]
                assert first.connecting_ms > 0
                assert first.tls_ms > 0
                assert (second.connecting_ms, second.tls_ms, second.lookup_ms) == (0, 0, 0)

        run(main())

    def test_timings_add_up(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                for _ in range(3):
                    reply = await vu.get("/")
                    parts = reply.timings
                    assert min(parts) >= 0
                    assert parts.sending_ms + parts.waiting_ms + parts.receiving_ms == pytest.approx(reply.duration_ms)

        run(main())

    def test_codes(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                assert (await vu.get("/status/404")).error_code == 1404
                assert (await vu.get("http://127.0.0.1:1/")).error_code == 1212

        run(main())

    def test_what_was_not_kept_says_how_to_keep_it(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                reply = await made.vu().get("/")
                for name in ("protocol", "remote_address", "local_address", "tls_version", "final_url", "history"):
                    with pytest.raises(fl.ReplyError, match="were not kept") as caught:
                        getattr(reply, name)
                    assert caught.value.hint == "pass keep_headers=True to the scenario"

        run(main())

    def test_are_kept_when_the_code_reads_them(self, nginx: Nginx) -> None:
        @fl.scenario(iterations=2)
        async def look(vu: fl.VU) -> None:
            reply = await vu.get("/redirect")
            vu.check(reply, {"facts": reply.protocol == "1.1" and reply.final_url.endswith("/json")})
            vu.check(reply, {"history": [hop.status for hop in reply.history] == [302]})

        summary = fl.run(look, base_url=nginx.url, workers=1)
        assert [(check.passes, check.fails) for check in summary.checks] == [(2, 0)] * 2, summary.exceptions
        used = parts_read_by(look.function)
        assert (used.body, used.headers, used.connection_info, used.tls) == (False, True, True, False)
