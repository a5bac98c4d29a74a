"""Headline latency of a run: the trend whose percentiles lead in every output, and what its times cover.

The *service time* of a request or a measured call begins when it is sent, the *response time* when it was due. Only the
first request or call of an iteration in an open model has a due time. So the response time is the headline of a run in
which every scenario is open; a run with closed scenarios too has the service time, which is that of all requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastload.model.units import format_count

RESPONSE_TIMES = {"http_req_duration": "http_req_response_time", "call_duration": "call_response_time"}
"""Response time of each service time that has one."""
_NOUNS = {"http_req_duration": "requests", "call_duration": "calls"}


def headline_trend(service: str, *, only_open: bool) -> str:
    """Return the headline trend of work with the service time *service*. *only_open*: every scenario is open."""
    return RESPONSE_TIMES.get(service, service) if only_open else service


def has_only_open_models(plan: Mapping[str, Any]) -> bool:
    """Return `Plan.has_only_open_models` of *plan*, the result of `Plan.to_dict`."""
    models = [scenario.get("model") for scenario in plan.get("scenarios", ())]
    return bool(models) and all(model == "open" for model in models)


def coverage(service: str, timed: float, ended: float) -> str:
    """Return what the response times cover, like ``585 of 36,829 requests: those with a due time``.

    *timed* of the *ended* requests (or calls, by *service*) have one. "" if all have one, or none.
    """
    if not 0 < timed < ended:
        return ""
    return f"{format_count(timed)} of {format_count(ended)} {_NOUNS[service]}: those with a due time"
