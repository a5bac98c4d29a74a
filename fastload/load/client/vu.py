"""The virtual user that a scenario drives: requests on its own connections, checks, pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cached_property
from random import Random
from typing import Any, cast

from fastload.load.client.bodies import Data
from fastload.load.client.context import ScenarioContext, WorkerContext
from fastload.load.client.expected_statuses import ExpectedStatuses
from fastload.load.client.groups import Group
from fastload.load.client.handle_pool import LONG_PAUSE_S, is_poolable
from fastload.load.client.http_client import HttpClient
from fastload.load.client.judged_request import JudgedRequest
from fastload.load.client.prepared_request import PreparedRequest, prepare_request
from fastload.load.client.reply import ConnectionInfo, Reply
from fastload.load.client.request_options import NO_DEFAULTS, VUDefaults
from fastload.load.client.retry import Retry, persist
from fastload.load.client.streaming_client import StreamingClient
from fastload.load.engine.curl_transfer import Transfer
from fastload.load.engine.error_kinds import error_kind
from fastload.load.engine.transfer_future import TransferFuture
from fastload.load.recording.outcome import NO_DUE, response_us
from fastload.load.recording.scope import CURRENT_SCOPE, CURRENT_VU, Scope
from fastload.model.errors import PlanError

FIRST_BACK_OFF_S = 0.01
LONGEST_BACK_OFF_S = 1.0


class VU(HttpClient, StreamingClient):
    """A virtual user, handed to the scenario: ``await vu.get("/")``.

    ``id`` is unique in the whole run, from 1; ``iteration`` counts this VU's own, from 0; ``iteration_in_test`` is
    the number of the iteration among all of the scenario, from 0; ``state`` is the script's to keep things in between
    iterations; ``env`` holds what was given by -e/--env; ``random`` is the VU's own source of chance.
    """

    def __init__(self, number: int, context: WorkerContext, scenario: ScenarioContext) -> None:
        super().__init__()
        self.id = number
        self.iteration = self.iteration_in_test = 0
        self.env = scenario.env
        self.state: dict[str, Any] = {}
        self._seed = scenario.seed
        self._context = context
        self._scenario_scope = context.scenario_scope(scenario)
        self._reply_parts = scenario.reply_parts
        self._keeps_head = scenario.reply_parts.headers or scenario.reply_parts.facts
        self._defaults = scenario.requests
        self._vu_defaults = VUDefaults(self._defaults) if self._defaults.apply_to_requests or context.expected else None
        self._cookies = None
        self._cache = context.connection_cache()
        self._plain: list[Transfer] = []
        self._configured: list[Transfer] = []
        self._transfers: list[Transfer] = []
        self._handle_pool = scenario.handle_pool if is_poolable(context.http) else None
        self._due_ns = 0
        self.requests = 0
        self.in_flight = 0
        self.back_off_s = 0.0
        self.interrupted = self.began = self.leaving = False

    @cached_property
    def random(self) -> Random:
        """The VU's own source of chance. Made when it is first asked for: its state takes 2.5 KB."""
        return Random(f"{self._seed}:{self.id}")

    @property
    def setup_data(self) -> Any:
        """What the test's setup returned, None without one. All VUs of a worker share it: do not change it."""
        return self._context.setup_data

    def group(self, name: str) -> Group:
        """A part of an iteration, timed as a whole: ``async with vu.group("login"):``.

        What happens inside has the tag ``group``. A group within a group is called ``outer::inner``.

        Raises:
            PlanError: the name is empty or has ``::`` in it.
        """
        if not name or "::" in name:
            raise PlanError(
                f"group name {name!r} is {'empty' if not name else 'not valid'}",
                hint="give it a name without ::, which joins the names of groups within groups",
            )
        return Group(lambda: self._context.recorder.group(self._scope(), name), self._was_interrupted)

    async def _request(
        self,
        method: str,
        url: str,
        *,
        name: str = "",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Data | None = None,
        keep_body: bool | None = None,
        tags: Mapping[str, str] | None = None,
        judged: JudgedRequest | ExpectedStatuses | None = None,
        **more: Any,
    ) -> Reply:
        context = self._context
        if context.stopping and not self.leaving:
            raise asyncio.CancelledError
        scope = CURRENT_SCOPE.get()
        if scope is None or scope.scenario_scope is not self._scenario_scope:
            scope = self._scenario_scope
        free, keep = self._plain, self._reply_parts.body
        if more or self._vu_defaults is not None or keep_body is not None:
            more |= {"name": name, "params": params, "headers": headers, "json": json, "data": data, "tags": tags}
            if more.get("retry") is not None:
                return await self._persist(method, url, judged, more | {"keep_body": keep_body})
            prepared = prepare_request(context, self._vu_defaults or NO_DEFAULTS, scope, method, url, more)
            full_url, endpoint, lines, body = prepared[:4]
            judged = _judging(judged, prepared.expected)
            free, keep = self._configured, keep if keep_body is None else keep_body
            transfer = self._configured_transfer(prepared, keep_body=keep)
        else:
            if params is None and headers is None and json is None and data is None and tags is None:
                full_url, endpoint, lines = context.plain_request(scope, method, url, name)
                body = None
            else:
                full_url = context.absolute(url, params)
                endpoint = context.endpoint(scope, method, url, name, tags)
                body, lines = context.body_and_headers(json, data, headers)
            transfer = free.pop() if free else self._take_transfer()
        transfer.prepare(method, full_url, lines, body)
        due_ns, self._due_ns = self._due_ns, 0
        stats = context.recorder.stats
        stats.started += 1
        self.requests += 1
        response: TransferFuture = transfer.owner
        self.in_flight += 1
        try:
            context.engine.submit(transfer)
            await response
        except asyncio.CancelledError:
            context.recorder.stats.interrupted += 1
            transfer.chunks.clear()
            transfer.header_lines.clear()
            raise
        finally:
            self.in_flight -= 1
            free.append(transfer)
        reply = self._finish(transfer, response.error, endpoint, due_ns, method, full_url, judged)
        if keep:
            reply._body = transfer.take_body()
        if "retry" in more:
            reply._retry_after_s = transfer.retry_after_s()
        return reply

    async def _persist(
        self, method: str, url: str, judged: JudgedRequest | ExpectedStatuses | None, options: dict[str, Any]
    ) -> Reply:
        """Send it as often as its option ``retry`` wants. Each try is a request of its own."""
        retry: Retry = options["retry"]
        options["retry"] = None

        def give_up() -> None:
            if isinstance(judged, JudgedRequest):
                judged.record_unjudged()

        return await persist(
            retry, lambda: self._request(method, url, judged=judged, **options), self.sleep, self.random.random, give_up
        )

    def _configured_transfer(self, prepared: PreparedRequest, *, keep_body: bool) -> Transfer:
        """A handle with the settings of the request *prepared*. Those of plain requests never have any."""
        transfer = self._configured.pop() if self._configured else self._take_transfer(configured=True)
        transfer.keep_body(keep_body)
        transfer.apply(prepared.settings)
        transfer.send_cookies(prepared.cookie)
        return transfer

    def check(
        self,
        _subject: Any,
        checks: Mapping[str, bool | Callable[[Any], bool]],
        tags: Mapping[str, str] | None = None,
    ) -> bool:
        """Count each named condition, given as a bool or as a function of *subject*; True when all hold.

        A failed check never fails the run by itself: put a threshold on ``checks`` for that, with *tags* on some of
        them: ``checks{kind:read}``.
        """
        scope, record_check = self._scope(), self._context.recorder.record_check
        all_hold = True
        for name, condition in checks.items():
            holds = bool(condition(_subject)) if callable(condition) else bool(condition)
            record_check(name, holds, scope, tags)
            all_hold = all_hold and holds
        return all_hold

    async def sleep(self, least_s: float, most_s: float | None = None) -> None:
        """Think: pause for *least_s* seconds, or for a random time between the two."""
        if self._context.stopping and not self.leaving:
            raise asyncio.CancelledError
        pause_s = least_s if most_s is None else self.random.uniform(least_s, most_s)
        if pause_s >= LONG_PAUSE_S:
            self.release_handles()
        await asyncio.sleep(pause_s)

    def _scope(self) -> Scope:
        """Where the code that calls runs: in this VU's scenario, and in which group."""
        scope = CURRENT_SCOPE.get()
        return self._scenario_scope if scope is None or scope.scenario_scope is not self._scenario_scope else scope

    def _was_interrupted(self) -> bool:
        return self.interrupted or self._context.stopping

    def _finish(
        self,
        transfer: Transfer,
        error: tuple[int, str] | None,
        endpoint: int,
        due_ns: int,
        method: str,
        url: str,
        judged: JudgedRequest | ExpectedStatuses | None,
    ) -> Reply:
        recorder = self._context.recorder
        measurement = transfer.measure()
        reply = Reply(method, url, measurement) if judged is None else judged.reply_class(method, url, measurement)
        if self._keeps_head:
            self._keep_head(transfer, reply)
        response = NO_DUE
        if error is None:
            response = response_us(due_ns, transfer.done_ns)
            if judged is None:
                recorder.record(endpoint, response, measurement)
            self.back_off_s = 0.0
        else:
            reply.status = 0
            reply.error = error_kind(transfer, error[0])
            reply.message = error[1]
            if judged is None:
                recorder.record_no_response(endpoint, reply.error, reply.what_failed, measurement)
            refused = not transfer.connected()
            self.back_off_s = min(LONGEST_BACK_OFF_S, max(FIRST_BACK_OFF_S, 2 * self.back_off_s)) if refused else 0.0
        if judged is not None:
            judged.record(recorder, endpoint, response, measurement, reply)
        return reply

    def _keep_head(self, transfer: Transfer, reply: Reply) -> None:
        if self._reply_parts.headers:
            reply._header_lines = transfer.take_headers()
        if self._reply_parts.facts:
            reply._connection_info = ConnectionInfo(
                transfer.protocol(),
                transfer.remote_address(),
                transfer.local_address(),
                transfer.tls_version(),
                transfer.effective_url(),
            )

    def _new_transfer(self) -> Transfer:
        context = self._context
        transfer = Transfer()
        transfer.configure(
            context.http, cache=self._cache, resolve=context.resolve, keep_body=self._reply_parts.body, number=self.id
        )
        if self._reply_parts.headers:
            transfer.keep_headers()
        if self._reply_parts.tls:
            transfer.keep_tls_version()
        context.engine.adopt(transfer)
        transfer.owner = TransferFuture(context.engine, transfer, context.loop)
        self._transfers.append(transfer)
        return transfer

    def _take_transfer(self, *, configured: bool = False) -> Transfer:
        """A handle: one from the pool, where VUs that pause leave theirs, or a new one."""
        pool = self._handle_pool
        idle = pool and (pool.configured if configured else pool.plain)
        if not idle:
            return self._new_transfer()
        transfer = idle.pop()
        transfer.attach_cache(self._cache, self.id)
        self._transfers.append(transfer)
        return transfer

    @property
    def scope(self) -> Scope:
        """For the engine: where the code that asks runs."""
        return self._scope()

    def was_interrupted(self) -> bool:
        """For the engine: whether the iteration has to end, or the run."""
        return self._was_interrupted()

    def begin_iteration(self, due_ns: int, number: int) -> int:
        """For the engine: the next request counts from *due_ns*. Returns how many requests there were so far.

        *number* is that of the iteration among all of the scenario.
        """
        self._due_ns = due_ns
        self.iteration_in_test = number
        if self._cache.used is not None:
            self._cache.begin_iteration()
        CURRENT_SCOPE.set(self._scenario_scope)
        return self.requests

    def end_iteration(self) -> int:
        """For the engine: how many requests there were so far."""
        self.iteration += 1
        if self._defaults.clear_cookies:
            self.cookies.clear()
        return self.requests

    def back_off(self) -> None:
        """For the engine: pause before the next iteration, for twice as long as the last time, up to a second."""
        self.back_off_s = min(LONGEST_BACK_OFF_S, max(FIRST_BACK_OFF_S, 2 * self.back_off_s))

    def release_handles(self) -> None:
        """For the engine, too: a long pause begins, and the handles that are idle go to the pool."""
        pool = self._handle_pool
        if pool is not None:
            for idle, pooled in ((self._plain, pool.plain), (self._configured, pool.configured)):
                for transfer in [one for one in idle if not one.is_bound_to_vu]:
                    idle.remove(transfer)
                    self._transfers.remove(transfer)
                    transfer.detach_cache()
                    pooled.append(transfer)

    def close(self) -> None:
        """For the engine: the user leaves, and closes its connections."""
        self.close_sockets()
        for transfer in self._transfers:
            self._context.engine.cancel(transfer)
            transfer.close()
        self._transfers.clear()
        self._plain.clear()
        self._configured.clear()
        self._cache.close()


def current_vu() -> VU | None:
    """The VU whose code runs; None outside of iterations."""
    return cast(VU | None, CURRENT_VU.get())


def _judging(
    judged: JudgedRequest | ExpectedStatuses | None, expected: ExpectedStatuses | None
) -> JudgedRequest | ExpectedStatuses | None:
    """Who says what a request was: the block that it is in, which may leave it to *expected*, or just that."""
    if not isinstance(judged, JudgedRequest):
        return expected
    judged.expected = expected
    return judged
