"""Calls the outputs of a run; an output that fails cannot stop the run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

from fastload.model.errors import OutputError
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.summary import Summary
from fastload.outputs.base import Output, RedrawnOutput
from fastload.outputs.file_locks import FileLocks
from fastload.outputs.files import write_lines
from fastload.outputs.streams.sink_output import SinkOutput

SAVED_RUN = "run"
"""Name of the sink output for saved runs, which ends last, so that its summary has the losses of all others."""

Interruptible = Callable[[int], AbstractContextManager[None]]
"""Returns a context manager in which the n-th Ctrl-C (n from 1) raises `KeyboardInterrupt`."""
# The user may have pressed the first Ctrl-C to stop the load, which has just ended.
_PRESSED_TWICE = 2


def _caller_handles_ctrl_c(_number: int) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


class OutputManager:
    """Calls all outputs of a run. An output that fails is not called again.

    ``notes`` are the errors of outputs. ``failed``: an output failed that has a true attribute ``required``, as outputs
    that store results have; an output that only shows the run needs no such attribute. What sink outputs lost is in
    the summary that `finish` returns.

    *interruptible* makes the blocks in which Ctrl-C is accepted at the end of the run: one Ctrl-C ends the wait for
    sink outputs, a second one ends an output that blocks. By default Ctrl-C is handled as the caller handles it.
    """

    def __init__(self, outputs: Sequence[Output], interruptible: Interruptible = _caller_handles_ctrl_c) -> None:
        self._outputs = list(outputs)
        self._interruptible = interruptible
        self._streams = [output for output in outputs if isinstance(output, SinkOutput)]
        self._locks = FileLocks()
        self._redrawn = next((output for output in outputs if isinstance(output, RedrawnOutput)), None)
        self.notes: list[str] = []
        self.failed = False

    @property
    def wants_points(self) -> bool:
        """Whether any output needs points (single requests and iterations)."""
        return any(stream.wants_points for stream in self._streams)

    @property
    def redraws(self) -> bool:
        """Whether an output redraws lines of a terminal."""
        return self._redrawn is not None

    def print_lines(self, stream: int, lines: bytes) -> None:
        """Write whole *lines* that the script printed to stdout (1) or stderr (2). Any thread may call this.

        Raises:
            OSError: they cannot be written.
        """
        if self._redrawn is None or not self._redrawn.print_above(stream, lines):
            write_lines(stream, lines)

    def end_progress(self) -> None:
        """Remove what is redrawn on the terminal."""
        if self._redrawn is not None:
            _close(self._redrawn)

    def check(self) -> None:
        """Check all sink outputs before the run.

        Raises:
            PlanError: a sink output cannot work.
        """
        for stream in self._streams:
            stream.check()

    def lock(self) -> None:
        """Lock the files of all outputs against other runs, until `stop` or `abandon`.

        Raises:
            PlanError: another run is writing one of the files.
        """
        self._locks.take(file for output in self._outputs for file in getattr(output, "written", ()))

    def start(self, plan: Plan, header: RunHeader) -> None:
        for stream in self._streams:
            stream.header = header
        self._call(lambda output: output.start(plan))

    def snapshot(self, snapshot: Snapshot) -> None:
        troubles = tuple(stream.trouble for stream in self._streams if stream.trouble)
        shown = replace(snapshot, troubles=troubles) if troubles else snapshot
        self._call(lambda output: output.snapshot(shown))

    def finish(self, plan: Plan, summary: Summary) -> Summary:
        """End all sink outputs, and return *summary* with notes about what they lost. Call it before `stop`.

        Sink outputs end in three steps: those that are not required, then required ones (files), then saved runs. The
        summary that each step gets contains the losses of the steps before it.
        """
        data: dict[str, Any] = {}
        for streams in _in_order(self._streams):
            data = data or summary.to_dict()
            self._end(streams, {**data, "notes": list(summary.notes)})
            notes = [stream.trouble for stream in streams if stream.trouble]
            failed = any(stream.trouble and (stream.required or plan.strict_outputs) for stream in streams)
            summary = replace(summary, notes=(*summary.notes, *notes), outputs_failed=summary.outputs_failed or failed)
        return summary

    def stop(self, summary: Summary) -> Summary:
        """Pass *summary* to every output that is no sink output, and return it with the errors of these outputs."""
        before = len(self.notes)
        self._outputs = [output for output in self._outputs if not isinstance(output, SinkOutput)]
        self._call(lambda output: self._stop(output, summary))
        self._locks.release()
        failed = summary.outputs_failed or self.failed
        return replace(summary, notes=(*summary.notes, *self.notes[before:]), outputs_failed=failed)

    def linger(self, *, waits: bool = True) -> None:
        """After `stop`: let sink outputs wait for their readers, or only free what they hold."""
        for stream in self._streams:
            stream.linger(waits=waits)

    def abandon(self) -> None:
        """Release the resources of all outputs after a run that failed without a summary."""
        for output in self._outputs:
            if not isinstance(output, SinkOutput):
                _close(output)
        self._end(self._streams, None)
        self.linger(waits=False)
        self._locks.release()

    def _end(self, streams: Sequence[SinkOutput], summary: Mapping[str, Any] | None) -> None:
        for stream in streams:
            stream.end(summary)
        ended_s, waits = time.monotonic(), True
        for stream in streams:
            # After a Ctrl-C, do not wait for the other sink outputs either.
            stream.join(ended_s + stream.patience_s, waits=waits, interruptible=partial(self._interruptible, 1))
            waits = waits and not stream.interrupted

    def _stop(self, output: Output, summary: Summary) -> None:
        try:
            with self._interruptible(_PRESSED_TWICE):
                output.stop(summary)
        except KeyboardInterrupt as error:
            raise OutputError("it was interrupted") from error

    def _call(self, action: Callable[[Output], None]) -> None:
        for output in list(self._outputs):
            try:
                action(output)
            except (OutputError, OSError) as error:
                self._outputs.remove(output)
                _close(output)
                self.notes.append(f"output {_name_of(output)} was given up: {error}")
                self.failed = self.failed or getattr(output, "required", False)


def _name_of(output: Output) -> str:
    """Return the name by which the user knows *output*: its option, or the class of an object that a program gives."""
    name = getattr(output, "name", "")
    return name if isinstance(name, str) and name else type(output).__name__


def _in_order(streams: Sequence[SinkOutput]) -> list[list[SinkOutput]]:
    def rank(stream: SinkOutput) -> int:
        return 2 if stream.name == SAVED_RUN else int(stream.required)

    return [list(group) for _, group in groupby(sorted(streams, key=rank), key=rank)]


def _close(output: Output) -> None:
    """Release the resources of an output, if it has a method ``close``: the live block has hidden the cursor."""
    close = getattr(output, "close", None)
    if close is not None:
        with contextlib.suppress(OSError, OutputError):
            close()
