"""What is shown of requests and answers while a script is debugged."""

from __future__ import annotations

import io

import pytest

from fastload.load.engine.http_debug import DebugPrinter
from tests.load.client.transport_servers import Web, client
from tests.load.harness import Run


class TestDebug:
    def test_what_is_shown(self, run: Run, site: Web, capsys: pytest.CaptureFixture[str]) -> None:
        async def main() -> None:
            secrets = (
                *("Authorization: Bearer s3cret", "Cookie: id=s3cret", "X-Plain: seen"),
                *("X-Api-Key: s3cret", "x-session-id: s3cret"),
            )
            for debug in ("headers", "full"):
                for server, version in (("plain", "1.1"), ("h2c", "2-prior")):
                    async with client(debug=debug, http_version=version) as one:
                        await one.ask(site.url(server, "/files/hello?page=2&api_key=s3cret"), *secrets)
                    shown = capsys.readouterr().err
                    assert f"> GET /files/hello?page=2&api_key={'s3cret' if debug == 'full' else '***'} HTTP/" in shown
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
