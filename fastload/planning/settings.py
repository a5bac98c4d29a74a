"""Settings of the whole run: number of workers, choice of scenarios, and thresholds."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from fastload.control.sampling.host import usable_cpus
from fastload.load.script.scenarios import Scenario, ScenarioFunction, check_function, name_of, where
from fastload.model.errors import PlanError, nearest
from fastload.model.judging.threshold_grammar import VERDICT
from fastload.model.judging.threshold_limits import check_limits
from fastload.model.judging.threshold_tags import PlannedTags, check_filters, foreign_tag, idle_scenario
from fastload.model.judging.thresholds import Threshold, check_grammar, parse_threshold_option, parse_thresholds
from fastload.model.metrics import BUILTIN
from fastload.model.resources import RESOURCE_METRICS
from fastload.model.units import format_number_of
from fastload.model.user_metrics import specs
from fastload.planning.options import is_given
from fastload.planning.tiers import GivenValue, Tier

MOST_WORKERS = 10_000
_TYPING_ERROR = 0.8
"""How similar to a metric of fastload the name of an unknown one is that nobody else declares."""
COMMAND_LINE = "command line"
"""Name of the tier of the options of the command, whose messages name the option instead."""


class SetThreshold(NamedTuple):
    """Threshold, who set it, and the thresholds of lower tiers on the same metric that it replaces."""

    threshold: Threshold
    by: str
    lost: tuple[GivenValue, ...]


def choose_workers(asked: int | None, most: int, *, what: str, most_workers: int | None = None) -> int:
    """Return the number of workers: *asked*, or one for each usable CPU, but never more than *most*.

    *most*: the number of VUs or connections to share; *what* is their name in messages. *most_workers* limits the
    default, not *asked*.

    Raises:
        PlanError: *asked* is below 1, or above *most*.
    """
    if asked is None:
        return max(1, min(usable_cpus(), most, most_workers or most))
    if asked < 1:
        raise PlanError(f"{asked} workers are below 1", hint="give at least 1, or leave it out")
    if asked > MOST_WORKERS:
        raise PlanError("there are more than 10,000 workers", hint="leave it out for one on each CPU")
    if asked > most:
        raise PlanError(
            f"{format_number_of(most, what)} cannot be shared by {format_number_of(asked, 'worker')}",
            hint=f"give {format_number_of(asked, what)}, or fewer workers",
        )
    return operator.index(asked)


def as_scenario(item: Scenario | ScenarioFunction) -> Scenario:
    """Return *item* itself, or a scenario for a bare function.

    Raises:
        PlanError: the function is not an ``async def`` with one argument, the VU.
    """
    if isinstance(item, Scenario):
        return item
    check_function(item)
    return Scenario(item, name_of(item))


def pick_scenarios(found: Sequence[Scenario], patterns: Sequence[str]) -> list[Scenario]:
    """Return the scenarios whose name matches one of *patterns* (``read_*``), in script order; all without patterns.

    Raises:
        PlanError: a pattern matches no scenario.
    """
    names = [scenario.name for scenario in found]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            hint = nearest(pattern, names) or f"there are {', '.join(names)}"
            raise PlanError(f"there is no scenario {pattern!r} in the script", hint=hint)
    return [one for one in found if not patterns or any(fnmatchcase(one.name, pattern) for pattern in patterns)]


def script_origin(scenario: Scenario) -> str:
    """Return the place in the script that sets the scenario's options: its function, or the first of its tasks."""
    return f"script {where(scenario._functions[0])}".rstrip()


def choose_scenarios(found: Sequence[Scenario], tiers: Sequence[Tier]) -> list[Scenario]:
    """Return the scenarios that the highest tier with a choice names (`Tier.chosen`); all of *found* without one.

    Raises:
        PlanError: a chosen scenario names a function that the script does not have.
    """
    choosing = next((tier for tier in reversed(tiers) if tier.chosen is not None), None)
    if choosing is None or choosing.chosen is None:
        return list(found)
    return [_made_of(found, wanted or name, name, choosing.name) for name, wanted in choosing.chosen.items()]


def check_tables(names: Sequence[str], found: Sequence[Scenario], tiers: Sequence[Tier]) -> list[str]:
    """Check that each scenario's table in *tiers* has the name of a scenario: one of *names* or *found*.

    Return notes on unknown names in standing files: these may belong to another script.

    Raises:
        PlanError: a table with an unknown name, unless it may belong to another script.
    """
    notes = []
    known = list(dict.fromkeys((*names, *(scenario.name for scenario in found))))
    for tier in tiers:
        for name in tier.scenarios:
            guess = nearest(name, known)
            if name in known:
                continue
            if not tier.is_project_file or guess:
                raise PlanError(
                    f"{tier.name} [scenarios.{name}]: there is no scenario {name!r} in the script",
                    hint=guess or f"there are {', '.join(known)}",
                )
            notes.append(f"{tier.name}: [scenarios.{name}] has no effect here, there is no such scenario")
    return notes


def thresholds_of(options: Iterable[str]) -> tuple[Threshold, ...]:
    """Return the thresholds of repeated ``--threshold`` options. They may use all metrics that are known now."""
    return tuple(parse_threshold_option(text, specs()) for text in options)


def check_thresholds(thresholds: Sequence[Threshold], planned: PlannedTags) -> None:
    """Check what is known of *thresholds* before the run: that they can hold and fail, and that their tags can exist.

    Raises:
        PlanError: one cannot, or two exclude each other.
    """
    check_limits(thresholds)
    check_filters(thresholds, planned)


def merge_thresholds(scenarios: Sequence[Scenario], below: Sequence[Tier], above: Sequence[Tier]) -> list[SetThreshold]:
    """Merge the thresholds of all tiers. For the same metric, those of a tier replace those of lower tiers.

    A tier with ``no_thresholds`` removes all those of lower tiers.

    Raises:
        PlanError: a threshold is malformed, or its metric does not exist.
    """
    by_metric: dict[str, list[SetThreshold]] = {}
    script = [(one, script_origin(scenario)) for scenario in scenarios for one in _parsed(scenario.thresholds)]
    tiers = [
        *((_thresholds_in(tier, scenarios), _removes_lower(tier)) for tier in below),
        (script, False),
        *((_thresholds_in(tier, scenarios), _removes_lower(tier)) for tier in above),
    ]
    for tier, removes_lower in tiers:
        if removes_lower:
            by_metric.clear()
        lost = {label: _lost(earlier) for label, earlier in by_metric.items()}
        for label in {threshold.label: None for threshold, _ in tier}:
            by_metric[label] = [
                SetThreshold(threshold, by, lost.get(label, ())) for threshold, by in tier if threshold.label == label
            ]
    return [one for several in by_metric.values() for one in several]


def leave_out_foreign(
    thresholds: Sequence[SetThreshold], planned: PlannedTags, tiers: Sequence[Tier], deciding: Collection[str] = ()
) -> tuple[list[SetThreshold], list[str]]:
    """Leave out thresholds on what this run does not have. Return the others, and the notes.

    These are thresholds of project files on scenarios and tags of another script, and those of any source on a
    scenario of the script that the run leaves out, except the sources *deciding*: who chooses the scenarios of a run
    and asks for a threshold on another one contradicts itself. What is nearly that of this script is taken for a
    mistake, and its threshold is kept.
    """
    files = {tier.name for tier in tiers if tier.is_project_file}
    kept, notes = [], []
    for one in thresholds:
        source = _source_of(one)
        missing = foreign_tag(one.threshold, planned) if source in files else ""
        if idle := idle_scenario(one.threshold, planned) if source not in deciding else "":
            missing = f"the run leaves out scenario {idle!r}"
        if missing:
            notes.append(_no_effect(one.by, one.threshold.label, missing))
        else:
            kept.append(one)
    return kept, list(dict.fromkeys(notes))


def deciding_sources(below: Sequence[Tier], above: Sequence[Tier]) -> set[str]:
    """Return the sources of thresholds that choose the scenarios of the run, or override the choice.

    Tiers *below* the script are not among them: they are for all runs.
    """
    tiers = [*below, *above]
    choosing = [
        at for at, tier in enumerate(tiers) if tier.chosen is not None or is_given(tier.options.get("scenario"))
    ]
    first = max(len(below), choosing[-1] if choosing else 0)
    return {tier.who.get("thresholds", tier.name) for tier in tiers[first:]}


def _source_of(one: SetThreshold) -> str:
    return one.by.partition(" [scenarios.")[0]


def leave_out_foreign_metrics(tier: Tier) -> tuple[Tier, list[str]]:
    """Leave out thresholds of a project file on metrics of another script. Return the rest of *tier*, and the notes.

    What is nearly a metric of fastload's own is taken for a mistake, and kept.

    Raises:
        PlanError: an expression is none, whatever the metric is.
    """
    given = tier.options.get("thresholds")
    if not tier.is_project_file or not isinstance(given, Mapping):
        return tier, []
    known, kept, notes = specs(), {}, []
    for key, expressions in given.items():
        metric = _metric_of(key)
        if metric in known or difflib.get_close_matches(
            metric, (*BUILTIN, *RESOURCE_METRICS, VERDICT), 1, _TYPING_ERROR
        ):
            kept[key] = expressions
        else:
            guess = nearest(metric, known)
            with _named(tier.who.get("thresholds", tier.name)):
                check_grammar(str(key), expressions)
            notes.append(_no_effect(tier.name, str(key), f"this script has no such metric{guess and f': {guess}'}"))
    return replace(tier, options={**tier.options, "thresholds": kept}), notes


def _metric_of(key: Any) -> str:
    return str(key).partition("{")[0].strip()


def _no_effect(by: str, label: str, why: str) -> str:
    return f"{by}: the threshold on {label} has no effect here, {why}"


def check_set_thresholds(thresholds: Sequence[SetThreshold], planned: PlannedTags, tiers: Sequence[Tier]) -> None:
    """Check *thresholds* as `check_thresholds` does. An error names the file or variable that sets the threshold.

    Raises:
        PlanError: an error of `check_thresholds`.
    """
    sources = {tier.who.get("thresholds", tier.name) for tier in tiers}
    for one in thresholds:
        with _named(one.by if _source_of(one) in sources else ""):
            check_thresholds([one.threshold], planned)
    for label in dict.fromkeys(one.threshold.label for one in thresholds):
        same = [one for one in thresholds if one.threshold.label == label]
        files = {one.by: None for one in same if one.by.partition(" [scenarios.")[0] in sources}
        with _named(" and ".join(files)):
            check_limits(one.threshold for one in same)


def _removes_lower(tier: Tier) -> bool:
    return bool(tier.options.get("no_thresholds"))


def _lost(replaced: Sequence[SetThreshold]) -> tuple[GivenValue, ...]:
    return (
        *(replaced[0].lost if replaced else ()),
        *(GivenValue(one.threshold.expression, one.by) for one in replaced),
    )


def _thresholds_in(tier: Tier, scenarios: Sequence[Scenario]) -> list[tuple[Threshold, str]]:
    """Return the thresholds of *tier* for the whole run and for *scenarios*, each with who set it."""
    by = tier.who.get("thresholds", tier.name)
    found = [(one, by) for one in _parsed(tier.options.get("thresholds"), by=by)]
    for scenario in scenarios:
        by = f"{tier.name} [scenarios.{scenario.name}]"
        found += [(one, by) for one in _parsed(tier.scenarios.get(scenario.name, {}).get("thresholds"), by=by)]
    return found


def _parsed(spec: Any, *, by: str = "") -> tuple[Threshold, ...]:
    """Return the thresholds of *spec*. *by*: the file or variable that says them, for messages."""
    if not is_given(spec):
        return ()
    with _named(by):
        return thresholds_of(spec) if isinstance(spec, tuple) else parse_thresholds(spec, specs())


@contextmanager
def _named(by: str) -> Iterator[None]:
    """Put *by*, the file or variable that says a threshold, in front of the message of an error."""
    try:
        yield
    except PlanError as error:
        if not by or by == COMMAND_LINE:
            raise
        raise PlanError(f"{by}: {error.message}", hint=error.hint) from error


def _made_of(found: Sequence[Scenario], wanted: str, name: str, file: str) -> Scenario:
    by_name = {name_of(scenario.function): scenario for scenario in found} | {one.name: one for one in found}
    if wanted in by_name:
        return replace(by_name[wanted], name=name)
    if len(found) == 1 and wanted in (name, "default"):
        return replace(found[0], name=name)
    raise PlanError(
        f"{file}: scenarios.{name}: there is no scenario {wanted!r} in the script",
        hint=nearest(wanted, by_name) or f'give "exec" one of {", ".join(by_name)}',
    )
