"""Gates: what each limited request of a target passes before it is handled."""

from __future__ import annotations

import asyncio
import collections
import os
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from fastload.model.units import format_count
from fastload.targets.application import ServiceContext
from fastload.targets.limits.kinds import StagedLimit
from fastload.targets.limits.shared_words import SharedWords
from fastload.targets.messages import ApiError, Gate, limit_error

_SECOND_NS = 1_000_000_000
# Timers count whole milliseconds. Without this, half of the waits would end before their time.
_TIMER_S = 0.0005
# A bucket of tokens for a tenth of a second, or of two: starts at exactly the rate pass, if not quite regular too.
_BURST_S = 0.1
# Hashing of so much lets go of the interpreter's lock, and takes some 0.1 ms.
_HASHED = bytes(64 << 10)
# Written over and over, so that the disk does not fill.
_SYNCED_FILE_BYTES = 64 << 20
_LEAKED_SHARE_OF_MEMORY = 0.25


def make_gates(limits: Iterable[StagedLimit], context: ServiceContext) -> tuple[Gate, ...]:
    """Return the gates of *limits* in one server process. Limits that are not of requests have none."""
    return tuple(_GATES[limit.name](limit, context) for limit in limits if limit.name in _GATES)


class _Slots:
    """A queue without bound before slots that serve one request each, in the order in which they came.

    The end of each request is computed when it comes: the times add up exactly, however late a timer is. So *c* slots
    of *t* serve c / t a second, over all processes.
    """

    def __init__(self, limit: StagedLimit, context: ServiceContext) -> None:
        self._limit = limit
        self._source = context.chance(limit.name)
        self._free_ns = SharedWords(context.run_dir / f"limit-{limit.name}", round(limit.amount) or 1)

    async def __call__(self) -> None:
        service_ns = round(self._limit.sample_s(self._source) * _SECOND_NS)
        now_ns = time.monotonic_ns()
        with self._free_ns.locked() as words:
            free_ns = words.tolist()
            first_ns = min(free_ns)
            end_ns = max(now_ns, first_ns) + service_ns
            words[free_ns.index(first_ns)] = end_ns
        await asyncio.sleep((end_ns - now_ns) / _SECOND_NS + _TIMER_S)


class _Rate:
    """A rate limit: a bucket of tokens, over all processes."""

    def __init__(self, limit: StagedLimit, context: ServiceContext) -> None:
        self._rate = f"over {format_count(limit.amount)} requests a second"
        self._interval_ns = max(1, round(_SECOND_NS / limit.amount))
        self._burst_ns = max(round(_BURST_S * _SECOND_NS) - self._interval_ns, self._interval_ns)
        # The time at which the bucket is full again.
        self._full_ns = SharedWords(context.run_dir / "limit-rate", 1)

    async def __call__(self) -> None:
        now_ns = time.monotonic_ns()
        with self._full_ns.locked() as words:
            full_ns = max(now_ns, words[0])
            wait_ns = full_ns - now_ns - self._burst_ns
            if wait_ns <= 0:
                words[0] = full_ns + self._interval_ns
        if wait_ns > 0:
            raise limit_error("rate_limited", self._rate, wait_ns)


class _Errors:
    """A server error for a share of the requests."""

    def __init__(self, limit: StagedLimit, context: ServiceContext) -> None:
        self._share = limit.amount
        self._source = context.chance(limit.name)

    async def __call__(self) -> None:
        if self._source.random() < self._share:
            raise ApiError(500, "injected", "")


class _OneThread:
    """CPU time of the one thread that runs the event loop: nothing else is answered meanwhile."""

    def __init__(self, limit: StagedLimit, context: ServiceContext) -> None:
        self._limit = limit
        self._source = context.chance(limit.name)

    async def __call__(self) -> None:
        end_s = time.thread_time() + self._limit.sample_s(self._source)
        while time.thread_time() < end_s:
            pass


class _Cpu:
    """CPU time of a pool of threads, as many as there are CPUs: all of them can be busy."""

    def __init__(self, limit: StagedLimit, context: ServiceContext) -> None:
        self._limit = limit
        self._source = context.chance(limit.name)
        threads = -(-len(os.sched_getaffinity(0)) // context.workers)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="cpu")

    async def __call__(self) -> None:
        seconds = self._limit.sample_s(self._source)
        await asyncio.get_running_loop().run_in_executor(self._pool, _hash_for, seconds)


def _hash_for(seconds: float) -> None:
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        sha256(_HASHED).digest()


class _Fsync:
    """A write that is forced to the disk, one after the other, as a database commits."""

    def __init__(self, limit: StagedLimit, context: ServiceContext) -> None:
        self._block = random.Random(0).randbytes(min(round(limit.amount), _SYNCED_FILE_BYTES))
        self._blocks = _SYNCED_FILE_BYTES // len(self._block)
        self._number = 0
        self._file = os.open(context.run_dir / f"limit-fsync-{context.worker}", os.O_RDWR | os.O_CREAT, 0o600)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fsync")

    async def __call__(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write)

    def _write(self) -> None:
        os.pwrite(self._file, self._block, self._number % self._blocks * len(self._block))
        os.fsync(self._file)
        self._number += 1


class _Leak:
    """Memory that is kept for each request, up to a quarter of what the machine has."""

    def __init__(self, limit: StagedLimit, context: ServiceContext) -> None:
        self._size_bytes = round(limit.amount)
        memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        most_bytes = memory_bytes * _LEAKED_SHARE_OF_MEMORY / context.workers
        self._kept = collections.deque[bytes](maxlen=int(most_bytes // self._size_bytes) or 1)

    async def __call__(self) -> None:
        # Not zeros: the kernel gives memory for a page only when something is written to it.
        self._kept.append(b"\x01" * self._size_bytes)


_GATES: dict[str, Callable[[StagedLimit, ServiceContext], Gate]] = {
    "rate": _Rate,
    "errors": _Errors,
    "slots": _Slots,
    "pool": _Slots,
    "lock": _Slots,
    "one-thread": _OneThread,
    "cpu": _Cpu,
    "fsync": _Fsync,
    "leak": _Leak,
}
