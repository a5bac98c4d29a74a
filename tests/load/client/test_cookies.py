"""The cookies of a VU, as the script and the server see them."""

from __future__ import annotations

import time

import pytest

import fastload as fl
from fastload.load.client.cookies import Cookie
from fastload.load.client.request_options import RequestDefaults
from fastload.model.http_settings import HttpSettings
from tests.load.harness import Connection, Peer, Run, harness, lines_of


def answer(connection: Connection, head: bytes) -> None:
    """Answer with the cookies that came; /login sets two, /logout ends one of them."""
    path = head.split()[1]
    given = ""
    if path == b"/login":
        given = "Set-Cookie: id=7; Path=/; HttpOnly\r\nSet-Cookie: lang=en; Path=/deep; Max-Age=1000\r\n"
    elif path == b"/logout":
        given = "Set-Cookie: id=; Path=/; Max-Age=0\r\n"
    connection.reply(lines_of(head.decode()).get("cookie", "none").encode(), headers=given)


async def sent(vu: fl.VU, url: str = "/") -> set[str]:
    """The cookies that the server saw."""
    return set((await vu.get(url)).text.split("; "))


class TestCookies:
    def test_read(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                vu, other = made.vu(headers=True), made.vu()
                assert dict(vu.cookies) == {}
                reply = await vu.get("/login")
                assert reply.cookies == {"id": "7", "lang": "en"}
                assert vu.cookies == {"id": "7", "lang": "en"}
                assert (vu.cookies["id"], vu.cookies.get("x"), len(vu.cookies)) == ("7", None, 2)
                by_name = {cookie.name: cookie for cookie in vu.cookies.all()}
                assert by_name["id"] == Cookie("id", "7", "127.0.0.1", http_only=True)
                assert by_name["lang"].path == "/deep"
                assert 900 < by_name["lang"].expires - time.time() < 1001
                assert (await sent(vu), await sent(vu, "/deep")) == ({"id=7"}, {"id=7", "lang=en"})
                await vu.get("/logout")
                assert set(vu.cookies) == {"lang"}
                assert dict(other.cookies) == {}

        run(main())

    @pytest.mark.parametrize("heard", [False, True], ids=["", "TLS version wanted"])
    def test_written(self, run: Run, heard: bool) -> None:
        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                vu = made.vu(headers=heard)
                vu.cookies["a"] = "1"
                vu.cookies.set("b", "2 x", path="/deep")
                vu.cookies.set("c", "3", domain="example.com")
                vu.cookies.set("d", "", secure=False, http_only=True)
                assert (await sent(vu), await sent(vu, "/deep")) == ({"a=1", "d="}, {"a=1", "b=2 x", "d="})
                vu.cookies["a"] = "new"
                del vu.cookies["d"]
                assert await sent(vu) == {"a=new"}
                with pytest.raises(KeyError):
                    del vu.cookies["d"]
                vu.cookies.clear()
                assert await sent(vu) == {"none"}

        run(main())

    def test_of_one_request(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                vu = made.vu()
                vu.cookies["kept"] = "1"
                reply = await vu.get("/", cookies={"once": "2", "more": "3"})
                assert set(reply.text.split("; ")) == {"kept=1", "once=2", "more=3"}
                assert await sent(vu) == {"kept=1"}
                assert set(vu.cookies) == {"kept"}
                # The same handle is used again for a request with another option.
                assert (await vu.get("/", timeout="9s")).text == "kept=1"

        run(main())

    def test_cleared_after_each_iteration(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                for clear in (False, True):
                    vu = made.vu(requests=RequestDefaults(clear_cookies=clear))
                    vu._begin_iteration(0, 0)
                    await vu.get("/login")
                    assert await sent(vu) == {"id=7"}
                    vu._end_iteration()
                    vu._begin_iteration(0, 1)
                    assert await sent(vu) == ({"none"} if clear else {"id=7"})

        run(main())

    def test_mistakes(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                with pytest.raises(fl.PlanError, match="the cookie 'a' has no domain"):
                    made.vu().cookies["a"] = "1"
            async with harness("http://127.0.0.1:9") as made:
                for name, value in (("a", "1;2"), ("a", "1\n2"), ("", "1"), ("a\t", "1")):
                    with pytest.raises(fl.PlanError, match="cannot be a part of the cookie"):
                        made.vu().cookies[name] = value
            async with harness("http://127.0.0.1:9", http=HttpSettings(cookies=False)) as made:
                with pytest.raises(fl.PlanError, match="this run keeps no cookies"):
                    _ = made.vu().cookies

        run(main())
