"""HTTP options: turns the options of requests into `HttpSettings`, and checks them before the run."""

from __future__ import annotations

import math
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, get_args

from fastload.load.engine.curl_options import split_port
from fastload.load.engine.header_lines import check_header_lines
from fastload.load.engine.option_checks import (
    AUTH_EXAMPLE,
    check_amount,
    check_auth,
    check_choice,
    check_encodings,
    check_ntlm,
    check_proxy,
    check_version,
    parse_source,
)
from fastload.model.argument_types import CallArguments, check_types
from fastload.model.errors import PlanError
from fastload.model.http_settings import (
    PEM,
    Auth,
    AuthScheme,
    ConnectionReuse,
    DebugLevel,
    DnsSelect,
    HttpSettings,
    HttpVersion,
    TlsVersion,
    check_upload_rate,
)
from fastload.model.names import as_text, tag_texts
from fastload.model.plain_numbers import as_plain
from fastload.model.statuses import is_default, parse_statuses
from fastload.model.units import parse_bytes, parse_duration_s, parse_whole
from fastload.model.urls import ascii_host
from fastload.model.wire_text import check_line

_SAME = (
    "accept_encoding",
    "ca_file",
    "ciphers",
    "cookies",
    "dns",
    "dns_select",
    "expected",
    "fold_paths",
    "ip_version",
    "key_password",
    "max_connection_requests",
    "max_redirects",
    "no_proxy",
    "proxy",
    "proxy_auth",
    "tls_max",
    "tls_min",
    "user_agent",
)
_RENAMED = {"http": "http_version", "cert": "cert_file", "key": "key_file", "http_debug": "debug"}
_TIMES = {
    "timeout": "timeout_s",
    "connect_timeout": "connect_timeout_s",
    "idle_timeout": "idle_timeout_s",
    "max_connection_age": "max_connection_age_s",
}
_SIZES = {"max_body": "max_body_bytes", "upload_rate": "upload_bytes_per_s", "download_rate": "download_bytes_per_s"}
_MAYBE_PEM = ("cert_file", "key_file")
# libcurl's own lowest version, since 8.16.
_LOWEST_TLS = "1.2"


def make_http(values: Mapping[str, Any], base: HttpSettings | None = None) -> HttpSettings:
    """Return the settings for the request options in *values*. Options that are not given stay as in *base*.

    Raises:
        PlanError: an unknown value, a file that cannot be read, or a feature that this libcurl does not have.
    """
    settings: dict[str, Any] = {name: values[name] for name in _SAME if name in values}
    settings |= {field: values[name] for name, field in _RENAMED.items() if name in values}
    settings |= {
        field: parse_duration_s(values[name], what=_flag(name)) for name, field in _TIMES.items() if name in values
    }
    settings |= {field: parse_bytes(values[name], what=_flag(name)) for name, field in _SIZES.items() if name in values}
    if "insecure" in values:
        settings["verify_tls"] = not values["insecure"]
    if values.get("compressed") and "accept_encoding" not in values:
        settings["accept_encoding"] = ""
    if values.get("no_vu_connection_reuse"):
        settings["connection_reuse"] = "iteration"
    if values.get("no_connection_reuse"):
        settings["connection_reuse"] = "none"
    if "auth" in values:
        settings["auth"] = parse_auth(values["auth"])
    if "hosts" in values:
        settings["hosts"] = {_host(name): _host(address) for name, address in values["hosts"].items()}
    for name, field in (("headers", "headers"), ("source_addresses", "source_addresses")):
        if name in values:
            settings[field] = tuple(values[name])
    assert settings.keys() <= {field.name for field in fields(HttpSettings)}
    made = replace(base or HttpSettings(), **settings)
    check_types(CallArguments.of("fl.HttpSettings", made))
    if made.auth is not None:
        check_types(CallArguments.of("fl.Auth", made.auth))
    given = {field.name: getattr(made, field.name) for field in fields(made)}
    plain: dict[str, Any] = {
        name: as_text(value, name) if isinstance(value, str) else as_plain(value) for name, value in given.items()
    }
    made = replace(made, **plain | {"hosts": tag_texts(made.hosts, "hosts")})
    check_http(made)
    return made


def _host(name: str) -> str:
    """Return the host *name* in ASCII, as it is in the URLs that are sent."""
    try:
        return name if name.isascii() else ascii_host(name)
    except ValueError as error:
        raise PlanError(f"--host-override {name!r} is no name of a host: {error}") from error


def parse_auth(text: str) -> Auth:
    """Return the `Auth` for ``SCHEME:USER:PASSWORD`` or ``bearer:TOKEN``.

    Raises:
        PlanError: the scheme is unknown.
    """
    scheme, _, rest = text.partition(":")
    if scheme not in get_args(AuthScheme):
        raise PlanError(f"--auth begins with the unknown scheme {scheme!r}", hint=AUTH_EXAMPLE)
    if scheme == "bearer":
        return Auth("bearer", token=rest)
    user, _, password = rest.partition(":")
    return Auth(scheme, user, password)  # type: ignore[arg-type]


def check_http(http: HttpSettings) -> None:
    """Check that *http* can work on this machine.

    Raises:
        PlanError: it cannot; the message says why.
    """
    if http.timeout_s <= 0:
        raise PlanError("--timeout is 0", hint="give it some time, like 10s")
    check_upload_rate(http.upload_bytes_per_s)
    check_header_lines(http.headers)
    for field in fields(http):
        value = getattr(http, field.name)
        if isinstance(value, str) and field.name not in _MAYBE_PEM:
            check_line(value, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise PlanError(f"{field.name} {value} is no duration", hint="give seconds; 0 is no limit")
        if isinstance(value, int | float):
            check_amount(value, field.name)
    for name, value, choices in (
        ("http", http.http_version, get_args(HttpVersion)),
        ("tls_min", http.tls_min, get_args(TlsVersion)),
        ("tls_max", http.tls_max, get_args(TlsVersion)),
        ("connection_reuse", http.connection_reuse, get_args(ConnectionReuse)),
        ("http_debug", http.debug, get_args(DebugLevel)),
        ("ip_version", http.ip_version, ("", "4", "6")),
        ("dns_select", http.dns_select, get_args(DnsSelect)),
        ("proxy_auth", http.proxy_auth, ("basic", "digest", "ntlm")),
    ):
        check_choice(value, choices, _flag(name))
    if not is_default(http.expected):
        parse_statuses(http.expected, what="expected")
    for check in _CHECKS:
        check(http)


def _check_features(http: HttpSettings) -> None:
    check_version(http.http_version)
    check_ntlm(http.proxy_auth)
    check_encodings(http.accept_encoding or "", "--accept-encoding")


def _check_auth(http: HttpSettings) -> None:
    if http.auth is not None:
        check_auth(http.auth, "--auth", AUTH_EXAMPLE)


def _check_tls(http: HttpSettings) -> None:
    if http.tls_min and http.tls_max and http.tls_min > http.tls_max:
        raise PlanError(
            f"--tls-min {http.tls_min} is above --tls-max {http.tls_max}", hint="give the older one as --tls-min"
        )
    if not http.tls_min and http.tls_max and http.tls_max < _LOWEST_TLS:
        raise PlanError(
            f"--tls-max {http.tls_max} is below TLS {_LOWEST_TLS}, the lowest version unless --tls-min is given",
            hint=f"give --tls-min {http.tls_max} as well, or a higher --tls-max",
        )
    for name, path in (("--cacert", http.ca_file), ("--cert", http.cert_file), ("--key", http.key_file)):
        if path and not path.startswith(PEM) and not _is_readable(path):
            raise PlanError(f"{name} {path!r} cannot be read", hint="give the path of a PEM file")
    if http.key_file and not http.cert_file:
        raise PlanError("--key needs a certificate", hint="give --cert as well")
    if not http.cert_file or PEM in (http.cert_file + http.key_file) or http.cert_file.endswith((".p12", ".pfx")):
        return
    try:
        # *key_password* is "" rather than None if there is none: with None, OpenSSL would ask on the terminal.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(http.cert_file, http.key_file or None, http.key_password)
    except (OSError, ValueError) as error:
        hint = "check that the key belongs to the certificate, and --key-password"
        raise PlanError(f"--cert {http.cert_file!r} cannot be used: {error}", hint=hint) from error


def _is_readable(path: str) -> bool:
    try:
        return os.access(path, os.R_OK)
    except ValueError:
        # It has a NUL or another character that no path can have.
        return False


def _check_proxy(http: HttpSettings) -> None:
    if http.proxy and http.proxy != "env":
        check_proxy(http.proxy, "--proxy")


def _check_names(http: HttpSettings) -> None:
    for name, address in http.hosts.items():
        host, port = split_port(name)
        to, to_port = split_port(address)
        right = host and to and "*" not in host.removeprefix("*.") and "*" not in to
        if not right or not all(one == "" or parse_whole(one, 65535) is not None for one in (port, to_port)):
            raise PlanError(
                f"--host-override {name!r} = {address!r} is not NAME[:PORT] = ADDRESS[:PORT]",
                hint="write it like shop.example.com=127.0.0.1:8080 or '*.example.com=10.0.0.7'",
            )
    if http.dns not in ("pinned", "each"):
        try:
            parse_duration_s(http.dns, what="--dns")
        except PlanError as error:
            hint = 'write "pinned", "each", or for how long a lookup holds, like "30s"'
            raise PlanError(error.message, hint=hint) from error
    if http.dns_select != "first" and http.dns != "pinned":
        raise PlanError(
            f"--dns-select {http.dns_select} does not go with --dns {http.dns}",
            hint="VUs share the addresses that are looked up once: leave --dns out",
        )


def _check_sources(http: HttpSettings) -> None:
    for text in http.source_addresses:
        address = parse_source(text, "--source-address")
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((str(address), 0))
        except OSError as error:
            hint = "give one of its own addresses: ip addr shows them"
            raise PlanError(f"--source-address {text!r}: this machine has no address {address}", hint=hint) from error


def _check_reuse(http: HttpSettings) -> None:
    limited = http.max_connection_requests or http.max_connection_age_s
    if limited and http.connection_reuse == "none":
        raise PlanError(
            "limits of connections do not go with --no-connection-reuse", hint="each request has its own already"
        )


_CHECKS: tuple[Callable[[HttpSettings], None], ...] = (
    _check_features,
    _check_auth,
    _check_tls,
    _check_proxy,
    _check_names,
    _check_sources,
    _check_reuse,
)


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")
