"""Connections to the server: how long each is kept, and which version of HTTP is spoken on it."""

from __future__ import annotations

import asyncio

import pytest

from fastload.load.engine.curl_options import supports
from fastload.model.http_settings import RequestSettings
from tests.load.client.transport_servers import Web, client
from tests.load.harness import Run, open_fds


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
