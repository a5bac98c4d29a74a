"""What a finished request counts as: failed or not, and how long it took from when it was due."""

from __future__ import annotations

FAILED_FROM_STATUS = 400
NO_DUE = -1


def response_us(due_ns: int, done_ns: int) -> int:
    """Microseconds from when a request was due until it ended; `NO_DUE` when it had no due time (0)."""
    return max(0, done_ns - due_ns) // 1000 if due_ns else NO_DUE
