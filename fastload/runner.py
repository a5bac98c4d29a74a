"""The order of things: make the plan, start the workers, feed the outputs, return the summary."""

from __future__ import annotations

import contextlib
import ipaddress
import resource
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from platform import python_version
from typing import Any
from urllib.parse import urlsplit

from fastload.control.conductor import Conductor
from fastload.control.host import usable_cpus
from fastload.load import curl
from fastload.load.scenario import Function, Scenario, check_function, name_of
from fastload.load.worker import run_worker
from fastload.model.errors import OutputError, PlanError, nearest
from fastload.model.metrics import declared, specs
from fastload.model.plan import (
    Executor,
    HttpSettings,
    OnWorkerLoss,
    Plan,
    ScenarioPlan,
    build_executor,
    check_base_url,
)
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.model.thresholds import Threshold, ThresholdSpec, parse_threshold_option, parse_thresholds
from fastload.model.units import format_number_of, parse_duration_s, parse_rate_per_s, parse_stage
from fastload.outputs.base import Output
from fastload.version import __version__

# What a worker has open beside its connections: channel, pollers, timers, standard streams, and some slack.
_OWN_DESCRIPTORS = 64
_LOAD_OPTIONS = ("vus", "duration", "iterations", "stages", "rate", "max_vus")
_NOT_GIVEN = (None, "", ())
# What each option, given to the run, takes away from what the script says.
_REPLACES = {
    "stages": {"vus", "duration", "iterations", "rate", "max_vus"},
    "iterations": {"duration", "stages", "rate"},
    "duration": {"iterations", "stages"},
    "rate": {"iterations", "stages"},
}


def run(
    *scenarios: Scenario | Function,
    vus: int | None = None,
    duration: str | None = None,
    iterations: int | None = None,
    stages: Iterable[str] = (),
    rate: str | float | None = None,
    max_vus: int | None = None,
    base_url: str = "",
    workers: int | None = None,
    thresholds: ThresholdSpec | None = None,
    warmup: str = "0s",
    env: Mapping[str, str] | None = None,
    watch: Iterable[str | int] = (),
    http: HttpSettings | None = None,
    on_worker_loss: OnWorkerLoss = "continue",
    outputs: Sequence[Output] = (),
) -> Summary:
    """Run scenarios and return their summary; prints nothing unless *outputs* do.

    The load given here replaces what the scenarios say themselves. It works in a script, in a notebook, and where
    an event loop is already running: the load runs in processes of its own, and this call waits for them.

    Args:
        scenarios: functions with ``@fl.scenario``, or bare ``async def`` ones; several run at the same time.
        vus, duration, iterations, stages, rate, max_vus: as of `scenario`.
        base_url: what relative URLs are relative to.
        workers: processes; by default one for each usable CPU, and no more than VUs.
        thresholds: added to the scenarios' own.
        warmup: load before the measurement, which counts in no metric: the VUs of the start, or the rate.
        env: for ``vu.env`` and ``os.environ`` of the workers.
        watch: processes of the target to sample: PIDs, names or ports. A local target is found by itself.
        on_worker_loss: whether the run goes on when a worker dies.

    Raises:
        PlanError: anything that can be known to be wrong before the first request.
    """
    plan = build_plan(
        [as_scenario(item) for item in scenarios],
        {
            "vus": vus,
            "duration": duration,
            "iterations": iterations,
            "stages": tuple(stages),
            "rate": rate,
            "max_vus": max_vus,
        },
        base_url=base_url,
        workers=workers,
        thresholds=parse_thresholds(thresholds or {}, specs()),
        env=dict(env or {}),
        watch=tuple(str(item) for item in watch),
        http=http or HttpSettings(),
        warmup_s=parse_duration_s(warmup, what="warmup"),
        on_worker_loss=on_worker_loss,
    )
    return execute(plan, outputs)


def build_plan(
    scenarios: Sequence[Scenario],
    load: Mapping[str, Any],
    *,
    title: str = "",
    base_url: str = "",
    workers: int | None = None,
    most_workers: int | None = None,
    thresholds: tuple[Threshold, ...] = (),
    **settings: Any,
) -> Plan:
    """The validated plan of these scenarios; *load* replaces the load that they state, *settings* go to `Plan`.

    *most_workers* bounds the number of workers where *workers* leaves it open.

    Raises:
        PlanError: see `run`.
    """
    if not scenarios:
        raise PlanError("there is no scenario to run", hint="write an async function under @fl.scenario")
    names = [scenario.name for scenario in scenarios]
    for name in names:
        if names.count(name) > 1:
            raise PlanError(f"two scenarios are called {name!r}", hint="give one of them name=...")
    plans = tuple(
        ScenarioPlan(
            name=scenario.name,
            executor=_executor_of(scenario, load),
            work=scenario,
            graceful_stop_s=parse_duration_s(scenario.graceful_stop, what=f"{scenario.name}: graceful_stop"),
        )
        for scenario in scenarios
    )
    own = (found for scenario in scenarios for found in parse_thresholds(scenario.thresholds or {}, specs()))
    plan = Plan(
        kind="run",
        title=title or ", ".join(names),
        scenarios=plans,
        workers=1,
        base_url=check_base_url(base_url, what="base URL") if base_url else "",
        thresholds=(*own, *thresholds),
        **settings,
    )
    return replace(plan, workers=choose_workers(workers, plan.max_vus, what="VU", most_workers=most_workers))


def choose_workers(asked: int | None, most: int, *, what: str, most_workers: int | None = None) -> int:
    """How many processes to fork: as asked, or one for each usable CPU, but never more than *most* (VUs).

    *most_workers* bounds the choice, not what was asked for.

    Raises:
        PlanError: more were asked for than there are VUs or connections to share.
    """
    if asked is None:
        return max(1, min(usable_cpus(), most, most_workers or most))
    if asked < 1:
        raise PlanError(f"{asked} workers are below 1", hint="give at least 1, or leave it out")
    if asked > most:
        raise PlanError(
            f"{format_number_of(most, what)} cannot be shared by {format_number_of(asked, 'worker')}",
            hint=f"give {format_number_of(asked, what)}, or fewer workers",
        )
    return asked


def execute(
    plan: Plan, outputs: Sequence[Output] = (), *, target_pids: tuple[int, ...] = (), target_name: str = ""
) -> Summary:
    """Run *plan*, feed *outputs* each second and at the end, and return the summary.

    *target_pids* and *target_name* are those of a target that was started for this run. An output that fails is left
    out from then on and named in the summary's notes: the run goes on.

    Raises:
        PlanError: the base URL's host cannot be resolved, or something to watch is not there.
    """
    _check_descriptors(plan)
    resolve = resolve_host(plan.base_url)
    fed = _Outputs(outputs)
    conductor = Conductor(
        plan,
        partial(_work, plan, resolve),
        specs=specs(),
        on_start=lambda: fed.call(lambda output: output.start(plan)),
        on_snapshot=fed.snapshot,
        target_pids=target_pids,
        target_name=target_name,
        versions=versions(),
    )
    for metric in declared().values():
        metric.discard()
    try:
        summary = conductor.run()
    except BaseException:
        fed.abandon()
        raise
    if fed.notes:
        summary = replace(summary, notes=(*summary.notes, *fed.notes))
    fed.call(lambda output: output.stop(summary))
    return replace(summary, notes=tuple(dict.fromkeys((*summary.notes, *fed.notes))))


def as_scenario(item: Scenario | Function) -> Scenario:
    """*item* itself, or a scenario of a bare function.

    Raises:
        PlanError: it is not an ``async def`` of one VU.
    """
    if isinstance(item, Scenario):
        return item
    check_function(item)
    return Scenario(item, name_of(item))


def thresholds_of(options: Iterable[str]) -> tuple[Threshold, ...]:
    """The thresholds of repeated ``--threshold`` options, against every metric known now."""
    return tuple(parse_threshold_option(text, specs()) for text in options)


def pick_scenarios(found: Sequence[Scenario], names: Sequence[str]) -> list[Scenario]:
    """The scenarios called *names*, or all.

    Raises:
        PlanError: there is none of that name.
    """
    by_name = {scenario.name: scenario for scenario in found}
    for name in names:
        if name not in by_name:
            hint = nearest(name, by_name) or f"there are {', '.join(by_name)}"
            raise PlanError(f"there is no scenario {name!r} in the script", hint=hint)
    return [by_name[name] for name in names] if names else list(found)


def resolve_host(base_url: str) -> tuple[str, ...]:
    """The base URL's host looked up once, as ``host:port:address,...``, so that no worker ever waits for DNS.

    Empty for an address, and without a base URL.

    Raises:
        PlanError: the host has no address.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if not host or _is_address(host):
        return ()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise PlanError(
            f"host {host!r} of {base_url} cannot be resolved: {error}", hint="check its spelling"
        ) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    shown = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    return (f"{host}:{port}:{shown}",)


def versions() -> dict[str, str]:
    """Of fastload, Python and what the engine stands on."""
    from importlib.metadata import version

    names = ("uvloop", "msgpack", "hdrhistogram", "numpy", "psutil")
    return {
        "fastload": __version__,
        "python": python_version(),
        **curl.versions(),
        **{name: version(name) for name in names},
    }


def _check_descriptors(plan: Plan) -> None:
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = -(-plan.max_vus // plan.workers) + _OWN_DESCRIPTORS
    if plan.kind == "bench" and needed > most_files != resource.RLIM_INFINITY:
        raise PlanError(
            f"{plan.max_vus} connections over {plan.workers} workers need {needed} open files each, "
            f"and the limit is {most_files}",
            hint=f"raise the limit (ulimit -Hn {needed}), add workers, or use fewer connections",
        )


def _work(plan: Plan, resolve: tuple[str, ...], channel: socket.socket, index: int) -> None:
    run_worker(channel, index, plan, resolve)


def _executor_of(scenario: Scenario, load: Mapping[str, Any]) -> Executor:
    """The scenario's executor: what *load* says replaces what the scenario says, and what contradicts it.

    So a duration given for a ramp makes constant VUs, and one given for a rate only changes how long.
    """
    given = {name: load[name] for name in _LOAD_OPTIONS if load.get(name) not in _NOT_GIVEN}
    own = {name: getattr(scenario, name) for name in _LOAD_OPTIONS if getattr(scenario, name) not in _NOT_GIVEN}
    for name, replaced in _REPLACES.items():
        if name in given:
            own = {kept: value for kept, value in own.items() if kept not in replaced}
    chosen = own | given
    if "rate" not in chosen and "max_vus" not in given:
        chosen.pop("max_vus", None)
    if "iterations" in given and "vus" in own and "vus" not in given:
        chosen["vus"] = min(own["vus"], given["iterations"])
    where = f"{scenario.name}: " if scenario.name else ""
    try:
        return build_executor(
            vus=chosen.get("vus"),
            duration_s=parse_duration_s(chosen["duration"]) if "duration" in chosen else None,
            iterations=chosen.get("iterations"),
            stages=tuple(parse_stage(text) for text in chosen.get("stages", ())),
            start_vus=scenario.start_vus,
            rate_per_s=parse_rate_per_s(str(chosen["rate"])) if "rate" in chosen else None,
            max_vus=chosen.get("max_vus"),
        )
    except PlanError as error:
        raise PlanError(f"{where}{error.message}", hint=error.hint) from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Outputs:
    """Feeds the outputs, and keeps the run safe from one that fails."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = list(outputs)
        self.notes: list[str] = []

    def snapshot(self, snapshot: Snapshot) -> None:
        self.call(lambda output: output.snapshot(snapshot))

    def call(self, action: Callable[[Output], None]) -> None:
        for output in list(self._outputs):
            try:
                action(output)
            except (OutputError, OSError) as error:
                self._outputs.remove(output)
                _close(output)
                self.notes.append(f"output {type(output).__name__} was given up: {error}")

    def abandon(self) -> None:
        """The run failed: let outputs that hold something of the terminal give it back."""
        for output in self._outputs:
            _close(output)


def _close(output: Output) -> None:
    """Have an output that holds something, as a live block holds the cursor, give it back."""
    close = getattr(output, "close", None)
    if close is not None:
        with contextlib.suppress(OSError, OutputError):
            close()
