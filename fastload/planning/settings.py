"""The options of the whole run: what every request is like, how many workers, which scenarios, what must hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from fastload.control.sampling.host import usable_cpus
from fastload.load.script.scenarios import Scenario, ScenarioFunction, check_function, name_of, where
from fastload.model.errors import PlanError, nearest
from fastload.model.judging.thresholds import Threshold, parse_threshold_option, parse_thresholds
from fastload.model.units import format_number_of
from fastload.model.user_metrics import specs
from fastload.planning.options import is_given
from fastload.planning.tiers import GivenValue, Tier


class SetThreshold(NamedTuple):
    """A threshold and who set it, and what lower tiers say of the same metric without effect."""

    threshold: Threshold
    by: str
    lost: tuple[GivenValue, ...]


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


def as_scenario(item: Scenario | ScenarioFunction) -> Scenario:
    """*item* itself, or a scenario of a bare function.

    Raises:
        PlanError: it is not an ``async def`` of one VU.
    """
    if isinstance(item, Scenario):
        return item
    check_function(item)
    return Scenario(item, name_of(item))


def pick_scenarios(found: Sequence[Scenario], patterns: Sequence[str]) -> list[Scenario]:
    """The scenarios whose name matches one of *patterns* (``read_*``), in the order of the script; all without one.

    Raises:
        PlanError: a pattern matches none.
    """
    names = [scenario.name for scenario in found]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            hint = nearest(pattern, names) or f"there are {', '.join(names)}"
            raise PlanError(f"there is no scenario {pattern!r} in the script", hint=hint)
    return [one for one in found if not patterns or any(fnmatchcase(one.name, pattern) for pattern in patterns)]


def script_origin(scenario: Scenario) -> str:
    """Where the script says what the scenario's options are: its function, or the first of its tasks."""
    return f"script {where(scenario.functions[0])}".rstrip()


def choose_scenarios(found: Sequence[Scenario], tiers: Sequence[Tier]) -> list[Scenario]:
    """The scenarios that the highest tier which chooses wants, under its names; all of *found* if none chooses.

    Raises:
        PlanError: one is to be made of a function that the script does not have.
    """
    choosing = next((tier for tier in reversed(tiers) if tier.chosen is not None), None)
    if choosing is None or choosing.chosen is None:
        return list(found)
    return [_made_of(found, wanted or name, name, choosing.name) for name, wanted in choosing.chosen.items()]


def check_tables(names: Sequence[str], found: Sequence[Scenario], tiers: Sequence[Tier]) -> list[str]:
    """That every table of a scenario belongs to one of *names* or *found*. Returns notes on those of standing files
    that may belong to another script.

    Raises:
        PlanError: there is no scenario of that name.
    """
    notes = []
    known = list(dict.fromkeys((*names, *(scenario.name for scenario in found))))
    for tier in tiers:
        for name in tier.scenarios:
            guess = nearest(name, known)
            if name in known:
                continue
            if not tier.is_standing or guess:
                raise PlanError(
                    f"{tier.name} [scenarios.{name}]: there is no scenario {name!r} in the script",
                    hint=guess or f"there are {', '.join(known)}",
                )
            notes.append(f"{tier.name}: [scenarios.{name}] has no effect here, there is no such scenario")
    return notes


def thresholds_of(options: Iterable[str]) -> tuple[Threshold, ...]:
    """The thresholds of repeated ``--threshold`` options, against every metric known now."""
    return tuple(parse_threshold_option(text, specs()) for text in options)


def settle_thresholds(
    scenarios: Sequence[Scenario], below: Sequence[Tier], above: Sequence[Tier]
) -> list[SetThreshold]:
    """The thresholds of all tiers. They add up, but what a tier says of a metric replaces what lower ones say of it.

    Raises:
        PlanError: one is malformed, or there is no such metric.
    """
    by_metric: dict[str, list[SetThreshold]] = {}
    script = [(one, script_origin(scenario)) for scenario in scenarios for one in _parsed(scenario.thresholds)]
    tiers = [
        *(_thresholds_in(tier, scenarios) for tier in below),
        script,
        *(_thresholds_in(tier, scenarios) for tier in above),
    ]
    for tier in tiers:
        lost = {label: _lost(earlier) for label, earlier in by_metric.items()}
        for label in {threshold.label: None for threshold, _ in tier}:
            by_metric[label] = [
                SetThreshold(threshold, by, lost.get(label, ())) for threshold, by in tier if threshold.label == label
            ]
    return [one for several in by_metric.values() for one in several]


def _lost(replaced: Sequence[SetThreshold]) -> tuple[GivenValue, ...]:
    return (
        *(replaced[0].lost if replaced else ()),
        *(GivenValue(one.threshold.expression, one.by) for one in replaced),
    )


def _thresholds_in(tier: Tier, scenarios: Sequence[Scenario]) -> list[tuple[Threshold, str]]:
    """What *tier* says for all and of those *scenarios*, and who says it."""
    found = [(one, tier.who.get("thresholds", tier.name)) for one in _parsed(tier.options.get("thresholds"))]
    for scenario in scenarios:
        own = _parsed(tier.scenarios.get(scenario.name, {}).get("thresholds"))
        found += [(one, f"{tier.name} [scenarios.{scenario.name}]") for one in own]
    return found


def _parsed(spec: Any) -> tuple[Threshold, ...]:
    if not is_given(spec):
        return ()
    return thresholds_of(spec) if isinstance(spec, tuple) else parse_thresholds(spec, specs())


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
