"""Outcome of a finished request: failed or not, and its response time counted from the due time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

FAILED_FROM_STATUS = 400
REFUSING_STATUSES = (429, 503)
NO_DUE = -1

JUDGED_FAILED, JUDGED_GOOD, UNEXPECTED = 1000, 2000, 3000
"""Judgement of a request, added to its status in a row if the status alone does not decide whether it failed.

`JUDGED_FAILED`: the script judged it failed. `JUDGED_GOOD`: the script judged it good, or its status is expected
although it is 400 or more. `UNEXPECTED`: its status is not expected although it is less than 400."""
GIVEN_UP = "given_up"
"""Error kind of a request for whose response the script did not wait."""
JUDGED = "judged"
"""Error kind of requests that the script judged failed."""


@dataclass(slots=True)
class Unanswered:
    """Requests without a response: how many ended, and the bytes that they sent and received before their end."""

    count: int = 0
    sent: int = 0
    received: int = 0

    def add_bytes(self, sent: int, received: int) -> None:
        self.sent += sent
        self.received += received


class TestAborted(BaseException):
    """The script called `fl.abort`. A `BaseException`, so that a script's ``except Exception`` does not catch it."""

    __test__ = False


def is_failure(error: BaseException | None) -> bool:
    """Return whether *error*, which ended a block of the script, is a failure of what the block did.

    An abort of the test, a cancellation and the end of a generator say nothing about it. Every other exception does,
    whatever its base: test frameworks raise some that are no `Exception`.
    """
    return error is not None and not isinstance(error, TestAborted | asyncio.CancelledError | GeneratorExit)


def response_us(due_ns: int, done_ns: int) -> int:
    """Return the microseconds from the due time of a request to its end; `NO_DUE` if it has no due time (0)."""
    return max(0, done_ns - due_ns) // 1000 if due_ns else NO_DUE


def kind_tag(kind: str) -> str:
    """Return the value of the tag ``error`` for an error kind: the kind without the reason that a script gave."""
    return kind.partition(":")[0]
