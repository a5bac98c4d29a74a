"""Load testing for Python: write ``async def`` scenarios, run them on every core, trust the numbers."""

import sys

from fastload.version import __version__

_HINT = "use a container, WSL2 or a Linux machine: docs/platforms.md"
# In a name of its own: a type checker on another system leaves out what stands behind a look at `sys.platform`.
_PLATFORM = sys.platform
# As `typing.TYPE_CHECKING`, which takes longer to import than all of this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fastload.handle import Run, start
    from fastload.load.client.measured_calls import Measured, measure
    from fastload.load.client.reply import JudgedReply, Reply, ReplyError
    from fastload.load.client.retry import Retry
    from fastload.load.client.sse import ServerEvent
    from fastload.load.client.streamed_request import StreamedReply
    from fastload.load.client.vu import VU
    from fastload.load.client.websocket import WebSocket, WebSocketClosed, WebSocketError
    from fastload.load.script.data_set import DataExhausted, DataSet, data
    from fastload.load.script.environment import env
    from fastload.load.script.flow import abort, fail
    from fastload.load.script.hooks import handle_summary, setup, teardown, test_start, test_stop
    from fastload.load.script.scenarios import Scenario, scenario
    from fastload.model.errors import ControlError, FastloadError, OutputError, PlanError, TargetError
    from fastload.model.http_settings import Auth, HttpSettings, RequestSettings
    from fastload.model.judging.verdict import Verdict
    from fastload.model.plan import Plan
    from fastload.model.records import Snapshot
    from fastload.model.run_header import RunHeader
    from fastload.model.saved.run_file import RunReader, SavedRun, load_run, load_summary
    from fastload.model.summary import Summary
    from fastload.model.user_metrics import Counter, Gauge, Rate, Trend
    from fastload.model.views import MetricView
    from fastload.outputs.base import Output
    from fastload.outputs.streams.base import Sink
    from fastload.outputs.streams.sink_output import SinkOutput
    from fastload.outputs.terminal.report import summary_text
    from fastload.runner import run
    from fastload.targets import (
        DidOptions,
        GenerationOptions,
        PlainOptions,
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
    "PlainOptions",
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


# Imported at first use. `import fastload` alone then takes a millisecond, in which a Ctrl-C would be a traceback.
_LATER = {
    "Auth": ("fastload.model.http_settings", "Auth"),
    "ControlError": ("fastload.model.errors", "ControlError"),
    "Counter": ("fastload.model.user_metrics", "Counter"),
    "DataExhausted": ("fastload.load.script.data_set", "DataExhausted"),
    "DataSet": ("fastload.load.script.data_set", "DataSet"),
    "DidOptions": ("fastload.targets", "DidOptions"),
    "FastloadError": ("fastload.model.errors", "FastloadError"),
    "Gauge": ("fastload.model.user_metrics", "Gauge"),
    "GenerationOptions": ("fastload.targets", "GenerationOptions"),
    "HttpSettings": ("fastload.model.http_settings", "HttpSettings"),
    "JudgedReply": ("fastload.load.client.reply", "JudgedReply"),
    "Measured": ("fastload.load.client.measured_calls", "Measured"),
    "MetricView": ("fastload.model.views", "MetricView"),
    "Output": ("fastload.outputs.base", "Output"),
    "OutputError": ("fastload.model.errors", "OutputError"),
    "PlainOptions": ("fastload.targets", "PlainOptions"),
    "Plan": ("fastload.model.plan", "Plan"),
    "PlanError": ("fastload.model.errors", "PlanError"),
    "Rate": ("fastload.model.user_metrics", "Rate"),
    "Reply": ("fastload.load.client.reply", "Reply"),
    "ReplyError": ("fastload.load.client.reply", "ReplyError"),
    "RequestSettings": ("fastload.model.http_settings", "RequestSettings"),
    "Retry": ("fastload.load.client.retry", "Retry"),
    "Run": ("fastload.handle", "Run"),
    "RunHeader": ("fastload.model.run_header", "RunHeader"),
    "RunReader": ("fastload.model.saved.run_file", "RunReader"),
    "RunningTarget": ("fastload.targets", "RunningTarget"),
    "SavedRun": ("fastload.model.saved.run_file", "SavedRun"),
    "Scenario": ("fastload.load.script.scenarios", "Scenario"),
    "ScoreOptions": ("fastload.targets", "ScoreOptions"),
    "SequencerOptions": ("fastload.targets", "SequencerOptions"),
    "ServerEvent": ("fastload.load.client.sse", "ServerEvent"),
    "Sink": ("fastload.outputs.streams.base", "Sink"),
    "SinkOutput": ("fastload.outputs.streams.sink_output", "SinkOutput"),
    "Snapshot": ("fastload.model.records", "Snapshot"),
    "StreamedReply": ("fastload.load.client.streamed_request", "StreamedReply"),
    "Summary": ("fastload.model.summary", "Summary"),
    "TargetError": ("fastload.model.errors", "TargetError"),
    "Trend": ("fastload.model.user_metrics", "Trend"),
    "VU": ("fastload.load.client.vu", "VU"),
    "Verdict": ("fastload.model.judging.verdict", "Verdict"),
    "WebSocket": ("fastload.load.client.websocket", "WebSocket"),
    "WebSocketClosed": ("fastload.load.client.websocket", "WebSocketClosed"),
    "WebSocketError": ("fastload.load.client.websocket", "WebSocketError"),
    "WidgetOptions": ("fastload.targets", "WidgetOptions"),
    "abort": ("fastload.load.script.flow", "abort"),
    "data": ("fastload.load.script.data_set", "data"),
    "env": ("fastload.load.script.environment", "env"),
    "fail": ("fastload.load.script.flow", "fail"),
    "handle_summary": ("fastload.load.script.hooks", "handle_summary"),
    "load_run": ("fastload.model.saved.run_file", "load_run"),
    "load_summary": ("fastload.model.saved.run_file", "load_summary"),
    "measure": ("fastload.load.client.measured_calls", "measure"),
    "run": ("fastload.runner", "run"),
    "scenario": ("fastload.load.script.scenarios", "scenario"),
    "setup": ("fastload.load.script.hooks", "setup"),
    "start": ("fastload.handle", "start"),
    "summary_text": ("fastload.outputs.terminal.report", "summary_text"),
    "target": ("fastload.targets", "running"),
    "teardown": ("fastload.load.script.hooks", "teardown"),
    "test_start": ("fastload.load.script.hooks", "test_start"),
    "test_stop": ("fastload.load.script.hooks", "test_stop"),
}


def __getattr__(name: str) -> "Any":
    if name not in _LATER:
        raise AttributeError(f"module 'fastload' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    if _PLATFORM != "linux":
        raise ImportError(f"fastload runs on Linux only, and this is {_PLATFORM}; {_HINT}", name="fastload")
    import signal
    from importlib import import_module

    module, attribute = _LATER[name]
    # A Ctrl-C in the import of a C extension may crash it. Hold the stop signals for as long as the import takes.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        value = getattr(import_module(module), attribute)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
