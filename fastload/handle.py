"""A run in a thread of its own, with a handle to steer it: what `fastload.start` gives."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Any

from fastload.control.commands.command_queue import CommandQueue
from fastload.load.script.scenarios import Scenario, ScenarioFunction
from fastload.model.errors import ControlError
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.runner import run


def start(*scenarios: Scenario | ScenarioFunction, **options: Any) -> Run:
    """Begin a run and return at once, when its workers run; it takes what `fastload.run` takes, and means the same.

    Use it in a ``with`` block, which stops the run and waits for it at its end, or call `Run.wait`. A program that
    ends before its run goes on until that is over.

    Raises:
        PlanError: anything that can be known to be wrong before the first request.
    """
    handle = Run()
    handle._begin(scenarios, options)
    return handle


class Run:
    """A run that is under way, as `start` gives it. Any thread may use it."""

    def __init__(self) -> None:
        self._commands = CommandQueue()
        self._summary: Summary | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread()

    @property
    def summary(self) -> Summary:
        """Of the whole run.

        Raises:
            ControlError: the run is not over yet.
        """
        if self._thread.is_alive():
            raise ControlError("the run is not over", hint="call wait()")
        if self._error is not None:
            raise self._error
        assert self._summary is not None
        return self._summary

    def status(self) -> dict[str, Any]:
        """How far the run is and what it does, as of ``GET /v1/status``.

        Raises:
            ControlError: (this and the other commands) the run refuses, is over, or does not answer.
        """
        return self._commands.ask("status")

    def metrics(self) -> dict[str, Any]:
        """The metrics of the run so far, as the summary has them under ``metrics``."""
        return self._commands.ask("metrics")

    def pause(self) -> None:
        """Start nothing more until `resume`; what is under way goes on."""
        self._commands.ask("pause")

    def resume(self) -> None:
        """Go on after `pause`, or begin a run that was started with ``paused=True``."""
        self._commands.ask("resume")

    def scale(
        self,
        *,
        vus: int | None = None,
        rate: str | float | None = None,
        by: int | None = None,
        scenario: str | None = None,
    ) -> None:
        """Set the *vus* or the *rate* (starts per second, or like ``"1k/s"``), or change it *by* so many.

        *scenario* says which, where several can be scaled.
        """
        self._commands.ask("scale", vus=vus, rate=rate, by=by, scenario=scenario)

    def stop(self, *, now: bool = False) -> None:
        """End the run early: what is under way gets its grace, or none with *now*. Does not wait; see `wait`.

        A run that is over stays over.
        """
        try:
            self._commands.ask("stop", now=now)
        except ControlError as error:
            if error.reason != "over":
                raise

    def wait(self, timeout_s: float | None = None) -> Summary:
        """The summary, when the run is over.

        Raises:
            ControlError: it is not over within *timeout_s*.
        """
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise ControlError(f"the run was not over within {timeout_s:g} s", hint="call stop()", reason="timeout")
        return self.summary

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop(now=error is not None)
        finally:
            self._thread.join()
        # What went wrong in the block is what its author has to see.
        if error is None and self._error is not None:
            raise self._error

    def _begin(self, scenarios: tuple[Scenario | ScenarioFunction, ...], options: dict[str, Any]) -> None:
        """Return when the workers were forked, or raise why they were not."""
        forked = _Forked()
        arguments = {**options, "outputs": (*options.get("outputs", ()), forked), "control": self._commands}

        def conduct() -> None:
            try:
                self._summary = run(*scenarios, **arguments)
            except BaseException as error:
                self._error = error
            finally:
                self._commands.close()
                forked.event.set()

        self._thread = threading.Thread(target=conduct, name="fastload-run")
        self._thread.start()
        try:
            forked.event.wait()
        except BaseException:
            # Ctrl-C: the run would go on, and nobody would have a handle to it.
            with contextlib.suppress(ControlError):
                self.stop(now=True)
            raise
        if self._error is not None:
            self._thread.join()
            raise self._error


class _Forked:
    """An output that only notes that the workers were forked."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def start(self, plan: Plan) -> None:  # noqa: ARG002 - the interface of every output
        self.event.set()

    def snapshot(self, snapshot: Snapshot) -> None:
        """Nothing."""

    def stop(self, summary: Summary) -> None:
        """Nothing."""
