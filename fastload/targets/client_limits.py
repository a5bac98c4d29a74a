"""Rate limit for each client, over all server processes."""

from __future__ import annotations

from fastload.model.units import format_number_of
from fastload.targets.database import StateFile
from fastload.targets.messages import limit_error

_MINUTE_NS = 60_000_000_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS permits (
    client TEXT PRIMARY KEY, window_end_ns INTEGER NOT NULL, taken INTEGER NOT NULL
) WITHOUT ROWID;
"""
# One statement, so that the count is exact. The first request after the end of a window starts a new window.
_TAKE = """
INSERT INTO permits VALUES (:client, :now + :window, 1)
ON CONFLICT (client) DO UPDATE SET
    taken = CASE WHEN window_end_ns <= :now THEN 1 ELSE min(taken, :limit) + 1 END,
    window_end_ns = CASE WHEN window_end_ns <= :now THEN :now + :window ELSE window_end_ns END
RETURNING taken, window_end_ns
"""


class ClientLimits:
    """A limit of *limit_per_minute* requests for each client; 0 means no limit.

    The minute of a client begins with its first request.
    """

    def __init__(self, state: StateFile, limit_per_minute: int) -> None:
        self._state = state
        self._limit = limit_per_minute

    def take(self, client: str, now_ns: int) -> None:
        """Count one request of *client* at *now_ns* of the monotonic clock, which all processes share.

        Raises:
            ApiError: 429 with the code ``client_limited``: the client is over the limit.
        """
        if not self._limit:
            return
        parameters = {"client": client, "now": now_ns, "window": _MINUTE_NS, "limit": self._limit}
        with self._state.writing() as connection:
            taken, window_end_ns = connection.execute(_TAKE, parameters).fetchone()
        if taken > self._limit:
            raise limit_error(
                "client_limited",
                f"over {format_number_of(self._limit, 'request')} a minute of one client",
                window_end_ns - now_ns,
            )
