"""Load testing for Python: write ``async def`` scenarios, run them on every core, trust the numbers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastload.load.client import VU, Reply, ReplyError
from fastload.load.scenario import Scenario, scenario
from fastload.model.errors import FastloadError, PlanError, TargetError
from fastload.model.metrics import Counter, Gauge, Rate, Trend
from fastload.model.plan import HttpSettings
from fastload.model.verdict import Verdict
from fastload.version import __version__

if TYPE_CHECKING:
    from fastload.model.summary import MetricView, Summary
    from fastload.outputs.report import summary_text
    from fastload.runner import run
    from fastload.targets import running as target

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
    "summary_text",
    "target",
]


# What only a run needs: numpy and the parent's side take more than half of the import time.
_LATER = {
    "MetricView": ("fastload.model.summary", "MetricView"),
    "Summary": ("fastload.model.summary", "Summary"),
    "run": ("fastload.runner", "run"),
    "summary_text": ("fastload.outputs.report", "summary_text"),
    "target": ("fastload.targets", "running"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'fastload' has no attribute {name!r}")
    module, attribute = _LATER[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value
