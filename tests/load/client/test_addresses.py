"""Where requests go and where they come from: names and how they are looked up, source addresses."""

from __future__ import annotations

import socket
from typing import Literal

import pytest

from fastload.load.engine.curl_options import source_address
from fastload.model.http_settings import DnsSelect, HttpSettings, RequestSettings
from tests.load.client.transport_servers import Web, client, greet, serving
from tests.load.harness import Run, harness


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


class TestSeveralAddresses:
    """A host with two addresses, of which each is a server of its own."""

    @staticmethod
    async def asked(site: Web, select: DnsSelect, vus: int, *, version: Literal["", "4"] = "") -> list[str]:
        """Which address each of *vus* VUs reaches with all that it does."""
        port = site.ports["plain"]
        http = HttpSettings(timeout_s=20, dns_select=select, ip_version=version, hosts={"*.wild.invalid": "127.0.0.1"})
        pinned = (f"many.invalid:{port}:127.0.0.1,[::1]",)
        reached = []
        async with harness(f"http://many.invalid:{port}", http=http, resolve=pinned) as made:
            for _ in range(vus):
                vu = made.vu(headers=True)
                replies = [await vu.get("/"), await vu.get("/", tags={"a": "b"}), await vu.get("/", timeout="5s")]
                async with vu.stream("GET", "/") as streamed:
                    await streamed.read()
                other = await vu.get(f"http://a.wild.invalid:{port}/")
                assert other.remote_address[0] == "127.0.0.1"
                assert {reply.status for reply in (*replies, streamed, other)} == {200}
                found = {reply.remote_address[0] for reply in (*replies, streamed)}
                assert len(found) == 1
                reached.append(found.pop())
        return reached

    def test_the_vus_share_them(self, run: Run, site: Web) -> None:
        async def main() -> None:
            assert await self.asked(site, "roundRobin", 5) == ["127.0.0.1", "::1", "127.0.0.1", "::1", "127.0.0.1"]
            assert await self.asked(site, "roundRobin", 3, version="4") == ["127.0.0.1"] * 3
            assert len(set(await self.asked(site, "first", 4))) == 1
            # That 60 VUs draw the same one of two happens once in 10^18 runs.
            assert len(set(await self.asked(site, "random", 60))) == 2

        run(main())
