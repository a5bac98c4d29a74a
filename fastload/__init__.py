"""Load testing for Python: write ``async def`` scenarios, run them on every core, trust the numbers."""

from fastload.load.client import VU, Reply, ReplyError
from fastload.load.scenario import Scenario, scenario
from fastload.model.errors import FastloadError, PlanError, TargetError
from fastload.model.metrics import Counter, Gauge, Rate, Trend
from fastload.model.plan import HttpSettings
from fastload.model.summary import MetricView, Summary
from fastload.model.verdict import Verdict
from fastload.runner import run
from fastload.version import __version__

__all__ = [
    "VU",
    "Counter",
    "FastloadError",
    "Gauge",
    "HttpSettings",
    "MetricView",
    "PlanError",
    "Rate",
    "Reply",
    "ReplyError",
    "Scenario",
    "Summary",
    "TargetError",
    "Trend",
    "Verdict",
    "__version__",
    "run",
    "scenario",
]
