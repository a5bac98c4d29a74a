"""The virtual user that a scenario drives: requests on its own connections, checks, pauses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from fastload.load.blocks import Expectation, Group
from fastload.load.context import Context, ScenarioContext
from fastload.load.curl import ConnectionCache, Response, Transfer
from fastload.load.failures import error_kind
from fastload.load.outcome import NO_DUE, response_us
from fastload.load.place import HERE, Place
from fastload.load.reply import JudgedReply, Reply
from fastload.model.errors import PlanError
from fastload.model.http import without_credentials

if TYPE_CHECKING:
    from fastload.load.recorder import Recorder

FIRST_BACK_OFF_S = 0.01
LONGEST_BACK_OFF_S = 1.0


class RequestOptions(TypedDict, total=False):
    """What every request method takes; see `VU.request`."""

    name: str
    params: Mapping[str, Any] | None
    headers: Mapping[str, str] | None
    json: Any
    data: bytes | str | Mapping[str, Any] | None
    keep_body: bool | None
    tags: Mapping[str, str] | None


class VU:
    """A virtual user, handed to the scenario: ``await vu.get("/")``.

    ``id`` is unique in the whole run, from 1; ``iteration`` counts this VU's own, from 0; ``iteration_in_test`` is
    the number of the iteration among all of the scenario, from 0; ``state`` is the script's to keep things in between
    iterations; ``env`` holds what was given by -e/--env; ``random`` is the VU's own source of chance.
    """

    def __init__(self, number: int, context: Context, scenario: ScenarioContext) -> None:
        self.id = number
        self.iteration = self.iteration_in_test = 0
        self.env = scenario.env
        self.state: dict[str, Any] = {}
        self.random = random.Random(f"{scenario.seed}:{number}")
        self._context = context
        self._home = context.home(scenario)
        self._usage = scenario.usage
        self._cache = ConnectionCache()
        self._free: list[Transfer] = []
        self._transfers: list[Transfer] = []
        self._due_ns = self._call_due_ns = 0
        self.requests = 0
        self.in_flight = 0
        self.back_off_s = 0.0
        self.interrupted = self.began = self.leaving = False

    @property
    def setup_data(self) -> Any:
        """What the test's setup returned, None without one. All VUs of a worker share it: do not change it."""
        return self._context.setup_data

    def get(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """GET *url*, relative to the base URL or absolute; the options are those of `request`."""
        return self._request("GET", url, **options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """POST; as `get`."""
        return self._request("POST", url, **options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """PUT; as `get`."""
        return self._request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """PATCH; as `get`."""
        return self._request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """DELETE; as `get`."""
        return self._request("DELETE", url, **options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """HEAD; as `get`."""
        return self._request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[RequestOptions]) -> Awaitable[Reply]:
        """OPTIONS; as `get`."""
        return self._request("OPTIONS", url, **options)

    def request(
        self,
        method: str,
        url: str,
        *,
        name: str = "",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | str | Mapping[str, Any] | None = None,
        keep_body: bool | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Coroutine[Any, Any, Reply]:
        """Send one request and return its reply, also when it failed.

        Args:
            name: what the statistics call it; by default the path with numbers, UUIDs and long hex as ``{id}``.
            params: the query string.
            headers: added to the run's; a name given here replaces the run's.
            json: a body to encode; bytes are taken as encoded already.
            data: a raw body, or a mapping to send as a form.
            keep_body: keep the response's body although nothing seems to read it, or drop it although it does.
            tags: for thresholds on some requests only, like ``http_req_duration{kind:read}``.

        Raises:
            PlanError: a relative *url* without a base URL, or a tag with the name of a built-in one.
        """
        return self._request(
            method,
            url,
            name=name,
            params=params,
            headers=headers,
            json=json,
            data=data,
            keep_body=keep_body,
            tags=tags,
        )

    def expect(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Expectation:
        """Send one request and judge it by hand: ``async with vu.expect("GET", "/") as reply:``.

        The request is recorded when the block ends. By default it counts as any other; after `JudgedReply.success` it
        did not fail, and after `JudgedReply.failure`, or an exception in the block, it did. The options are those of
        `request`.
        """
        return Expectation(lambda judged: self._request(method, url, judged=judged, **options))

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
        return Group(lambda: self._context.recorder.group(self._place(), name), self._was_interrupted)

    async def _request(
        self,
        method: str,
        url: str,
        *,
        name: str = "",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | str | Mapping[str, Any] | None = None,
        keep_body: bool | None = None,
        tags: Mapping[str, str] | None = None,
        judged: Expectation | None = None,
    ) -> Reply:
        context = self._context
        if context.stopping and not self.leaving:
            raise asyncio.CancelledError
        place = HERE.get()
        if place is None or place.home is not self._home:
            place = self._home
        if params is None and headers is None and json is None and data is None and tags is None:
            full_url, endpoint, lines = context.plain_request(place, method, url, name)
            body = None
        else:
            full_url = context.absolute(url, params)
            endpoint = context.endpoint(place, method, url, name, tags)
            body, lines = context.body_and_headers(json, data, headers)
        transfer = self._free.pop() if self._free else self._new_transfer()
        keep = self._usage.body if keep_body is None else keep_body
        if keep_body is not None:
            transfer.keep_body(keep)
        transfer.prepare(method, full_url, lines, body)
        due_ns, self._due_ns = self._due_ns, 0
        stats = context.recorder.stats
        stats.started += 1
        self.requests += 1
        response: Response = transfer.owner
        self.in_flight += 1
        try:
            context.engine.submit(transfer)
            await response
        except asyncio.CancelledError:
            context.recorder.stats.interrupted += 1
            transfer.chunks.clear()
            if keep_body is not None:
                transfer.keep_body(self._usage.body)
            raise
        finally:
            self.in_flight -= 1
            self._free.append(transfer)
        reply = self._finish(transfer, response.error, endpoint, due_ns, method, full_url, judged)
        if keep:
            reply._body = transfer.take_body()
        if keep_body is not None:
            transfer.keep_body(self._usage.body)
        return reply

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
        place, record_check = self._place(), self._context.recorder.record_check
        all_hold = True
        for name, condition in checks.items():
            holds = bool(condition(_subject)) if callable(condition) else bool(condition)
            record_check(name, holds, place, tags)
            all_hold = all_hold and holds
        return all_hold

    async def sleep(self, least_s: float, most_s: float | None = None) -> None:
        """Think: pause for *least_s* seconds, or for a random time between the two."""
        if self._context.stopping and not self.leaving:
            raise asyncio.CancelledError
        await asyncio.sleep(least_s if most_s is None else self.random.uniform(least_s, most_s))

    def _place(self) -> Place:
        """Where the code that calls runs: in this VU's scenario, and in which group."""
        place = HERE.get()
        return self._home if place is None or place.home is not self._home else place

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
        judged: Expectation | None,
    ) -> Reply:
        recorder = self._context.recorder
        measurement = transfer.measure()
        reply = Reply(method, url, measurement) if judged is None else JudgedReply(method, url, measurement)
        if self._usage.headers:
            reply._header_lines = transfer.take_headers()
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
                recorder.record_no_response(endpoint, reply.error, f"{method} {without_credentials(url)}: {error[1]}")
            refused = not transfer.connected()
            self.back_off_s = min(LONGEST_BACK_OFF_S, max(FIRST_BACK_OFF_S, 2 * self.back_off_s)) if refused else 0.0
        if judged is not None:
            judged.keep(recorder, endpoint, response, measurement)
        return reply

    def _new_transfer(self) -> Transfer:
        context = self._context
        transfer = Transfer()
        transfer.configure(context.http, cache=self._cache, resolve=context.resolve, keep_body=self._usage.body)
        if self._usage.headers:
            transfer.keep_headers()
        context.engine.adopt(transfer)
        transfer.owner = Response(context.engine, transfer, context.loop)
        self._transfers.append(transfer)
        return transfer

    @property
    def place(self) -> Place:
        """For the engine: where the code that asks runs."""
        return self._place()

    @property
    def recorder(self) -> Recorder:
        """For the engine."""
        return self._context.recorder

    def was_interrupted(self) -> bool:
        """For the engine: whether the iteration has to end, or the run."""
        return self._was_interrupted()

    def due_of_call(self) -> int:
        """For `fl.measure`: when the call that begins was due; 0 for all but the first of an iteration.

        A request before it has used the due time up; one within it may still use it, too.
        """
        due_ns = self._due_ns
        if due_ns == self._call_due_ns:
            return 0
        self._call_due_ns = due_ns
        return due_ns

    def call_ended(self, due_ns: int) -> None:
        """For `fl.measure`: a call did not raise; no request after it counts from *due_ns*."""
        self.requests += 1
        if due_ns and self._due_ns == due_ns:
            self._due_ns = 0

    def begin_iteration(self, due_ns: int, number: int) -> int:
        """For the engine: the next request counts from *due_ns*. Returns how many requests there were so far.

        *number* is that of the iteration among all of the scenario.
        """
        self._due_ns = due_ns
        self.iteration_in_test = number
        HERE.set(self._home)
        return self.requests

    def end_iteration(self) -> int:
        """For the engine: how many requests there were so far."""
        self.iteration += 1
        return self.requests

    def back_off(self) -> None:
        """For the engine: pause before the next iteration, for twice as long as the last time, up to a second."""
        self.back_off_s = min(LONGEST_BACK_OFF_S, max(FIRST_BACK_OFF_S, 2 * self.back_off_s))

    def close(self) -> None:
        """For the engine: the user leaves, and closes its connections."""
        for transfer in self._transfers:
            self._context.engine.cancel(transfer)
            transfer.close()
        self._transfers.clear()
        self._free.clear()
        self._cache.close()
