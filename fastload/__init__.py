"""Load testing for Python: write ``async def`` scenarios, run them on every core, trust the numbers."""

from typing import TYPE_CHECKING, Any

from fastload.load.client import VU, Reply, ReplyError
from fastload.load.scenario import Scenario, scenario
from fastload.model.errors import FastloadError, PlanError, TargetError
from fastload.model.metrics import Counter, Gauge, Rate, Trend
from fastload.model.plan import HttpSettings
from fastload.model.summary import MetricView, Summary
from fastload.model.verdict import Verdict
from fastload.version import __version__

if TYPE_CHECKING:
    from fastload.runner import run

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


def __getattr__(name: str) -> Any:
    # The parent's side (psutil, processes, outputs) takes a third of the import time, and only `run` needs it.
    if name == "run":
        from fastload.runner import run

        globals()["run"] = run
        return run
    raise AttributeError(f"module 'fastload' has no attribute {name!r}")
