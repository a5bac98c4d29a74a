"""Poller: the readiness of many descriptors behind one, so that the event loop watches only one descriptor."""

from __future__ import annotations

import contextlib
import select

EVENTS_A_WAIT = 512


class EpollPoller:
    """Poller on epoll. A kqueue could implement the same four methods: add, change, forget and wait."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.fileno = self._epoll.fileno
        self.close = self._epoll.close

    def add(self, fd: int, mask: int) -> None:
        """Watch *fd*; if it is already watched, set the new *mask*."""
        try:
            self._epoll.register(fd, mask)
        except FileExistsError:
            self._epoll.modify(fd, mask)

    def change(self, fd: int, mask: int) -> None:
        """Set another mask. ENOENT means that the descriptor number was closed and reused: add it as a new one."""
        try:
            self._epoll.modify(fd, mask)
        except FileNotFoundError:
            self._epoll.register(fd, mask)

    def forget(self, fd: int) -> None:
        """Stop watching *fd*, which may already be closed."""
        with contextlib.suppress(FileNotFoundError, OSError):
            self._epoll.unregister(fd)

    def wait(self) -> list[tuple[int, int]]:
        """Return the descriptors that are ready now, without blocking: ``(fd, events)`` pairs, 512 at most."""
        return self._epoll.poll(0, EVENTS_A_WAIT)
