"""Hooks of the script that the parent calls: ``test_start``, ``handle_summary`` and ``test_stop``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from fastload.model.errors import FastloadError, OutputError, user_traceback
from fastload.model.hooks import Hook, HookError, Hooks
from fastload.model.plan import Plan
from fastload.model.summary import Summary
from fastload.outputs.base import writing
from fastload.outputs.custom_summary import read_custom_summary, write_files


class AroundTest:
    """Caller of the hooks of *plan* that run in the parent. A hook that raises adds an error; all results are kept."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._hooks = plan.hooks or Hooks()

    def start(self) -> HookError | None:
        """Call ``test_start``. Return its error, None without one."""
        errors: list[HookError] = []
        self._call(self._hooks.test_start, self._plan, errors)
        return errors[0] if errors else None

    def stop(self, summary: Summary) -> Summary:
        """Call ``handle_summary`` and write its files. Return the summary with its report, new notes and errors."""
        errors: list[HookError] = []
        returned = self._call(self._hooks.handle_summary, summary, errors)
        notes: list[str] = []
        report = ""
        try:
            custom = read_custom_summary(returned)
            report = custom.report
            notes += [f"output handle_summary was given up: {problem}" for problem in write_files(custom.files)]
            if custom.stderr:
                with writing("the summary", last_to=sys.stderr):
                    sys.stderr.write(custom.stderr)
        except OutputError as error:
            notes.append(f"output handle_summary was given up: {error}")
        except FastloadError as error:
            errors.append(HookError("handle_summary", error.message))
        return replace(
            summary,
            report=report,
            notes=(*summary.notes, *notes),
            outputs_failed=summary.outputs_failed or bool(notes),
            hook_errors=(*summary.hook_errors, *errors),
        )

    def close(self, summary: Summary) -> Summary:
        """Call ``test_stop`` after the outputs have written everything. Return the summary with its error, if any."""
        errors: list[HookError] = []
        self._call(self._hooks.test_stop, summary, errors)
        return replace(summary, hook_errors=(*summary.hook_errors, *errors))

    def _call(self, hook: Hook | None, argument: Any, errors: list[HookError]) -> Any:
        if hook is None:
            return None
        try:
            with self._redirected():
                return _plain_call(hook.function, argument)
        except BaseException as error:
            # Also Ctrl-C, SystemExit, and what test frameworks raise.
            errors.append(HookError(hook.kind, user_traceback(error)))
            return None

    @contextlib.contextmanager
    def _redirected(self) -> Iterator[None]:
        """Send what hooks print to stderr if stdout carries data: prints must not mix with JSON."""
        with contextlib.redirect_stdout(sys.stderr) if self._plan.stdout_is_data else contextlib.nullcontext():
            yield


def _plain_call(function: Callable[[Any], Any], argument: Any) -> Any:
    return function(argument)
