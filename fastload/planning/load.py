"""The load of each scenario: which options of lower tiers stay, and what they are in numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fastload.load.script.trace_files import read_trace
from fastload.model.errors import PlanError, nearest
from fastload.model.load_options import LoadOptions, meant_executor, taken_by
from fastload.model.units import (
    is_rate_stage,
    parse_duration_s,
    parse_rate_per_s,
    parse_rate_stage,
    parse_stage,
)
from fastload.planning.options import LOAD_OPTIONS, OPTIONS, is_given
from fastload.planning.tiers import Layer, MergedOptions, merge_layers

# What each option takes away from what lower tiers say.
_REPLACES = {
    "duration": {"iterations", "stages", "start_rate"},
    "iterations": {"duration", "stages", "rate", "start_rate", "trace", "shape"},
    "stages": {"vus", "duration", "iterations", "rate", "start_rate", "trace", "shape"},
    "rate": {"iterations", "stages", "start_rate", "trace", "shape"},
    "trace": {"duration", "iterations", "stages", "rate", "start_rate", "shape"},
    "shape": {"duration", "iterations", "stages", "rate", "start_rate", "trace"},
    "vus": {"start_vus"},
}
# The executors that a lower tier may name and that stay when a higher one gives this option.
_KEEPS_EXECUTOR = {
    "duration": {"constant-vus", "constant-arrival-rate", "trace", "shape", "externally-controlled"},
    "iterations": {"shared-iterations", "per-vu-iterations"},
    "stages": {"ramping-vus", "ramping-arrival-rate"},
    "rate": {"constant-arrival-rate", "externally-controlled"},
    "trace": {"trace"},
    "shape": {"shape"},
}
_DECIDING = ("executor", *_KEEPS_EXECUTOR)
_MODIFIERS = tuple(name for name in LOAD_OPTIONS if name not in _DECIDING)
_FIELDS = {
    "duration": "duration_s",
    "rate": "rate_per_s",
    "start_rate": "start_rate_per_s",
    "pacing": "pacing_s",
    "graceful_ramp_down": "graceful_ramp_down_s",
}


def merge_load(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The load options of a higher tier, *given*, over those of a lower one: they replace what they contradict.

    So a duration given for a ramp makes constant VUs, and one given for a rate only changes how long.
    """
    return settle_loads({"": [Layer("own", own), Layer("given", given)]})[""].values


def settle_loads(scenarios: Mapping[str, Sequence[Layer]]) -> dict[str, MergedOptions]:
    """What comes of the layers of each scenario, by name.

    An option that says how, and not when, such as ``arrivals``, is dropped where the executor does not take it: if
    a higher layer chose that executor, if it stands in a standing file, or if it is given to all scenarios and another
    one can use it. Otherwise it stays, for `build_executor` to refuse.

    Raises:
        PlanError: what is left of a scenario's options contradicts itself.
    """
    settled = {name: merge_layers(layers, replaced_by) for name, layers in scenarios.items()}
    takes = {}
    for name, one in settled.items():
        with of_scenario(name):
            takes[name] = _takes(one.values)
    for one, taken in zip(settled.values(), takes.values(), strict=True):
        decided = max((one.level[name] for name in _DECIDING if name in one.values), default=-1)
        for name in [name for name in _MODIFIERS if name in one.values and name not in taken]:
            layer = one.layers[one.level[name]]
            used_elsewhere = layer.of_all and any(name in other for other in takes.values())
            if one.level[name] < decided or layer.is_standing or used_elsewhere:
                one.drop(name, executor_of(one.values))
        _share(one)
    return settled


@contextmanager
def of_scenario(name: str) -> Iterator[None]:
    """Errors of the block begin with the scenario's name."""
    try:
        yield
    except PlanError as error:
        raise PlanError(f"{name}: {error.message}" if name else error.message, hint=error.hint) from error


def replaced_by(layer: Layer, below: Mapping[str, Any]) -> dict[str, str]:
    """Which options of lower tiers *layer* takes away, each with the option because of which.

    The executor that a lower tier names goes, unless it can do what is given.
    """
    given = {name: value for name, value in layer.options.items() if is_given(value)}
    if layer.wipes and given:
        return dict.fromkeys((*LOAD_OPTIONS, "start_time", "after", "graceful_stop"), "")
    gone = {other: name for name in given for other in _REPLACES.get(name, ())}
    for name, kept in _KEEPS_EXECUTOR.items():
        if name in given:
            rates = name == "stages" and _has_rates(given)
            if below.get("executor") not in (kept - {"ramping-vus"} if rates else kept):
                gone["executor"] = name
    if "executor" in given and (taken := _text_names(taken_by(given["executor"]))):
        gone |= {name: "executor" for name in LOAD_OPTIONS if name not in taken}
    return gone


def executor_of(texts: Mapping[str, Any]) -> str:
    """The executor that these options name or mean.

    Raises:
        PlanError: they contradict each other.
    """
    if is_given(texts.get("executor")):
        return str(texts["executor"])
    names = {name for name in texts if name in LOAD_OPTIONS and name not in _MODIFIERS}
    if "start_rate" in texts:
        names.add("start_rate")
    fields = {_FIELDS.get(name, name) for name in names}
    return meant_executor(fields - {"stages"} | {"rate_stages"} if "stages" in fields and _has_rates(texts) else fields)


def parse_load(texts: Mapping[str, Any], *, folder: str = "") -> LoadOptions:
    """Load options as they are written, like ``{"duration": "10s"}``, in numbers. *folder* is where a trace's file is.

    Raises:
        PlanError: one is malformed.
    """
    stages = tuple(str(text) for text in texts.get("stages", ()))
    rates = bool(stages) and _has_rates(texts)
    trace = texts.get("trace")
    return LoadOptions(
        executor=texts.get("executor", ""),
        vus=_whole(texts, "vus"),
        duration_s=_duration(texts, "duration"),
        iterations=_whole(texts, "iterations"),
        stages=() if rates else tuple(map(parse_stage, stages)),
        start_vus=_whole(texts, "start_vus"),
        rate_per_s=parse_rate_per_s(str(texts["rate"])) if "rate" in texts else None,
        rate_stages=tuple(map(parse_rate_stage, stages)) if rates else (),
        start_rate_per_s=parse_rate_per_s(str(texts["start_rate"]), what="start_rate", zero=True)
        if "start_rate" in texts
        else None,
        max_vus=_whole(texts, "max_vus"),
        arrivals=_one_of(texts, "arrivals"),
        when_busy=_one_of(texts, "when_busy"),
        pacing_s=_duration(texts, "pacing"),
        trace=None if trace is None else read_trace(trace, folder=folder),
        shape=texts.get("shape"),
        graceful_ramp_down_s=_duration(texts, "graceful_ramp_down"),
    )


def _takes(values: Mapping[str, Any]) -> Collection[str]:
    """The options that go with the executor which *values* ask for; all, if there is none such."""
    return _text_names(taken_by(executor_of(values))) or LOAD_OPTIONS


def _text_names(fields: Collection[str]) -> set[str]:
    shown = {field: name for name, field in _FIELDS.items()} | {"rate_stages": "stages"}
    return {shown.get(field, field) for field in fields}


def _has_rates(texts: Mapping[str, Any]) -> bool:
    """Whether the stages are those of a rate."""
    if texts.get("executor") == "ramping-arrival-rate" or "start_rate" in texts:
        return True
    return any(map(is_rate_stage, texts.get("stages", ())))


def _share(one: MergedOptions) -> None:
    """Iterations given over a number of VUs: no more VUs than iterations."""
    values, level = one.values, one.level
    if executor_of(values) != "shared-iterations" or not {"vus", "iterations"} <= values.keys():
        return
    both_whole = isinstance(values["vus"], int) and isinstance(values["iterations"], int)
    if level["iterations"] > level["vus"] and both_whole and values["vus"] > values["iterations"] > 0:
        one.set("vus", values["iterations"], level["iterations"])


def _whole(texts: Mapping[str, Any], name: str) -> int | None:
    value = texts.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise PlanError(f"{name} {value!r} is not a whole number", hint=f"write {name}=10")


def _duration(texts: Mapping[str, Any], name: str) -> float | None:
    return parse_duration_s(texts[name], what=name) if name in texts else None


def _one_of(texts: Mapping[str, Any], name: str) -> Any:
    value, allowed = texts.get(name), OPTIONS[name].choices
    if value is not None and value not in allowed:
        raise PlanError(
            f"{name} {value!r} is unknown", hint=nearest(str(value), allowed) or f"one of {', '.join(allowed)}"
        )
    return value
