"""Shared memory of a target's server processes: counters, ready flags, rate limit, and the service's own part."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator, Mapping

from fastload.targets.spec import TargetSpec

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
UNMATCHED = "unmatched"

# The header: file locks on bytes 0 and 1 are the two locks; words 1 and 2 have the state of the rate limit.
_RATE_LOCK, _SERVICE_LOCK = 0, 1
_RATE_WINDOW_END, _RATE_COUNT = 1, 2
_HEADER_WORDS = 8
_WORD_BYTES = 8


class SharedMemory:
    """The shared memory of one running target; the launcher creates it, and each server process maps it.

    A process writes its counters only in the slot of its own worker index, so that no count is lost. Readers sum the
    slots.
    """

    def __init__(self, fd: int, spec: TargetSpec, workers: int) -> None:
        self.fd = fd
        self._labels = [f"{route.method} {route.path}" for route in spec.routes] + [UNMATCHED]
        self._outcomes = spec.outcomes
        self._outcome_offset = 1 + len(self._labels) * len(STATUS_CLASSES)
        self._slot_words = self._outcome_offset + len(self._outcomes)
        self._workers = workers
        words = _HEADER_WORDS + workers * self._slot_words
        # The service's part starts on a cache line of its own.
        self._service_offset = -(-words * _WORD_BYTES // 64) * 64
        size_bytes = self._service_offset + spec.shared_bytes
        if os.fstat(fd).st_size == 0:
            os.ftruncate(fd, size_bytes)
        self._map = mmap.mmap(fd, size_bytes)
        self._words = memoryview(self._map)[: self._service_offset].cast("Q")

    @classmethod
    def create(cls, spec: TargetSpec, workers: int) -> SharedMemory:
        """Create zeroed memory. The kernel frees it with the last process that has its descriptor or a mapping."""
        return cls(os.memfd_create(f"fastload-{spec.name}"), spec, workers)

    @property
    def service_memory(self) -> memoryview:
        """The part that belongs to the service."""
        return memoryview(self._map)[self._service_offset :]

    def close(self) -> None:
        """Close the descriptor; the memory itself is freed with its last mapping."""
        os.close(self.fd)

    @contextlib.contextmanager
    def service_lock(self) -> Iterator[None]:
        """Lock that one process holds at a time; the kernel releases it when the process ends.

        It does not exclude two threads of one process.
        """
        fcntl.lockf(self.fd, fcntl.LOCK_EX, 1, _SERVICE_LOCK)
        try:
            yield
        finally:
            fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, _SERVICE_LOCK)

    def mark_ready(self, worker: int) -> None:
        """Mark server process *worker* as ready for requests."""
        self._words[self._slot(worker)] = 1

    def all_ready(self) -> bool:
        """Return whether every server process is ready for requests."""
        return all(self._words[self._slot(worker)] for worker in range(self._workers))

    def counter_base(self, worker: int, route: int) -> int:
        """Return the base index that ``count`` needs for answers of *route* (-1: no route matched) by *worker*."""
        position = route if route >= 0 else len(self._labels) - 1
        return self._slot(worker) + 1 + position * len(STATUS_CLASSES) - 1

    def count(self, base: int, status: int) -> None:
        """Count one answer with *status*."""
        self._words[base + status // 100] += 1

    def outcome_words(self, worker: int) -> Mapping[str, int]:
        """Return, for each kind of answer, the index that ``count_outcome`` needs in process *worker*."""
        first = self._slot(worker) + self._outcome_offset
        return {outcome: first + position for position, outcome in enumerate(self._outcomes)}

    def count_outcome(self, word: int) -> None:
        """Count one answer of the kind whose index is *word*."""
        self._words[word] += 1

    def outcome_totals(self) -> Mapping[str, int]:
        """Return answers by kind over all processes, like ``{"verified": 3, ...}``, without zeros."""
        found = dict.fromkeys(self._outcomes, 0)
        for worker in range(self._workers):
            for outcome, word in self.outcome_words(worker).items():
                found[outcome] += self._words[word]
        return {outcome: total for outcome, total in found.items() if total}

    def totals(self) -> Mapping[str, Mapping[str, int]]:
        """Return answers by route and status class over all processes, like ``{"GET /health": {"2xx": 3}, ...}``.

        Zeros are left out.
        """
        found: dict[str, dict[str, int]] = {}
        for route, label in enumerate(self._labels):
            for status_class, name in enumerate(STATUS_CLASSES, 1):
                total = sum(
                    self._words[self.counter_base(worker, route) + status_class] for worker in range(self._workers)
                )
                if total:
                    found.setdefault(label, {})[name] = total
        return found

    def acquire_rate_limit_ns(self, limit: int, window_ns: int, now_ns: int) -> int:
        """Count one request in the current window and return 0; if *limit* is reached, the ns until the window ends.

        A window starts with the first request after the end of the window before. *now_ns* is the monotonic clock,
        which all processes of a machine share, so the limit is exact over all processes.
        """
        fcntl.lockf(self.fd, fcntl.LOCK_EX, 1, _RATE_LOCK)
        try:
            if now_ns >= self._words[_RATE_WINDOW_END]:
                self._words[_RATE_WINDOW_END] = now_ns + window_ns
                self._words[_RATE_COUNT] = 0
            if self._words[_RATE_COUNT] >= limit:
                return self._words[_RATE_WINDOW_END] - now_ns
            self._words[_RATE_COUNT] += 1
            return 0
        finally:
            fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, _RATE_LOCK)

    def _slot(self, worker: int) -> int:
        return _HEADER_WORDS + worker * self._slot_words
