"""Exit codes, k6's where it has one, and the one place that turns errors into them."""

from __future__ import annotations

import sys
from enum import IntEnum

from fastload.model.errors import FastloadError
from fastload.model.summary import Summary


class ExitCode(IntEnum):
    """What the shell gets."""

    OK = 0
    SATURATED = 96
    WORKERS_LOST = 97
    THRESHOLDS_FAILED = 99
    INVALID = 104
    INTERRUPTED = 105
    USER_CODE_RAISED = 107
    ABORTED = 108


def exit_code(summary: Summary) -> ExitCode:
    """Of a finished run: the first that applies, the gravest first."""
    if summary.stopped_by == "interrupt":
        return ExitCode.INTERRUPTED
    if summary.stopped_by == "abort":
        return ExitCode.ABORTED
    if summary.workers_lost:
        return ExitCode.WORKERS_LOST
    if summary.all_raised or summary.hook_errors:
        return ExitCode.USER_CODE_RAISED
    if summary.thresholds_failed:
        return ExitCode.THRESHOLDS_FAILED
    if summary.plan.strict and summary.verdict.state == "INVALID":
        return ExitCode.SATURATED
    if summary.outputs_failed:
        return ExitCode.INVALID
    return ExitCode.OK


def report_error(error: FastloadError) -> ExitCode:
    """Say on stderr what is wrong and what to do."""
    sys.stderr.write(f"Error: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"Hint:  {error.hint}\n")
    return ExitCode.INVALID
