"""Which statuses count as a success, where a request, a scenario or the run says so."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from fastload.load.client.reply import Reply
from fastload.load.recording.outcome import FAILED_FROM_STATUS, JUDGED_GOOD, UNEXPECTED
from fastload.model.statuses import StatusSpec, parse_statuses

if TYPE_CHECKING:
    from fastload.load.engine.curl_transfer import Measurement
    from fastload.load.recording.recorder import Recorder

_MAX_KNOWN = 1000
_known: dict[Hashable, ExpectedStatuses] = {}


class ExpectedStatuses:
    """Judges requests by their status. It keeps nothing of them: one serves all."""

    __slots__ = ("_statuses",)

    reply_class = Reply

    def __init__(self, statuses: frozenset[int]) -> None:
        self._statuses = statuses

    def judge(self, status: int) -> int:
        """What is added to the status when it is recorded: 0 where the status says by itself what it is."""
        if status in self._statuses:
            return JUDGED_GOOD if status >= FAILED_FROM_STATUS else 0
        return 0 if status >= FAILED_FROM_STATUS else UNEXPECTED

    def set_ok(self, reply: Reply) -> None:
        """Let *reply* know whether it is a success."""
        reply._as_expected = not reply.error and reply.status in self._statuses

    def record(
        self, recorder: Recorder, endpoint: int, response_us: int, measurement: Measurement, reply: Reply
    ) -> None:
        """Record a request that ended."""
        self.set_ok(reply)
        if reply.error:
            recorder.record_no_response(endpoint, reply.error, reply.what_failed, measurement)
        else:
            recorder.record_expected(endpoint, response_us, measurement, self.judge(measurement[0]))


def expected_statuses(spec: StatusSpec, *, what: str = "expected") -> ExpectedStatuses:
    """The judge of the statuses that *spec* names.

    Raises:
        PlanError: it names none, or something that is no status.
    """
    key: Hashable = spec if isinstance(spec, int | str | range | frozenset) else repr(spec)
    found = _known.get(key)
    if found is None:
        found = ExpectedStatuses(parse_statuses(spec, what=what))
        if len(_known) < _MAX_KNOWN:
            _known[key] = found
    return found
