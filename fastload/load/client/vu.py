"""VUs, the virtual users of a scenario: requests on its own connections, checks, groups, pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from math import inf
from random import Random
from typing import Any, cast

from fastload.load.client.bodies import Data
from fastload.load.client.conditions import pause_error, truth_of
from fastload.load.client.context import ScenarioContext, WorkerContext
from fastload.load.client.expected_statuses import ExpectedStatuses
from fastload.load.client.groups import Group
from fastload.load.client.handle_pool import LONG_PAUSE_S, is_poolable
from fastload.load.client.http_client import HttpClient
from fastload.load.client.judged_request import JudgedRequest
from fastload.load.client.prepared_request import PreparedRequest, prepare_request
from fastload.load.client.redirects import Chain, url_error
from fastload.load.client.reply import ConnectionInfo, Reply
from fastload.load.client.request_options import NO_DEFAULTS, VUDefaults
from fastload.load.client.retry import Retry, send_with_retries
from fastload.load.client.streaming_client import StreamingClient
from fastload.load.engine.curl_transfer import Transfer
from fastload.load.engine.error_kinds import error_kind
from fastload.load.engine.header_lines import HeaderOptions
from fastload.load.engine.pairs import Params
from fastload.load.engine.transfer_future import TransferFuture
from fastload.load.recording.outcome import GIVEN_UP, NO_DUE, response_us
from fastload.load.recording.scope import CURRENT_SCOPE, CURRENT_VU, Scope
from fastload.model.errors import PlanError
from fastload.model.public_types import called_by_fastload, flattened

FIRST_BACK_OFF_S = 0.01
LONGEST_BACK_OFF_S = 1.0


@flattened
class VU(HttpClient, StreamingClient):
    """A virtual user, the argument of a scenario function: ``await vu.get("/")``.

    Attributes:
        id: number of the VU, unique in the whole run, from 1.
        iteration: number of the iteration among those of this VU, from 0.
        iteration_in_test: number of the iteration among all iterations of the scenario, from 0.
        state: a dict in which the script can keep data between iterations.
        env: values of the scenario's option ``env``, overridden by those of -e/--env.
        random: the VU's own random generator.
    """

    @called_by_fastload
    def __init__(self, number: int, context: WorkerContext, scenario: ScenarioContext) -> None:
        # Not super(): the class has no bases in the end.
        StreamingClient.__init__(self)
        self.id = number
        self.iteration = self.iteration_in_test = 0
        self.env = scenario.env
        self.state: dict[str, Any] = {}
        self._seed = scenario.seed
        self._context = context
        self._scenario_scope = context.scenario_scope(scenario)
        self._reply_parts = scenario.reply_parts
        self._keeps_reply_parts = scenario.reply_parts.headers or scenario.reply_parts.connection_info
        self._defaults = scenario.requests
        self._vu_defaults = VUDefaults(self._defaults) if self._defaults.apply_to_requests or context.expected else None
        self._cookies = None
        self._cache = context.connection_cache()
        self._plain: list[Transfer] = []
        self._configured: list[Transfer] = []
        self._transfers: list[Transfer] = []
        self._handle_pool = scenario.handle_pool if is_poolable(context.http) else None
        self._due_ns = 0
        self._request_count = 0
        self._in_flight = 0
        self._back_off_s = 0.0
        self._interrupted = self._on_start_done = self._in_on_stop = False
        self._unawaited: tuple[int, str] | None = None
        self._is_closed = False

    @cached_property
    def random(self) -> Random:
        """The VU's own random generator, seeded with the run's seed and ``id``.

        It is created at the first access, because its state takes 2.5 KB.
        """
        return Random(f"{self._seed}:{self.id}")

    @property
    def setup_data(self) -> Any:
        """The return value of the test's setup, or None. All VUs of a worker share it: do not change it."""
        return self._context.setup_data

    def group(self, name: str) -> Group:
        """Time a part of an iteration as a whole: ``async with vu.group("login"):``.

        All samples of the block have the tag ``group``. A group within a group is named ``outer::inner``.

        Raises:
            PlanError: at the beginning of the block, if the name is no text, is empty, or contains ``::``.
        """
        return Group(lambda: self._context.recorder.group(self._scope(), name), self._was_interrupted)

    async def _request(
        self,
        method: str,
        url: str,
        *,
        name: str = "",
        params: Params | None = None,
        headers: HeaderOptions | None = None,
        json: Any = None,
        data: Data | None = None,
        keep_body: bool | None = None,
        tags: Mapping[str, str] | None = None,
        judged: JudgedRequest | ExpectedStatuses | None = None,
        **more: Any,
    ) -> Reply:
        context = self._context
        if context.stopping and not self._in_on_stop:
            raise asyncio.CancelledError
        scope = CURRENT_SCOPE.get()
        if scope is None or scope.scenario_scope is not self._scenario_scope:
            scope = self._scenario_scope
        free, keep = self._plain, self._reply_parts.body
        if more or self._vu_defaults is not None or keep_body is not None:
            more |= {"name": name, "params": params, "headers": headers, "json": json, "data": data, "tags": tags}
            if more.get("retry") is not None:
                return await self._send_with_retries(method, url, judged, more | {"keep_body": keep_body})
            prepared = prepare_request(context, self._vu_defaults or NO_DEFAULTS, scope, method, url, more)
            full_url, endpoint, lines, body = prepared[:4]
            judged, free = _judge_of(judged, prepared.expected), self._configured
            keep = keep if keep_body is None else keep_body
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
        response: TransferFuture = transfer.owner
        self._in_flight += 1
        try:
            transfer.prepare(method, full_url, lines, body)
            due_ns, self._due_ns = self._due_ns, 0
            context.recorder.stats.started += 1
            self._request_count += 1
            context.engine.submit(transfer)
            await response
            reply = self._finish(transfer, response.error, endpoint, due_ns, method, full_url, judged)
            if 300 < reply.status < 309 and transfer.next_url():
                sent_ns = transfer.done_ns - reply._measurement[7] * 1000
                chain = Chain.begin(transfer, sent_ns, method, full_url, lines, body)
                reply = await self._follow(chain, transfer, reply, name, tags or more.get("tags"), judged)
        except asyncio.CancelledError:
            self._give_up(transfer, endpoint)
            raise
        finally:
            self._in_flight -= 1
            free.append(transfer)
        if keep:
            reply._body = transfer.take_body()
        if "retry" in more:
            reply._retry_after_s = transfer.retry_after_s()
        return reply

    async def _follow(
        self,
        chain: Chain,
        transfer: Transfer,
        first: Reply,
        name: str,
        tags: Mapping[str, str] | None,
        judged: JudgedRequest | ExpectedStatuses | None,
    ) -> Reply:
        """Follow the redirects after *first* and return the last reply, with the URL and method of *first*.

        Each request is recorded by itself, under *name*, or else under its own path. *judged* judges the last one.
        """
        context, response, reply = self._context, transfer.owner, first
        scope, header_lines = self._scope(), first._header_lines or []
        try:
            while 300 < reply.status < 309 and (url := transfer.next_url()):
                chain.follow(transfer, reply.status, url)
                endpoint = context.endpoint(scope, chain.method, context.relative(url), name, tags)
                context.recorder.stats.started += 1
                self._request_count += 1
                context.engine.submit(transfer)
                await response
                error = response.error or chain.error(transfer.status(), transfer.next_url())
                reply = self._finish(transfer, error, endpoint, 0, chain.method, chain.url, judged)
                header_lines += reply._header_lines or []
        finally:
            transfer.end_redirects()
        reply.method, reply.url = first.method, first.url
        if self._reply_parts.headers:
            reply._header_lines = header_lines
        return reply

    async def _send_with_retries(
        self, method: str, url: str, judged: JudgedRequest | ExpectedStatuses | None, options: dict[str, Any]
    ) -> Reply:
        """Send a request with retries, as its option ``retry`` says. Each try is recorded as a separate request."""
        retry: Retry = options["retry"]
        if not isinstance(retry, Retry):
            raise PlanError(f"retry is a {type(retry).__name__}", hint="write retry=fl.Retry(times=2)")
        options["retry"] = None
        for option in ("params", "headers", "data", "files"):
            if isinstance(options.get(option), Iterator):
                # Each try reads it.
                options[option] = list(options[option])
        context, scope, tags = self._context, self._scope(), options["tags"]
        endpoint = context.endpoint(scope, method, url, options["name"], tags)

        def give_up() -> None:
            if isinstance(judged, JudgedRequest):
                judged.record_unjudged()
            context.recorder.sample(scope, "http_req_retried", context.recorder.name_of(endpoint), 1, tags)

        return await send_with_retries(
            retry, lambda: self._request(method, url, judged=judged, **options), self.sleep, self.random.random, give_up
        )

    def _configured_transfer(self, prepared: PreparedRequest, *, keep_body: bool) -> Transfer:
        """Return a handle with the settings of *prepared*. Handles of plain requests never get such settings."""
        transfer = self._configured.pop() if self._configured else self._take_transfer(configured=True)
        try:
            transfer.keep_body(keep_body)
            transfer.apply(prepared.settings)
            transfer.send_cookies(prepared.cookie)
        except BaseException:
            # The handle may have a part of the settings, so no request uses it again.
            self._transfers.remove(transfer)
            transfer.close()
            raise
        return transfer

    def check(
        self,
        _subject: Any,
        checks: Mapping[str, bool | Callable[[Any], bool]],
        tags: Mapping[str, str] | None = None,
    ) -> bool:
        """Record the result of each named check, and return whether all checks passed.

        *_subject* is usually a reply. Each check is a bool, or a function that takes *_subject*. A failed check does
        not fail the run: for that, set a threshold on ``checks``, or with *tags* on some of them, like
        ``checks{kind:read}``.

        Raises:
            PlanError: *checks* is no mapping, or a condition is a text or something to await: both are always true.
        """
        try:
            conditions = checks.items()
        except AttributeError:
            what = f"vu.check: checks is a {type(checks).__name__}"
            raise PlanError(what, hint='write vu.check(reply, {"ok": reply.ok})') from None
        scope, record_check = self._scope(), self._context.recorder.record_check
        all_hold = True
        for name, condition in conditions:
            holds = condition(_subject) if callable(condition) else condition
            if holds is not True and holds is not False:
                holds = truth_of(name, holds)
            record_check(name, holds, scope, tags)
            all_hold = all_hold and holds
        return all_hold

    async def sleep(self, least_s: float, most_s: float | None = None) -> None:
        """Pause for *least_s* seconds, or for a random time between *least_s* and *most_s* (think time).

        Raises:
            PlanError: a time is no number, is below 0, or is not finite.
        """
        if self._context.stopping and not self._in_on_stop:
            raise asyncio.CancelledError
        try:
            pause_s = least_s if most_s is None else self.random.uniform(float(least_s), float(most_s))
            is_positive = pause_s >= 0 and (most_s is None or least_s >= 0 <= most_s)
        except TypeError:
            raise pause_error(least_s, most_s) from None
        if not is_positive or pause_s == inf:
            raise pause_error(least_s, most_s)
        if pause_s >= LONG_PAUSE_S:
            self._release_handles()
        await asyncio.sleep(pause_s)

    def _scope(self) -> Scope:
        """Return the scope of the calling code: a group of this VU's scenario, or the scenario itself."""
        scope = CURRENT_SCOPE.get()
        return self._scenario_scope if scope is None or scope.scenario_scope is not self._scenario_scope else scope

    def _was_interrupted(self) -> bool:
        return self._interrupted or self._context.stopping

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
        if 300 < measurement[0] < 309 and error is None and (next_url := transfer.next_url()):
            error = url_error(next_url)
            # The last reply of the chain is judged.
            judged = judged if error else None
        reply = Reply(method, url, measurement) if judged is None else judged.reply_class(method, url, measurement)
        if transfer.moves or transfer.writes > 1:
            recorder.record_sent_again(self._scope(), recorder.name_of(endpoint), transfer)
            reply._tries = 1 + transfer.moves
        if self._keeps_reply_parts:
            self._keep_reply_parts(transfer, reply)
        response = NO_DUE
        if error is None and measurement[0]:
            response = response_us(due_ns, transfer.done_ns)
            if judged is None and recorder.record(endpoint, response, measurement):
                recorder.record_refusal(measurement[0], transfer)
            self._back_off_s = 0.0
        else:
            reply.status = 0
            code, reply.message = error or transfer.error_of_response()
            reply.error = error_kind(transfer, code)
            if judged is None:
                recorder.record_no_response(endpoint, reply.error, reply.what_failed, measurement)
            refused = not transfer.connected()
            self._back_off_s = min(LONGEST_BACK_OFF_S, max(FIRST_BACK_OFF_S, 2 * self._back_off_s)) if refused else 0.0
        if judged is not None:
            judged.record(recorder, endpoint, response, measurement, reply)
            if not reply.ok:
                recorder.record_refusal(measurement[0], transfer)
        return reply

    def _give_up(self, transfer: Transfer, endpoint: int) -> None:
        """Record that the request of *transfer* was interrupted at the end of the run, unless `close` has done so; or,
        before that, that the script gave it up."""
        recorder = self._context.recorder
        if not self._is_closed and self._was_interrupted():
            recorder.record_interrupted(endpoint, transfer)
        elif not self._is_closed:
            message = f"{recorder.name_of(endpoint)}: the script did not wait for the response"
            recorder.record_no_response(endpoint, GIVEN_UP, message, transfer.measure())
        transfer.drop_parts()

    def _keep_reply_parts(self, transfer: Transfer, reply: Reply) -> None:
        if self._reply_parts.headers:
            reply._header_lines = transfer.take_headers()
        if self._reply_parts.connection_info:
            reply._connection_info = ConnectionInfo(
                transfer.protocol(),
                transfer.remote_address(),
                transfer.local_address(),
                transfer.tls_version(),
                transfer.effective_url(),
            )

    def _new_transfer(self) -> Transfer:
        if self._is_closed:
            # A task of the script goes on. It ends like a request that was in flight when the VU left.
            raise asyncio.CancelledError
        context = self._context
        transfer = Transfer()
        transfer.configure(
            context.http_of(self.id),
            cache=self._cache,
            resolve=context.resolve,
            keep_body=self._reply_parts.body,
            number=self.id,
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
        """Return a handle from the handle pool, or a new one if the pool is empty."""
        pool = None if self._is_closed else self._handle_pool
        idle = pool and (pool.configured if configured else pool.plain)
        if not idle:
            return self._new_transfer()
        transfer = idle.pop()
        transfer.attach_cache(self._cache, self.id)
        self._transfers.append(transfer)
        return transfer

    def _begin_iteration(self, due_ns: int, number: int) -> int:
        """Begin an iteration, and return how many requests the VU has made so far.

        The response time of its first request counts from *due_ns*; 0 means without a schedule. *number* is the value
        of ``iteration_in_test``.
        """
        self._due_ns = due_ns
        self.iteration_in_test = number
        if self._cache.used is not None:
            self._cache.begin_iteration()
        CURRENT_SCOPE.set(self._scenario_scope)
        return self._request_count

    def _end_iteration(self) -> int:
        """End an iteration, and return how many requests the VU has made so far."""
        self.iteration += 1
        if self._defaults.clear_cookies:
            self.cookies.clear()
        return self._request_count

    def _back_off(self) -> None:
        """Double the pause before the next iteration: 10 ms at first, up to 1 s."""
        self._back_off_s = min(LONGEST_BACK_OFF_S, max(FIRST_BACK_OFF_S, 2 * self._back_off_s))

    def _release_handles(self) -> None:
        """Release the idle handles to the handle pool, because a long pause begins."""
        pool = self._handle_pool
        if pool is not None:
            for idle, pooled in ((self._plain, pool.plain), (self._configured, pool.configured)):
                for transfer in [one for one in idle if not one.is_bound_to_vu]:
                    idle.remove(transfer)
                    self._transfers.remove(transfer)
                    transfer.detach_cache()
                    pooled.append(transfer)

    def _close(self) -> None:
        """Cancel all requests and close all connections, because the VU leaves."""
        self._close_sockets()
        self._is_closed = True
        for transfer in self._transfers:
            # Of a task of the script that outlives its iteration.
            if self._context.engine.cancel(transfer):
                self._context.recorder.record_interrupted(None, transfer)
            transfer.close()
        self._transfers.clear()
        self._plain.clear()
        self._configured.clear()
        self._cache.close()


def current_vu() -> VU | None:
    """Return the VU of the running code; None outside of iterations."""
    # The type as a text: `parts_read_by` follows names, and would find that a VU reads all parts of replies.
    return cast("VU | None", CURRENT_VU.get())


def _judge_of(
    judged: JudgedRequest | ExpectedStatuses | None, expected: ExpectedStatuses | None
) -> JudgedRequest | ExpectedStatuses | None:
    """Return the object that judges a request: its judged request if it has one, otherwise *expected*.

    A judged request uses *expected* too, if its block does not judge.
    """
    if not isinstance(judged, JudgedRequest):
        return expected
    judged.expected = expected
    return judged
