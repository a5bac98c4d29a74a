"""Load testing for Python: write ``async def`` scenarios, run them on every core, trust the numbers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastload.load.client import VU
from fastload.load.environment import env
from fastload.load.flow import abort, fail
from fastload.load.hooks import handle_summary, setup, teardown, test_start, test_stop
from fastload.load.measure import Measured, measure
from fastload.load.reply import JudgedReply, Reply, ReplyError
from fastload.load.retry import Retry
from fastload.load.scenario import Scenario, scenario
from fastload.load.sse import ServerEvent
from fastload.load.stream import StreamedReply
from fastload.load.websocket import WebSocket, WebSocketClosed, WebSocketError
from fastload.model.errors import ControlError, FastloadError, PlanError, TargetError
from fastload.model.http import Auth, HttpSettings, RequestSettings
from fastload.model.metrics import Counter, Gauge, Rate, Trend
from fastload.model.verdict import Verdict
from fastload.version import __version__

if TYPE_CHECKING:
    from fastload.handle import Run, start
    from fastload.load.data import DataExhausted, DataSet, data
    from fastload.model.run_file import load_summary
    from fastload.model.summary import Summary
    from fastload.model.views import MetricView
    from fastload.outputs.report import summary_text
    from fastload.runner import run
    from fastload.targets import running as target

__all__ = [
    "VU",
    "Auth",
    "ControlError",
    "Counter",
    "DataExhausted",
    "DataSet",
    "FastloadError",
    "Gauge",
    "HttpSettings",
    "JudgedReply",
    "Measured",
    "MetricView",
    "PlanError",
    "Rate",
    "Reply",
    "ReplyError",
    "RequestSettings",
    "Retry",
    "Run",
    "Scenario",
    "ServerEvent",
    "StreamedReply",
    "Summary",
    "TargetError",
    "Trend",
    "Verdict",
    "WebSocket",
    "WebSocketClosed",
    "WebSocketError",
    "__version__",
    "abort",
    "data",
    "env",
    "fail",
    "handle_summary",
    "load_summary",
    "measure",
    "run",
    "scenario",
    "setup",
    "start",
    "summary_text",
    "target",
    "teardown",
    "test_start",
    "test_stop",
]


# What only a run needs: numpy and the parent's side take more than half of the import time.
_LATER = {
    "DataExhausted": ("fastload.load.data", "DataExhausted"),
    "DataSet": ("fastload.load.data", "DataSet"),
    "MetricView": ("fastload.model.views", "MetricView"),
    "Run": ("fastload.handle", "Run"),
    "Summary": ("fastload.model.summary", "Summary"),
    "data": ("fastload.load.data", "data"),
    "load_summary": ("fastload.model.run_file", "load_summary"),
    "run": ("fastload.runner", "run"),
    "start": ("fastload.handle", "start"),
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
