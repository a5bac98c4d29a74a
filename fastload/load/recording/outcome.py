"""What a finished request counts as: failed or not, and how long it took from when it was due."""

from __future__ import annotations

FAILED_FROM_STATUS = 400
NO_DUE = -1

JUDGED_FAILED, JUDGED_GOOD, UNEXPECTED = 1000, 2000, 3000
"""Added to the status of a request for which it does not say by itself whether it failed: the script judged it by
hand, or the status is expected although it is 400 or more, or unexpected although it is less."""
JUDGED = "judged"
"""The kind of error of requests that the script called failed."""


def response_us(due_ns: int, done_ns: int) -> int:
    """Microseconds from when a request was due until it ended; `NO_DUE` when it had no due time (0)."""
    return max(0, done_ns - due_ns) // 1000 if due_ns else NO_DUE


def kind_tag(kind: str) -> str:
    """The tag ``error`` for an error's kind: without the reason that a script gave."""
    return kind.partition(":")[0]
