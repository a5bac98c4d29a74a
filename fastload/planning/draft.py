"""Draft of a plan: merges scenarios and tiers into the validated plan, and finds every mistake before the run."""

from __future__ import annotations

import math
import operator
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fastload.load.script.scenarios import Scenario
from fastload.model.argument_types import CallArguments, wrong_types_named
from fastload.model.errors import PlanError, nearest
from fastload.model.hooks import Hook, Hooks
from fastload.model.http_settings import HttpSettings, check_base_url
from fastload.model.judging.threshold_tags import PlannedTags
from fastload.model.load_options import build_executor
from fastload.model.names import as_text, tag_texts
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.tags import check_own_tags
from fastload.model.units import parse_duration_s
from fastload.planning.load import merge_loads, of_scenario, parse_load
from fastload.planning.options import LOAD_OPTIONS, RUN_OPTIONS, SCENARIO_OPTIONS
from fastload.planning.script_checks import check_awaits, check_urls
from fastload.planning.script_text import script_mentions
from fastload.planning.settings import (
    SetThreshold,
    check_set_thresholds,
    check_tables,
    choose_scenarios,
    choose_workers,
    leave_out_foreign,
    leave_out_foreign_metrics,
    merge_thresholds,
    pick_scenarios,
    script_origin,
)
from fastload.planning.tiers import Layer, MergedOptions, Tier, flat, merge_layers, table_of
from fastload.planning.transport import make_http

DEFAULT_GRACEFUL_STOP = "30s"
_OF_SCENARIO = (*LOAD_OPTIONS, *(name for name in SCENARIO_OPTIONS if name != "thresholds"))


@dataclass(frozen=True, slots=True)
class Tiers:
    """Tiers of all sources of options except the script, each list from the lowest to the highest.

    The script overrides *below*, and *above* overrides the script.
    """

    below: Sequence[Tier] = ()
    above: Sequence[Tier] = ()

    @property
    def all(self) -> list[Tier]:
        return [*self.below, *self.above]

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(note for tier in self.all for note in tier.notes)


@dataclass(frozen=True, slots=True)
class Draft:
    """Plan with its sources: the merged options of the run and of each scenario, and who set each threshold.

    *needs_url*: why the plan needs a base URL and has none; a run refuses it then. None if it can do without.
    """

    plan: Plan
    run: MergedOptions
    scenarios: Mapping[str, MergedOptions] = field(repr=False)
    thresholds: Sequence[SetThreshold]
    notes: tuple[str, ...] = ()
    needs_url: PlanError | None = None

    def check_can_run(self) -> None:
        """Check what only a run needs.

        Raises:
            PlanError: there is no base URL, and a request is relative to it.
        """
        if self.needs_url is not None:
            raise self.needs_url


@dataclass(frozen=True, slots=True)
class PlanContext:
    """Inputs of a plan other than options. *http*: settings that the options override. *hooks*: the script's hooks."""

    title: str = ""
    http: HttpSettings | None = None
    hooks: Hooks | None = None


def merge_run_options(tiers: Tiers, script: Layer | None = None) -> MergedOptions:
    """Merge the options of the whole run. *script*: the options of the run that scenarios set, once they are known.

    Raises:
        PlanError: one source gives both a target and a base URL.
    """
    below, above = (
        [Layer(tier.name, _run_options(tier.options), tier.who) for tier in part] for part in (tiers.below, tiers.above)
    )
    run = merge_layers([*below, script or Layer("script", {}), *above])
    if {"target", "base_url"} <= run.values.keys():
        if run.level["target"] == run.level["base_url"]:
            raise PlanError("--target and --base-url exclude each other", hint="the target's address is used")
        loser, winner = sorted(("target", "base_url"), key=run.level.__getitem__)
        if loser == "target" and run.level.get("target_limits", math.inf) <= run.level["target"]:
            run.drop("target_limits", f"{winner} ({run.by(winner)})")
        run.drop(loser, f"{winner} ({run.by(winner)})")
    return run


def draft_plan(found: Sequence[Scenario], tiers: Tiers, around: PlanContext | None = None) -> Draft:
    """Make the plan of the scenarios *found* in a script, with the options of *tiers*.

    Raises:
        PlanError: a mistake that can be found before the first request.
    """
    if not found:
        raise PlanError("there is no scenario to run", hint="write an async function under @fl.scenario")
    with wrong_types_named(*(CallArguments.of(f"scenario {one.name}", one) for one in found)):
        return _draft_plan(found, tiers, around or PlanContext())


def _draft_plan(found: Sequence[Scenario], tiers: Tiers, around: PlanContext) -> Draft:
    run = merge_run_options(tiers)
    chosen = choose_scenarios(found, tiers.all)
    _check_unique([scenario.name for scenario in chosen])
    notes = check_tables([scenario.name for scenario in chosen], found, tiers.all)
    scenarios = pick_scenarios(chosen, run.values.get("scenario", ()))
    run = merge_run_options(tiers, _own_address(scenarios))
    merged = merge_loads({scenario.name: _layers(scenario, tiers) for scenario in scenarios})
    plans = tuple(_scenario_plan(scenario, merged[scenario.name]) for scenario in scenarios)
    _check_order(plans)
    below = [leave_out_foreign_metrics(tier) for tier in tiers.below]
    thresholds = merge_thresholds(scenarios, [tier for tier, _ in below], tiers.above)
    functions = (*(scenario._functions for scenario in scenarios), _async_hooks(around.hooks))
    planned = PlannedTags(
        {one.name: one.tags for one in plans},
        others=[one.name for one in found],
        mentions=script_mentions(function for several in functions for function in several),
    )
    thresholds, foreign = leave_out_foreign(thresholds, planned, tiers.all)
    left_out = (*(note for _, notes_of in below for note in notes_of), *foreign)
    check_set_thresholds(thresholds, planned, tiers.all)
    plan = replace(_plan(run, plans, thresholds, around), notes=left_out)
    functions = (*(scenario._functions for scenario in scenarios), _async_hooks(plan.hooks))
    for called in functions:
        check_awaits(called)
    needs_url = None if plan.base_url or "target" in run.values else _needs_base_url(functions)
    return Draft(plan, run, merged, thresholds, (*tiers.notes, *notes, *left_out), needs_url)


def _own_address(scenarios: Sequence[Scenario]) -> Layer | None:
    """Return the base URL that the scenarios set, as a layer; None without one.

    Raises:
        PlanError: they set different ones.
    """
    stating = [scenario for scenario in scenarios if scenario.base_url]
    if not stating:
        return None
    first = stating[0]
    for other in stating:
        if other.base_url != first.base_url:
            raise PlanError(
                f"scenarios {first.name} and {other.name} state different base URLs: "
                f"{first.base_url}, {other.base_url}",
                hint="run them apart with --scenario, or use absolute URLs in one of them",
            )
    return Layer(script_origin(first), {"base_url": first.base_url})


def on_target(draft: Draft, base_url: str, cpus: tuple[int, ...]) -> Plan:
    """Return the plan for a target that was started for the run. *cpus*: the CPUs left for the workers, () for all."""
    asked = draft.run.values.get("workers")
    workers = choose_workers(asked, draft.plan.max_vus, what="VU", most_workers=len(cpus) or None)
    own_cpus = cpus if asked is None or asked <= len(cpus) else ()
    return replace(draft.plan, base_url=base_url, workers=workers, cpus=own_cpus)


def _plan(
    run: MergedOptions, scenarios: tuple[ScenarioPlan, ...], thresholds: Sequence[SetThreshold], around: PlanContext
) -> Plan:
    values = run.values
    url = values.get("base_url", "")
    plan = Plan(
        kind="run",
        title=around.title or ", ".join(scenario.name for scenario in scenarios),
        scenarios=scenarios,
        workers=1,
        base_url=check_base_url(url, what="base URL") if url else "",
        http=make_http(_of_requests(run), around.http),
        thresholds=tuple(one.threshold for one in thresholds),
        warmup_s=parse_duration_s(values.get("warmup", "0s"), what="warmup"),
        watch=values.get("watch", ()),
        on_worker_loss=values.get("on_worker_loss", "continue"),
        on_no_answer=values.get("on_no_answer", "stop"),
        strict=values.get("strict", False),
        strict_outputs=values.get("strict_outputs", False),
        env=_common_env(run, scenarios),
        seed=operator.index(values.get("seed", random.SystemRandom().getrandbits(32))),
        paused=values.get("paused", False),
        hooks=_hooks(around.hooks, values),
    )
    return replace(plan, workers=choose_workers(values.get("workers"), plan.max_vus, what="VU"))


def _of_requests(run: MergedOptions) -> dict[str, Any]:
    """Return the options of the run, with headers and hosts as tables again if they have entries."""
    headers, hosts = table_of(run, "headers"), table_of(run, "hosts")
    given = {"headers": tuple(headers.values())} if headers else {}
    return {**run.values, **given, **({"hosts": hosts} if hosts else {})}


def _run_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the whole run, with one entry for each environment variable, header and host."""
    own = {name: value for name, value in options.items() if name in RUN_OPTIONS or name == "env"}
    if "headers" in own:
        own["headers"] = {line.partition(":")[0].strip().lower(): line for line in own["headers"]}
    return flat(own, ("env", "headers", "hosts"))


def _layers(scenario: Scenario, tiers: Tiers) -> list[Layer]:
    """Return all layers of *scenario*, from the lowest to the highest."""
    script = Layer(script_origin(scenario), {name: getattr(scenario, name) for name in _OF_SCENARIO})
    return [
        *(_of_scenario(layer) for tier in tiers.below for layer in tier.layers(scenario.name)),
        _of_scenario(script),
        *(_of_scenario(layer) for tier in tiers.above for layer in tier.layers(scenario.name)),
    ]


def _of_scenario(layer: Layer) -> Layer:
    own = {name: value for name, value in layer.options.items() if name in _OF_SCENARIO}
    return replace(layer, options=flat(own, ("tags", "env")))


def _scenario_plan(scenario: Scenario, merged: MergedOptions) -> ScenarioPlan:
    values = merged.values
    with of_scenario(scenario.name):
        return ScenarioPlan(
            name=scenario.name,
            executor=build_executor(parse_load(values, folder=scenario._folder)),
            work=replace(scenario, keep_body=values.get("keep_body"), keep_headers=values.get("keep_headers")),
            graceful_stop_s=_time(values, "graceful_stop", DEFAULT_GRACEFUL_STOP),
            start_s=_time(values, "start_time"),
            after=values.get("after", ""),
            iteration_timeout_s=_time(values, "iteration_timeout"),
            tags=_tags(table_of(merged, "tags")),
            env={name: as_text(value, f"{name!r} in env") for name, value in table_of(merged, "env").items()},
        )


def _time(values: Mapping[str, Any], option: str, default: str = "0s") -> float:
    return parse_duration_s(values.get(option, default), what=option)


def _tags(tags: Mapping[str, Any]) -> dict[str, str]:
    texts = tag_texts(tags)
    check_own_tags(texts)
    return texts


def _common_env(run: MergedOptions, scenarios: Sequence[ScenarioPlan]) -> dict[str, str]:
    """Return the environment of the whole run, without variables for which a scenario has another value."""
    given = {name: as_text(value, f"{name!r} in env") for name, value in table_of(run, "env").items()}
    return {
        name: value for name, value in given.items() if all(scenario.env.get(name) == value for scenario in scenarios)
    }


def _hooks(hooks: Hooks | None, values: Mapping[str, Any]) -> Hooks | None:
    """Return *hooks* without those that ``no_setup`` and ``no_teardown`` switch off, and with the time-outs given."""
    if hooks is None:
        return None
    changed: dict[str, Hook | None] = {}
    for name in ("setup", "teardown"):
        hook: Hook | None = getattr(hooks, name)
        if hook and f"{name}_timeout" in values:
            changed[name] = replace(hook, timeout_s=_time(values, f"{name}_timeout"))
        if values.get(f"no_{name}"):
            changed[name] = None
    return replace(hooks, **changed)


def _needs_base_url(functions: Iterable[Iterable[Callable[..., Any]]]) -> PlanError | None:
    """Return the error of the first request with a relative URL, which the missing base URL makes impossible."""
    try:
        for called in functions:
            check_urls(called)
    except PlanError as error:
        return error
    return None


def _async_hooks(hooks: Hooks | None) -> list[Callable[..., Any]]:
    return [hook.function for hook in (hooks.setup, hooks.teardown) if hook is not None] if hooks else []


def _check_unique(names: Sequence[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise PlanError(f"two scenarios are called {name!r}", hint="give one of them name=...")


def _check_order(plans: Sequence[ScenarioPlan]) -> None:
    """Check that each scenario comes after an existing one, and that no scenario waits for itself."""
    after = {plan.name: plan.after for plan in plans}
    for name, other in after.items():
        if other and other not in after:
            raise PlanError(
                f"{name}: there is no scenario {other!r} to come after",
                hint=nearest(other, after) or f"there are {', '.join(after)}",
            )
    for name in after:
        seen, at = [name], after[name]
        while at:
            seen.append(at)
            if at == name:
                raise PlanError(
                    f"scenarios wait for each other: {' after '.join(seen)}", hint="let one of them begin by itself"
                )
            at = after[at] if at not in seen[:-1] else ""
