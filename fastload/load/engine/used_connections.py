"""Connections that are closed by this side although a server would keep them: after so many requests, or between
iterations. libcurl has no call for that."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass

SocketAddress = tuple[str, int]


@dataclass(slots=True)
class _Used:
    fd: int
    local: SocketAddress
    requests: int = 0


class UsedConnections:
    """The connections of one VU, by libcurl's number, and how many requests each of them carried.

    To close one is to shut its socket down: libcurl finds it dead when it looks for a connection, and makes another.
    """

    def __init__(self, most_requests: int) -> None:
        self.most_requests = most_requests
        self._used: dict[int, _Used] = {}

    def count_request(self, connection: int, fd: int, local: SocketAddress) -> None:
        """One more request ended on *connection*, which has the descriptor *fd* and the address *local*."""
        used = self._used.get(connection)
        if used is None:
            used = self._used[connection] = _Used(fd, local)
        used.requests += 1

    def close_used_up(self) -> None:
        """Close those that carried as many requests as they may."""
        if self.most_requests:
            for connection, used in list(self._used.items()):
                if used.requests >= self.most_requests:
                    del self._used[connection]
                    _shut(used)

    def close_all(self) -> None:
        """Close all of them; none may be in use."""
        for used in self._used.values():
            _shut(used)
        self._used.clear()


def _shut(used: _Used) -> None:
    # The number may belong to another socket by now: it is shut down only if it has the address that is known.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(used.fd)) as one:
        if one.getsockname()[:2] == used.local:
            one.shutdown(socket.SHUT_RDWR)
