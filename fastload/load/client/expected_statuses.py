"""Expected statuses: the statuses that count as a success, as set by a request, a scenario or the run."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from fastload.load.client.reply import Reply
from fastload.load.recording.outcome import FAILED_FROM_STATUS, JUDGED_GOOD, UNEXPECTED
from fastload.model.statuses import StatusSpec, parse_statuses, statuses_text

if TYPE_CHECKING:
    from fastload.load.engine.curl_transfer import Measurement
    from fastload.load.recording.recorder import Recorder

_MAX_KNOWN = 1000
_known: dict[Hashable, ExpectedStatuses] = {}


class ExpectedStatuses:
    """A set of expected statuses that judges requests. It has no state per request, so requests can share one."""

    __slots__ = ("_statuses", "_wanted")

    reply_class = Reply

    def __init__(self, statuses: frozenset[int]) -> None:
        self._statuses = statuses
        self._wanted = f", expected was {statuses_text(statuses)}"

    def judge(self, status: int) -> int:
        """Return the number to add to *status* when it is recorded.

        0: the default rule (400 and above has failed) gives the same result. `JUDGED_GOOD`: expected although 400 or
        above. `UNEXPECTED`: not expected although below 400.
        """
        if status in self._statuses:
            return JUDGED_GOOD if status >= FAILED_FROM_STATUS else 0
        return 0 if status >= FAILED_FROM_STATUS else UNEXPECTED

    def set_ok(self, reply: Reply) -> None:
        """Set the result of ``reply.ok``."""
        reply._as_expected = not reply.error and reply.status in self._statuses

    def record(
        self, recorder: Recorder, endpoint: int, response_us: int, measurement: Measurement, reply: Reply
    ) -> None:
        """Record a finished request, and set ``reply.ok``."""
        self.set_ok(reply)
        if reply.error:
            recorder.record_no_response(endpoint, reply.error, reply.what_failed, measurement)
        else:
            recorder.record_expected(endpoint, response_us, measurement, self.judge(measurement[0]), self._wanted)


def expected_statuses(spec: StatusSpec, *, what: str = "expected") -> ExpectedStatuses:
    """Return the expected statuses of *spec*, cached. *what* names the option in errors.

    Raises:
        PlanError: *spec* has no status, or an invalid one.
    """
    key: Hashable = spec if isinstance(spec, int | str | range | frozenset) else repr(spec)
    # The text of a long array of numpy leaves elements out.
    is_whole = isinstance(spec, int | str | range | frozenset | tuple | list | set)
    found = _known.get(key) if is_whole else None
    if found is None:
        found = ExpectedStatuses(parse_statuses(spec, what=what))
        if is_whole and len(_known) < _MAX_KNOWN:
            _known[key] = found
    return found
