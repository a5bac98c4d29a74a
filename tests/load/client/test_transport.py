"""How requests get to the server and back: names, connections, TLS, proxies, authentication, limits."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from fastload.load.engine.curl_options import ENCODINGS, source_address, supports
from fastload.load.engine.http_debug import DebugPrinter
from fastload.model.http_settings import Auth, FileBody, Multipart, Part, RequestSettings
from tests.load.client.transport_servers import (
    KEY_PASSWORD,
    LARGE,
    DigestServer,
    HttpProxy,
    Socks5Proxy,
    Web,
    answer,
    client,
    greet,
    read_request,
    serving,
    web,
)
from tests.load.harness import Run, open_fds


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as running:
        yield running


async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Half of an answer, and then nothing."""
    asked = await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf" if asked.target == "/half" else b"")
    await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ten bytes, one every 60 ms."""
    while True:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.06)
            writer.write(b".")


class TestTimeouts:
    def test_between_bytes(self, run: Run) -> None:
        async def main() -> None:
            async with serving(stall) as port, client(idle_timeout_s=0.15) as one:
                for path, so_far in (("/half", b"half"), ("/none", b"")):
                    got = await one.ask(f"http://127.0.0.1:{port}{path}")
                    assert (got.error, got.body) == ("idle_timeout", so_far)
                    assert "0.15 s" in got.message

        run(main())

    def test_a_slow_answer_that_goes_on_is_not_idle(self, run: Run) -> None:
        async def main() -> None:
            async with serving(drip) as port, client(idle_timeout_s=0.45) as one:
                for _ in range(2):
                    got = await one.ask(f"http://127.0.0.1:{port}/")
                    assert (got.error, got.body) == ("", b"..........")
                    assert got.measured[7] > 500_000

        run(main())

    def test_of_one_request(self, run: Run) -> None:
        async def main() -> None:
            async with serving(stall) as port, client() as one:
                url = f"http://127.0.0.1:{port}/none"
                assert (await one.ask(url, request=RequestSettings(idle_timeout_s=0.1))).error == "idle_timeout"
                assert (await one.ask(url, request=RequestSettings(timeout_s=0.1))).error == "timeout"
                assert one.engine.in_flight == 0

        run(main())

    def test_cancelled_while_watched(self, run: Run) -> None:
        async def main() -> None:
            async with serving(stall) as port, client(idle_timeout_s=0.05) as one:
                task = asyncio.create_task(one.ask(f"http://127.0.0.1:{port}/none"))
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await asyncio.sleep(0.1)
                assert one.engine.in_flight == 0

        run(main())

    def test_to_connect(self, run: Run) -> None:
        async def main() -> None:
            with socket.socket() as full, socket.socket() as filler:
                full.bind(("127.0.0.1", 0))
                full.listen(0)
                filler.connect(full.getsockname())
                async with client(timeout_s=15, connect_timeout_s=0.2) as one:
                    got = await one.ask(f"http://127.0.0.1:{full.getsockname()[1]}/")
                    assert got.error == "connect_timeout"
                    assert got.measured[7] < 10_000_000

        run(main())


class TestTls:
    def test_versions(self, run: Run, site: Web) -> None:
        async def main() -> None:
            ca: dict[str, Any] = {"ca_file": site.file("ca.pem")}
            async with client(**ca, tls_max="1.2") as one:
                assert (await one.ask(site.url("both"))).said["tls"] == "TLSv1.2"
                assert (await one.ask(site.url("tls13"))).error == "tls"
            async with client(**ca, tls_min="1.3") as one:
                assert (await one.ask(site.url("both"))).said["tls"] == "TLSv1.3"
                assert (await one.ask(site.url("tls12"))).error == "tls"
            async with client(**ca, tls_min="1.2", tls_max="1.2") as one:
                assert (await one.ask(site.url("tls12"))).status == 200

        run(main())

    def test_version_that_was_spoken(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(ca_file=site.file("ca.pem")) as one:
                one.free.append(one.new())
                one.last.keep_tls_version()
                for server, version in (("tls12", "1.2"), ("tls13", "1.3"), ("tls12", "1.2"), ("plain", "")):
                    await one.ask(site.url(server))
                    assert one.last.tls_version() == version

        run(main())

    @pytest.mark.parametrize(
        ("server", "ciphers", "cipher"),
        [
            ("tls12", "ECDHE-ECDSA-AES128-GCM-SHA256,ECDHE-RSA-AES128-GCM-SHA256", "AES128-GCM-SHA256"),
            ("tls12", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
            ("tls13", "TLS_CHACHA20_POLY1305_SHA256:ECDHE-RSA-AES128-GCM-SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
        ],
    )
    def test_ciphers(self, run: Run, site: Web, server: str, ciphers: str, cipher: str) -> None:
        async def main() -> None:
            async with client(ca_file=site.file("ca.pem"), ciphers=ciphers) as one:
                got = await one.ask(site.url(server))
                assert got.error == ""
                assert got.said["cipher"].endswith(cipher)

        run(main())

    def test_client_certificate(self, run: Run, site: Web) -> None:
        async def main() -> None:
            ca, cert = site.file("ca.pem"), site.file("client.pem")
            async with client(ca_file=ca) as one:
                assert (await one.ask(site.url("mutual"))).status == 400
            async with client(ca_file=ca, cert_file=cert, key_file=site.file("client.key")) as one:
                assert (await one.ask(site.url("mutual"))).said["client"] == "SUCCESS"
            cert_text, key_text = Path(cert).read_text(), Path(site.file("client.key")).read_text()
            async with client(ca_file=ca, cert_file=cert_text, key_file=key_text) as one:
                assert (await one.ask(site.url("mutual"))).said["client"] == "SUCCESS"
            secret: dict[str, Any] = {"ca_file": ca, "cert_file": cert, "key_file": site.file("client.secret.key")}
            async with client(**secret, key_password=KEY_PASSWORD) as one:
                assert (await one.ask(site.url("mutual"))).said["client"] == "SUCCESS"
            async with client(**secret, key_password="wrong") as one:
                got = await one.ask(site.url("mutual"))
                assert got.error == "tls", got.message

        run(main())

    def test_verifying(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client() as one:
                assert (await one.ask(site.url("both"))).error == "tls_verify"
                careless = RequestSettings(verify_tls=False)
                assert (await one.ask(site.url("both"), request=careless)).status == 200
            async with client(ca_file=site.file("ca.pem"), hosts={"wrong.example.org": "127.0.0.1"}) as one:
                assert (await one.ask(site.url("both", host="wrong.example.org"))).error == "tls_verify"

        run(main())


class TestNames:
    def test_hosts(self, run: Run, site: Web) -> None:
        port = site.ports["plain"]
        hosts = {
            "shop.example.com": "127.0.0.1",
            "api.example.com:80": f"127.0.0.1:{port}",
            "six.example.com": "[::1]",
            "*.wild.example.com": f"127.0.0.1:{port}",
            "*.deep.wild.example.com:81": f"[::1]:{port}",
            "exact.wild.example.com": f"[::1]:{port}",
        }

        async def main() -> None:
            async with client(hosts=hosts) as one:
                for url, host, local in (
                    (f"http://shop.example.com:{port}/", f"shop.example.com:{port}", "127.0.0.1"),
                    ("http://api.example.com/", "api.example.com", "127.0.0.1"),
                    (f"http://six.example.com:{port}/", f"six.example.com:{port}", "::1"),
                    ("http://a.wild.example.com/", "a.wild.example.com", "127.0.0.1"),
                    ("http://b.c.WILD.example.com/", "b.c.WILD.example.com", "127.0.0.1"),
                    ("http://d.deep.wild.example.com:81/", "d.deep.wild.example.com:81", "::1"),
                    ("http://exact.wild.example.com/", "exact.wild.example.com", "::1"),
                    ("http://api.example.com/", "api.example.com", "127.0.0.1"),
                ):
                    got = await one.ask(url)
                    assert got.error == "", (url, got.message)
                    assert (got.said["host"].lower(), got.said["from"]) == (host.lower(), local)

        run(main())

    def test_the_name_of_the_url_is_that_of_tls(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(ca_file=site.file("ca.pem"), hosts={"*.example.com": "127.0.0.1"}) as one:
                got = await one.ask(site.url("both", host="shop.example.com"), "Host: tenant.example.org")
                assert (got.said["name"], got.said["host"]) == ("shop.example.com", "tenant.example.org")

        run(main())

    def test_lookups(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        """Pinned, no connection looks the name up after the first; with "each", every one does."""
        name = socket.gethostname()
        try:
            address = socket.gethostbyname(name)
        except OSError:
            pytest.skip("this machine cannot look up its own name")

        async def main() -> None:
            async with serving(greet, address) as port:
                for dns, known in (("pinned", 3), ("each", 0), ("60s", 3)):
                    async with client(dns=dns, connection_reuse="none", debug="headers") as one:
                        asked = [await one.ask(f"http://{name}:{port}/") for _ in range(4)]
                    assert {got.body for got in asked} == {b"ok"}
                    assert asked[0].measured[1] > 0
                    assert capsys.readouterr().err.count("found in DNS cache") == known, dns

        run(main())

    def test_addresses_looked_up_before_the_run(self, run: Run, site: Web) -> None:
        async def main() -> None:
            port = site.ports["plain"]
            pinned = (f"nowhere.invalid:{port}:127.0.0.1",)
            async with client(resolve=pinned) as one:
                assert (await one.ask(f"http://nowhere.invalid:{port}/")).status == 200
            async with client(resolve=pinned, dns="each") as one:
                assert (await one.ask(f"http://nowhere.invalid:{port}/")).error == "dns"

        run(main())

    def test_ip_version(self, run: Run, site: Web) -> None:
        async def main() -> None:
            for version, local in (("4", "127.0.0.1"), ("6", "::1")):
                async with client(ip_version=version, hosts={}) as one:
                    got = await one.ask(f"http://localhost:{site.ports['plain']}/")
                    if version == "6" and got.error == "dns":
                        pytest.skip("this machine has no ::1 for localhost")
                    assert got.said["from"] == local

        run(main())


class TestSourceAddresses:
    def test_they_are_dealt_by_vu(self) -> None:
        sources = ("127.0.0.1", "10.0.0.8-10.0.0.9", "192.168.0.0/30", "fd00::/127")
        dealt = [source_address(sources, number) for number in range(1, 9)]
        assert dealt == [
            "127.0.0.1",
            "10.0.0.8",
            "10.0.0.9",
            "192.168.0.1",
            "192.168.0.2",
            "fd00::",
            "fd00::1",
            "127.0.0.1",
        ]
        assert source_address(("10.0.0.0/8",), 2**24 - 2) == "10.255.255.254"

    def test_requests_come_from_them(self, run: Run, site: Web) -> None:
        async def main() -> None:
            for number, source in ((1, "127.0.0.5"), (2, "127.0.0.6"), (3, "127.0.0.5")):
                async with client(source_addresses=("127.0.0.5-127.0.0.6",), number=number) as one:
                    assert (await one.ask(site.url("plain"))).said["from"] == source
                    assert one.last.local_address()[0] == source
                    own = RequestSettings(source_address="127.0.0.9")
                    assert (await one.ask(site.url("plain"), request=own)).said["from"] == "127.0.0.9"
                    assert (await one.ask(site.url("plain"))).said["from"] == source
            async with client() as one:
                assert (await one.ask(site.url("plain"), request=own)).said["from"] == "127.0.0.9"
                assert (await one.ask(site.url("plain"))).said["from"] == "127.0.0.1"

        run(main())

    def test_one_that_this_machine_does_not_have(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(source_addresses=("203.0.113.7",)) as one:
                assert (await one.ask(site.url("plain"))).error == "generator_port"

        run(main())


class TestConnections:
    def test_kept(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client() as one:
                asked = [await one.ask(site.url("plain")) for _ in range(5)]
                assert len({got.said["connection"] for got in asked}) == 1

        run(main())

    def test_not_kept(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(connection_reuse="none") as one:
                before = open_fds()
                asked = [await one.ask(site.url("plain")) for _ in range(5)]
                assert len({got.said["connection"] for got in asked}) == 5
                assert open_fds() <= before

        run(main())

    @pytest.mark.parametrize("server", ["plain", "tls13", "both"])
    def test_so_many_requests_each(self, run: Run, site: Web, server: str) -> None:
        async def main() -> None:
            async with client(max_connection_requests=3, ca_file=site.file("ca.pem")) as one:
                asked = [await one.ask(site.url(server)) for _ in range(10)]
                assert [got.error for got in asked] == [""] * 10
                carried = [int(got.said["request"]) for got in asked]
                assert carried == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]

        run(main())

    def test_so_many_requests_each_of_several_at_once(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(max_connection_requests=2) as one:
                for _ in range(5):
                    asked = await asyncio.gather(*(one.ask(site.url("plain")) for _ in range(4)))
                    assert [got.error for got in asked] == [""] * 4
                    assert max(int(got.said["request"]) for got in asked) <= 2

        run(main())

    @pytest.mark.parametrize("most", [0, 5])
    def test_between_iterations(self, run: Run, site: Web, most: int) -> None:
        async def main() -> None:
            async with client(connection_reuse="iteration", max_connection_requests=most) as one:
                seen = []
                for _ in range(3):
                    one.cache.begin_iteration()
                    asked = [await one.ask(site.url("plain")) for _ in range(2)]
                    seen.append({got.said["connection"] for got in asked})
                assert [len(connections) for connections in seen] == [1, 1, 1]
                assert len(set.union(*seen)) == 3
            async with client(max_connection_requests=most) as one:
                first = await one.ask(site.url("plain"))
                one.cache.begin_iteration()
                assert (await one.ask(site.url("plain"))).said["connection"] == first.said["connection"]

        run(main())

    @pytest.mark.usefixtures("no_leaks")
    def test_age(self, site: Web) -> None:
        async def main() -> None:
            async with client(max_connection_age_s=1) as one:
                first = (await one.ask(site.url("plain"))).said["connection"]
                requests = 0
                async with asyncio.timeout(10):
                    while (await one.ask(site.url("plain"))).said["connection"] == first:
                        requests += 1
                        await asyncio.sleep(0.05)
                assert requests > 3

        asyncio.run(main())


class TestVersions:
    def test_streams_of_one_connection(self, run: Run, site: Web) -> None:
        async def main() -> None:
            for server, version in (("both", "2"), ("h2c", "2-prior")):
                async with client(http_version=version, ca_file=site.file("ca.pem")) as one:
                    asked = await asyncio.gather(*(one.ask(site.url(server)) for _ in range(20)))
                    assert {got.said["protocol"] for got in asked} == {"HTTP/2.0"}
                    assert len({got.said["connection"] for got in asked}) == 1
                    assert {got.said["request"] for got in asked} == {str(number) for number in range(1, 21)}
                    assert one.last.protocol() == "2"

        run(main())

    def test_agreed_by_alpn(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(ca_file=site.file("ca.pem")) as one:
                assert (await one.ask(site.url("both"))).said["protocol"] == "HTTP/2.0"
                first = RequestSettings(http_version="1.1")
                assert (await one.ask(site.url("both"), request=first)).said["protocol"] == "HTTP/1.1"
                assert one.last.protocol() == "1.1"
                assert (await one.ask(site.url("tls12"))).said["protocol"] == "HTTP/1.1"

        run(main())

    @pytest.mark.skipif(not supports("3"), reason="this libcurl has no HTTP/3")
    def test_3_where_nobody_speaks_it(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(http_version="3", ca_file=site.file("ca.pem"), connect_timeout_s=1) as one:
                got = await one.ask(site.url("both"))
                assert got.error in ("connect_refused", "connect_failed", "connect_timeout")

        run(main())


async def encodings(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with `LARGE` in the encoding that the path names."""
    while True:
        asked = await read_request(reader)
        name = asked.target.strip("/")
        body = zlib.compress(LARGE) if name == "deflate" else gzip.compress(LARGE)
        writer.write(
            answer(body, "200 OK", f"Content-Encoding: {name}", f"X-Asked: {asked.headers['accept-encoding']}")
        )


class TestEncodings:
    def test_gzip_of_nginx(self, run: Run, site: Web) -> None:
        async def main() -> None:
            url = site.url("plain", "/files/large")
            async with client(accept_encoding="") as one:
                packed = await one.ask(url)
                assert packed.body == LARGE
                assert "content-encoding: gzip" in packed.headers.lower()
                assert packed.measured[10] < len(LARGE) / 10
                plain = await one.ask(url, request=RequestSettings(accept_encoding="identity"))
                assert plain.body == LARGE
                assert plain.measured[10] > len(LARGE)
            async with client() as one:
                assert "content-encoding" not in (await one.ask(url)).headers.lower()

        run(main())

    def test_deflate_and_what_is_asked_for(self, run: Run) -> None:
        async def main() -> None:
            async with serving(encodings) as port, client(accept_encoding="") as one:
                for name in ("deflate", "gzip"):
                    got = await one.ask(f"http://127.0.0.1:{port}/{name}")
                    assert got.body == LARGE
                    offered = {word.strip() for word in got.headers.split("X-Asked: ")[1].split("\r\n")[0].split(",")}
                    assert offered == {name for name in ENCODINGS if supports(name)}

        run(main())

    @pytest.mark.parametrize("name", ["br", "zstd", "gzip"])
    def test_one_that_is_broken(self, run: Run, name: str) -> None:
        if not supports(name):
            pytest.skip(f"this libcurl has no {name}")

        async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer(b"\xff" * 100, "200 OK", f"Content-Encoding: {name}"))

        async def main() -> None:
            async with serving(broken) as port, client(accept_encoding="") as one:
                assert (await one.ask(f"http://127.0.0.1:{port}/")).error == "decompress"

        run(main())

    def test_brotli(self, run: Run) -> None:
        if not supports("br"):
            pytest.skip("this libcurl has no br")
        # One uncompressed meta-block of a brotli stream (RFC 7932, section 9.2), and the empty last one.
        text = b"hello brotli"
        head = (len(text) - 1) << 4 | 1 << 20
        packed = head.to_bytes(3, "little") + text + b"\x03"

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer(packed, "200 OK", "Content-Encoding: br"))

        async def main() -> None:
            async with serving(serve) as port, client(accept_encoding="br") as one:
                assert (await one.ask(f"http://127.0.0.1:{port}/")).body == text

        run(main())


class TestProxies:
    @pytest.mark.parametrize("credentials", ["", "ada:love lace"])
    def test_http(self, run: Run, site: Web, credentials: str) -> None:
        async def main() -> None:
            proxy = HttpProxy(credentials)
            user = credentials.replace(" ", "%20") + "@" if credentials else ""
            async with serving(proxy) as port:
                ca = site.file("ca.pem")
                async with client(proxy=f"http://{user}127.0.0.1:{port}", ca_file=ca) as one:
                    assert (await one.ask(site.url("plain"))).said["host"] == f"127.0.0.1:{site.ports['plain']}"
                    assert (await one.ask(site.url("both"))).said["tls"] == "TLSv1.3"
                assert proxy.seen == [f"GET {site.url('plain')}", f"CONNECT 127.0.0.1:{site.ports['both']}"]

        run(main())

    def test_credentials_that_are_refused(self, run: Run, site: Web) -> None:
        async def main() -> None:
            proxy = HttpProxy("ada:lovelace")
            async with serving(proxy) as port, client(proxy=f"http://127.0.0.1:{port}") as one:
                assert (await one.ask(site.url("plain"))).status == 407
                assert (await one.ask(site.url("both"))).error == "proxy"

        run(main())

    @pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
    @pytest.mark.parametrize("credentials", ["", "ada:lovelace"])
    def test_socks(self, run: Run, site: Web, scheme: str, credentials: str) -> None:
        async def main() -> None:
            proxy = Socks5Proxy(credentials)
            user = f"{credentials}@" if credentials else ""
            async with (
                serving(proxy) as port,
                client(proxy=f"{scheme}://{user}127.0.0.1:{port}", ip_version="4") as one,
            ):
                assert (await one.ask(site.url("plain", host="localhost"))).status == 200
            kind = "name localhost" if scheme == "socks5h" else "address 127.0.0.1"
            assert proxy.seen == [f"{kind}:{site.ports['plain']}"]

        run(main())

    def test_socks_with_wrong_credentials(self, run: Run, site: Web) -> None:
        async def main() -> None:
            wrong = "socks5://ada:wrong@127.0.0.1"
            async with serving(Socks5Proxy("ada:lovelace")) as port, client(proxy=f"{wrong}:{port}") as one:
                assert (await one.ask(site.url("plain"))).error == "proxy"

        run(main())

    def test_exceptions_and_one_request(self, run: Run, site: Web) -> None:
        async def main() -> None:
            proxy = HttpProxy()
            async with serving(proxy) as port:
                url = f"http://127.0.0.1:{port}"
                async with client(proxy=url, no_proxy="127.0.0.1") as one:
                    assert (await one.ask(site.url("plain"))).status == 200
                    assert proxy.seen == []
                    assert (await one.ask(site.url("plain", host="localhost"))).status == 200
                    assert len(proxy.seen) == 1
                async with client() as one:
                    assert (await one.ask(site.url("plain"), request=RequestSettings(proxy=url))).status == 200
                    assert len(proxy.seen) == 2
                    assert (await one.ask(site.url("plain"))).status == 200
                    assert len(proxy.seen) == 2

        run(main())

    def test_the_environment(self, run: Run, site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        async def main() -> None:
            proxy = HttpProxy()
            async with serving(proxy) as port:
                monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
                monkeypatch.setenv("no_proxy", "localhost")
                async with client() as one:
                    await one.ask(site.url("plain"))
                    assert proxy.seen == []
                async with client(proxy="env") as one:
                    await one.ask(site.url("plain"))
                    assert len(proxy.seen) == 1
                    await one.ask(site.url("plain", host="localhost"))
                    assert len(proxy.seen) == 1

        run(main())

    def test_one_that_is_not_there(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(proxy="http://127.0.0.1:1") as one:
                assert (await one.ask(site.url("plain"))).error == "connect_refused"

        run(main())


class TestAuth:
    def test_basic_and_bearer(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(auth=Auth("basic", "ada", "lovelace")) as one:
                said = (await one.ask(site.url("plain"))).body.decode()
                assert said.endswith("auth=Basic YWRhOmxvdmVsYWNl")
                token = RequestSettings(auth=Auth("bearer", token="t0ken"))
                assert (await one.ask(site.url("plain"), request=token)).body.decode().endswith("auth=Bearer t0ken")
                said = (await one.ask(site.url("plain"))).body.decode()
                assert said.endswith("auth=Basic YWRhOmxvdmVsYWNl")
            async with client() as one:
                await one.ask(site.url("plain"), request=token)
                assert (await one.ask(site.url("plain"))).body.decode().endswith("auth=")

        run(main())

    def test_digest(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "body").write_bytes(b"x" * 100_000)

        async def main() -> None:
            server = DigestServer()
            async with serving(server) as port, client(auth=Auth("digest", "ada", "lovelace")) as one:
                url = f"http://127.0.0.1:{port}/a?b=c"
                assert (await one.ask(url)).body == b"welcome "
                assert [asked.headers.get("authorization", "")[:6] for asked in server.seen] == ["", "Digest"]
                assert (await one.ask(url, method="POST", body=b"data")).body == b"welcome data"
                # Sent twice, if the server asks again: libcurl goes back to its beginning.
                server.nonce = "another"
                body = FileBody(str(tmp_path / "body"), 0, 100_000)
                assert (await one.ask(url, method="PUT", body=body)).body == b"welcome " + b"x" * 100_000
                wrong = RequestSettings(auth=Auth("digest", "ada", "wrong"))
                assert (await one.ask(url, request=wrong)).status == 401

        run(main())


class TestLimits:
    def test_download_rate(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client(download_bytes_per_s=150_000) as one:
                got = await one.ask(site.url("plain", "/files/large"))
                assert got.body == LARGE
                # 72 kB; libcurl lets the first of them pass at once.
                assert got.measured[7] > 100_000
                fast = await one.ask(
                    site.url("plain", "/files/large"), request=RequestSettings(download_bytes_per_s=10**9)
                )
                assert fast.measured[7] < got.measured[7]

        run(main())

    @pytest.mark.usefixtures("no_leaks")
    def test_upload_rate(self) -> None:
        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                asked = await read_request(reader)
                writer.write(answer(str(len(asked.body)).encode()))

        async def main() -> None:
            # libcurl lets what a second may have pass at once.
            body = b"x" * 110_000
            async with serving(count) as port, client(upload_bytes_per_s=100_000) as one:
                slow = await one.ask(f"http://127.0.0.1:{port}/", method="POST", body=body)
                assert slow.body == b"110000"
                assert slow.measured[7] > 500_000

        uvloop.run(main())

    @pytest.mark.parametrize("chunked", [False, True])
    def test_body_size(self, run: Run, chunked: bool) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                size = int((await read_request(reader)).target.strip("/"))
                if chunked:
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size))
                else:
                    writer.write(answer(b"x" * size))

        async def main() -> None:
            async with serving(serve) as port, client(max_body_bytes=1000) as one:
                assert (await one.ask(f"http://127.0.0.1:{port}/1000")).status == 200
                got = await one.ask(f"http://127.0.0.1:{port}/1001")
                assert got.error == "too_large"
                assert len(got.body) <= 1000
                more = RequestSettings(max_body_bytes=5000)
                assert (await one.ask(f"http://127.0.0.1:{port}/1001", request=more)).status == 200

        run(main())

    def test_redirects(self, run: Run, site: Web) -> None:
        async def main() -> None:
            async with client() as one:
                got = await one.ask(site.url("plain", "/to/x"))
                assert (got.status, got.body) == (200, b"hello")
                assert one.last.redirect_count() == 1
                assert one.last.effective_url() == site.url("plain", "/files/hello")
                stay = await one.ask(site.url("plain", "/to/x"), request=RequestSettings(max_redirects=0))
                assert (stay.status, one.last.redirect_count()) == (302, 0)
                assert (await one.ask(site.url("plain", "/to/x"))).status == 200

        run(main())


def test_addresses(run: Run, site: Web) -> None:
    async def main() -> None:
        async with client() as one:
            await one.ask(site.url("plain"))
            assert one.last.remote_address() == ("127.0.0.1", site.ports["plain"])
            assert one.last.local_address()[0] == "127.0.0.1"
            assert one.last.local_address()[1] > 0
            await one.ask("http://127.0.0.1:1/")
            assert one.last.local_address()[1] >= 0

    run(main())


class TestStreamedBodies:
    @staticmethod
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await read_request(reader)
            if asked.target == "/moved" and asked.method == "POST":
                writer.write(answer(b"", "303 See Other", "Location: /there"))
                continue
            kind = asked.headers.get("content-type", "-")
            writer.write(answer(asked.body, "200 OK", f"X-Seen: {asked.method} {asked.target} {kind}"))

    @staticmethod
    def seen(headers: str) -> str:
        return headers.rpartition("X-Seen: ")[2].split("\r\n")[0]

    def test_files(self, run: Run, tmp_path: Path) -> None:
        content = os.urandom(300_000)
        (tmp_path / "file").write_bytes(content)

        async def main() -> None:
            async with serving(self.echo) as port, client() as one:
                url = f"http://127.0.0.1:{port}/"
                kind = "Content-Type: image/png"
                for offset, size in ((0, 300_000), (1000, 250_000), (5, 0)):
                    body = FileBody(str(tmp_path / "file"), offset, size)
                    got = await one.ask(url, kind, method="POST", body=body)
                    assert got.body == content[offset : offset + size]
                    assert self.seen(got.headers) == "POST / image/png"
                # What comes before and after does not mix with it.
                assert self.seen((await one.ask(url, kind, method="PUT", body=body)).headers) == "PUT / image/png"
                assert self.seen((await one.ask(url)).headers) == "GET / -"
                got = await one.ask(url, kind, method="POST", body=b"bytes")
                assert (got.body, self.seen(got.headers)) == (b"bytes", "POST / image/png")
                assert (await one.ask(url, kind, method="PATCH", body=body)).status == 200
                assert (await one.ask(url, method="DELETE")).headers.count("DELETE / -") == 1
                with pytest.raises(FileNotFoundError):
                    await one.ask(url, method="POST", body=FileBody(str(tmp_path / "none"), 0, 1))

        run(main())

    def test_many_at_once_share_a_descriptor(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"y" * 50_000)
        body = FileBody(str(tmp_path / "file"), 0, 50_000)

        async def main() -> None:
            async with serving(self.echo) as port, client() as one:
                asking = (one.ask(f"http://127.0.0.1:{port}/", method="POST", body=body) for _ in range(20))
                asked = asyncio.gather(*asking)
                await asyncio.sleep(0)
                held = [link for link in Path("/proc/self/fd").iterdir() if link.exists()]
                assert sum(link.readlink() == tmp_path / "file" for link in held) == 1
                assert {got.body for got in await asked} == {b"y" * 50_000}

        run(main())

    def test_multipart(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"z" * 70_000)
        form = Multipart(
            (
                Part("field", b"value"),
                Part('odd"name', FileBody(str(tmp_path / "file"), 0, 70_000), "a\r\nb.bin", "application/x-z"),
            )
        )

        async def main() -> None:
            async with serving(self.echo) as port, client() as one:
                got = await one.ask(f"http://127.0.0.1:{port}/", method="POST", body=form)
                assert self.seen(got.headers) == f"POST / multipart/form-data; boundary={form.boundary}"
                parts = got.body.split(f"--{form.boundary}".encode())
                assert parts[1] == b'\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
                head, _, rest = parts[2].partition(b"\r\n\r\n")
                assert b'name="odd%22name"; filename="a%0D%0Ab.bin"\r\nContent-Type: application/x-z' in head
                assert rest == b"z" * 70_000 + b"\r\n"
                assert parts[3] == b"--\r\n"
                own = await one.ask(f"http://127.0.0.1:{port}/", "content-type: a/b", method="POST", body=form)
                assert self.seen(own.headers) == "POST / a/b"
                assert self.seen((await one.ask(f"http://127.0.0.1:{port}/")).headers) == "GET / -"

        run(main())

    def test_a_redirect_that_asks_for_a_get(self, run: Run) -> None:
        async def main() -> None:
            async with serving(self.echo) as port, client() as one:
                form = Multipart((Part("a", b"b"),))
                got = await one.ask(f"http://127.0.0.1:{port}/moved", method="POST", body=form)
                assert self.seen(got.headers).startswith("GET /there")

        run(main())

    def test_a_file_that_became_shorter(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"short")

        async def main() -> None:
            async with serving(self.echo) as port, client(timeout_s=2) as one:
                body = FileBody(str(tmp_path / "file"), 0, 1000)
                got = await one.ask(f"http://127.0.0.1:{port}/", method="POST", body=body)
                assert got.error == "body"

        run(main())


class TestDebug:
    def test_what_is_shown(self, run: Run, site: Web, capsys: pytest.CaptureFixture[str]) -> None:
        async def main() -> None:
            secrets = ("Authorization: Bearer s3cret", "Cookie: id=s3cret", "X-Plain: seen")
            for debug in ("headers", "full"):
                for server, version in (("plain", "1.1"), ("h2c", "2-prior")):
                    async with client(debug=debug, http_version=version) as one:
                        await one.ask(site.url(server, "/files/hello"), *secrets)
                    shown = capsys.readouterr().err
                    assert "> GET /files/hello HTTP/" in shown
                    assert "\n< HTTP/" in shown
                    assert "seen" in shown
                    assert ("s3cret" in shown) == (debug == "full")
                    assert ("***" in shown) == (debug == "headers")
                    assert (("\nhello\n" if server == "plain" else "\nconnection=") in shown) == (debug == "full")

        run(main())

    def test_of_the_first_vu_alone(self, run: Run, site: Web, capsys: pytest.CaptureFixture[str]) -> None:
        async def main() -> None:
            async with client(debug="full", number=2) as one:
                await one.ask(site.url("plain"))
            assert capsys.readouterr().err == ""

        run(main())

    def test_bodies_that_are_no_text(self) -> None:
        stream = io.StringIO()
        printer = DebugPrinter(full=True, stream=stream)
        printer(3, b"\xff\xfe\xfd")
        printer(4, "grüß\nGott".encode())
        printer(5, b"encrypted")
        assert stream.getvalue() == "[3 bytes]\ngrüß\nGott\n"
