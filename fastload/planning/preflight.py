"""Preflight of a plan, just before its run: checks open files and how it is resumed, and looks up the target's host."""

from __future__ import annotations

import ipaddress
import socket
import sys
from urllib.parse import urlsplit

from fastload.control.open_files import OWN_DESCRIPTORS, most_open_files
from fastload.load.engine.curl_options import is_overridden
from fastload.model.errors import PlanError
from fastload.model.http_settings import without_credentials
from fastload.model.load_models import ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
from fastload.model.plan import Plan
from fastload.model.units import format_number_of


def check_descriptors(plan: Plan) -> None:
    """Check that each worker may open as many files as its VUs need.

    The VUs that a shape, an open model or a command may ask for are not known, and not counted.

    Raises:
        PlanError: the hard limit of the process is too low.
    """
    most_files = most_open_files()
    counted = ConstantVUs | RampingVUs | SharedIterations | PerVUIterations
    executors = [scenario.executor for scenario in plan.scenarios]
    vus = plan.max_vus if plan.kind == "bench" else sum(one.max_vus for one in executors if isinstance(one, counted))
    needed = -(-vus // plan.workers) + OWN_DESCRIPTORS
    if most_files is not None and needed > most_files:
        what = "connection" if plan.kind == "bench" else "VU"
        load = f"{format_number_of(vus, what)} over {format_number_of(plan.workers, 'worker')}"
        raise PlanError(
            f"{load} need{'s' * (vus == 1)} {needed} open files in each, and the limit is {most_files}",
            hint=f"raise the limit (ulimit -Hn {needed}), add workers, or use fewer {what}s",
        )


def check_can_resume(plan: Plan, *, commands: bool, keyboard: bool) -> None:
    """Check that a plan which starts paused can be resumed: by *commands*, or by the *keyboard* of a terminal.

    Raises:
        PlanError: nobody could resume it.
    """
    if plan.paused and not commands and not (keyboard and sys.stdin.isatty()):
        raise PlanError(
            "the run would wait for ever: it is paused, and nobody could resume it",
            hint="give --control PORT as well (or fl.start in a program), or run it in a terminal",
        )


def looks_up(plan: Plan) -> bool:
    """Return whether the host of the base URL is looked up before the run.

    It is not if the plan has its address, if lookups must be part of the run, or if a proxy makes them.
    """
    parts, http = urlsplit(plan.base_url), plan.http
    port = parts.port or (443 if parts.scheme == "https" else 80)
    known = is_overridden(parts.hostname or "", port, http.hosts)
    return http.dns == "pinned" and not http.proxy and not known


def resolve_host(base_url: str) -> tuple[str, ...]:
    """Look up the host of *base_url*, once, so that no worker waits for DNS: ``("host:port:address,...",)``.

    The result is empty if the host is an address, and without a base URL. ``localhost`` has both of the machine's own
    addresses, as for curl and browsers, also if only one of them is in /etc/hosts.

    Raises:
        PlanError: the host has no address.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if not host or _is_address(host):
        return ()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        if not _is_localhost(host):
            raise PlanError(
                f"host {host!r} of {without_credentials(base_url)} cannot be resolved: {error}",
                hint="check its spelling",
            ) from error
        found = []
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if _is_localhost(host):
        addresses += [one for one in ("127.0.0.1", "::1") if one not in addresses and _is_own(one)]
    shown = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    return (f"{host}:{port}:{shown}",)


def several_addresses(plan: Plan, pinned: tuple[str, ...]) -> tuple[str, ...]:
    """Return a note if the host of the base URL has several addresses of a kind, and all VUs will use the first."""
    if not pinned or plan.http.dns_select != "first":
        return ()
    host, _, addresses = pinned[0].split(":", 2)
    of_one_kind = max(addresses.count("["), addresses.count(",") + 1 - addresses.count("["))
    if of_one_kind < 2 or _is_localhost(host):
        return ()
    return (
        f"{host} has {of_one_kind} addresses, and all VUs used the first one that answered "
        "(--dns-select roundRobin shares them)",
    )


def _is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _is_own(address: str) -> bool:
    """Return whether this machine has *address*."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
