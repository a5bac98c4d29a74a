"""Little's law as a check on fastload's own numbers: requests in flight = rate x mean time of a request.

It holds for anything that comes and goes, whatever the order and the distributions (Little, A proof for the queuing
formula L = lambda W, 1961), and over a time that begins and ends with nothing in flight it holds exactly, without any
chance: both sides are the same request-seconds, once added up over the time, once over the requests (Stidham, A last
word on L = lambda W, 1974). So a difference is either an error of the reading of one side, or one of the accounts.

- The one side is read off the engine: the number of requests in flight, about a hundred times a second in each worker
  (`load/recording/in_flight_watch.py`). It has an error of chance, because what happens between two readings is not
  seen. Its variance is estimated from the differences of neighbouring readings. These may have missed short bursts, so
  it is at least that of independent readings of a number that is either 0 or its greatest.
- The other side is what the report shows: ``http_reqs``, less those without a response, times the mean of
  ``http_req_duration`` and of the phases before it. The clocks and the histograms of these are libcurl's and the
  recorder's; the engine's number knows nothing of them.

Two things part the sides without any error. Requests without a value in the histograms (no response, interrupted) were
in flight as well, for at most the whole run each. And a request is in flight until the event loop has come to it, while
its time ends with the last byte: that is the wait that the loop's probe measures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fastload.model.judging.finding import Finding
from fastload.model.judging.stalls import PROBE_INTERVAL_US
from fastload.model.units import format_ms

SIGMAS = 5.0
"""How many standard errors of the readings the sides may differ."""
SHARE = 0.05
"""Share of the larger side by which they may differ besides."""
WAITS = 3.0
"""How often a request in flight may wait for the event loop: at its begin and at its end, and once to spare."""
_PROBE_INTERVAL_S = PROBE_INTERVAL_US / 1e6


@dataclass(frozen=True, slots=True)
class LittlesLaw:
    """Both sides of Little's law in a run of *watched_s* seconds, in request-seconds.

    *in_flight_s* is the number of requests in flight, added up over the time, and *variance* the variance of its
    reading; at most *peak* were in flight at once. *answered* is the number of requests with a response, *mean_s* the
    mean time of such a request, of which *doubtful_s* may count twice. *unanswered* is the number of requests without a
    value in the histograms. *wait_s* is the mean wait for the event loop.
    """

    watched_s: float
    in_flight_s: float
    variance: float
    peak: int
    answered: int
    mean_s: float
    doubtful_s: float = 0.0
    unanswered: int = 0
    wait_s: float = 0.0

    @property
    def times_s(self) -> float:
        """What the report says: the number of requests times their mean time."""
        return self.answered * self.mean_s

    @property
    def tolerance_s(self) -> float:
        """How far the sides may be from each other."""
        larger = max(self.in_flight_s, self.times_s)
        chance = math.sqrt(max(self.variance, larger * self.peak * _PROBE_INTERVAL_S))
        return SIGMAS * chance + SHARE * larger + WAITS * self.wait_s * self.answered

    @property
    def holds(self) -> bool:
        """Whether the sides agree as well as they have to."""
        least = self.answered * max(0.0, self.mean_s - self.doubtful_s)
        most = self.times_s + self.unanswered * self.watched_s
        return least - self.tolerance_s <= self.in_flight_s <= most + self.tolerance_s


def accounting_findings(law: LittlesLaw | None) -> list[Finding]:
    """Return the finding about an error in fastload's own accounts; none where they agree or nothing was watched."""
    if law is None or not law.watched_s or law.holds:
        return []
    seen, told = law.in_flight_s / law.watched_s, law.times_s / law.watched_s
    text = (
        f"fastload's own numbers contradict each other: {seen:,.3g} requests were in flight on average, while the rate "
        f"times the mean time of a request ({format_ms(1000 * law.mean_s)}) is {told:,.3g}"
    )
    remedy = "trust neither the rate nor the times; this is an error of fastload: report it, with the run file (--save)"
    return [Finding("own_accounts", "SUSPECT", text, remedy)]
