"""Judged requests, which the scenario counts as successful or failed: ``async with vu.expect(...)``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, cast

from fastload.load.client.reply import JudgedReply, Reply
from fastload.load.recording import blocks
from fastload.load.recording.outcome import is_failure
from fastload.model.errors import text_of_error

if TYPE_CHECKING:
    from fastload.load.client.expected_statuses import ExpectedStatuses
    from fastload.load.engine.curl_transfer import Measurement
    from fastload.load.recording.recorder import Recorder


class JudgedRequest(blocks.Block):
    """A request that the block judges. It is recorded once, when the block ends."""

    __slots__ = ("_pending_record", "_reply", "_request", "expected")

    _call = "vu.expect(...)"
    reply_class = JudgedReply

    def __init__(self, request: Callable[[JudgedRequest], Awaitable[Reply]]) -> None:
        self._request = request
        self.expected: ExpectedStatuses | None = None
        """Expected statuses, used if the block does not judge; None means that every status below 400 is a success."""
        if blocks.notes_makers:
            self._note_maker()

    def record(
        self, recorder: Recorder, endpoint: int, response_us: int, measurement: Measurement, reply: Reply
    ) -> None:
        """Keep what the end of the block records. The VU calls this when the request has ended."""
        self._pending_record = recorder, endpoint, response_us, measurement
        self._reply = cast(JudgedReply, reply)
        if self.expected is not None:
            self.expected.set_ok(reply)

    def record_unjudged(self) -> None:
        """Record this try without a judgement. The VU calls this before it sends the request again."""
        self._record(None)

    async def __aenter__(self) -> JudgedReply:
        self._is_entered = True
        return cast(JudgedReply, await self._request(self))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        judgement = self._reply._judgement
        if error is not None and is_failure(error) and not judgement:
            message = text_of_error(error)
            judgement = f"{type(error).__name__}: {message}" if message else type(error).__name__
        self._record(judgement)

    def _record(self, judgement: str | None) -> None:
        recorder, endpoint, response_us, measurement = self._pending_record
        reply = self._reply
        if judgement is not None:
            if reply.error:
                recorder.record_judged(endpoint, response_us, None, judgement, measurement)
            else:
                recorder.record_judged(endpoint, response_us, measurement, judgement)
        elif reply.error:
            recorder.record_no_response(endpoint, reply.error, reply.what_failed, measurement)
        elif self.expected is not None:
            self.expected.record(recorder, endpoint, response_us, measurement, reply)
        else:
            recorder.record(endpoint, response_us, measurement)
