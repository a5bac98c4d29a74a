"""Run in its own thread, with a handle that controls it: `fastload.start`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from inspect import signature
from types import TracebackType
from typing import Any, ParamSpec

from fastload.control.commands.command_queue import CommandQueue
from fastload.load.script.scenarios import Scenario, ScenarioFunction
from fastload.model.errors import ControlError
from fastload.model.plan import Plan
from fastload.model.public_types import PublicType, called_by_fastload
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.runner import run

P = ParamSpec("P")


def _called_like(of: Callable[P, Any]) -> Callable[[Callable[..., Run]], Callable[P, Run]]:
    """Decorate a function that hands its arguments on to *of*: help, editors and type checkers then know them all."""

    def decorate(function: Callable[..., Run]) -> Callable[P, Run]:
        vars(function)["__signature__"] = signature(of).replace(return_annotation="Run")
        return function

    return decorate


@_called_like(run)
def start(*scenarios: Any, **options: Any) -> Run:
    """Start a run in its own thread and return its handle as soon as the workers are forked.

    The arguments are those of `run`, with the same meaning. Use the handle in a ``with`` block: the end of
    the block stops the run and waits for it. Or call `Run.wait`. If the program reaches its end before the run does,
    the process waits for the run.

    Raises:
        PlanError: a mistake that can be found before the first request.
    """
    handle = Run()
    handle._begin(scenarios, options)
    return handle


class Run(metaclass=PublicType):
    """Handle of a run that `start` has started. Any thread may use it."""

    @called_by_fastload
    def __init__(self) -> None:
        self._commands = CommandQueue()
        self._summary: Summary | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread()

    @property
    def summary(self) -> Summary:
        """Summary of the whole run.

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
        """Return the state of the run, as ``GET /v1/status`` does: phase, progress, VUs, requests, scenarios.

        Raises:
            ControlError: (this and the other commands) the run refuses the command, is over, or does not answer.
        """
        return self._commands.ask("status")

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of the run so far, in the form of ``metrics`` in the summary."""
        return self._commands.ask("metrics")

    def pause(self) -> None:
        """Start no more iterations until `resume`. Iterations under way continue."""
        self._commands.ask("pause")

    def resume(self) -> None:
        """Continue after `pause`, or begin the load of a run that was started with ``paused=True``."""
        self._commands.ask("resume")

    def scale(
        self,
        *,
        vus: int | None = None,
        rate: str | float | None = None,
        by: int | None = None,
        scenario: str | None = None,
    ) -> None:
        """Set the number of VUs or the rate of a scenario, or change it by a difference. Give exactly one of the three.

        *vus*: VUs. *rate*: starts per second, or a text like ``"1k/s"``. *by*: the difference, like 10 or -10.
        *scenario*: the name of the scenario, needed if several can be scaled.
        """
        self._commands.ask("scale", vus=vus, rate=rate, by=by, scenario=scenario)

    def stop(self, *, now: bool = False) -> None:
        """End the run early. Iterations under way get their graceful stop; with *now* they are interrupted.

        It returns before the run is over; see `wait`. If the run is over already, it does nothing.
        """
        try:
            self._commands.ask("stop", now=now)
        except ControlError as error:
            if error.reason != "over":
                raise

    def wait(self, timeout_s: float | None = None) -> Summary:
        """Wait for the end of the run and return its summary.

        Raises:
            ControlError: the run is not over within *timeout_s* (None: no limit).
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
        # An exception of the block goes first: its author must see that one.
        if error is None and self._error is not None:
            raise self._error

    def _begin(self, scenarios: tuple[Scenario | ScenarioFunction, ...], options: dict[str, Any]) -> None:
        """Start the thread of the run. Return when the workers are forked, or raise the error that prevented it."""
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
            # Ctrl-C: without a stop the run would continue, and the caller would have no handle to it.
            with contextlib.suppress(ControlError):
                self.stop(now=True)
            raise
        if self._error is not None:
            self._thread.join()
            raise self._error


class _Forked:
    """Output that only signals that the workers are forked."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def start(self, plan: Plan) -> None:  # noqa: ARG002 - the interface of every output
        self.event.set()

    def snapshot(self, snapshot: Snapshot) -> None:
        """Do nothing."""

    def stop(self, summary: Summary) -> None:
        """Do nothing."""
