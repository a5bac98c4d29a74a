"""Translation of `HttpSettings` to libcurl options, in groups of options that are set together.

Only `curl.py` and the `curl_*.py` import pycurl.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import pycurl

from fastload.load.engine.body_decoder import DECODED, decodes
from fastload.model.http_settings import PEM, HttpSettings, RequestSettings
from fastload.model.units import parse_duration_s
from fastload.model.urls import encode_url
from fastload.model.wire_text import curl_text, utf8

SetOption = Callable[[int, Any], None]

_HTTP_VERSION = {
    "": pycurl.CURL_HTTP_VERSION_NONE,
    "1.1": pycurl.CURL_HTTP_VERSION_1_1,
    "2": pycurl.CURL_HTTP_VERSION_2TLS,
    "2-prior": pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
    "3": pycurl.CURL_HTTP_VERSION_3ONLY,
}
# PIPEWAIT: a request waits for a connection that is being made only if that connection will surely be multiplexed.
_MULTIPLEXED = ("2", "2-prior", "3")
# pycurl does not name CURLAUTH_BEARER.
_AUTH = {"basic": pycurl.HTTPAUTH_BASIC, "digest": pycurl.HTTPAUTH_DIGEST, "ntlm": pycurl.HTTPAUTH_NTLM, "bearer": 64}
_TLS_MIN = {
    "": pycurl.SSLVERSION_DEFAULT,
    "1.0": pycurl.SSLVERSION_TLSv1_0,
    "1.1": pycurl.SSLVERSION_TLSv1_1,
    "1.2": pycurl.SSLVERSION_TLSv1_2,
    "1.3": pycurl.SSLVERSION_TLSv1_3,
}
_TLS_MAX = {
    "": pycurl.SSLVERSION_MAX_DEFAULT,
    "1.0": pycurl.SSLVERSION_MAX_TLSv1_0,
    "1.1": pycurl.SSLVERSION_MAX_TLSv1_1,
    "1.2": pycurl.SSLVERSION_MAX_TLSv1_2,
    "1.3": pycurl.SSLVERSION_MAX_TLSv1_3,
}
_IP_VERSION = {"": pycurl.IPRESOLVE_WHATEVER, "4": pycurl.IPRESOLVE_V4, "6": pycurl.IPRESOLVE_V6}
_FEATURES = {
    "2": "VERSION_HTTP2",
    "2-prior": "VERSION_HTTP2",
    "3": "VERSION_HTTP3",
    "gzip": "VERSION_LIBZ",
    "deflate": "VERSION_LIBZ",
    "br": "VERSION_BROTLI",
    "zstd": "VERSION_ZSTD",
    "ntlm": "VERSION_NTLM",
    "https proxy": "VERSION_HTTPS_PROXY",
}
_LONGEST = 2**31 - 1
MOST_BYTES = 2**63 - 1
ENCODINGS = ("gzip", "deflate", "br", "zstd")
KEEP_FOR_EVER = -1
_WEB = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS


def supports(feature: str) -> bool:
    """Return whether this libcurl supports *feature*: an HTTP version as in `HttpSettings`, one of `ENCODINGS`, "ntlm"
    or "https proxy"."""
    needed = _FEATURES.get(feature)
    return needed is None or bool(pycurl.version_info()[4] & getattr(pycurl, needed, 0))


def curl_versions() -> dict[str, str]:
    """Return the versions of pycurl and libcurl."""
    return {"pycurl": pycurl.version.split()[0].partition("/")[2], "libcurl": pycurl.version_info()[1]}


class Changed(NamedTuple):
    """Options that differ between two requests of a run with the settings *run*.

    Each of *setters* sets a group of options from *settings*, which are those of the next request.
    """

    settings: HttpSettings
    setters: tuple[Callable[[SetOption, HttpSettings], None], ...]
    run: HttpSettings


# libcurl keeps one upload buffer per handle: 64 KB by default, even for a body of 50 bytes. With a small buffer, a
# body of 60 KB costs twice the CPU time.
SMALL_UPLOAD_BYTES = 16_384
LARGE_UPLOAD_BYTES = 65_536


def whole_units(duration: float) -> int:
    """Return *duration* as a whole number, as libcurl takes it: 0, which is none, only for 0."""
    return min(_LONGEST, max(1, round(duration))) if duration else 0


def set_all(set_: SetOption, settings: HttpSettings, *, pinned: Iterable[str]) -> None:
    """Set the options that are the same for all requests of a handle. *pinned*: addresses looked up before the run."""
    set_(pycurl.NOSIGNAL, 1)
    # Not file:, ftp: and their like, which libcurl speaks as well: also where a redirect leads.
    set_(pycurl.PROTOCOLS, _WEB)
    set_(pycurl.REDIR_PROTOCOLS, _WEB)
    set_(pycurl.UPLOAD_BUFFERSIZE, SMALL_UPLOAD_BYTES)
    set_(pycurl.USERAGENT, curl_text(settings.user_agent))
    if settings.cookies:
        set_(pycurl.COOKIEFILE, "")
    for setter in dict.fromkeys(_SETTERS.values()):
        setter(set_, settings)
    _set_tls(set_, settings)
    _set_names(set_, settings, pinned)
    if settings.connection_reuse == "none":
        set_(pycurl.FRESH_CONNECT, 1)
        set_(pycurl.FORBID_REUSE, 1)
    if settings.max_connection_age_s:
        set_(pycurl.MAXLIFETIME_CONN, whole_units(settings.max_connection_age_s))


_MOST_CHANGES = 4096
_CHANGES: dict[tuple[int, RequestSettings | None, RequestSettings | None], Changed] = {}


def changes(run: HttpSettings, before: RequestSettings | None, after: RequestSettings | None) -> Changed:
    """Return the options to set on a handle of *run* when it goes from the settings *before* to those *after*."""
    # The key has the id of *run*: run settings need not be hashable, and hashing them is slow. The cached `Changed`
    # keeps a reference to *run*, so no other object can get the same id.
    key = (id(run), before, after)
    known = _CHANGES.get(key)
    if known is None:
        old, new = _given(before), _given(after)
        differing = [name for name in {**old, **new} if name not in old or name not in new or old[name] != new[name]]
        setters = dict.fromkeys(_SETTERS[name] for name in differing if name in _SETTERS)
        known = Changed(replace(run, **new), tuple(setters), run)
        if len(_CHANGES) < _MOST_CHANGES:
            _CHANGES[key] = known
    return known


def _given(request: RequestSettings | None) -> dict[str, Any]:
    """Return the values that *request* sets, by their names in `HttpSettings`."""
    if request is None:
        return {}
    names = {"source_address": "source_addresses"}
    values = {name: getattr(request, name) for name in RequestSettings.__slots__}
    given = {names.get(name, name): value for name, value in values.items() if value is not None}
    if "source_addresses" in given:
        given["source_addresses"] = (given["source_addresses"],)
    return given


def set_times(set_: SetOption, settings: HttpSettings) -> None:
    """Set the time-outs of *settings*."""
    set_(pycurl.TIMEOUT_MS, whole_units(settings.timeout_s * 1000))
    set_(pycurl.CONNECTTIMEOUT_MS, whole_units((settings.connect_timeout_s or settings.timeout_s) * 1000))


def set_auth(set_: SetOption, settings: HttpSettings) -> None:
    """Set the credentials of *settings*, or none."""
    auth = settings.auth
    if auth is None:
        # Without a user name libcurl sends no credentials.
        set_(pycurl.HTTPAUTH, pycurl.HTTPAUTH_BASIC)
        set_(pycurl.USERNAME, None)
        set_(pycurl.PASSWORD, None)
        return
    set_(pycurl.HTTPAUTH, _AUTH[auth.scheme])
    if auth.scheme == "bearer":
        set_(pycurl.USERNAME, None)
        set_(pycurl.PASSWORD, None)
        set_(pycurl.XOAUTH2_BEARER, curl_text(auth.token))
    else:
        set_(pycurl.USERNAME, curl_text(auth.user))
        set_(pycurl.PASSWORD, curl_text(auth.password))


def _set_limits(set_: SetOption, settings: HttpSettings) -> None:
    set_(pycurl.MAX_SEND_SPEED_LARGE, settings.upload_bytes_per_s)
    set_(pycurl.MAX_RECV_SPEED_LARGE, settings.download_bytes_per_s)
    # With any limit, libcurl refuses a Content-Length that it cannot count. Without one, it reads until the close.
    set_(pycurl.MAXFILESIZE_LARGE, settings.max_body_bytes or MOST_BYTES)


def _set_version(set_: SetOption, settings: HttpSettings) -> None:
    set_(pycurl.HTTP_VERSION, _HTTP_VERSION[settings.http_version])
    set_(pycurl.PIPEWAIT, int(settings.http_version in _MULTIPLEXED))


def _set_encoding(set_: SetOption, settings: HttpSettings) -> None:
    own = decodes(settings.accept_encoding)
    set_(pycurl.ACCEPT_ENCODING, settings.accept_encoding or ", ".join(DECODED) if own else settings.accept_encoding)
    set_(pycurl.HTTP_CONTENT_DECODING, int(not own))


def _set_verify(set_: SetOption, settings: HttpSettings) -> None:
    set_(pycurl.SSL_VERIFYPEER, int(settings.verify_tls))
    set_(pycurl.SSL_VERIFYHOST, 2 if settings.verify_tls else 0)
    if supports("https proxy"):
        set_(pycurl.PROXY_SSL_VERIFYPEER, int(settings.verify_tls))
        set_(pycurl.PROXY_SSL_VERIFYHOST, 2 if settings.verify_tls else 0)


def _set_proxy(set_: SetOption, settings: HttpSettings) -> None:
    # libcurl reads the proxy from the environment only if PROXY is unset. An empty string counts as set: no proxy.
    of_environment = settings.proxy == "env"
    set_(pycurl.PROXY, None if of_environment else encode_url(settings.proxy) if settings.proxy else "")
    if settings.proxy:
        # pycurl cannot unset NOPROXY for a request that goes back to the environment, so its value is given.
        without = settings.no_proxy or (of_environment and (os.getenv("no_proxy") or os.getenv("NO_PROXY"))) or ""
        set_(pycurl.NOPROXY, curl_text(without))
    set_(pycurl.PROXYAUTH, _AUTH[settings.proxy_auth])


_SETTERS: dict[str, Callable[[SetOption, HttpSettings], None]] = {
    "timeout_s": set_times,
    "connect_timeout_s": set_times,
    "auth": set_auth,
    "upload_bytes_per_s": _set_limits,
    "download_bytes_per_s": _set_limits,
    "max_body_bytes": _set_limits,
    "http_version": _set_version,
    "accept_encoding": _set_encoding,
    "verify_tls": _set_verify,
    "proxy": _set_proxy,
}
"""Setters of the libcurl options that one request may change, by the name of the setting. (`Handle` applies source
addresses, redirects and idle timeouts.)"""


def _set_tls(set_: SetOption, settings: HttpSettings) -> None:
    if settings.ca_file:
        set_(pycurl.CAINFO, curl_text(settings.ca_file))
        if supports("https proxy"):
            set_(pycurl.PROXY_CAINFO, curl_text(settings.ca_file))
    if settings.cert_file.endswith((".p12", ".pfx")):
        set_(pycurl.SSLCERTTYPE, "P12")
    for text, of_file, of_text in (
        (settings.cert_file, pycurl.SSLCERT, pycurl.SSLCERT_BLOB),
        (settings.key_file, pycurl.SSLKEY, pycurl.SSLKEY_BLOB),
    ):
        if text:
            set_(of_text if text.startswith(PEM) else of_file, utf8(text))
    if settings.key_password:
        set_(pycurl.KEYPASSWD, curl_text(settings.key_password))
    if settings.tls_min or settings.tls_max:
        set_(pycurl.SSLVERSION, _TLS_MIN[settings.tls_min] | _TLS_MAX[settings.tls_max])
    if settings.ciphers:
        _set_ciphers(set_, settings.ciphers)


def _set_ciphers(set_: SetOption, ciphers: str) -> None:
    names = ciphers.replace(",", ":").split(":")
    # OpenSSL has a separate option for the ciphers of TLS 1.3. Only their names contain no key exchange ("_WITH_").
    modern = [name for name in names if name.startswith("TLS_") and "_WITH_" not in name]
    older = [name for name in names if name not in modern]
    if modern:
        set_(pycurl.TLS13_CIPHERS, ":".join(modern))
    if older:
        set_(pycurl.SSL_CIPHER_LIST, ":".join(older))


def _set_names(set_: SetOption, settings: HttpSettings, pinned: Iterable[str]) -> None:
    set_(pycurl.IPRESOLVE, _IP_VERSION[settings.ip_version])
    if exact := connect_to(settings.hosts):
        set_(pycurl.CONNECT_TO, exact)
    if settings.dns == "pinned":
        set_(pycurl.DNS_CACHE_TIMEOUT, KEEP_FOR_EVER)
        if addresses := list(pinned):
            set_(pycurl.RESOLVE, addresses)
    else:
        seconds = 0.0 if settings.dns == "each" else parse_duration_s(settings.dns, what="dns")
        set_(pycurl.DNS_CACHE_TIMEOUT, whole_units(seconds))


def connect_to(hosts: Mapping[str, str]) -> list[str]:
    """Return the entries of *hosts* without wildcards for CONNECT_TO: ``name:port:address:port``. An empty port of the
    name means any port; an empty port of the address means the same port."""
    return [_connect_to(name, address) for name, address in hosts.items() if not name.startswith("*")]


def connect_to_wildcard(host: str, port: int, hosts: Mapping[str, str]) -> list[str] | None:
    """Return the entries of `connect_to` after one for *host* made from the wildcard (``*.example.com[:port]``) that
    matches it; None if no wildcard matches, or if *host* has an entry without a wildcard."""
    if host in hosts or f"{host}:{port}" in hosts:
        return None
    fitting = [
        name
        for name in hosts
        if name.startswith("*")
        and host.endswith(split_port(name)[0][1:].lower())
        and split_port(name)[1] in ("", str(port))
    ]
    if not fitting:
        return None
    # The longest wildcard is the most specific.
    return [_connect_to(f"{host}:{port}", hosts[max(fitting, key=len)]), *connect_to(hosts)]


def is_overridden(host: str, port: int, hosts: Mapping[str, str]) -> bool:
    """Return whether *hosts* override the address of *host*."""
    exact = host in hosts or f"{host}:{port}" in hosts
    return exact or connect_to_wildcard(host, port, hosts) is not None


def _connect_to(name: str, address: str) -> str:
    host, port = split_port(name)
    to, to_port = split_port(address)
    return f"{_bracketed(host)}:{port}:{_bracketed(to)}:{to_port}"


def split_port(text: str) -> tuple[str, str]:
    """Return ``("host", "port")`` of ``host``, ``host:port``, ``[::1]:port`` or ``::1``; the port may be empty."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    if text.count(":") > 1:
        return text, ""
    host, _, port = text.partition(":")
    return host, port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@lru_cache(1024)
def _pools(sources: tuple[str, ...]) -> tuple[tuple[int, int, int], ...]:
    """Return (first address, number of addresses, IP version) of each address, range ``a-b`` or network of *sources*.

    Raises:
        ValueError: a source is not an address, range or network.
    """
    pools = []
    for text in sources:
        first, dash, last = text.partition("-")
        if dash:
            low, high = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
            if low.version != high.version or int(high) < int(low):
                raise ValueError(f"{text!r} is no range of addresses")
            pools.append((int(low), int(high) - int(low) + 1, low.version))
            continue
        network = ipaddress.ip_network(text, strict=False)
        base, count = int(network.network_address), network.num_addresses
        if count == 1 or "/" not in text:
            base, count = int(ipaddress.ip_address(text.partition("/")[0])), 1
        elif network.version == 4 and count > 2:
            # No host has the network address or the broadcast address.
            base, count = base + 1, count - 2
        pools.append((base, count, network.version))
    return tuple(pools)


def source_address(sources: tuple[str, ...], number: int) -> str:
    """Return the source address of VU *number* (from 1): VUs take the addresses of *sources* in turn.

    Raises:
        ValueError: one of *sources* is not an address, range or network.
    """
    pools = _pools(sources)
    at = max(0, number - 1) % sum(count for _, count, _ in pools)
    for base, count, version in pools:
        if at < count:
            return str(ipaddress.IPv4Address(base + at) if version == 4 else ipaddress.IPv6Address(base + at))
        at -= count
    raise ValueError("there are no addresses")
