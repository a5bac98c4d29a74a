"""Own delay: what the generator adds to each response time, from the lateness of its event loops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fastload.model.histogram import Histogram, highest_equivalents
from fastload.model.judging.stalls import PROBE_INTERVAL_US


def own_delays_us(lag: Histogram | None, shares: Sequence[float]) -> list[int]:
    """Return the quantiles, in us, of the delay that an event at any moment had in the event loops; empty without data.

    *lag* is ``loop_lag``, with one value for each wake-up. A wake-up that is late by 1 s stands for hundreds of events
    that waited: one after each `PROBE_INTERVAL_US` of that second. So a value v counts also as v - 10 ms, v - 20 ms,
    and so on, as in HdrHistogram's ``recordValueWithExpectedInterval``.
    """
    if lag is None or not lag.count:
        return []
    index, counts = lag.used()
    values = np.minimum(highest_equivalents(np.asarray(index)), lag.max)
    counts = np.asarray(counts)

    def above(bound_us: int) -> int:
        """Return how many of all events waited for longer than *bound_us*."""
        longer = values > bound_us
        return int((counts[longer] * (1 + (values[longer] - bound_us - 1) // PROBE_INTERVAL_US)).sum())

    def quantile(share: float) -> int:
        # The rank is rounded up, as in `Histogram.quantiles`.
        allowed = total - max(1, math.ceil(share * total - 1e-9))
        low, high = 0, lag.max
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if above(middle) <= allowed else (middle + 1, high)
        return low

    total = int((counts * (1 + values // PROBE_INTERVAL_US)).sum())
    return [quantile(share) for share in shares]
