"""Settings that libcurl would refuse with an error of its own: each is refused before the request, in plain words."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

import fastload as fl
from fastload.load.client.request_options import defaults_of
from fastload.load.engine import option_checks
from fastload.load.engine.curl_options import supports
from fastload.load.engine.option_checks import check_request_settings
from fastload.model.http_settings import Auth, HttpSettings, RequestSettings
from fastload.planning import make_http
from tests.conftest import Cli, Nginx
from tests.load.harness import harness

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "proxy without a scheme": ({"proxy": "127.0.0.1:3128"}, "has no scheme that is known", "http://127.0.0.1:3128"),
    "proxy of an unknown scheme": ({"proxy": "foo://127.0.0.1"}, "has no scheme that is known", "socks5"),
    "proxy with a port too high": ({"proxy": "http://127.0.0.1:99999"}, "is no URL: Port out of range", "http://"),
    "proxy without a host": ({"proxy": "http://"}, "has no host", "http://127.0.0.1:3128"),
    "version": ({"http_version": "1.0"}, "'1.0' is unknown", "'1.1'"),
    "encoding": ({"accept_encoding": "gzip, gzipp"}, "'gzipp' is unknown", "'gzip'"),
    "encoding outside ASCII": ({"accept_encoding": "\u00fc"}, "is unknown", "one of gzip"),
    "scheme of auth": ({"auth": Auth("digets", "ada")}, "unknown scheme 'digets'", "digest"),  # type: ignore[arg-type]
    "auth without a user": ({"auth": Auth("digest")}, "digest has no user", "user"),
    "auth without a token": ({"auth": Auth("bearer", "ada")}, "bearer has no token", "token"),
    "negative size": ({"max_body_bytes": -1}, "max_body_bytes -1 is below 0", "0 is no limit"),
    "size of 100 bits": ({"max_body_bytes": 2**100}, "is above 2^63 - 1", "0 is no limit"),
    "negative rate": ({"download_bytes_per_s": -1}, "download_bytes_per_s -1 is below 0", "0 is no limit"),
    "rate of 100 bits": ({"download_bytes_per_s": 2**100}, "is above 2^63 - 1", "0 is no limit"),
    "negative redirects": ({"max_redirects": -1}, "max_redirects -1 is below 0", "0 follows none"),
}
OF_REQUESTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "source address": ({"source_address": "nope"}, "'nope' is no address, range or network", "10.0.0.7"),
    "no source address": ({"source_address": ""}, "'' is no address, range or network", "10.0.0.7"),
    "type of a time": ({"timeout_s": "5"}, "timeout_s is a str", "a number"),
    "type of a proxy": ({"proxy": 7}, "proxy is a int", "a text"),
    "type of verify_tls": ({"verify_tls": "no"}, "verify_tls is a str", "True or False"),
    "type of a rate": ({"download_bytes_per_s": 1.5}, "download_bytes_per_s is a float", "a whole number"),
    "type of a version": ({"http_version": 2}, "http_version is a int", ""),
    "what cannot be hashed": ({"proxy": ["http://127.0.0.1:1"]}, "proxy is a list", "a text"),
    "auth that cannot be hashed": ({"auth": Auth("basic", ["ada"])}, "user is a list", "a text"),  # type: ignore[arg-type]
}
LACKING: dict[str, dict[str, Any]] = {
    "ntlm": {"auth": Auth("ntlm", "ada", "lovelace")},
    "zstd": {"accept_encoding": "zstd"},
    "br": {"accept_encoding": "br"},
    "3": {"http_version": "3"},
    "https proxy": {"proxy": "https://127.0.0.1:3128"},
}


def refused(settings: dict[str, Any]) -> tuple[str, str]:
    """Message and hint of the error of a request with *settings*."""
    with pytest.raises(fl.PlanError) as raised:
        check_request_settings(RequestSettings(**settings))
    return raised.value.message, raised.value.hint or ""


@pytest.mark.parametrize(("settings", "message", "hint"), (WRONG | OF_REQUESTS).values(), ids=WRONG | OF_REQUESTS)
def test_of_a_request_a_vu_and_a_scenario(nginx: Nginx, settings: dict[str, Any], message: str, hint: str) -> None:
    async def main() -> None:
        async with harness(nginx.url) as made:
            vu = made.vu()
            http, words = RequestSettings(**settings), re.escape(message)
            for _ in range(2):
                with pytest.raises(fl.PlanError) as raised:
                    await vu.get("/", http=http)
                assert message in raised.value.message
                assert hint in (raised.value.hint or "")
            with pytest.raises(fl.PlanError, match=words):
                async with vu.stream("GET", "/", http=http, timeout="5s"):
                    pass
            with pytest.raises(fl.PlanError, match=words):
                vu.http = http
            with pytest.raises(fl.PlanError, match=f"^visit: .*{words}"):
                defaults_of("visit", None, http, None, None)
            if "auth" in settings:
                with pytest.raises(fl.PlanError, match=words):
                    await vu.get("/", auth=settings["auth"])
            assert (await vu.get("/", timeout="5s")).ok
            assert made.take().stats.started == 1

    asyncio.run(main())


@pytest.mark.parametrize(("settings", "message", "hint"), WRONG.values(), ids=WRONG)
def test_the_run_has_the_same_texts(settings: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(fl.PlanError) as raised:
        make_http({}, HttpSettings(**settings))
    assert message in raised.value.message
    assert hint in (raised.value.hint or "").lower()


@pytest.mark.parametrize("feature", LACKING)
def test_what_this_libcurl_does_not_have(monkeypatch: pytest.MonkeyPatch, feature: str) -> None:
    """Each is refused where it is not built in, and taken where it is."""
    if supports(feature):
        check_request_settings(RequestSettings(**LACKING[feature]))
    monkeypatch.setattr(option_checks, "supports", lambda name: name != feature)
    assert "this libcurl" in refused(LACKING[feature])[0]


def test_http3_without_tls(nginx: Nginx, cli: Cli) -> None:
    if not supports("3"):
        pytest.skip("this libcurl has no HTTP/3")

    async def main() -> None:
        async with harness(nginx.url) as made:
            with pytest.raises(fl.PlanError, match="HTTP/3 has always TLS"):
                await made.vu().get("/", http=RequestSettings(http_version="3"))
            assert made.take().stats.started == 0

    asyncio.run(main())
    done = cli("bench", nginx.url, "-n", "1", "--http", "3")
    assert done.returncode != 0
    assert "HTTP/3 has always TLS" in done.stderr
