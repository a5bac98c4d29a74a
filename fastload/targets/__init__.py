"""Targets that ship with fastload, so that a first run needs no other server.

``running(name)`` starts a target in processes of its own for the length of a ``with`` block; ``serve(name)`` runs it
until a signal. A target is a ``TargetSpec`` (routes, options, service) in the registry. Processes, API key, rate
limit, injected latency and failures, counters and error responses are the same for all targets.
"""

from fastload.targets.launcher import RunningTarget, running, serve
from fastload.targets.options import (
    DidOptions,
    GenerationOptions,
    PlainOptions,
    ScoreOptions,
    SequencerOptions,
    TargetOptions,
    WidgetOptions,
)
from fastload.targets.registry import find_target, target_names

__all__ = [
    "DidOptions",
    "GenerationOptions",
    "PlainOptions",
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
