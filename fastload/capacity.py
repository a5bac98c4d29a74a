"""The same as ``fastload capacity``, from a script: `find_capacity`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from pathlib import Path

from fastload.load.script.scenarios import Scenario, ScenarioFunction
from fastload.model.argument_types import CallArguments, wrong_types_named
from fastload.model.capacity.settings import By
from fastload.model.http_settings import HttpSettings
from fastload.model.judging.thresholds import Threshold, ThresholdSpec
from fastload.model.plan import Plan
from fastload.model.summary import Summary
from fastload.outputs.base import Output
from fastload.planning.capacity import capacity_plan, checked_most_vus, search_settings, shared_vus
from fastload.runner import OnInterrupt, run, run_given


def find_capacity(
    *scenarios: Scenario | ScenarioFunction,
    slo: ThresholdSpec | None = None,
    by: By = "rate",
    first: str | float | None = None,
    up_to: str | float | None = None,
    at_least: str | float | None = None,
    precision: float = 0.05,
    step: str = "8s",
    settle: str = "1s",
    within: str = "5m",
    max_vus: int | None = None,
    base_url: str = "",
    workers: int | None = None,
    warmup: str | None = None,
    seed: int | None = None,
    tags: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    watch: Iterable[str | int] = (),
    http: HttpSettings | None = None,
    on_interrupt: OnInterrupt = "raise",
    config: str | Path | None = None,
    outputs: Sequence[Output] = (),
    out: Iterable[str] = (),
    save: str | Path | None = None,
    html: str | Path | None = None,
) -> Summary:
    """Find the highest load whose responses still meet the objectives, and return the summary of the search.

    ``summary.capacity`` has the answer: the capacity with its interval, and all steps. The load doubles until an
    objective breaks; then the search narrows down between the last good and the first bad load, and confirms what it
    found. The load that the scenarios ask for says only how the load is shared among them.

    Args:
        scenarios: functions with ``@fl.scenario``, or bare ``async def`` ones; they run at the same time.
        slo: the objectives, written like thresholds; by default the scenarios' thresholds, else p99 under 3 times that
            of the lightest step and fewer than 1 % failed.
        by: what the search drives: "rate" (starts per second, open model) or "vus" (closed model).
        first, up_to: the lightest and the heaviest load, like "10/s", or a number of VUs.
        at_least: the capacity that the search must show for the summary to have ``passed``.
        precision: how close the answer is to be, as a share of it, 0.01 to 0.5.
        step, settle: the longest time to measure a step, and the time before that which does not count.
        within: the longest time of the search.
        max_vus: the most VUs when going by the rate; 1000 by default.
        base_url, workers, warmup, seed, tags, env, watch, http, on_interrupt, config, outputs, out, save, html: as of
            `run`.

    Raises:
        PlanError: anything that can be known to be wrong before the first request.
        KeyboardInterrupt: as of `run`; what was found so far is in its ``summary``.
    """
    given = dict(locals())
    with wrong_types_named(
        CallArguments("fl.find_capacity", find_capacity, {name: given[name] for name in given if name != "scenarios"})
    ):
        search = search_settings(
            by=by,
            first=first,
            most=up_to,
            at_least=at_least,
            precision=precision,
            step=step,
            settle=settle,
            within=within,
        )
        most_vus = checked_most_vus(max_vus, "fl.find_capacity: max_vus")
    defaults = {name: one.default for name, one in signature(run).parameters.items()}
    return run_given(
        "fl.find_capacity",
        run,
        {name: given.get(name, default) for name, default in defaults.items()} | {"max_vus": None, "thresholds": slo},
        lambda plan: capacity_plan(plan, search, asked=_asked(plan, slo), max_vus=most_vus),
        shared_vus(search, most_vus),
    )


def _asked(plan: Plan, slo: ThresholdSpec | None) -> list[Threshold]:
    """Return the thresholds of *plan* that are on the metrics of *slo*, which replaces others on them."""
    return [threshold for threshold in plan.thresholds if threshold.label in (slo or {})]
