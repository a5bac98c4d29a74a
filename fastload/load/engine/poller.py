"""Readiness of many descriptors behind one, so that the event loop watches a single one."""

from __future__ import annotations

import contextlib
import select

EVENTS_A_WAIT = 512


class EpollPoller:
    """Readiness of many descriptors behind one: add, change, forget, wait. A kqueue would fit the same four."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.fileno = self._epoll.fileno
        self.close = self._epoll.close

    def add(self, fd: int, mask: int) -> None:
        """Watch *fd*; one that is watched already gets the new *mask*."""
        try:
            self._epoll.register(fd, mask)
        except FileExistsError:
            self._epoll.modify(fd, mask)

    def change(self, fd: int, mask: int) -> None:
        """Set another mask. ENOENT means that the number was closed and reused: watch it as a new one."""
        try:
            self._epoll.modify(fd, mask)
        except FileNotFoundError:
            self._epoll.register(fd, mask)

    def forget(self, fd: int) -> None:
        """Stop watching *fd*, which may be closed already."""
        with contextlib.suppress(FileNotFoundError, OSError):
            self._epoll.unregister(fd)

    def wait(self) -> list[tuple[int, int]]:
        """What is ready now, without waiting: ``(fd, events)`` pairs, 512 at most."""
        return self._epoll.poll(0, EVENTS_A_WAIT)
