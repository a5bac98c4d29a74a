"""The servers that ship with fastload, so that a first run needs nothing else.

``running(name)`` starts one in processes of its own for the length of a ``with`` block, ``serve(name)`` until
a signal. A target is a ``TargetSpec`` (routes, options, service) in the registry; processes, authentication,
rate limit, counters and error answers are the same for all of them.
"""

from fastload.targets.launcher import RunningTarget, running, serve, serve_sequencer
from fastload.targets.options import SequencerOptions, TargetOptions
from fastload.targets.registry import find_target, target_names

__all__ = [
    "RunningTarget",
    "SequencerOptions",
    "TargetOptions",
    "find_target",
    "running",
    "serve",
    "serve_sequencer",
    "target_names",
]
