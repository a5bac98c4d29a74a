"""TLS to the server: versions, ciphers, certificates of both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastload.model.http_settings import RequestSettings
from tests.load.client.transport_servers import KEY_PASSWORD, Web, client
from tests.load.harness import Run


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
