"""Text outside ASCII and text with line breaks, in every place of a request, as a server gets it byte for byte; and
bytes of a server that are no UTF-8."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from fastload.load.client.request_options import RequestDefaults
from fastload.model.errors import PlanError
from fastload.model.http_settings import Auth, HttpSettings, RequestSettings
from fastload.planning import make_http
from tests.load.client.peer_answers import ok
from tests.load.harness import Connection, Peer, Run, harness, lines_of


def head_of(peer: Peer) -> str:
    """The last request that came, as text."""
    return peer.requests[-1][1].encode("latin-1").decode()


def target_of(peer: Peer) -> str:
    return head_of(peer).split()[1]


class TestSent:
    def test_urls(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                vu = made.vu()
                for url, sent in (
                    ("/ü", "/%C3%BC"),
                    ("/a b?q='ü'", "/a%20b?q=%27%C3%BC%27"),
                    ("/%C3%BC", "/%C3%BC"),
                    (f"{peer.url}/日", "/%E6%97%A5"),
                    (f" {peer.url}/a\n", "/a"),
                    ("/\udcff\ud800", "/%FF%EF%BF%BD"),
                    ("/a#b", "/a"),
                ):
                    assert (await vu.get(url)).status == 200
                    assert target_of(peer) == sent
                assert (await vu.get("/{who}/ä", path={"who": "ö/"}, params={"ü": "ß\udcff"})).status == 200
                assert target_of(peer) == "/%C3%B6%2F/%C3%A4?%C3%BC=%C3%9F%FF"
                assert (await vu.get("/a?b=c#d", params={"e": "f"})).status == 200
                assert target_of(peer) == "/a?b=c&e=f"
                vu.base_url = f"{peer.url}/ä"
                assert (await vu.get("/ö")).url == f"{peer.url}/%C3%A4/%C3%B6"
                assert target_of(peer) == "/%C3%A4/%C3%B6"

        run(main())

    def test_names_of_requests_stay_readable(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                await made.vu().get("/ü/12")
                await made.vu().get("/\udcff")
                names = {tags["name"] for tags, _ in made.take().table.of_metric("http_reqs")}
                assert names == {"/ü/{id}", "/\\udcff"}

        run(main())

    def test_headers_and_cookies(self, run: Run) -> None:
        async def main() -> None:
            http = HttpSettings(timeout_s=20, user_agent="ä-agent", headers=("X-Run: run-ö",))
            async with Peer(ok) as peer, harness(peer.url, http=http) as made:
                vu = made.vu(requests=RequestDefaults(headers={"X-Scenario": "日"}))
                vu.headers["X-VU"] = "ß"
                vu.cookies["kept"] = "é"
                await vu.get("/", headers={"X-Own": "ü\udcff"}, cookies={"own": "€"})
                _, raw = peer.requests[-1]
                got = {name: value.encode("latin-1") for name, value in lines_of(raw).items()}
                assert got["user-agent"] == "ä-agent".encode()
                assert [got[f"x-{one}"] for one in ("run", "scenario", "vu")] == [
                    one.encode() for one in ("run-ö", "日", "ß")
                ]
                assert got["x-own"] == "ü".encode() + b"\xff"
                assert got["cookie"] == "kept=é; own=€".encode()
                # What comes after is plain again.
                other = made.vu()
                await other.get("/", headers={"X-Own": "plain"})
                assert "x-own: plain" in head_of(peer).lower()

        run(main())

    @pytest.mark.parametrize("where", ["url", "run", "request"])
    def test_credentials(self, run: Run, where: str) -> None:
        async def main() -> None:
            http = HttpSettings(timeout_s=20, auth=Auth("basic", "ü", "ß:@") if where == "run" else None)
            async with Peer(ok) as peer, harness(peer.url, http=http) as made:
                url = peer.url.replace("http://", "http://ü:ß:@@") if where == "url" else peer.url
                own: dict[str, Any] = {"auth": ("ü", "ß:@")} if where == "request" else {}
                await made.vu().get(f"{url}/", **own)
                wanted = base64.b64encode("ü:ß:@".encode()).decode()
                assert lines_of(head_of(peer))["authorization"] == f"Basic {wanted}"
                await made.vu().get("/", auth=Auth("bearer", token="tökén"))
                assert lines_of(head_of(peer))["authorization"] == "Bearer tökén"

        run(main())

    def test_a_host_that_is_no_ascii(self, run: Run) -> None:
        async def main() -> None:
            made_of = make_http({"hosts": {"bücher.example": "127.0.0.1"}}, HttpSettings(timeout_s=20))
            async with Peer(ok) as peer, harness(http=made_of) as made:
                assert (await made.vu().get(f"http://Bücher.example:{peer.port}/")).status == 200
                assert lines_of(head_of(peer))["host"] == f"xn--bcher-kva.example:{peer.port}"

        run(main())

    def test_a_host_that_is_no_name_is_a_failed_request(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                vu = made.vu()
                for url in ("http://a b/", "http://ü\0x/", "http://ü:ü/"):
                    assert (await vu.get(url)).error == "url"

        run(main())

    def test_streams_and_files(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                vu = made.vu()
                async with vu.stream("GET", "/ü", headers={"X-Own": "ü"}) as reply:
                    assert await reply.read() == b"ok"
                assert target_of(peer) == "/%C3%BC"
                assert "x-own: ü" in head_of(peer).lower()
                await vu.post("/", files={"ü\r\n\0": ("ä\r\n\0.bin", b"x", "a/ö")})
                part = peer.connections[-1].body.split(b"\r\n\r\n")[0].decode()
                assert 'name="ü%0D%0A%00"; filename="ä%0D%0A%00.bin"\r\nContent-Type: a/ö' in part
                await vu.post("/", data={"ü": "ß\ud800"})
                assert peer.connections[-1].body == b"%C3%BC=%C3%9F%EF%BF%BD"

        run(main())


BREAKS = ("\r\nX: y", "\nX: y", "\rX: y", "\0")


class TestInjection:
    @pytest.mark.parametrize("text", BREAKS)
    @pytest.mark.parametrize(
        "inject",
        [
            lambda vu, text: vu.get("/", headers={"A": f"b{text}"}),
            lambda vu, text: vu.get("/", headers={f"A{text}": "b"}),
            lambda vu, text: vu.get("/", headers={f"A{text}": None}),
            lambda vu, text: vu.get("/", cookies={"a": f"1{text}"}),
            lambda vu, text: vu.get("/", cookies={f"a{text}": "1"}),
            lambda vu, text: vu.cookies.set("a", f"1{text}"),
            lambda vu, text: vu.cookies.set("a", "1", path=f"/{text}"),
            lambda vu, text: vu.get("/", auth=(f"a{text}", "b")),
            lambda vu, text: vu.get("/", auth=Auth("bearer", token=f"a{text}")),
            lambda vu, text: vu.get("/", http=RequestSettings(accept_encoding=f"gzip{text}")),
            lambda vu, text: vu.get("/", http=RequestSettings(proxy=f"http://127.0.0.1{text}")),
            lambda vu, text: vu.post("/", files={"a": ("a", b"b", f"a/b{text}")}),
            lambda vu, text: vu.websocket("/", subprotocols=(f"chat{text}",)),
            lambda vu, text: vu.stream("GET", "/", headers={"A": f"b{text}"}).__aenter__(),
            lambda vu, text: vu.websocket("/", headers={"A": f"b{text}"}).__aenter__(),
        ],
        ids=[
            *("header", "header name", "removed header", "cookie", "cookie name", "kept cookie", "cookie path"),
            *("user", "token", "encoding", "proxy", "content type", "subprotocol", "stream", "websocket"),
        ],
    )
    def test_refused(self, run: Run, inject: Callable[[fl.VU, str], Any], text: str) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                vu = made.vu()
                with pytest.raises(PlanError) as caught:
                    await inject(vu, text)
                assert caught.value.hint
                assert peer.requests == []
                # The VU goes on.
                assert (await vu.get("/")).status == 200
                assert "\nX: y" not in head_of(peer)

        run(main())

    def test_not_in_urls_either(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                for text in BREAKS:
                    await made.vu().get(f"/a{text}", params={"b": text})
                    await made.vu().get("/{a}", path={"a": text})
                    assert all(len(head.split("\r\n")) == 4 for _, head in peer.requests)
                    assert all("X: y" not in head and "\0" not in head for _, head in peer.requests)

        run(main())

    @pytest.mark.parametrize("text", BREAKS)
    @pytest.mark.parametrize("field", ["user_agent", "accept_encoding", "headers", "proxy", "no_proxy"])
    def test_not_in_the_settings_of_a_run(self, field: str, text: str) -> None:
        line = f"A: b{text}"
        given: Any = {field: (line,) if field == "headers" else line}
        with pytest.raises(PlanError, match=r"in it|name of a header"):
            make_http({}, HttpSettings(**given))

    def test_one_cookie_is_one_cookie(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                with pytest.raises(PlanError, match="cannot be a part of the cookie 'a'"):
                    await made.vu().get("/", cookies={"a": "1; b=2"})
                with pytest.raises(PlanError, match="no tuple of names"):
                    made.vu().websocket("/", subprotocols=("a, b",))
                with pytest.raises(PlanError, match="no tuple of names"):
                    made.vu().websocket("/", subprotocols="chat")  # type: ignore[arg-type]

        run(main())


class TestSegments:
    @pytest.mark.parametrize(
        ("url", "values"),
        [
            ("/users/{u}", {"u": ".."}),
            ("/users/{u}/x", {"u": "."}),
            ("/users/.{u}?q=1", {"u": "."}),
            ("/users/{u}{v}", {"u": ".", "v": "."}),
            ("/users/%2e{u}", {"u": "."}),
            ("/users/{u}#f", {"u": ".."}),
        ],
    )
    def test_no_value_leaves_its_segment(self, run: Run, url: str, values: dict[str, str]) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                with pytest.raises(PlanError, match="another place in the path"):
                    await made.vu().get(url, path=values)
                assert peer.requests == []

        run(main())

    def test_values_that_stay(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                for value, sent in (
                    ("../..", "..%2F.."),
                    ("%2e%2e", "%252e%252e"),
                    ("...", "..."),
                    (".a", ".a"),
                    ("a\\..", "a%5C.."),
                    ("?#", "%3F%23"),
                ):
                    await made.vu().get("/users/{u}/x?dots=..", path={"u": value})
                    assert target_of(peer) == f"/users/{sent}/x?dots=.."

        run(main())


def answer(connection: Connection, head: bytes) -> None:
    """Answer with bytes that are no UTF-8."""
    sent = {
        b"/cookie": b"200 OK\r\nSet-Cookie: a\xfc=\xe9; path=/\r\nX-Latin: \xfc\r\nX-Utf: \xc3\xbc",
        b"/status": b"200 \xfc\xff",
        b"/moved": b"302 Found\r\nLocation: /\xfc x",
        b"/lost": b"302 Found\r\nLocation: http://h\xfc.invalid/",
    }.get(head.split()[1], b"200 OK")
    connection.transport.write(b"HTTP/1.1 " + sent + b"\r\nContent-Length: 0\r\n\r\n")


class TestRead:
    def test_cookies_and_headers(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                vu = made.vu(headers=True)
                reply = await vu.get("/cookie")
                assert (reply.headers["x-latin"], reply.headers["x-utf"]) == ("ü", "ü")
                assert reply.cookies == {"aü": "é"}
                assert dict(vu.cookies) == {"aü": "é"}
                await vu.get("/")
                assert lines_of(peer.requests[-1][1])["cookie"] == "aü=é"
                del vu.cookies["aü"]
                assert dict(vu.cookies) == {}
                with pytest.raises(KeyError):
                    del vu.cookies["aü"]

        run(main())

    def test_redirects_and_errors(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                vu = made.vu(headers=True)
                assert (await vu.get("/status")).status == 200
                moved = await vu.get("/moved")
                assert (moved.status, moved.final_url) == (200, f"{peer.url}/%FC%20x")
                lost = await vu.get("/lost")
                assert lost.error == "dns"
                lost.message.encode()
                assert lost.final_url == "http://hü.invalid/"

        run(main())


class Deleting(dict[str, str]):
    """Headers that delete *file* when they are read, which is after the file was looked at and before it is opened."""

    def __init__(self, file: Path) -> None:
        super().__init__(A="b")
        self.file = file

    def items(self) -> Any:
        self.file.unlink(missing_ok=True)
        return super().items()


def test_a_stream_that_cannot_be_prepared_leaves_no_handle(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "gone"

    async def main() -> None:
        async with Peer(ok) as peer, harness(peer.url) as made:
            vu = made.vu()
            for _ in range(5):
                file.write_bytes(b"x")
                with pytest.raises(FileNotFoundError):
                    await vu.stream("POST", "/", data=file, headers=Deleting(file)).__aenter__()
            async with vu.stream("POST", "/", data=b"body") as reply:
                assert await reply.read() == b"ok"
            assert peer.connections[-1].body == b"body"
            assert len(vu._transfers) == 1

    run(main())
