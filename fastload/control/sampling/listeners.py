"""Listeners: which processes of this machine listen on a TCP port."""

from __future__ import annotations

import ipaddress
import socket

from fastload.control.sampling import procfs

# These listen for services that do not run yet. Their other children do not belong to the target.
_SOCKET_ACTIVATORS = frozenset({"systemd", "init", "launchd"})


def find_listener(port: int, host: str = "") -> tuple[int, ...]:
    """Return the PIDs of all processes that hold a socket listening on the TCP port, masters and workers alike.

    *host*, an address or a name to look up, limits the result to sockets that accept connections to it; empty means
    any. The result is empty if nothing listens here, *host* is another machine, the processes belong to another user,
    or they listen in another network namespace (the port of a container is held by its proxy, if by any process). A
    service manager that holds the socket for a service is left out.
    """
    inodes = _listening_inodes(port, host)
    return tuple(pid for pid in procfs.socket_holders(inodes) if not _is_socket_activator(pid))


def _listening_inodes(port: int, host: str) -> set[str]:
    listening = procfs.listening_sockets(port)
    if not host:
        return {inode for _, inode in listening}
    wanted = {address for address in _resolve(host) if _is_local(address)}
    return {inode for bound, inode in listening if any(_accepts(bound, address) for address in wanted)}


def _resolve(host: str) -> set[procfs.IpAddress]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {_plain_address(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in found}


def _plain_address(address: procfs.IpAddress) -> procfs.IpAddress:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_local(address: procfs.IpAddress) -> bool:
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        # Only an address of this machine can be bound to; nothing is sent.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _accepts(bound: procfs.IpAddress, address: procfs.IpAddress) -> bool:
    bound = _plain_address(bound)
    if bound.is_unspecified:
        # A socket on :: takes IPv4 too, unless IPV6_V6ONLY is set, which /proc does not show.
        return bound.version == 6 or address.version == 4
    return bound == address or address.is_unspecified


def _is_socket_activator(pid: int) -> bool:
    stat = procfs.read_process(pid)
    return stat is not None and stat.name in _SOCKET_ACTIVATORS
