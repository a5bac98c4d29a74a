"""Limits of a listening socket: few places for connections that wait, slow accepts, few descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import socket
from collections.abc import Callable

from fastload.targets.limits.kinds import StagedLimit


class SlowAccepts:
    """Accepts connections of *listener* one after the other, each after the time of *limit*.

    Connections that were accepted are served at full speed. It has the `close` of `asyncio.Server`.
    """

    def __init__(
        self,
        listener: socket.socket,
        limit: StagedLimit,
        source: random.Random,
        make_protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        self._listener = listener
        self._limit = limit
        self._source = source
        self._make_protocol = make_protocol
        listener.setblocking(False)
        self._task = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Accept no more."""
        self._task.cancel()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limit.sample_s(self._source))
            # No descriptor is left, or the client has gone: go on with the next.
            with contextlib.suppress(OSError):
                connection, _ = await loop.sock_accept(self._listener)
                await loop.connect_accepted_socket(self._make_protocol, connection)


def limit_descriptors(most: int) -> None:
    """Let this process open no more than *most* descriptors, nor than it may already; those that are open stay."""
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(most, allowed) if allowed != resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
