"""Connection pool: iterations of `bench`, each one request without a coroutine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from time import monotonic_ns

from fastload.load.client.context import WorkerContext
from fastload.load.client.vu import FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S
from fastload.load.engine.curl_handle import ConnectionCache
from fastload.load.engine.curl_transfer import Measurement, Transfer
from fastload.load.engine.error_kinds import error_kind
from fastload.load.executors.request_sources import RequestSource
from fastload.load.executors.slot_pool import IterationScheduler, SlotPool
from fastload.load.recording.outcome import response_us
from fastload.model.http_settings import without_credentials


class ConnectionPool(SlotPool):
    """Slot pool of `bench`: a slot is a connection, an iteration is one request of *source*, without a coroutine.

    *numbers* yields the numbers of new connections, from 1 by default.
    """

    def __init__(
        self,
        context: WorkerContext,
        source: RequestSource,
        scenario: str = "bench",
        numbers: Iterator[int] | None = None,
    ) -> None:
        super().__init__(context)
        self._numbers = numbers or itertools.count(1)
        self.scope = context.recorder.scope(scenario)
        self._source = source
        self._endpoint = context.recorder.endpoint(source.name, source.method, self.scope.tags)
        self._caches: dict[Transfer, ConnectionCache] = {}
        self._back_off_s: dict[Transfer, float] = {}
        self._next_body = source.body()

    def _new(self) -> Transfer:
        context = self.context
        transfer = Transfer()
        cache = self._caches[transfer] = context.connection_cache()
        number = next(self._numbers)
        transfer.configure(
            context.http_of(number), cache=cache, resolve=context.resolve, keep_body=False, number=number
        )
        context.engine.adopt(transfer)
        transfer.on_done = self._on_done
        return transfer

    def _begin(self, slot: Transfer, due_ns: int, scheduler: IterationScheduler) -> None:
        slot.owner = scheduler
        self._send(slot, due_ns)

    def _interrupt(self, slot: Transfer) -> None:
        if self.context.engine.cancel(slot):
            self.context.recorder.record_interrupted(self._endpoint, slot)
        self._ended(slot)

    def _close(self, slot: Transfer) -> None:
        slot.close()
        self._caches.pop(slot).close()

    def _send(self, transfer: Transfer, due_ns: int) -> None:
        if transfer not in self._running:
            return
        source, recorder = self._source, self.context.recorder
        transfer.prepare(source.method, source.url, source.headers, self._next_body)
        if due_ns:
            self.scope.lateness_us.append((monotonic_ns() - due_ns) // 1000)
        transfer.due_ns = due_ns
        recorder.stats.started += 1
        self.context.engine.submit(transfer)
        # A batch of events takes a millisecond to make: it is made before the next request is due.
        self._next_body = source.body()

    def _on_done(self, transfer: Transfer, error: tuple[int, str] | None) -> None:
        recorder = self.context.recorder
        measurement = transfer.measure()
        if transfer.moves or transfer.writes > 1:
            recorder.record_sent_again(self.scope, self._source.name, transfer)
        if error is None and measurement[0]:
            if recorder.record(self._endpoint, response_us(transfer.due_ns, transfer.done_ns), measurement):
                recorder.record_refusal(measurement[0], transfer)
            pause_s = 0.0
        else:
            pause_s = self._record_failure(transfer, error or transfer.error_of_response(), measurement)
        scheduler: IterationScheduler = transfer.owner
        due_ns = scheduler.next(transfer)
        if due_ns is None:
            self._ended(transfer)
        elif pause_s and not scheduler.is_open_model:
            self.context.loop.call_later(pause_s, self._send, transfer, due_ns)
        else:
            self._send(transfer, due_ns)

    def _record_failure(self, transfer: Transfer, error: tuple[int, str], measurement: Measurement) -> float:
        """Record the failed request and return how many seconds to pause. Without a pause, connections that are refused
        at once would use a whole CPU."""
        source = self._source
        message = f"{source.method} {without_credentials(source.url)}: {error[1]}"
        kind = error_kind(transfer, error[0])
        self.context.recorder.record_no_response(self._endpoint, kind, message, measurement)
        if transfer.connected():
            self._back_off_s.pop(transfer, None)
            return 0.0
        pause_s = min(LONGEST_BACK_OFF_S, 2 * self._back_off_s.get(transfer, FIRST_BACK_OFF_S / 2))
        self._back_off_s[transfer] = pause_s
        return pause_s
