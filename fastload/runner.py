"""The order of things: make the plan, start the workers, feed the outputs, return the summary."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from platform import python_version
from typing import Any, Literal, get_args

from fastload.around_test import AroundTest
from fastload.control.commands.command_queue import CommandQueue
from fastload.control.commands.control_server import ControlServer
from fastload.control.coordinator import ChildFunctions, Coordinator, KnownTarget
from fastload.control.sampling.host import describe_host
from fastload.control.script_output import ScriptOutput
from fastload.control.signals import StopSignals, caught_stop_signals
from fastload.load.client.vu import VU
from fastload.load.engine import curl_options
from fastload.load.engine.option_checks import check_version_of
from fastload.load.hook_process import run_hook_process
from fastload.load.script.hooks import as_hook, make_hooks
from fastload.load.script.scenarios import Scenario, ScenarioFunction
from fastload.load.worker import run_worker
from fastload.model.argument_types import CallArguments, check_lists, check_types, wrong_types_named
from fastload.model.errors import PlanError
from fastload.model.hooks import HookError, Hooks
from fastload.model.http_settings import HttpSettings
from fastload.model.judging.thresholds import ThresholdSpec
from fastload.model.load_models import ArrivalDistribution, ExecutorName, ShapeFunction, WhenBusy
from fastload.model.names import as_text
from fastload.model.plan import OnNoAnswer, OnWorkerLoss, Plan
from fastload.model.run_header import RunHeader
from fastload.model.summary import Summary
from fastload.model.user_metrics import declared, specs
from fastload.outputs.base import Output, check_output
from fastload.outputs.output_manager import OutputManager
from fastload.outputs.streams.registry import make_sink_outputs, requested_outputs
from fastload.outputs.streams.sink_output import SinkOutput
from fastload.planning import PlanContext, Tier, Tiers, as_scenario, draft_plan, file_tier, merge_run_options
from fastload.planning.options import LOAD_OPTIONS, OPTIONS, RUN_OPTIONS, SCENARIO_OPTIONS, check_value
from fastload.planning.preflight import check_can_resume, check_descriptors, looks_up, resolve_host, several_addresses
from fastload.version import __version__

OnInterrupt = Literal["raise", "return"]


def run(
    *scenarios: Scenario | ScenarioFunction,
    executor: ExecutorName | None = None,
    vus: int | None = None,
    duration: str | None = None,
    iterations: int | None = None,
    stages: Iterable[str] = (),
    start_vus: int | None = None,
    rate: str | float | None = None,
    start_rate: str | float | None = None,
    max_vus: int | None = None,
    arrivals: ArrivalDistribution | None = None,
    when_busy: WhenBusy | None = None,
    pacing: str | None = None,
    trace: str | Path | Iterable[float] | None = None,
    shape: ShapeFunction | None = None,
    graceful_stop: str | None = None,
    graceful_ramp_down: str | None = None,
    iteration_timeout: str | None = None,
    base_url: str = "",
    workers: int | None = None,
    thresholds: ThresholdSpec | None = None,
    warmup: str | None = None,
    seed: int | None = None,
    tags: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    watch: Iterable[str | int] = (),
    http: HttpSettings | None = None,
    on_worker_loss: OnWorkerLoss | None = None,
    on_no_answer: OnNoAnswer | None = None,
    on_interrupt: OnInterrupt = "raise",
    paused: bool | None = None,
    setup: Callable[[VU], Awaitable[Any]] | None = None,
    teardown: Callable[[VU], Awaitable[Any]] | None = None,
    test_start: Callable[[Plan], Any] | None = None,
    test_stop: Callable[[Summary], Any] | None = None,
    handle_summary: Callable[[Summary], Any] | None = None,
    control: CommandQueue | None = None,
    config: str | Path | None = None,
    outputs: Sequence[Output] = (),
    out: Iterable[str] = (),
    save: str | Path | None = None,
    html: str | Path | None = None,
    strict_outputs: bool | None = None,
) -> Summary:
    """Run scenarios and return their summary; prints nothing unless *outputs* do.

    The load given here replaces what the scenarios say themselves. It works in a script, in a notebook, and where
    an event loop is already running: the load runs in processes of its own, and this call waits for them.

    Args:
        scenarios: functions with ``@fl.scenario``, or bare ``async def`` ones; several run at the same time.
        executor, vus, duration, iterations, stages, start_vus, rate, start_rate, max_vus, arrivals, when_busy, pacing,
            trace, shape, graceful_stop, graceful_ramp_down, iteration_timeout, tags: as of `scenario`, for all.
        base_url: what relative URLs are relative to.
        workers: processes; by default one for each usable CPU, and no more than VUs.
        thresholds: added to the scenarios' own, but for a metric that both name: these replace those.
        warmup: load before the measurement, which counts in no metric: the VUs of the start, or the rate.
        seed: where all chance of the run comes from; by default another one each time.
        env: for ``vu.env`` and ``os.environ`` of the workers.
        watch: processes of the target to sample: PIDs, names or ports. A local target is found by itself.
        on_worker_loss: whether the run goes on ("continue", the default) when a worker dies, or not ("stop").
        on_no_answer: whether the run ends ("stop", the default) when no request gets an answer, or not ("continue").
        on_interrupt: what Ctrl-C, SIGTERM or SIGHUP does after it has ended the run and all results are written:
            "raise" (the default) raises `KeyboardInterrupt` with the attributes ``summary`` and ``signal``, or calls
            the program's own handler of the signal; "return" returns the summary. In a thread nothing is caught.
        paused: nothing starts before it is asked to.
        setup, teardown, test_start, test_stop, handle_summary: functions around the test, as with the decorators of
            these names.
        control: the queue of the commands to the run while it lasts; `start` fills it.
        out: what else to write, and where, like ``"junit=report.xml"``; see ``docs/outputs.md``.
        save: the file or directory for everything of the run, which reports can be made from later.
        html: the file for a report with charts.
        strict_outputs: whether the run fails when any of these outputs lost something.
        config: a configuration file whose options go below all that is said here and by the scenarios.

    Raises:
        PlanError: anything that can be known to be wrong before the first request.
        KeyboardInterrupt: see *on_interrupt*.
    """
    # Before any other name is bound: what the signature has, by name.
    return run_given("fl.run", run, dict(locals()))


def run_given(
    where: str,
    callee: Callable[..., Summary],
    given: Mapping[str, Any],
    change: Callable[[Plan], Plan] = lambda plan: plan,
    most_vus: int | None = None,
) -> Summary:
    """Do what `run` does with all its arguments, *given* by name. *callee* has their types, and users know it as
    *where*.

    *change* returns the plan to run in place of the one that follows from the arguments. *most_vus*: see `PlanContext`.

    Raises:
        PlanError, KeyboardInterrupt: as of `run`.
    """
    calls = [CallArguments(where, callee, {name: value for name, value in given.items() if name != "scenarios"})]
    # What no plan reads, and a worker would fail of.
    check_types(CallArguments(where, callee, {name: given[name] for name in ("seed", "workers", "control")}))
    check_lists(where, {name: given[name] for name in ("stages", "watch", "out")})
    http = given["http"]
    if not isinstance(http, HttpSettings | None):
        what = f"{where}: http is a {type(http).__name__}"
        raise PlanError(what, hint="write http=fl.HttpSettings(timeout_s=5)")
    if http is not None:
        calls.append(CallArguments.of("fl.HttpSettings", http))
    with wrong_types_named(*calls):
        plan, streams = _plan_of(where, given, most_vus)
        plan = change(plan)
        outputs = (*map(check_output, given["outputs"]), *streams)
    with caught_stop_signals() as stop_signals:
        summary = _execute(plan, outputs, stop_signals, commands=given["control"])
    if given["on_interrupt"] == "raise" and stop_signals.hand_on():
        raise _interrupt(summary, stop_signals)
    return summary


def _interrupt(summary: Summary, stop_signals: StopSignals) -> KeyboardInterrupt:
    """Return what tells the program of the signal that came during its run.

    No subclass: Python ends a program by SIGINT, which stops the loop of a shell around it, only for this very class.
    """
    number = stop_signals.first
    assert number is not None
    error = KeyboardInterrupt(f"{number.name} came during the run")
    vars(error).update(summary=summary, signal=number)
    return error


def _plan_of(where: str, given: Mapping[str, Any], most_vus: int | None) -> tuple[Plan, list[SinkOutput]]:
    """Return the plan and the outputs of the arguments of `run`."""
    stages, watch, out, http, config = (given[name] for name in ("stages", "watch", "out", "http", "config"))
    options = {name: given[name] for name in given.keys() & {*LOAD_OPTIONS, *SCENARIO_OPTIONS, *RUN_OPTIONS}}
    options |= {"stages": tuple(stages), "watch": tuple(as_text(item, "watch") for item in watch), "out": tuple(out)}
    if given["on_interrupt"] not in get_args(OnInterrupt):
        raise PlanError(f"{where}: on_interrupt {given['on_interrupt']!r} is unknown", hint='give "raise" or "return"')
    for name in ("on_worker_loss", "on_no_answer"):
        if given[name] is not None:
            check_value(OPTIONS[name], given[name], where=where)
    options |= {name: as_text(path, name) for name in ("save", "html") if (path := given[name]) is not None}
    hooks = make_hooks(as_hook(kind, given[kind]) for kind in Hooks.names() if given[kind] is not None)
    below = [] if config is None else [file_tier(as_text(config, "config"), option="config")]
    tiers = Tiers(below, [Tier(where, {name: value for name, value in options.items() if name != "http"})])
    draft = draft_plan(
        [as_scenario(item) for item in given["scenarios"]],
        tiers,
        PlanContext(http=http, hooks=hooks, most_vus=most_vus),
    )
    draft.check_can_run()
    streams = make_sink_outputs(requested_outputs(merge_run_options(tiers).values))
    return replace(draft.plan, stdout_is_data=any(stream.on_stdout for stream in streams)), streams


def execute(
    plan: Plan,
    outputs: Sequence[Output] = (),
    *,
    target_pids: tuple[int, ...] = (),
    target_name: str = "",
    commands: CommandQueue | None = None,
    server: ControlServer | None = None,
    keyboard: bool = False,
    on_written: Callable[[Summary], None] = lambda _summary: None,
) -> Summary:
    """Run *plan*, feed *outputs* each second and at the end, and return the summary.

    *target_pids* and *target_name* are those of a target that was started for this run. An output that fails is left
    out from then on and named in the summary's notes: the run goes on. *commands* is where others steer the run,
    *server* the control API that writes there, *keyboard* whether the keys of the terminal do. *on_written* is called
    with the summary when all outputs are written, before any of them waits for its readers.

    Raises:
        PlanError: the base URL's host cannot be resolved, something to watch is not there, the control API's port is
            taken, or the plan is paused and nobody could resume it.
    """
    with caught_stop_signals() as stop_signals:
        target = KnownTarget(target_pids, target_name)
        return _execute(
            plan,
            outputs,
            stop_signals,
            target=target,
            commands=commands,
            server=server,
            keyboard=keyboard,
            on_written=on_written,
        )


def _execute(
    plan: Plan,
    outputs: Sequence[Output],
    stop_signals: StopSignals,
    *,
    target: KnownTarget | None = None,
    commands: CommandQueue | None = None,
    server: ControlServer | None = None,
    keyboard: bool = False,
    on_written: Callable[[Summary], None] = lambda _summary: None,
) -> Summary:
    """`execute`, which *stop_signals* may end early."""
    manager = OutputManager(outputs, stop_signals.raising)
    plan = replace(plan, points=manager.wants_points)
    # Nothing was begun: here Ctrl-C may come at any moment.
    with stop_signals.raising():
        check_descriptors(plan)
        check_can_resume(plan, commands=commands is not None, keyboard=keyboard)
        manager.check()
        check_version_of(plan.base_url, plan.http.http_version)
        addresses = resolve_host(plan.base_url) if looks_up(plan) else ()
    around = AroundTest(plan)
    coordinator = Coordinator(
        plan,
        ChildFunctions(
            partial(_run_worker, plan, addresses),
            partial(_run_hook_process, plan, addresses),
        ),
        on_start=partial(_begin, plan, manager, around, server, stop_signals),
        on_snapshot=manager.snapshot,
        target=target or KnownTarget(),
        commands=commands,
        keyboard=keyboard,
        output=ScriptOutput(manager.print_lines, redrawn=manager.redraws),
    )
    for metric in declared().values():
        metric._discard()
    try:
        with stop_signals.raising():
            manager.lock()
        # The queue is closed first: then no thread of the server waits for an answer.
        with _closed_after(server), _closed_after(commands):
            summary = coordinator.run(stop_signals)
        summary = replace(summary, notes=(*plan.notes, *summary.notes, *several_addresses(plan, addresses)))
        summary = _finish(plan, summary, manager, around, stop_signals)
        on_written(summary)
        _linger(manager, stop_signals)
        return summary
    except BaseException:
        manager.abandon()
        raise


def _begin(
    plan: Plan, manager: OutputManager, around: AroundTest, server: ControlServer | None, stop_signals: StopSignals
) -> HookError | None:
    """What comes between the fork and the load: the control API, the script's ``test_start`` and the outputs."""
    if server is not None:
        server.start()
    # The first Ctrl-C ends the run when it is over.
    with stop_signals.raising(after=2):
        error = around.start()
    manager.start(plan, make_header(plan))
    return error


def _closed_after(closable: CommandQueue | ControlServer | None) -> AbstractContextManager[Any]:
    return contextlib.nullcontext() if closable is None else contextlib.closing(closable)


def _finish(
    plan: Plan, summary: Summary, manager: OutputManager, around: AroundTest, stop_signals: StopSignals
) -> Summary:
    """What comes after the load: the script's functions and the outputs, in this order and each to its end.

    Ctrl-C ends only the function or the output that runs at that moment; what comes after it still gets its turn.
    """
    summary = replace(
        summary, versions=versions(), notes=(*summary.notes, *manager.notes), outputs_failed=manager.failed
    )
    # It may print, which would tear what is redrawn.
    manager.end_progress()
    has_own = plan.hooks is not None and plan.hooks.handle_summary is not None
    try:
        with stop_signals.raising() if has_own else contextlib.nullcontext():
            summary = around.stop(summary)
    except KeyboardInterrupt:
        # Not in the function itself, but while its files were written.
        note = "output handle_summary was given up: it was interrupted"
        summary = replace(summary, notes=(*summary.notes, note), outputs_failed=True)
    summary = manager.stop(manager.finish(plan, summary))
    with contextlib.suppress(KeyboardInterrupt), stop_signals.raising():
        summary = around.close(summary)
    return summary


def _linger(manager: OutputManager, stop_signals: StopSignals) -> None:
    """Let outputs wait for their readers. Ctrl-C ends the wait and nothing else: the run is over, and stays as it was.

    Whoever sent SIGTERM or SIGHUP waits for the end of the process, or has gone.
    """
    first = stop_signals.first
    with contextlib.suppress(KeyboardInterrupt), stop_signals.raising():
        manager.linger(waits=first in (None, signal.SIGINT))
    stop_signals.first = first


def make_header(plan: Plan) -> RunHeader:
    """What outputs and saved runs know of a run before its first second."""
    return RunHeader(
        plan=plan.to_dict() | ({"paused": True} if plan.paused else {}),
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        run_id=secrets.token_hex(8),
        versions=versions(),
        machine=dict(describe_host()),
        specs=specs(),
        thresholds=tuple(f"{threshold.label}: {threshold.expression}" for threshold in plan.thresholds),
    )


def versions() -> dict[str, str]:
    """Of fastload, Python and what the engine stands on."""
    from importlib.metadata import version

    names = ("uvloop", "msgpack", "hdrhistogram", "numpy", "psutil")
    return {
        "fastload": __version__,
        "python": python_version(),
        **curl_options.curl_versions(),
        **{name: version(name) for name in names},
    }


def _run_hook_process(plan: Plan, addresses: tuple[str, ...], channel: socket.socket, index: int) -> None:
    run_hook_process(channel, index, plan, addresses)


def _run_worker(plan: Plan, addresses: tuple[str, ...], channel: socket.socket, index: int) -> None:
    run_worker(channel, index, plan, addresses)
