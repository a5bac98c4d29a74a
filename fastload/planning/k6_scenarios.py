"""Scenarios of k6: translates the keys of each executor, and stages, into fastload's options of a scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fastload.model.errors import PlanError, nearest
from fastload.model.load_models import EXECUTORS
from fastload.model.units import parse_duration_s
from fastload.planning.k6_values import K6Value, known_entries
from fastload.planning.options import OPTIONS

_COMMON = ("executor", "startTime", "gracefulStop", "exec", "env", "tags", "options")
_OF_EXECUTOR = {
    "shared-iterations": ("vus", "iterations", "maxDuration"),
    "per-vu-iterations": ("vus", "iterations", "maxDuration"),
    "constant-vus": ("vus", "duration"),
    "ramping-vus": ("startVUs", "stages", "gracefulRampDown"),
    "constant-arrival-rate": ("rate", "timeUnit", "duration", "preAllocatedVUs", "maxVUs"),
    "ramping-arrival-rate": ("startRate", "timeUnit", "stages", "preAllocatedVUs", "maxVUs"),
    "externally-controlled": ("vus", "maxVUs", "duration"),
}
_OF_OWN_EXECUTORS = ("vus", "maxVUs", "duration")
_NEEDED = {
    "constant-vus": {"duration": '"30s"'},
    "ramping-vus": {"stages": '[{"duration": "30s", "target": 10}]'},
    "constant-arrival-rate": {"rate": "10", "duration": '"30s"'},
    "ramping-arrival-rate": {"stages": '[{"duration": "30s", "target": 10}]'},
    "externally-controlled": {"duration": '"10m"'},
}
_K6_NAMES = tuple(dict.fromkeys((*_COMMON, *(key for keys in _OF_EXECUTOR.values() for key in keys))))
_OWN_NAMES = tuple(name for name, option in OPTIONS.items() if option.scope != "run" and name not in _K6_NAMES)
# Defaults of k6 that are not fastload's.
_DEFAULTS = {"ramping-vus": {"start_vus": 1}, "shared-iterations": {"iterations": 1}}
_READ: dict[str, tuple[str, Callable[[K6Value], Any]]] = {
    "executor": ("executor", K6Value.text),
    "vus": ("vus", K6Value.whole),
    "iterations": ("iterations", K6Value.whole),
    "startVUs": ("start_vus", lambda one: one.whole(least=0)),
    "preAllocatedVUs": ("vus", lambda one: one.whole(least=0)),
    "maxVUs": ("max_vus", K6Value.whole),
    "env": ("env", K6Value.table),
    "tags": ("tags", K6Value.table),
    "duration": ("duration", K6Value.some_time),
    "maxDuration": ("duration", K6Value.some_time),
    "gracefulRampDown": ("graceful_ramp_down", K6Value.duration),
    "gracefulStop": ("graceful_stop", K6Value.duration),
    "startTime": ("start_time", K6Value.duration),
}
_RATES = {"rate": "rate", "startRate": "start_rate"}
_UNIT_SUFFIX = {1.0: "/s", 60.0: "/m", 3600.0: "/h"}

Target = Callable[[K6Value], Any]
"""Reader of the target of a stage, as fastload writes it."""


def read_scenarios(one: K6Value) -> dict[str, dict[str, Any]]:
    """Return the entries of each scenario of ``scenarios``, under k6's names.

    Raises:
        PlanError: the value is not an object of objects.
    """
    if not isinstance(one.value, Mapping) or not all(isinstance(spec, Mapping) for spec in one.value.values()):
        raise one.refused("is not an object of objects", 'write "scenarios": {"read": {...}}')
    known = (*_K6_NAMES, *_OWN_NAMES)
    return {
        name: known_entries(spec, known, where=f"{one.where}: scenarios.{name}") for name, spec in one.value.items()
    }


def function_of(spec: Mapping[str, Any], where: str) -> str:
    """Return the name of the function that the scenario *spec* runs; "" without one."""
    return K6Value(where, "exec", spec["exec"]).text() if "exec" in spec else ""


def scenario_options(spec: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the options of the scenario with the entries *spec*.

    Raises:
        PlanError: no executor, a key that the executor does not take or needs, or a wrong value.
    """
    executor = _executor(spec, where)
    taken = (*_COMMON, *_OF_EXECUTOR.get(executor, _OF_OWN_EXECUTORS))
    for key, example in _NEEDED.get(executor, {}).items():
        if spec.get(key) in (None, "", []):
            raise PlanError(f"{where}: {executor} needs {key}", hint=f'add "{key}": {example}')
    as_rate = _per(K6Value(where, "timeUnit", spec.get("timeUnit", "1s")))
    options: dict[str, Any] = dict(_DEFAULTS.get(executor, {}))
    for key, value in spec.items():
        one = K6Value(where, key, value)
        if key in _OWN_NAMES:
            options[key] = value
        elif key not in taken:
            raise _not_taken(one, executor, taken)
        elif key in _READ:
            name, read = _READ[key]
            if (found := read(one)) is not None:
                options[name] = found
        elif key in _RATES:
            options[_RATES[key]] = as_rate(one)
        elif key == "stages":
            options["stages"] = stage_texts(one, as_rate if executor == "ramping-arrival-rate" else vus_target)
        elif key == "options" and value:
            raise one.refused("is not supported", "fastload makes requests, and has no browser: leave it out")
    _limit_vus(options, spec, where, executor)
    return options


def vus_target(one: K6Value) -> Any:
    """Return the number of VUs at the end of a stage."""
    return one.whole(least=0)


def stage_texts(one: K6Value, target: Target) -> list[str]:
    """Return k6's stages, ``[{"duration": "30s", "target": 10}]``, as fastload writes them; texts stay as they are."""
    if not isinstance(one.value, list):
        raise one.refused("is no list", 'write "stages": [{"duration": "30s", "target": 10}]')
    return [
        stage if isinstance(stage, str) else _stage_text(stage, f"{one.where}: stage {number}", target)
        for number, stage in enumerate(one.value, 1)
    ]


def _stage_text(stage: Any, where: str, target: Target) -> str:
    names = ("duration", "target")
    found = known_entries(stage, names, where=where) if isinstance(stage, Mapping) else {}
    if found.keys() != set(names):
        shown = K6Value(where, "", stage).shown
        raise PlanError(
            f"{where} is {shown}, and takes an object of duration and target",
            hint='write it like {"duration": "30s", "target": 10}',
        )
    reached = target(K6Value(where, "target", found["target"]))
    if reached is None:
        raise K6Value(where, "target", found["target"]).wrong("a number", "10")
    return f"{K6Value(where, 'duration', found['duration']).duration()}:{reached}"


def _executor(spec: Mapping[str, Any], where: str) -> str:
    executor = spec.get("executor")
    if isinstance(executor, str) and executor in EXECUTORS:
        return executor
    problem = "has no executor" if executor is None else f"has an unknown executor {executor!r}"
    hint = nearest(str(executor or ""), EXECUTORS) or f"give one of {', '.join(EXECUTORS)}"
    raise PlanError(f"{where} {problem}", hint=hint)


def _not_taken(one: K6Value, executor: str, taken: tuple[str, ...]) -> PlanError:
    if one.key in _K6_NAMES:
        return one.refused(f"does not go with {executor}", f"it takes {', '.join(taken)}")
    known = (*taken, *_OWN_NAMES)
    hint = nearest(one.key, known) or f"there are {', '.join(taken)}"
    return PlanError(f"{one.where}: there is no option {one.key!r}", hint=hint)


def _limit_vus(options: dict[str, Any], spec: Mapping[str, Any], where: str, executor: str) -> None:
    """Bound the VUs as k6 does: no more at first than in all, and without ``maxVUs`` no more than at first."""
    most = options.get("max_vus")
    first = options.get("vus", 0)
    if isinstance(most, int) and most < first:
        name = "preAllocatedVUs" if "preAllocatedVUs" in spec else "vus"
        raise PlanError(f"{where}: maxVUs {most} is below {name} {first}", hint=f"raise maxVUs, or lower {name}")
    if options.get("vus") == 0 and most:
        del options["vus"]
    if executor == "externally-controlled" and first:
        options.setdefault("max_vus", first)


def _per(unit: K6Value) -> Target:
    """Return a reader of a number of starts per *unit* of time, as a rate that fastload writes."""
    unit_s = parse_duration_s(unit.duration())
    if unit_s <= 0:
        raise unit.refused("is 0", 'write it like "1s" or "1m"')

    def rate(one: K6Value) -> str | None:
        number = one.number()
        if number is None:
            return None
        if unit_s in _UNIT_SUFFIX:
            return f"{number:f}{_UNIT_SUFFIX[unit_s]}"
        return f"{number / Decimal(repr(unit_s)):f}/s"

    return rate
