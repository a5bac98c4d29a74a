"""Load testing for Python: write ``async def`` scenarios, run them on every core, trust the numbers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastload.load.client.measured_calls import Measured, measure
from fastload.load.client.reply import JudgedReply, Reply, ReplyError
from fastload.load.client.retry import Retry
from fastload.load.client.sse import ServerEvent
from fastload.load.client.streamed_request import StreamedReply
from fastload.load.client.vu import VU
from fastload.load.client.websocket import WebSocket, WebSocketClosed, WebSocketError
from fastload.load.script.environment import env
from fastload.load.script.flow import abort, fail
from fastload.load.script.hooks import handle_summary, setup, teardown, test_start, test_stop
from fastload.load.script.scenarios import Scenario, scenario
from fastload.model.errors import ControlError, FastloadError, PlanError, TargetError
from fastload.model.http_settings import Auth, HttpSettings, RequestSettings
from fastload.model.judging.verdict import Verdict
from fastload.model.user_metrics import Counter, Gauge, Rate, Trend
from fastload.version import __version__

if TYPE_CHECKING:
    from fastload.handle import Run, start
    from fastload.load.script.data_set import DataExhausted, DataSet, data
    from fastload.model.saved.run_file import load_summary
    from fastload.model.summary import Summary
    from fastload.model.views import MetricView
    from fastload.outputs.terminal.report import summary_text
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
    "DataExhausted": ("fastload.load.script.data_set", "DataExhausted"),
    "DataSet": ("fastload.load.script.data_set", "DataSet"),
    "MetricView": ("fastload.model.views", "MetricView"),
    "Run": ("fastload.handle", "Run"),
    "Summary": ("fastload.model.summary", "Summary"),
    "data": ("fastload.load.script.data_set", "data"),
    "load_summary": ("fastload.model.saved.run_file", "load_summary"),
    "run": ("fastload.runner", "run"),
    "start": ("fastload.handle", "start"),
    "summary_text": ("fastload.outputs.terminal.report", "summary_text"),
    "target": ("fastload.targets", "running"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'fastload' has no attribute {name!r}")
    module, attribute = _LATER[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value
