"""Exit codes, k6's where it has one, and the one place that turns errors into them."""

from __future__ import annotations

from enum import IntEnum

from fastload.cli.standard_streams import tell
from fastload.model.errors import FastloadError
from fastload.model.hooks import INTERRUPTED, HookError
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
    if summary.stopped_by == "interrupt" or _only_teardown_interrupted(summary):
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


def _only_teardown_interrupted(summary: Summary) -> bool:
    """Whether Ctrl-C came after a load that had its planned end: no code of the script raised then."""
    return not summary.stopped_by and HookError("teardown", INTERRUPTED) in summary.hook_errors


def report_error(error: FastloadError) -> ExitCode:
    """Say on stderr what is wrong and what to do."""
    tell(f"Error: {error.message}" + (f"\nHint:  {error.hint}" if error.hint else ""))
    return ExitCode.INVALID
