"""Accept queues of listening sockets, asked of the kernel by netlink (sock_diag(7)), as ``ss -lt`` does.

The kernel looks at listening sockets only, where /proc/net/tcp has a line for each connection.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_LISTEN = 1 << 10
_TIMEOUT_S = 0.2
_HEAD = struct.Struct("=IHHII")
# Family, protocol, extensions, padding, states; the socket to ask for, which a dump leaves empty.
_ASK = struct.Struct("=BBBxI48x")
# Family, state, timer, retransmits; source and destination port; the rest of the id; expiry, both queues.
_TOLD = struct.Struct("=BBBB2s2s44xIII")


class AcceptQueue(NamedTuple):
    """Queue of one listening socket: how many connections wait to be accepted, and how many may."""

    length: int
    backlog: int


def accept_queues(port: int) -> list[AcceptQueue]:
    """Return the accept queues of the sockets that listen on the TCP port; empty if the kernel does not tell."""
    found: list[AcceptQueue] = []
    with (
        contextlib.suppress(OSError, struct.error),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as asked,
    ):
        asked.settimeout(_TIMEOUT_S)
        for family in (socket.AF_INET, socket.AF_INET6):
            ask = _ASK.pack(family, socket.IPPROTO_TCP, 0, _LISTEN)
            head = _HEAD.pack(_HEAD.size + len(ask), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, family, 0)
            asked.sendto(head + ask, (0, 0))
            found += [queue for at, queue in _answers(asked) if at == port]
    return found


def _answers(asked: socket.socket) -> Iterator[tuple[int, AcceptQueue]]:
    """Yield the port and the queue of each socket that the kernel tells of, up to the end of its answer."""
    while True:
        data = asked.recv(65_536)
        while len(data) >= _HEAD.size:
            length, kind, *_ = _HEAD.unpack_from(data)
            if kind in (_DONE, _ERROR) or length < _HEAD.size:
                return
            *_, port, _, _, queued, backlog = _TOLD.unpack_from(data, _HEAD.size)
            yield int.from_bytes(port, "big"), AcceptQueue(queued, backlog)
            data = data[(length + 3) & ~3 :]
