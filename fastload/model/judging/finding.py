"""Finding: one thing that the evidence of a run shows, with its cause, what it does to the results, and a remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["VALID", "SUSPECT", "INVALID"]
Limit = Literal["generator", "target", "machine", "concurrency", "both", ""]

Cause = Literal[
    "missing_await",
    "task_exceptions",
    "nothing_measured",
    "own_accounts",
    "generator_fd",
    "generator_port",
    "generator_memory",
    "blocking_call",
    "busy_script",
    "own_work",
    "no_cpu",
    "cpu_quota",
    "stopped",
    "late_starts",
    "worker_saturated",
    "worker_lost",
    "not_started",
    "unanswered",
    "target_ended",
    "target_failing",
    "rate_limit",
    "accept_queue",
    "target_quota",
    "target_cpu",
    "target_thread",
    "target_core",
    "target_starved",
    "target_disk",
    "target_fd",
    "target_memory",
    "target_queue",
    "target_pool",
    "host_cpu",
    "memory_short",
    "retransmits",
    "too_few_vus",
    "concurrency",
    "none",
]

GENERATOR_CAUSES: frozenset[Cause] = frozenset(
    (
        "generator_fd",
        "generator_port",
        "generator_memory",
        "blocking_call",
        "busy_script",
        "own_work",
        "no_cpu",
        "cpu_quota",
        "stopped",
        "late_starts",
        "worker_saturated",
        "worker_lost",
        "too_few_vus",
    )
)
"""Causes for which load was not made as it was asked for, or that add to its latencies: no answer about the target."""

LINES_AT_MOST = 3
"""How many lines of the script a finding names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding about a run.

    *cause* is its name. *state* is the best that a run with it can be: "VALID" for a remark. *text* is a sentence with
    the figures, *remedy* says what to do. *limit* is who limited the run by it, "" if that was something else, and
    *why* the reason for that.
    """

    cause: Cause
    state: State
    text: str
    remedy: str = ""
    limit: Limit = ""
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the summary."""
        return asdict(self)
