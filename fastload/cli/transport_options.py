"""Transport options of `run` and `plan`: limits of requests, connections, TLS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fastload.cli.options import AnyFunction, ListText, parse_pairs
from fastload.model.errors import PlanError
from fastload.model.http_settings import PEM
from fastload.planning.options import OPTIONS

_HOST_EXAMPLE = "shop.example.com=127.0.0.1:8080"


def _option(*names: str, **more: Any) -> Any:
    """Return a click option whose environment variable is ``FASTLOAD_`` and its name in configurations."""
    own = [name for name in names if name.isidentifier()] or [name for name in names if name.startswith("--")]
    variable = own[0].removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=f"FASTLOAD_{variable}", **more)


_REQUESTS = (
    _option("--connect-timeout", metavar="DURATION", help="Longest time to connect, TLS included."),
    _option("--idle-timeout", metavar="DURATION", help="Longest time in which nothing is sent or received."),
    _option("--auth", metavar="SCHEME:USER:PASSWORD", help="basic, digest or ntlm; or bearer:TOKEN."),
    _option("--compressed", is_flag=True, help="Ask for compressed responses: gzip and deflate."),
    _option("-A", "--user-agent", metavar="TEXT", help="What requests say that they come from."),
    _option("--max-redirects", type=int, help="How many redirects are followed; 0 follows none.  [default: 10]"),
    _option("--max-body", metavar="SIZE", help="Longest response body, like 1MB; a longer one fails."),
    _option("--upload-rate", metavar="SIZE", help="Most bytes a second that a request sends, like 64KiB."),
    _option("--download-rate", "--limit-rate", "download_rate", metavar="SIZE", help="Most that a response receives."),
    _option(
        "--http-debug",
        type=click.Choice(OPTIONS["http_debug"].choices),
        help="Show the requests of the first VU on stderr, as curl -v does; =full with bodies and secrets.",
    ),
)
_CONNECTIONS = (
    _option(
        "-x",
        "--proxy",
        metavar="URL",
        help="http, https or socks5[h] proxy, with user:password@ if it wants that; env for that of the environment.",
    ),
    _option("--no-proxy", metavar="HOSTS", help="Hosts to reach without it, with commas."),
    _option(
        "--host-override",
        "--resolve",
        "hosts",
        multiple=True,
        type=ListText(),
        metavar="NAME[:PORT]=ADDRESS[:PORT]",
        help="Where a host is, instead of asking DNS; '*.example.com' too. Repeatable, or with commas.",
    ),
    _option("--dns", metavar="WHEN", help="Look hosts up once (pinned, the default), each time, or every 30s."),
    _option("--ip-version", type=click.Choice(OPTIONS["ip_version"].choices), help="Only addresses of this kind."),
    _option(
        "--source-address",
        "--local-ips",
        "source_addresses",
        multiple=True,
        type=ListText(),
        metavar="ADDRESSES",
        help="Addresses of this machine, ranges or networks, dealt to the VUs. Repeatable, or with commas.",
    ),
    _option("--no-connection-reuse", is_flag=True, help="A new connection for each request."),
    _option("--no-vu-connection-reuse", is_flag=True, help="A new connection for each iteration."),
    _option("--max-connection-requests", type=int, help="Requests on a connection before it is closed."),
    _option("--max-connection-age", metavar="DURATION", help="A connection is not used again after that."),
)
_TLS = (
    _option("--cacert", "ca_file", metavar="FILE", help="Certificates to trust, instead of the system's."),
    _option("-E", "--cert", metavar="FILE", help="Certificate of the client: PEM, or .p12."),
    _option("--key", metavar="FILE", help="Its key, if that is another file."),
    _option("--key-password", metavar="TEXT", help="The password of the key; better FASTLOAD_KEY_PASSWORD."),
    _option("--tls-min", type=click.Choice(OPTIONS["tls_min"].choices), help="Lowest version of TLS."),
    _option("--tls-max", type=click.Choice(OPTIONS["tls_max"].choices), help="Highest version of TLS."),
    _option("--ciphers", metavar="LIST", help="Names of ciphers, with commas or colons."),
)
WITHOUT_A_VALUE = {"--http-debug": "--http-debug=headers"}
"""Options whose value may be left out, with the replacement. (click would take the script for the value.)"""
HEADINGS = {"proxy": "Connections", "ca_file": "TLS"}
"""The first option under each heading of the help, with the heading."""


def transport_options(command: AnyFunction) -> AnyFunction:
    """Add the transport options to a command."""
    for option in reversed((*_REQUESTS, *_CONNECTIONS, *_TLS)):
        command = option(command)
    return command


def _parts(texts: tuple[str, ...], _said_by: str) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


def _hosts(texts: tuple[str, ...], said_by: str) -> dict[str, str]:
    """Return ``{name: address}``. curl's form ``name:port:address`` is accepted as well.

    Raises:
        PlanError: an entry has neither form.
    """
    given: dict[str, str] = {}
    for text in _parts(texts, said_by):
        parts = text.split(":", 2)
        if "=" in text:
            given |= parse_pairs((text,), separator="=", what=said_by, example=_HOST_EXAMPLE)
        elif len(parts) == 3 and parts[1].isdecimal() and parts[2]:
            given[f"{parts[0]}:{parts[1]}"] = parts[2]
        else:
            raise PlanError(f"{said_by} {text!r} is not NAME=ADDRESS", hint=f"write it like {_HOST_EXAMPLE!r}")
    return given


def _file(path: str, _said_by: str) -> str:
    return path if path.startswith(PEM) else str(Path(path).absolute())


CONVERTERS: dict[str, Callable[[Any, str], Any]] = {
    "hosts": _hosts,
    "source_addresses": _parts,
    "ca_file": _file,
    "cert": _file,
    "key": _file,
}
"""Option name -> function that converts the value from the command line to the value of a configuration."""
