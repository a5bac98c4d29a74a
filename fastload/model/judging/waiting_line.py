"""Waiting line: whether requests wait in the target, and for how many of them it works at once."""

from __future__ import annotations

from fastload.model.judging.evidence import Evidence
from fastload.model.judging.finding import Cause
from fastload.model.judging.generator_findings import FLOOR_MS
from fastload.model.judging.target_findings import is_idle
from fastload.model.units import format_ms

QUEUE_FACTOR = 3.0
"""How many times the quickest response the median is, if requests wait in line in the target."""
FEW_AT_ONCE = 2.5
"""Below so many requests at once it is a lock rather than a pool: the quickest has waited a little as well."""
PROXIES = frozenset({"docker-proxy", "nginx", "haproxy", "envoy", "traefik", "caddy", "httpd", "apache2", "varnishd"})
"""Programs that often hand requests on to another server, which is then not sampled."""


def waits_in_target(evidence: Evidence) -> bool:
    """Return whether requests wait in line in the target: most take several times as long as the quickest."""
    quickest, median = evidence.quickest_ms, evidence.median_ms
    if quickest is None or median is None or evidence.vus < 2:
        return False
    return median - quickest >= FLOOR_MS[99] and median >= QUEUE_FACTOR * quickest


def waits_for_nothing_busy(evidence: Evidence) -> bool:
    """Return whether requests wait in line in a target in which nothing is busy: for a pool, or for a lock."""
    return waits_in_target(evidence) and is_idle(evidence)


def line_cause(evidence: Evidence) -> Cause:
    """Return the name of the finding about the line."""
    return "target_pool" if waits_for_nothing_busy(evidence) else "target_queue"


def line_text(evidence: Evidence) -> str:
    """Return a clause on the line with the figures."""
    text = (
        f"requests waited in line in it: the median took {format_ms(evidence.median_ms or 0.0)}, "
        f"the quickest {format_ms(evidence.quickest_ms or 0.0)}"
    )
    if not waits_for_nothing_busy(evidence):
        return text
    return f"{text}, though nothing in it was busy; it answers as if it worked on {_at_once_text(evidence)} at a time"


def line_remedy(evidence: Evidence) -> str:
    """Return where to look for what the requests wait for; "" if something in the target is busy."""
    if not waits_for_nothing_busy(evidence):
        return ""
    process = evidence.target_use.process.partition(" ")[0]
    if process in PROXIES:
        return f"name the server behind {process} with --watch, or look for its pool of connections"
    if worked_on_at_once(evidence) < FEW_AT_ONCE:
        return "look for a lock, a single worker or a limit of its rate"
    return f"look for a pool of {_at_once_text(evidence)} (connections, threads, workers), and make it larger"


def worked_on_at_once(evidence: Evidence) -> float:
    """Return on how many requests the target works at once, by Little's law: the rate times the time of a request that
    does not wait, for which the quickest stands."""
    return evidence.requests_per_s * (evidence.quickest_ms or 0.0) / 1000


def _at_once_text(evidence: Evidence) -> str:
    at_once = worked_on_at_once(evidence)
    return "one or two" if at_once < FEW_AT_ONCE else f"about {at_once:.0f}"
