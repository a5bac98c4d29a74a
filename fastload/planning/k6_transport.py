"""Transport options of k6: translates k6's options about connections into fastload's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastload.model.errors import PlanError, nearest
from fastload.model.units import parse_duration_s
from fastload.planning.k6_values import K6Value, known_entries

_TLS = {"tls1.0": "1.0", "tls1.1": "1.1", "tls1.2": "1.2", "tls1.3": "1.3"}
_IP_VERSIONS = {"onlyIPv4": "4", "onlyIPv6": "6"}
_DNS = {
    "ttl": None,
    "select": ("first", "random", "roundRobin"),
    "policy": ("preferIPv4", "preferIPv6", "onlyIPv4", "onlyIPv6", "any"),
}
_DEBUG = ("headers", "full")
_AUTH = {"cert": "cert", "key": "key", "password": "key_password"}


def _tls_version(one: K6Value) -> dict[str, Any]:
    bounds = one.value if isinstance(one.value, Mapping) else {"min": one.value, "max": one.value}
    options = {}
    for bound, version in known_entries(bounds, ("min", "max"), where=f"{one.where}: {one.key}").items():
        if version == "":
            continue
        if bound not in ("min", "max") or not isinstance(version, str) or version not in _TLS:
            raise one.refused(f"{one.shown} is unknown", 'write "tls1.2" or {"min": "tls1.2", "max": "tls1.3"}')
        options[f"tls_{bound}"] = _TLS[version]
    return options


def _tls_auth(one: K6Value) -> dict[str, Any]:
    if one.value == []:
        return {}
    if not isinstance(one.value, list) or len(one.value) != 1 or not isinstance(one.value[0], Mapping):
        raise one.refused("takes a list of one certificate here", "every request shows the same: give cert and key")
    example = '[{"cert": "...", "key": "..."}]'
    entries = one._replace(value=one.value[0]).entries((*_AUTH, "domains"), example)
    where = f"{one.where}: {one.key}"
    return {
        _AUTH[key]: K6Value(where, key, text).text() for key, text in entries.items() if key in _AUTH and text != ""
    }


def _ciphers(one: K6Value) -> dict[str, Any]:
    if not isinstance(one.value, list) or not all(isinstance(name, str) and name for name in one.value):
        raise one.refused("is no list of names", 'write ["TLS_AES_128_GCM_SHA256"]')
    return {"ciphers": ":".join(one.value)} if one.value else {}


def _dns(one: K6Value) -> dict[str, Any]:
    entries = one.entries(_DNS, '{"ttl": "5m"}')
    where = f"{one.where}: {one.key}"
    for key, choices in _DNS.items():
        value = entries.get(key, "")
        if choices and value != "" and value not in choices:
            hint = nearest(str(value), choices) or f"one of {', '.join(choices)}"
            raise PlanError(f"{where}.{key} {value!r} is unknown", hint=hint)
    options: dict[str, Any] = {}
    if entries.get("ttl", "") != "":
        options["dns"] = _ttl(K6Value(where, "ttl", entries["ttl"]))
    if _shares_addresses(entries):
        options["dns_select"] = entries["select"]
    if entries.get("policy") in _IP_VERSIONS:
        options["ip_version"] = _IP_VERSIONS[entries["policy"]]
    return options


def _ttl(one: K6Value) -> str:
    if one.value == "inf":
        return "pinned"
    text = one.duration()
    return text if parse_duration_s(text) > 0 else "each"


def _shares_addresses(dns: Mapping[str, Any]) -> bool:
    """Return whether *dns* deals several addresses to the VUs. Those of a later lookup are libcurl's to choose."""
    return dns.get("select") in ("random", "roundRobin") and dns.get("ttl", "") in ("", "inf")


def _debug(one: K6Value) -> dict[str, Any]:
    if one.value == "":
        return {}
    if one.value not in _DEBUG:
        raise one.wrong("headers or full", '"full"')
    return {"http_debug": one.value}


def _local_ips(one: K6Value) -> dict[str, Any]:
    return {} if one.value == "" else {"source_addresses": one.text()}


TRANSPORT: dict[str, Callable[[K6Value], dict[str, Any]]] = {
    "dns": _dns,
    "httpDebug": _debug,
    "localIPs": _local_ips,
    "tlsAuth": _tls_auth,
    "tlsCipherSuites": _ciphers,
    "tlsVersion": _tls_version,
}
"""k6's option name -> translator of its value to fastload's options."""


def without_effect(one: K6Value) -> list[str]:
    """Return the names of what has no effect in fastload, of k6's option *one* that `TRANSPORT` translates.

    libcurl tries the addresses of a later lookup in its order, IPv6 and IPv4 side by side. A certificate is shown to
    every host.
    """
    found = []
    if one.key == "dns" and isinstance(one.value, Mapping):
        dns = known_entries(one.value, _DNS, where=one.where)
        if dns.get("select", "first") not in ("first", "") and not _shares_addresses(dns):
            found.append("dns.select")
        if dns.get("policy", "") != "" and str(dns["policy"]) not in _IP_VERSIONS:
            found.append("dns.policy")
    if one.key == "tlsAuth" and isinstance(one.value, list):
        found += ["tlsAuth.domains" for auth in one.value if isinstance(auth, Mapping) and auth.get("domains")]
    return found
