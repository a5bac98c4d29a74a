"""Proxies between the client and the server, and who the client says it is to the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastload.model.error_remedies import PROXY_REMEDY, remedy_of
from fastload.model.http_settings import Auth, FileBody, RequestSettings
from tests.load.client.transport_servers import DigestServer, HttpProxy, Socks5Proxy, Web, client, serving
from tests.load.harness import Run


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

    def test_exceptions_from_the_proxy_of_the_environment(
        self, run: Run, site: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def main() -> None:
            proxy = HttpProxy()
            async with serving(proxy) as port:
                monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
                monkeypatch.delenv("no_proxy", raising=False)
                monkeypatch.setenv("NO_PROXY", "localhost")
                for no_proxy, by_proxy in (("127.0.0.1", 0), ("", 1), ("localhost,127.0.0.0/8", 0), ("other", 1)):
                    async with client(proxy="env", no_proxy=no_proxy) as one:
                        assert (await one.ask(site.url("plain"))).status == 200
                        assert len(proxy.seen) == by_proxy
                        # After a proxy of its own, a request goes back to the environment's, and to its exceptions.
                        own = RequestSettings(proxy=f"http://127.0.0.1:{port}")
                        await one.ask(site.url("plain"), request=own)
                        proxy.seen.clear()
                        assert (await one.ask(site.url("plain", host="localhost"))).status == 200
                        assert len(proxy.seen) == (no_proxy in ("127.0.0.1", "other"))
                        proxy.seen.clear()

        run(main())

    def test_a_proxy_whose_user_is_no_ascii(self, run: Run, site: Web) -> None:
        async def main() -> None:
            proxy = HttpProxy("ü:ß")
            async with serving(proxy) as port, client(proxy=f"http://ü:ß@127.0.0.1:{port}") as one:
                assert (await one.ask(site.url("plain"))).status == 200

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
                got = await one.ask(site.url("plain"))
                assert got.error == "connect_refused"
                # The remedy is told by libcurl's words for it.
                assert remedy_of(got.error, got.message) == PROXY_REMEDY
            async with client(proxy="http://no-such-proxy.invalid:1") as one:
                got = await one.ask(site.url("plain"))
                assert remedy_of(got.error, got.message) == PROXY_REMEDY

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
