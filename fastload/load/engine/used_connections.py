"""Connections that the generator closes early: after a number of requests, or between iterations.

libcurl has no call for that.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

SocketAddress = tuple[str, int]


@dataclass(slots=True)
class _Used:
    fd: int
    local: SocketAddress
    requests: int = 0


class UnusableConnection(NamedTuple):
    """A connection that must carry no further request: its descriptor, whether it has HTTP/2 or 3, and whether the
    script's settings closed it."""

    fd: int
    is_multiplexed: bool
    is_closed_here: bool


class UsedConnections:
    """Connections of one VU, by libcurl's connection number, with the number of requests that each one carried.

    Closing a connection means shutting down its socket. libcurl finds it dead at the next search for a connection and
    makes a new one.
    """

    def __init__(self, most_requests: int) -> None:
        self.most_requests = most_requests
        self._used: dict[int, _Used] = {}
        self.on_close: Callable[[int, SocketAddress], None] | None = None
        """Called with the descriptor and the local address of each connection that is closed."""

    def count_request(self, connection: int, fd: int, local: SocketAddress) -> None:
        """Count a request that ended on *connection*, which has the descriptor *fd* and the local address *local*."""
        used = self._used.get(connection)
        if used is None:
            used = self._used[connection] = _Used(fd, local)
        used.requests += 1

    def close_used_up(self) -> None:
        """Close the connections that have carried ``most_requests`` requests; 0 means no limit."""
        if self.most_requests:
            for connection, used in list(self._used.items()):
                if used.requests >= self.most_requests:
                    del self._used[connection]
                    self._close(used)

    def close_all(self) -> None:
        """Close all connections; none may be in use."""
        for used in self._used.values():
            self._close(used)
        self._used.clear()

    def _close(self, used: _Used) -> None:
        if _shut(used) and self.on_close is not None:
            self.on_close(used.fd, used.local)


def _shut(used: _Used) -> bool:
    # The descriptor number may belong to another socket by now, so the local address must match.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(used.fd)) as one:
        if one.getsockname()[:2] == used.local:
            one.shutdown(socket.SHUT_RDWR)
            return True
    return False
