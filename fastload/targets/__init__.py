"""The servers that ship with fastload, so that a first run needs nothing else.

``running(name)`` starts one in processes of its own for the length of a ``with`` block, ``serve(name)`` until
a signal. A target is a ``TargetSpec`` (routes, options, service) in the registry; processes, API key, rate limit,
injected latency and failures, counters and error answers are the same for all of them.
"""

from fastload.targets.launcher import RunningTarget, running, serve
from fastload.targets.options import (
    DidOptions,
    GenerationOptions,
    ScoreOptions,
    SequencerOptions,
    TargetOptions,
    WidgetOptions,
)
from fastload.targets.registry import find_target, target_names

__all__ = [
    "DidOptions",
    "GenerationOptions",
    "RunningTarget",
    "ScoreOptions",
    "SequencerOptions",
    "TargetOptions",
    "WidgetOptions",
    "find_target",
    "running",
    "serve",
    "target_names",
]
