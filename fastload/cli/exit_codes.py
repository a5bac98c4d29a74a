"""Exit codes (k6's numbers where k6 has one), and the one place that turns errors into exit codes."""

from __future__ import annotations

from enum import IntEnum

from fastload.cli.standard_streams import write_stderr
from fastload.model.errors import FastloadError
from fastload.model.hooks import INTERRUPTED, HookError
from fastload.model.summary import Summary


class ExitCode(IntEnum):
    """The exit codes of the process."""

    OK = 0
    SATURATED = 96
    WORKERS_LOST = 97
    THRESHOLDS_FAILED = 99
    INVALID = 104
    INTERRUPTED = 105
    USER_CODE_RAISED = 107
    ABORTED = 108


def exit_code(summary: Summary) -> ExitCode:
    """Return the exit code of a finished run. If several apply, the gravest one wins; it is checked first."""
    if summary.stopped_by == "interrupt" or _only_teardown_interrupted(summary):
        return ExitCode.INTERRUPTED
    if summary.stopped_by in ("abort", "no-answer"):
        return ExitCode.ABORTED
    if summary.workers_lost:
        return ExitCode.WORKERS_LOST
    if summary.all_raised or summary.hook_errors:
        return ExitCode.USER_CODE_RAISED
    if summary.thresholds_failed or summary.lacks_capacity:
        return ExitCode.THRESHOLDS_FAILED
    if summary.plan.strict and summary.verdict.state == "INVALID":
        return ExitCode.SATURATED
    if summary.outputs_failed:
        return ExitCode.INVALID
    return ExitCode.OK


def _only_teardown_interrupted(summary: Summary) -> bool:
    """Return whether Ctrl-C interrupted only teardown, after the load ended as planned.

    In this case no code of the script raised an error.
    """
    return not summary.stopped_by and HookError("teardown", INTERRUPTED) in summary.hook_errors


def report_error(error: FastloadError) -> ExitCode:
    """Write the error and its hint to stderr, and return exit code 104."""
    write_stderr(f"Error: {error.message}" + (f"\nHint:  {error.hint}" if error.hint else ""))
    return ExitCode.INVALID
