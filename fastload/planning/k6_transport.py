"""Transport options of k6: translates k6's options about connections into fastload's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastload.model.errors import PlanError

_TLS = {"tls1.0": "1.0", "tls1.1": "1.1", "tls1.2": "1.2", "tls1.3": "1.3"}
_IP_VERSIONS = {"onlyIPv4": "4", "onlyIPv6": "6"}


def _tls_version(value: Any, where: str) -> dict[str, Any]:
    bounds = value if isinstance(value, Mapping) else {"min": value, "max": value}
    options = {}
    for bound, version in bounds.items():
        if bound not in ("min", "max") or not isinstance(version, str) or version not in _TLS:
            raise PlanError(
                f"{where}: tlsVersion {value!r} is unknown", hint='write "tls1.2" or {"min": "tls1.2", "max": "tls1.3"}'
            )
        options[f"tls_{bound}"] = _TLS[version]
    return options


def _tls_auth(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], Mapping):
        raise PlanError(
            f"{where}: tlsAuth takes a list of one certificate here",
            hint="every request shows the same: give cert and key",
        )
    names = {"cert": "cert", "key": "key", "password": "key_password"}
    return {names[key]: text for key, text in value[0].items() if key in names}


def _ciphers(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise PlanError(f"{where}: tlsCipherSuites is no list of names", hint='write ["TLS_AES_128_GCM_SHA256"]')
    return {"ciphers": ":".join(value)}


def _dns(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise PlanError(f"{where}: dns is no object", hint='write {"ttl": "5m"}')
    options: dict[str, Any] = {}
    if "ttl" in value:
        ttl = str(value["ttl"])
        options["dns"] = {"inf": "pinned", "0": "each"}.get(ttl, f"{ttl}ms" if ttl.isdecimal() else ttl)
    if _shares_addresses(value):
        options["dns_select"] = value["select"]
    if isinstance(value.get("policy"), str) and value["policy"] in _IP_VERSIONS:
        options["ip_version"] = _IP_VERSIONS[value["policy"]]
    return options


def _shares_addresses(dns: Mapping[str, Any]) -> bool:
    """Return whether *dns* deals several addresses to the VUs. Those of a later lookup are libcurl's to choose."""
    return dns.get("select") in ("random", "roundRobin") and str(dns.get("ttl", "inf")) == "inf"


def _debug(value: Any, _where: str) -> dict[str, Any]:
    return {"http_debug": "full" if value == "full" else "headers"} if value else {}


TRANSPORT: dict[str, Callable[[Any, str], dict[str, Any]]] = {
    "dns": _dns,
    "httpDebug": _debug,
    "localIPs": lambda value, _: {"source_addresses": value},
    "tlsAuth": _tls_auth,
    "tlsCipherSuites": _ciphers,
    "tlsVersion": _tls_version,
}
"""k6's option name -> translator of its value to fastload's options. The second argument names the file in messages."""


def without_effect(options: Mapping[str, Any]) -> list[str]:
    """Return the names of k6's DNS options in *options* that have no effect in fastload.

    libcurl tries the addresses of a later lookup in its order, IPv6 and IPv4 side by side.
    """
    dns = options.get("dns")
    found = []
    if isinstance(dns, Mapping):
        if dns.get("select", "first") != "first" and not _shares_addresses(dns):
            found.append("dns.select")
        if "policy" in dns and str(dns["policy"]) not in _IP_VERSIONS:
            found.append("dns.policy")
    return found
