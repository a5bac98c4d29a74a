"""In-flight watch: how many requests were in flight on average, seen by the probe of the event loop.

This is the other side of Little's law, which the verdict holds against the times of the requests
(`model/judging/littles_law.py`). So it must know nothing of those times: it reads the engine's number of requests in
flight at each wake-up of the probe, about a hundred times a second, and a request costs nothing more.
"""

from __future__ import annotations

from fastload.model.records import WorkerStats


class InFlightWatch:
    """Integral over the time of the number of requests in flight, by the trapezoidal rule over its readings."""

    def __init__(self) -> None:
        self._last = 0
        self._last_ns = 0
        self.reset()

    def reset(self) -> None:
        """Begin a new integral; the last reading is its begin."""
        self._watched_s = self._request_s = self._variance = 0.0
        self._peak = 0

    def note(self, in_flight: int, at_ns: int) -> None:
        """Add a reading at *at_ns* (monotonic)."""
        if self._last_ns:
            passed_s = (at_ns - self._last_ns) / 1e9
            self._watched_s += passed_s
            self._request_s += passed_s * (in_flight + self._last) / 2
            # What the number does between two readings is not seen. Of independent readings, half the squared
            # difference is on average their variance; it is less where the number changes slowly.
            self._variance += (passed_s * (in_flight - self._last)) ** 2 / 2
            self._peak = max(self._peak, in_flight)
        self._last, self._last_ns = in_flight, at_ns

    def take(self, stats: WorkerStats) -> None:
        """Put the integral into *stats*, and begin a new one."""
        stats.watched_s, stats.in_flight_s = self._watched_s, self._request_s
        stats.in_flight_variance, stats.in_flight_peak = self._variance, self._peak
        self.reset()
