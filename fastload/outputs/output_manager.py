"""Feeds the outputs of a run, and keeps the run safe from one that fails."""

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
from fastload.outputs.base import Output
from fastload.outputs.streams.sink_output import SinkOutput

SAVED_RUN = "run"
"""The name of the stream that gets everything last."""

Interruptible = Callable[[int], AbstractContextManager[None]]
"""Makes a block in which the Ctrl-C of this number, from 1, raises `KeyboardInterrupt`."""
# The first may well have been meant for the load, which is just over.
_PRESSED_TWICE = 2


def _as_ever(_number: int) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


class OutputManager:
    """Calls every output. One that fails is left out from then on; what streams lose is told in the summary.

    ``notes`` is what went wrong, ``failed`` whether that makes the run fail: as of streams, it does when the output is
    ``required`` because it keeps the run. One that only shows it, as a live block does, need not say so.

    *interruptible* is where Ctrl-C may come at the end of the run: it ends the wait for streams, and, pressed twice, an
    output that blocks. Without it, Ctrl-C does what it does for the caller.
    """

    def __init__(self, outputs: Sequence[Output], interruptible: Interruptible = _as_ever) -> None:
        self._outputs = list(outputs)
        self._interruptible = interruptible
        self._streams = [output for output in outputs if isinstance(output, SinkOutput)]
        self.notes: list[str] = []
        self.failed = False

    @property
    def wants_points(self) -> bool:
        """Whether single requests and iterations are to be measured for one of them."""
        return any(stream.wants_points for stream in self._streams)

    def check(self) -> None:
        """Have every stream look whether it can work.

        Raises:
            PlanError: one cannot.
        """
        for stream in self._streams:
            stream.check()

    def start(self, plan: Plan, header: RunHeader) -> None:
        for stream in self._streams:
            stream.header = header
        self._call(lambda output: output.start(plan))

    def snapshot(self, snapshot: Snapshot) -> None:
        troubles = tuple(stream.trouble for stream in self._streams if stream.trouble)
        shown = replace(snapshot, troubles=troubles) if troubles else snapshot
        self._call(lambda output: output.snapshot(shown))

    def finish(self, plan: Plan, summary: Summary) -> Summary:
        """End the streams, which goes first, so that the *summary* for all others says what they lost.

        First those that are not required, then files, and a saved run at last: each has what those before it lost.
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
        """Give *summary* to every output that is no stream: the summary as it is then."""
        before = len(self.notes)
        self._outputs = [output for output in self._outputs if not isinstance(output, SinkOutput)]
        self._call(lambda output: self._stop(output, summary))
        failed = summary.outputs_failed or self.failed
        return replace(summary, notes=(*summary.notes, *self.notes[before:]), outputs_failed=failed)

    def abandon(self) -> None:
        """The run failed: let outputs that hold something give it back."""
        for output in self._outputs:
            if not isinstance(output, SinkOutput):
                _close(output)
        self._end(self._streams, None)

    def _end(self, streams: Sequence[SinkOutput], summary: Mapping[str, Any] | None) -> None:
        for stream in streams:
            stream.end(summary)
        ended_s, waits = time.monotonic(), True
        for stream in streams:
            # Who pressed Ctrl-C waits for none of the others either.
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
                self.notes.append(f"output {type(output).__name__} was given up: {error}")
                self.failed = self.failed or getattr(output, "required", False)


def _in_order(streams: Sequence[SinkOutput]) -> list[list[SinkOutput]]:
    def rank(stream: SinkOutput) -> int:
        return 2 if stream.name == SAVED_RUN else int(stream.required)

    return [list(group) for _, group in groupby(sorted(streams, key=rank), key=rank)]


def _close(output: Output) -> None:
    """Have an output that holds something, as a live block holds the cursor, give it back."""
    close = getattr(output, "close", None)
    if close is not None:
        with contextlib.suppress(OSError, OutputError):
            close()
