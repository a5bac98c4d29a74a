"""What to do about each kind of error: the one table for the terminal, the pages, the reports and `docs/numbers.md`."""

from __future__ import annotations

import re

REMEDIES = {
    "connect_refused": "start the server, and check the host and the port; a full accept queue refuses as well",
    "connect_timeout": "check the address and the firewall; if the server is full, lower the load or raise its backlog",
    "connect_unreachable": "check the network and the route to the host",
    "connect_failed": "read the message; check the port, the proxy and --source-address",
    "dns": "check the name of the host; --host-override gives it an address",
    "tls": "check that the port speaks TLS, and --tls-min, --tls-max, --ciphers and --cert",
    "tls_verify": "give the CA of the server with --cacert, or skip the check with --insecure",
    "tls_timeout": "check that the port speaks TLS, and the CPU of the server, or raise --connect-timeout",
    "timeout": "look for what is slow in the server, lower the load, or raise --timeout",
    "idle_timeout": "look for what makes the server stop within a response, or raise --idle-timeout",
    "given_up": "the script or an iteration_timeout ended the wait: look for what is slow, or wait longer",
    "reset": "look in the log of the server or of its proxy: crashes, restarts, idle time-outs, limits on connections",
    "partial": "look in the log of the server for what ended a response early: crashes, restarts, proxy time-outs",
    "protocol": "check that the port speaks this version of HTTP (--http), and the server's headers and chunks",
    "decompress": "check what the server compresses and its Content-Encoding, or leave out --compressed",
    "redirects": "check where the server redirects to (its Location), or raise --max-redirects",
    "too_large": "raise --max-body; header lines over 100 KB and headers over 300 KB are always too large",
    "proxy": "check the address of the proxy, its credentials and its rules",
    "url": "check the URL that the script makes: http or https, a host, a port up to 65535",
    "body": "leave the files that are sent alone while the run lasts",
    "other": "read the message: it has libcurl's own words",
    "generator_fd": "raise the limit: ulimit -n 65536",
    "generator_port": "reuse connections, or widen net.ipv4.ip_local_port_range",
    "generator_memory": "lower the number of VUs, keep fewer bodies, or give this machine more memory",
    "judged": "the script judged this one failed: see its reply.failure(...) or the exception of its block",
    "ws_closed": "look in the log of the server for why it closed the WebSocket; the code is in the message",
    "http_401": "check the credentials of the script: a token may have expired",
    "http_403": "check what the user of the script may do, and whether a firewall blocks the load",
    "http_404": "check the path and the ids that the script uses",
    "http_429": "lower the rate, or raise the rate limit of the server",
    "http_502": "look behind the proxy: its server crashed, or closed the connection",
    "http_503": "lower the load, or raise the limits of the server: it is full, or not up yet",
    "http_504": "look behind the proxy: its server is too slow",
    "http_4xx": "check the request: its path, headers and body; use expected= if this status is a success",
    "http_5xx": "look in the log of the server: it failed to answer",
    "http_xxx": "use expected= if this status is a success",
}
"""What to do about each kind of error, in a few words.

Statuses without a line of their own have those of ``http_4xx``, ``http_5xx`` and ``http_xxx`` (below 400)."""

OTHER_REMEDY = "read the message: it is an exception of the script's own code"
"""What to do about a kind that is not in `REMEDIES`: the class of an exception, of a measured call."""


PROXY_REMEDY = "check that the proxy in the message runs, and its address: --proxy, or http_proxy and https_proxy"
"""What to do about a connection that failed on its way to a proxy."""
_OF_PROXY = re.compile(r"(over|resolve) proxy\b")


def remedy_of(kind: str, message: str = "") -> str:
    """Return what to do about an error of *kind*, which may be a status, like ``http_418``, or ``judged: REASON``.

    *message*: its first message, in which libcurl names the proxy if it did not get past that.
    """
    name = kind.partition(":")[0]
    if (name == "dns" or name.startswith("connect_")) and _OF_PROXY.search(message):
        return PROXY_REMEDY
    if name.startswith("http_") and name not in REMEDIES:
        name = f"http_{name[5]}xx" if name[5:6] in ("4", "5") else "http_xxx"
    return REMEDIES.get(name, OTHER_REMEDY)
