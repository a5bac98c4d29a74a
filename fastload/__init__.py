"""Load testing for Python: write ``async def`` scenarios, run them on every core, trust the numbers."""

import sys
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
from fastload.model.errors import ControlError, FastloadError, OutputError, PlanError, TargetError
from fastload.model.http_settings import Auth, HttpSettings, RequestSettings
from fastload.model.user_metrics import Counter, Gauge, Rate, Trend
from fastload.version import __version__

if TYPE_CHECKING:
    from fastload.handle import Run, start
    from fastload.load.script.data_set import DataExhausted, DataSet, data
    from fastload.model.judging.verdict import Verdict
    from fastload.model.plan import Plan
    from fastload.model.records import Snapshot
    from fastload.model.run_header import RunHeader
    from fastload.model.saved.run_file import RunReader, SavedRun, load_run, load_summary
    from fastload.model.summary import Summary
    from fastload.model.views import MetricView
    from fastload.outputs.base import Output
    from fastload.outputs.streams.base import Sink
    from fastload.outputs.streams.sink_output import SinkOutput
    from fastload.outputs.terminal.report import summary_text
    from fastload.runner import run
    from fastload.targets import (
        DidOptions,
        GenerationOptions,
        RunningTarget,
        ScoreOptions,
        SequencerOptions,
        WidgetOptions,
    )
    from fastload.targets import running as target

__all__ = [
    "VU",
    "Auth",
    "ControlError",
    "Counter",
    "DataExhausted",
    "DataSet",
    "DidOptions",
    "FastloadError",
    "Gauge",
    "GenerationOptions",
    "HttpSettings",
    "JudgedReply",
    "Measured",
    "MetricView",
    "Output",
    "OutputError",
    "Plan",
    "PlanError",
    "Rate",
    "Reply",
    "ReplyError",
    "RequestSettings",
    "Retry",
    "Run",
    "RunHeader",
    "RunReader",
    "RunningTarget",
    "SavedRun",
    "Scenario",
    "ScoreOptions",
    "SequencerOptions",
    "ServerEvent",
    "Sink",
    "SinkOutput",
    "Snapshot",
    "StreamedReply",
    "Summary",
    "TargetError",
    "Trend",
    "Verdict",
    "WebSocket",
    "WebSocketClosed",
    "WebSocketError",
    "WidgetOptions",
    "__version__",
    "abort",
    "data",
    "env",
    "fail",
    "handle_summary",
    "load_run",
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
    "DidOptions": ("fastload.targets", "DidOptions"),
    "GenerationOptions": ("fastload.targets", "GenerationOptions"),
    "MetricView": ("fastload.model.views", "MetricView"),
    "Output": ("fastload.outputs.base", "Output"),
    "Plan": ("fastload.model.plan", "Plan"),
    "Run": ("fastload.handle", "Run"),
    "RunHeader": ("fastload.model.run_header", "RunHeader"),
    "RunReader": ("fastload.model.saved.run_file", "RunReader"),
    "RunningTarget": ("fastload.targets", "RunningTarget"),
    "SavedRun": ("fastload.model.saved.run_file", "SavedRun"),
    "ScoreOptions": ("fastload.targets", "ScoreOptions"),
    "SequencerOptions": ("fastload.targets", "SequencerOptions"),
    "Sink": ("fastload.outputs.streams.base", "Sink"),
    "SinkOutput": ("fastload.outputs.streams.sink_output", "SinkOutput"),
    "Snapshot": ("fastload.model.records", "Snapshot"),
    "Summary": ("fastload.model.summary", "Summary"),
    "Verdict": ("fastload.model.judging.verdict", "Verdict"),
    "WidgetOptions": ("fastload.targets", "WidgetOptions"),
    "data": ("fastload.load.script.data_set", "data"),
    "load_run": ("fastload.model.saved.run_file", "load_run"),
    "load_summary": ("fastload.model.saved.run_file", "load_summary"),
    "run": ("fastload.runner", "run"),
    "start": ("fastload.handle", "start"),
    "summary_text": ("fastload.outputs.terminal.report", "summary_text"),
    "target": ("fastload.targets", "running"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'fastload' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    module, attribute = _LATER[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value
