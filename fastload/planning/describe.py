"""Description of a draft as plain data, with who set each value: the output of ``fastload plan``."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastload.load.executors.base import ExecutionSegment
from fastload.load.executors.open_model import OpenSpec, arrivals_of, rate_curve
from fastload.load.script.scenarios import Scenario, name_of, where
from fastload.model.hooks import Hooks
from fastload.model.http_settings import without_credentials
from fastload.model.load_models import (
    ConstantArrivalRate,
    Executor,
    PerVUIterations,
    RampingArrivalRate,
    SharedIterations,
    Trace,
    describe_executor,
)
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.user_metrics import declared
from fastload.outputs.streams.registry import text_without_secrets
from fastload.planning.draft import DEFAULT_GRACEFUL_STOP, Draft
from fastload.planning.options import OPTIONS
from fastload.planning.tiers import GivenValue, MergedOptions

DEFAULT, BY_CHANCE = "default", "by chance"
_ORDER = {name: number for number, name in enumerate(("executor", "shape", *OPTIONS))}
_HIDDEN = ("env", "headers", "auth", "key_password", "key")


@dataclass(frozen=True, slots=True)
class Origin:
    """Origin of an option: its value and who set it.

    *scenario*: "" for the whole run or all its scenarios. *value*: None if the option was removed. *lost*: the values
    that have no effect.
    """

    scenario: str
    option: str
    value: str | None
    by: str
    lost: tuple[GivenValue, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        lost = [{"value": given.value, "set_by": given.by} for given in self.lost]
        named = {"scenario": self.scenario, "option": self.option}
        return {**named, "value": self.value, "set_by": self.by, "overridden": lost}


def describe_draft(draft: Draft, *, target: str = "") -> dict[str, Any]:
    """Return everything that is known of a run before it begins, without the values of environment and headers.

    *target* is the name of a shipped target that will be started for the run.
    """
    plan = draft.plan
    return {
        "title": plan.title,
        "base_url": without_credentials(plan.base_url),
        "target": target,
        "duration_s": plan.duration_s,
        "longest_s": plan.longest_s,
        "warmup_s": plan.warmup_s,
        "max_vus": plan.max_vus,
        "workers": plan.workers,
        "vus_per_worker": -(-plan.max_vus // plan.workers),
        "seed": plan.seed,
        "paused": plan.paused,
        "scenarios": [_scenario(plan, scenario) for scenario in plan.scenarios],
        "thresholds": [one.text for one in plan.thresholds],
        "metrics": [
            {"name": name, "kind": metric.spec.kind.value, "unit": metric.spec.unit}
            for name, metric in declared().items()
        ],
        "hooks": _hooks(plan.hooks),
        "options": [origin.to_dict() for origin in origins(draft)],
        "notes": [*draft.notes, *_why_not(draft)],
    }


def _why_not(draft: Draft) -> list[str]:
    error = draft.needs_url
    return [f"run would refuse this: {error.message}; {error.hint}"] if error is not None else []


def origins(draft: Draft) -> list[Origin]:
    """Return the origin of each option, in the order of the documentation; first those that all scenarios share."""
    of_scenarios = {plan.name: _of_scenario(plan, draft.scenarios[plan.name]) for plan in draft.plan.scenarios}
    rows = _merged(of_scenarios)
    rows += _of_run(draft.plan, draft.run)
    for one in draft.thresholds:
        rows.append(Origin("", f"thresholds.{one.threshold.label}", one.threshold.expression, one.by, one.lost))
    return rows


def _scenario(plan: Plan, scenario: ScenarioPlan) -> dict[str, Any]:
    starts = expected_starts(scenario.executor)
    counts = {} if starts is None else {"iterations": starts}
    if isinstance(scenario.executor, OpenSpec):
        counts["starts_per_s_per_worker"] = _mean_rate(scenario.executor) / plan.workers
    return {
        "name": scenario.name,
        "about": _about(scenario.work),
        "executor": scenario.executor.name,
        "model": "open" if scenario.is_open else "closed",
        "description": scenario.executor.describe(),
        "max_vus": scenario.executor.max_vus,
        "load": describe_executor(scenario.executor),
        "starts_at_s": plan.start_s(scenario),
        "after": scenario.after,
        "ends_at_s": plan.end_s(scenario),
        "ends_at_the_latest_s": plan.end_s(scenario) + scenario.graceful_stop_s,
        "graceful_stop_s": scenario.graceful_stop_s,
        "iteration_timeout_s": scenario.iteration_timeout_s,
        "tags": scenario.tags,
        **counts,
        **_functions(scenario.work),
    }


def _about(work: Scenario) -> str:
    """Return the first paragraph of the docstring of the scenario's function."""
    text = inspect.getdoc(getattr(work.function, "func", work.function)) or ""
    return " ".join(text.partition("\n\n")[0].split())


def expected_starts(executor: Executor) -> float | None:
    """Return how many iterations *executor* starts if the target keeps up; None if that depends on the target.

    Starts at random times have a fraction: it is their mean number.
    """
    if isinstance(executor, ConstantArrivalRate | RampingArrivalRate):
        if executor.arrivals != "constant":
            return rate_curve(executor).total
        return arrivals_of(executor, ExecutionSegment()).count_left()
    if isinstance(executor, Trace):
        return executor.starts
    if isinstance(executor, PerVUIterations):
        return executor.iterations * executor.vus
    return executor.iterations if isinstance(executor, SharedIterations) else None


def _mean_rate(executor: OpenSpec) -> float:
    starts = executor.starts if isinstance(executor, Trace) else rate_curve(executor).total
    return starts / executor.duration_s


def _functions(work: Scenario) -> dict[str, Any]:
    tasks: Mapping[Any, float] = work.tasks or {work.function: 1}
    total = sum(tasks.values())
    return {
        "functions": [
            {
                "name": name_of(getattr(task, "function", task)),
                "where": where(getattr(task, "function", task)),
                "weight": weight,
                "share": weight / total,
            }
            for task, weight in tasks.items()
        ],
        "hooks": {
            kind: name_of(hook)
            for kind, hook in (("on_start", work.on_start), ("on_stop", work.on_stop))
            if hook is not None
        },
    }


def _hooks(hooks: Hooks | None) -> dict[str, str]:
    found = {name: getattr(hooks, name) for name in Hooks.names()} if hooks else {}
    return {name: name_of(hook.function) for name, hook in found.items() if hook is not None}


def _of_scenario(plan: ScenarioPlan, merged: MergedOptions) -> list[Origin]:
    rows = {
        "executor": Origin("", "executor", plan.executor.name, _implied_by(merged)),
        "graceful_stop": Origin("", "graceful_stop", DEFAULT_GRACEFUL_STOP, DEFAULT),
    }
    figures = describe_executor(plan.executor)
    for name in ("vus", "iterations", "max_vus", "when_busy", "arrivals"):
        if name in figures:
            rows[name] = Origin("", name, _shown(name, figures[name]), DEFAULT)
    rows |= {row.option: row for row in _rows(merged)}
    return sorted(rows.values(), key=lambda row: _ORDER.get(row.option.partition(".")[0], len(_ORDER)))


def _implied_by(merged: MergedOptions) -> str:
    """Return the origin of an executor that no option names: the option that implies it, or the default."""
    deciding = [
        name for name in ("trace", "shape", "stages", "rate", "iterations", "duration") if name in merged.values
    ]
    return f"from {deciding[0]}" if deciding else DEFAULT


def _of_run(plan: Plan, merged: MergedOptions) -> list[Origin]:
    timeout = f"{plan.http.timeout_s:g}s"
    rows = {
        "workers": Origin("", "workers", str(plan.workers), DEFAULT),
        "seed": Origin("", "seed", str(plan.seed), BY_CHANCE),
        "timeout": Origin("", "timeout", timeout, DEFAULT),
    }
    # The environment is shown with the scenarios, because a scenario may have another value for a variable.
    rows |= {row.option: row for row in _rows(merged) if not row.option.startswith("env.")}
    return sorted(rows.values(), key=lambda row: _ORDER.get(row.option.partition(".")[0], len(_ORDER)))


def _rows(merged: MergedOptions) -> Iterable[Origin]:
    for option in (*merged.values, *merged.removed_by):
        lost = tuple(GivenValue(_shown(option, given.value), given.by) for given in merged.lost.get(option, ()))
        if option in merged.values:
            yield Origin("", option, _shown(option, merged.values[option]), merged.by(option), lost)
        else:
            yield Origin("", option, None, merged.removed_by[option], lost)


def _merged(of_scenarios: Mapping[str, list[Origin]]) -> list[Origin]:
    """Return the rows that all scenarios share, once each, and then the other rows of each scenario."""
    first, *others = of_scenarios.values()
    common = [row for row in first if all(row in rows for rows in others)]
    return common + [
        replace(row, scenario=name if others else "")
        for name, rows in of_scenarios.items()
        for row in rows
        if row not in common
    ]


def _shown(option: str, value: Any) -> str:
    """Return *value* as a short text, without secrets."""
    if option.partition(".")[0] in _HIDDEN:
        return "(not shown)"
    if option in ("base_url", "proxy"):
        return without_credentials(value)
    if option == "out":
        return ", ".join(text_without_secrets(text) for text in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if callable(value):
        return name_of(value)
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, tuple) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return f"a {type(value).__name__}"
