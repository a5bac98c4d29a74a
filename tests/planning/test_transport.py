"""Options of requests: what they become, and what is refused before the first request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
import trustme

from fastload.cli.run import run
from fastload.cli.run_options import tiers_of
from fastload.load.engine.curl_options import supports
from fastload.load.engine.error_kinds import ERROR_KINDS
from fastload.load.script.scenarios import Scenario
from fastload.model.errors import PlanError
from fastload.model.http_settings import ERROR_CODES, Auth, HttpSettings, error_code
from fastload.model.plan import Plan
from fastload.planning import PlanContext, describe_draft, draft_plan, make_http


async def visit(vu: Any) -> None:
    """Nothing."""


def draft_of(*args: str) -> Any:
    """The draft of ``fastload run s.py ARGS`` in the working directory."""
    with click.Context(run) as context:
        run.parse_args(context, ["s.py", *args])
        return draft_plan([Scenario(visit, "visit")], tiers_of(context), PlanContext())


def plan_of(*args: str) -> Plan:
    plan: Plan = draft_of(*args).plan
    return plan


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    made = trustme.CA().issue_cert("client.example.com")
    made.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    made.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    trustme.CA().issue_cert("other.example.com").private_key_pem.write_to_path(str(tmp_path / "other.key"))
    return tmp_path / "client.pem"


def test_the_command_line(certificate: Path) -> None:
    http = plan_of(
        *("--connect-timeout", "2s", "--idle-timeout", "500ms", "--auth", "digest:ada:love:lace", "--compressed"),
        *("--max-body", "1MB", "--upload-rate", "64KiB", "--limit-rate", "2000", "-A", "me", "--max-redirects", "0"),
        *("-x", "socks5h://ada:secret@127.0.0.1:1080", "--no-proxy", "localhost", "--dns", "each", "--ip-version", "4"),
        *("--host-override", "a.example.com=127.0.0.1", "--resolve", "b.example.com:443:127.0.0.2"),
        *("--source-address", "127.0.0.1,127.0.0.4-127.0.0.9", "--max-connection-requests", "7"),
        *("--max-connection-age", "1m", "--cacert", "client.pem", "--cert", "client.pem", "--key", "client.key"),
        *("--tls-min", "1.2", "--tls-max", "1.3", "--ciphers", "A:B", "--http-debug", "--no-vu-connection-reuse"),
    ).http
    assert http == HttpSettings(
        connect_timeout_s=2,
        idle_timeout_s=0.5,
        auth=Auth("digest", "ada", "love:lace"),
        accept_encoding="",
        max_body_bytes=1_000_000,
        upload_bytes_per_s=65_536,
        download_bytes_per_s=2_000,
        user_agent="me",
        max_redirects=0,
        proxy="socks5h://ada:secret@127.0.0.1:1080",
        no_proxy="localhost",
        dns="each",
        ip_version="4",
        hosts={"a.example.com": "127.0.0.1", "b.example.com:443": "127.0.0.2"},
        source_addresses=("127.0.0.1", "127.0.0.4-127.0.0.9"),
        max_connection_requests=7,
        max_connection_age_s=60,
        ca_file=str(certificate),
        cert_file=str(certificate),
        key_file=str(certificate.with_suffix(".key")),
        tls_min="1.2",
        tls_max="1.3",
        ciphers="A:B",
        debug="headers",
        connection_reuse="iteration",
    )
    assert plan_of("--http-debug=full").http.debug == "full"
    assert plan_of("--no-connection-reuse").http.connection_reuse == "none"


def test_a_file_and_the_environment(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("fastload.toml").write_text(
        'proxy_auth = "digest"\naccept_encoding = "gzip"\nmax_body = 500\ncert = "client.pem"\nkey = "client.key"\n'
        'hosts = { "a.example.com" = "127.0.0.1", "b.example.com" = "127.0.0.1" }\nsource_addresses = ["127.0.0.1"]\n'
    )
    monkeypatch.setenv("FASTLOAD_HOSTS", "b.example.com=127.0.0.9")
    monkeypatch.setenv("FASTLOAD_AUTH", "bearer:t0ken")
    http = plan_of().http
    assert (http.proxy_auth, http.accept_encoding, http.max_body_bytes) == ("digest", "gzip", 500)
    assert http.hosts == {"a.example.com": "127.0.0.1", "b.example.com": "127.0.0.9"}
    assert (http.cert_file, http.source_addresses) == (str(certificate), ("127.0.0.1",))
    assert http.auth == Auth("bearer", token="t0ken")


def test_defaults_are_those_of_before() -> None:
    http = make_http({})
    assert http == HttpSettings()
    assert (http.timeout_s, http.max_redirects, http.proxy, http.accept_encoding, http.dns) == (
        60,
        10,
        "",
        None,
        "pinned",
    )


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"timeout": "0s"}, "--timeout is 0", "10s"),
        ({"max_redirects": -1}, "max_redirects -1 is below 0", "0 follows none"),
        ({"max_connection_requests": -1}, "max_connection_requests -1 is below 0", "0 is no limit"),
        ({"idle_timeout": "5"}, "--idle-timeout '5' is not a duration", "5s"),
        ({"max_body": "1 apple"}, "--max-body '1 apple' is not a number of bytes", "1MB"),
        ({"auth": "basik:a:b"}, "unknown scheme 'basik'", "basic:USER:PASSWORD"),
        ({"auth": "basic"}, "--auth basic has no user", "basic:USER:PASSWORD"),
        ({"auth": "bearer"}, "--auth bearer has no token", "bearer:TOKEN"),
        ({"accept_encoding": "gzip, brr"}, "--accept-encoding 'brr' is unknown", "'br'"),
        ({"ca_file": "none.pem"}, "--cacert 'none.pem' cannot be read", "PEM"),
        ({"cert": "none.pem"}, "--cert 'none.pem' cannot be read", "PEM"),
        ({"key": "client.key"}, "--key needs a certificate", "--cert"),
        ({"cert": "client.pem", "key": "other.key"}, "--cert 'client.pem' cannot be used", "belongs"),
        ({"tls_min": "1.3", "tls_max": "1.2"}, "--tls-min 1.3 is above --tls-max 1.2", "older"),
        ({"tls_max": "1.1"}, "--tls-max 1.1 is below TLS 1.2", "--tls-min 1.1"),
        ({"proxy": "127.0.0.1:3128"}, "--proxy '127.0.0.1:3128' has no scheme", "http://127.0.0.1:3128"),
        ({"proxy": "ftp://a:secret@b"}, "--proxy 'ftp://b' has no scheme", "socks5h"),
        ({"proxy": "http://"}, "--proxy 'http://' has no host", "3128"),
        ({"hosts": {"a.example.com": ""}}, "'a.example.com' = '' is not NAME", "shop.example.com=127.0.0.1:8080"),
        ({"hosts": {"a.*.com": "1.2.3.4"}}, "'a.*.com' = '1.2.3.4' is not NAME", "*.example.com"),
        ({"hosts": {"a:b": "1.2.3.4"}}, "'a:b' = '1.2.3.4' is not NAME", "*.example.com"),
        ({"hosts": {"a": "1.2.3.4:99999"}}, "'a' = '1.2.3.4:99999' is not NAME", "*.example.com"),
        ({"dns": "never"}, "--dns 'never' is not a duration", '"each"'),
        ({"dns_select": "roundrobin"}, "--dns-select 'roundrobin' is unknown", "roundRobin"),
        ({"dns_select": "random", "dns": "30s"}, "--dns-select random does not go with --dns 30s", "leave --dns out"),
        ({"hosts": {"ü b": "127.0.0.1"}}, "--host-override 'ü b' is no name of a host", ""),
        ({"user_agent": "a\r\nX: y"}, "user_agent has a line break in it", "strip"),
        ({"headers": ("A: b\nX: y",)}, "the header 'A' has a line break in it", "strip"),
        ({"headers": ("A b: c",)}, "'A b' is no name of a header", "letters"),
        ({"auth": "bearer:a\r\nX: y"}, "the token of auth has a line break in it", "strip"),
        ({"source_addresses": ("10.0.0",)}, "--source-address '10.0.0' is no address", "10.0.0.0/28"),
        ({"source_addresses": ("10.0.0.9-10.0.0.1",)}, "is no address, range or network", "10.0.0.0/28"),
        ({"source_addresses": ("203.0.113.0/24",)}, "this machine has no address 203.0.113.1", "ip addr"),
        (
            {"no_connection_reuse": True, "max_connection_requests": 5},
            "limits of connections do not go with --no-connection-reuse",
            "each request",
        ),
    ],
)
def test_mistakes(certificate: Path, values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(PlanError) as raised:
        make_http(values)
    assert message in raised.value.message
    assert hint in (raised.value.hint or "")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"http_version": "1.2"}, "--http '1.2' is unknown"),
        ({"tls_min": "1.9"}, "--tls-min '1.9' is unknown"),
        ({"connection_reuse": "no"}, "--connection-reuse 'no' is unknown"),
        ({"debug": "all"}, "--http-debug 'all' is unknown"),
        ({"auth": Auth("basik", "a")}, "unknown scheme 'basik'"),  # type: ignore[arg-type]
    ],
)
def test_mistakes_in_python(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        make_http({}, HttpSettings(**settings))


def test_what_this_libcurl_does_not_have() -> None:
    for feature, values in (
        ("ntlm", {"auth": "ntlm:ada:lovelace"}),
        ("ntlm", {"proxy_auth": "ntlm"}),
        ("zstd", {"accept_encoding": "zstd"}),
        ("3", {"http": "3"}),
    ):
        if supports(feature):
            make_http(values)
        else:
            with pytest.raises(PlanError, match="this libcurl"):
                make_http(values)


def test_a_malformed_override_on_the_command_line() -> None:
    with pytest.raises(PlanError, match=r"'a\.example\.com' is not NAME=ADDRESS"):
        draft_of("--host-override", "a.example.com")


def test_secrets_are_not_shown(certificate: Path) -> None:
    key = certificate.with_suffix(".key").read_text()
    draft = draft_of(
        *("--auth", "basic:ada:secret", "--proxy", "http://ada:secret@127.0.0.1:3128", "--key-password", "secret"),
        *("--cert", certificate.read_text(), "--key", key),
    )
    shown = json.dumps(describe_draft(draft)) + json.dumps(draft.plan.to_dict()) + repr(draft.plan.http)
    assert "secret" not in shown
    assert "PRIVATE KEY" not in shown
    http = draft.plan.to_dict()["http"]
    assert (http["auth"], http["proxy"], http["key_file"]) == ("basic", "http://127.0.0.1:3128", "(PEM)")


def test_options_of_k6(certificate: Path) -> None:
    key = certificate.with_suffix(".key").read_text()
    options = {
        "hosts": {"a.example.com": "127.0.0.1:8080"},
        "noVUConnectionReuse": True,
        "userAgent": "k6",
        "maxRedirects": 3,
        "tlsAuth": [{"domains": ["example.com"], "cert": certificate.read_text(), "key": key}],
        "tlsVersion": {"min": "tls1.2", "max": "tls1.3"},
        "tlsCipherSuites": ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
        "dns": {"ttl": "0", "select": "random", "policy": "onlyIPv4"},
        "localIPs": "127.0.0.1-127.0.0.9",
        "httpDebug": "full",
    }
    Path("o.json").write_text(json.dumps(options))
    draft = draft_of("--opts", "o.json")
    assert draft.plan.http == HttpSettings(
        hosts={"a.example.com": "127.0.0.1:8080"},
        connection_reuse="iteration",
        user_agent="k6",
        max_redirects=3,
        cert_file=certificate.read_text(),
        key_file=key,
        tls_min="1.2",
        tls_max="1.3",
        ciphers="TLS_AES_128_GCM_SHA256:TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        dns="each",
        ip_version="4",
        source_addresses=("127.0.0.1-127.0.0.9",),
        debug="full",
    )
    assert draft.notes == ("o.json: tlsAuth.domains, dns.select have no effect here",)
    for dns, found in (({"ttl": "inf"}, "pinned"), ({"ttl": "5m"}, "5m"), ({"ttl": 500}, "500ms")):
        Path("o.json").write_text(json.dumps({"dns": dns, "tlsVersion": "tls1.3"}))
        http = draft_of("--opts", "o.json").plan.http
        assert (http.dns, http.tls_min, http.tls_max) == (found, "1.3", "1.3")


@pytest.mark.parametrize(
    ("dns", "select"), [({"select": "random"}, "random"), ({"select": "roundRobin", "ttl": "inf"}, "roundRobin")]
)
def test_addresses_are_shared_as_in_k6(dns: dict[str, str], select: str) -> None:
    Path("o.json").write_text(json.dumps({"dns": dns}))
    draft = draft_of("--opts", "o.json")
    assert (draft.plan.http.dns_select, draft.plan.http.dns, draft.notes) == (select, "pinned", ())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tlsVersion": {"min": "ssl3.0"}}, "tlsVersion"),
        ({"tlsAuth": [{}, {}]}, "tlsAuth takes a list of one certificate"),
        ({"tlsCipherSuites": "A"}, "tlsCipherSuites is no list"),
        ({"dns": "0"}, "dns is no object"),
    ],
)
def test_mistakes_in_options_of_k6(given: dict[str, Any], message: str) -> None:
    Path("o.json").write_text(json.dumps(given))
    with pytest.raises(PlanError, match=message):
        draft_of("--opts", "o.json")


def test_codes_of_errors() -> None:
    assert ERROR_CODES.keys() <= ERROR_KINDS
    assert [error_code(kind) for kind in ("connect_refused", "dns", "timeout", "other")] == [1212, 1101, 1050, 1000]
    assert [error_code("", status) for status in (0, 200, 404, 503)] == [0, 0, 1404, 1503]
    assert (error_code("http_404"), error_code("http_x")) == (1404, 1000)


def test_an_old_tls_version_is_allowed_by_both_bounds() -> None:
    http = make_http({"tls_min": "1.0", "tls_max": "1.1"})
    assert (http.tls_min, http.tls_max) == ("1.0", "1.1")
