"""Comparability of runs: reasons to refuse a comparison, and warnings for its readers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from fastload.model.compare.batches import BatchedRun
from fastload.model.compare.capacities import is_search
from fastload.model.load_changes import LoadChange, count_changes
from fastload.model.units import format_bytes, format_count, format_duration_s

_SAME_DURATION = 0.1
_SAME_MEMORY = 0.01
_MACHINE = {
    "cpu_model": "CPU",
    "cpus": "CPUs",
    "usable_cpus": "usable CPUs",
    "memory_total_bytes": "memory",
    "kernel_release": "kernel",
}
_NO_MATTER_FOR_LOAD = ("graceful_stop_s", "tags")
_SET_BY_SEARCH = ("vus", "rate_per_s", "duration_s")
_SEARCH_SETTINGS = ("first", "most", "precision", "settle_s", "step_s")
_BY_CHANCE = ("user_agent",)
_DOUBTS = {
    "INVALID": " ({its} latencies say more about the machine that made the load than about the target)",
    "SUSPECT": "",
}
_NAMED_AT_MOST = 2


class _Contrast(NamedTuple):
    """Difference between two runs: *what* differs, and its value in the first and in a later run, as shown."""

    what: str
    one: str
    other: str


@dataclass(frozen=True, slots=True)
class ComparabilityIssues:
    """Reasons against a comparison, as sentences, each once.

    *refusals* are differences between the plans: with these a comparison says nothing about the target. *warnings* are
    other possible causes of a difference between the figures.
    """

    refusals: tuple[str, ...]
    warnings: tuple[str, ...]


def find_issues(runs: Sequence[BatchedRun]) -> ComparabilityIssues:
    """Return the issues of comparing each of *runs* with the first run."""
    first, *others = runs
    alone = [*_verdict_warnings(runs), *(text for run in runs for text in (*_unfinished(run), *_load_changes(run)))]
    refusals = listed(first, {run.name: [*_load_contrasts(first, run)] for run in others})
    found = {
        run.name: [
            *_setting_contrasts(first, run),
            *_machines(first, run),
            *_versions(first, run),
            *_durations(first, run),
        ]
        for run in others
    }
    return ComparabilityIssues(tuple(refusals), (*alone, *listed(first, found)))


def listed(first: BatchedRun, contrasts: Mapping[str, Iterable[_Contrast]]) -> list[str]:
    """Return *contrasts* (by name of the later run) in words. A contrast that several runs share is listed once."""
    names: dict[_Contrast, list[str]] = {}
    for name, found in contrasts.items():
        for contrast in found:
            names.setdefault(contrast, []).append(name)
    return [
        f"{contrast.what}: {contrast.one} in {first.name}, {contrast.other} in {among[0]}"
        + (f" and {len(among) - 1} more" if len(among) > 1 else "")
        for contrast, among in names.items()
    ]


def _verdict_warnings(runs: Sequence[BatchedRun]) -> Iterable[str]:
    """Yield warnings about INVALID and SUSPECT runs. Many runs of one state have one warning together."""
    for state, meaning in _DOUBTS.items():
        found = [run for run in runs if run.state == state]
        if len(found) <= _NAMED_AT_MOST:
            for run in found:
                yield f"{run.name} is {state}{meaning.format(its='its')}: {_reason(run)}"
        else:
            meant = meaning.format(its="their")
            yield f"{len(found)} of {len(runs)} runs are {state}{meant}: {_reason(found[0])} in {found[0].name}"


def _reason(run: BatchedRun) -> str:
    return str(next(iter(run.summary["verdict"]["reasons"]), "no reason is told"))


def _unfinished(run: BatchedRun) -> Iterable[str]:
    after = format_duration_s(round(run.duration_s, 1))
    if not run.complete:
        yield f"{run.name} is truncated: its file has the first {after} of it"
    elif run.summary.get("stopped_by"):
        yield f"{run.name} did not come to its end: it was stopped after {after} ({run.summary['stopped_by']})"


def _load_changes(run: BatchedRun) -> Iterable[str]:
    """Yield a warning if somebody changed the load of *run* while it lasted: its plan is then not what ran."""
    told = run.summary.get("load_changes", ())
    changes = [LoadChange.from_plain(change) for change in told]
    if changes:
        last = f"{changes[-1].text} {changes[-1].when}"
        count = count_changes(changes)
        times = f"{format_count(count)} times, last " if count > 1 else ""
        yield f"the load of {run.name} was changed while it ran: {times}{last}"


def _load_contrasts(a: BatchedRun, b: BatchedRun) -> Iterable[_Contrast]:
    """Yield the differences between the loads of the plans."""
    plan_a, plan_b = a.header.plan, b.header.plan
    if is_search(a) != is_search(b):
        yield _contrast("kind of run", *("a search for the capacity" if is_search(run) else "a load" for run in (a, b)))
    search_a, search_b = plan_a.get("capacity") or {}, plan_b.get("capacity") or {}
    for key, what in (("by", "what the search drives"), ("objectives", "objectives")):
        if search_a and search_b and search_a.get(key) != search_b.get(key):
            yield _contrast(what, _texts(search_a.get(key)), _texts(search_b.get(key)))
    for key, what in (("kind", "command"), ("title", "test"), ("base_url", "path of the base URL")):
        read = {"title": _title, "base_url": _path}.get(key, str)
        one, other = read(str(plan_a.get(key, ""))), read(str(plan_b.get(key, "")))
        if one != other:
            yield _contrast(what, one or "/", other or "/")
    scenarios_a, scenarios_b = _scenarios(plan_a), _scenarios(plan_b)
    if list(scenarios_a) != list(scenarios_b):
        yield _contrast("scenarios", ", ".join(scenarios_a), ", ".join(scenarios_b))
        return
    for name, load in scenarios_a.items():
        where = f"{name}: " if len(scenarios_a) > 1 else ""
        for key, one, other in _changes(load, scenarios_b[name]):
            # A search sets the load itself.
            if key not in _NO_MATTER_FOR_LOAD and not (is_search(a) and is_search(b) and key in _SET_BY_SEARCH):
                yield _contrast(f"{where}{key}", one, other)


def _setting_contrasts(a: BatchedRun, b: BatchedRun) -> Iterable[_Contrast]:
    """Yield the differences between settings that may matter, but often are the subject of a comparison."""
    plan_a, plan_b = a.header.plan, b.header.plan
    for key in ("workers", "warmup_s", "env"):
        if plan_a.get(key) != plan_b.get(key):
            yield _contrast(key, plan_a.get(key), plan_b.get(key))
    if is_search(a) and is_search(b):
        yield from _search_contrasts(a, b)
    host_a, host_b = (_split(str(plan.get("base_url", ""))).hostname or "" for plan in (plan_a, plan_b))
    if host_a != host_b:
        yield _contrast("host", host_a, host_b)
    http_a, http_b = plan_a.get("http", {}), plan_b.get("http", {})
    for key, one, other in _changes(http_a, http_b):
        # A setting that one of the two versions did not have yet is no difference between the runs.
        if key not in _BY_CHANCE and key in http_a and key in http_b:
            yield _contrast(f"http {key}", one, other)
    scenarios_b = _scenarios(plan_b)
    for name, load in _scenarios(plan_a).items():
        for key, one, other in _changes(load, scenarios_b.get(name, load)):
            if key in _NO_MATTER_FOR_LOAD:
                yield _contrast(f"{name}: {key}", one, other)


def _search_contrasts(a: BatchedRun, b: BatchedRun) -> Iterable[_Contrast]:
    """Yield the differences between two capacity searches for the same."""
    search_a, search_b = a.header.plan["capacity"], b.header.plan["capacity"]
    for key in _SEARCH_SETTINGS:
        if search_a.get(key) != search_b.get(key):
            yield _contrast(f"search: {key}", search_a.get(key), search_b.get(key))
    told_a, told_b = ((run.summary.get("capacity") or {}).get("objectives") for run in (a, b))
    # Without objectives they follow from the lightest step.
    if not search_a.get("objectives") and told_a != told_b:
        yield _contrast("objectives", _texts(told_a), _texts(told_b))


def _machines(a: BatchedRun, b: BatchedRun) -> Iterable[_Contrast]:
    for key, what in _MACHINE.items():
        one, other = a.header.machine.get(key), b.header.machine.get(key)
        if key == "memory_total_bytes" and one and other:
            if math.isclose(one, other, rel_tol=_SAME_MEMORY):
                continue
            one, other = format_bytes(one), format_bytes(other)
        if one != other:
            yield _contrast(f"another machine: {what}", one, other)


def _versions(a: BatchedRun, b: BatchedRun) -> Iterable[_Contrast]:
    for name, one, other in _changes(a.header.versions, b.header.versions):
        yield _contrast(f"version of {name}", one, other)


def _durations(a: BatchedRun, b: BatchedRun) -> Iterable[_Contrast]:
    if is_search(a) and is_search(b):
        # How long a search takes is up to chance.
        return
    if not math.isclose(a.duration_s, b.duration_s, rel_tol=_SAME_DURATION):
        one, other = (format_duration_s(round(run.duration_s, 1)) for run in (a, b))
        yield _contrast("measured time", one, other)


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    for key in dict.fromkeys((*a, *b)):
        if a.get(key) != b.get(key):
            yield key, a.get(key), b.get(key)


def _scenarios(plan: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(one["name"]): one for one in plan.get("scenarios", ())}


def _title(title: str) -> str:
    """Return the title of a test without locations: the file name of a script, or a URL without its host."""
    words = [_path(word) or "/" if "://" in word else word for word in title.split()]
    return " ".join(words) if len(words) > 1 else PurePath(title).name


def _split(url: str) -> SplitResult:
    """Return the parts of *url*; of what is no URL, all of it as its path."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", url, "", "")


def _path(url: str) -> str:
    parts = _split(url)
    return parts.path.rstrip("/") + (f"?{parts.query}" if parts.query else "")


def _texts(value: Any) -> Any:
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _contrast(what: str, one: Any, other: Any) -> _Contrast:
    return _Contrast(what, _shown(one), _shown(other))


def _shown(value: Any) -> str:
    if value in (None, "", [], {}, ()):
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
