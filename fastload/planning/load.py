"""Load options of scenarios: merges them over all tiers, and parses them into numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fastload.load.script.trace_files import read_trace
from fastload.model.errors import PlanError, nearest
from fastload.model.load_options import LoadOptions, implied_executor, options_of
from fastload.model.names import as_text
from fastload.model.plain_numbers import as_whole
from fastload.model.units import (
    is_rate_stage,
    parse_duration_s,
    parse_rate_per_s,
    parse_rate_stage,
    parse_stage,
)
from fastload.planning.options import LOAD_OPTIONS, OPTIONS, is_given
from fastload.planning.tiers import Layer, MergedOptions, merge_layers

# Option -> the options of lower tiers that it removes.
_REPLACES = {
    "duration": {"iterations", "stages", "start_rate"},
    "iterations": {"duration", "stages", "rate", "start_rate", "trace", "shape"},
    "stages": {"vus", "duration", "iterations", "rate", "start_rate", "trace", "shape"},
    "rate": {"iterations", "stages", "start_rate", "trace", "shape"},
    "trace": {"duration", "iterations", "stages", "rate", "start_rate", "shape"},
    "shape": {"duration", "iterations", "stages", "rate", "start_rate", "trace"},
    "vus": {"start_vus"},
}
# Option -> the executors of a lower tier that stay when a higher tier gives this option.
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
    """Merge the load options *given*, of a higher tier, over *own*: they remove the options that they contradict.

    So a duration over stages makes constant VUs, and a duration over a rate only changes the length.
    """
    return merge_loads({"": [Layer("own", own), Layer("given", given)]})[""].values


def merge_loads(scenarios: Mapping[str, Sequence[Layer]]) -> dict[str, MergedOptions]:
    """Merge the layers of each scenario, and return the results by name.

    An option that does not choose the executor, such as ``arrivals``, may not fit the executor. It is dropped if a
    higher layer chose the executor, if it comes from a standing file, or if it was given to all scenarios and another
    one can use it. Otherwise it stays, and `build_executor` refuses it.

    Raises:
        PlanError: the merged options of a scenario contradict each other.
    """
    merged = {name: merge_layers(layers, replaced_by) for name, layers in scenarios.items()}
    takes = {}
    for name, one in merged.items():
        with of_scenario(name):
            takes[name] = _takes(one.values)
    for one, taken in zip(merged.values(), takes.values(), strict=True):
        decided = max((one.level[name] for name in _DECIDING if name in one.values), default=-1)
        for name in [name for name in _MODIFIERS if name in one.values and name not in taken]:
            layer = one.layers[one.level[name]]
            used_elsewhere = layer.of_all and any(name in other for other in takes.values())
            if one.level[name] < decided or layer.is_project_file or used_elsewhere:
                one.drop(name, executor_of(one.values))
        _limit_vus_to_iterations(one)
    return merged


@contextmanager
def of_scenario(name: str) -> Iterator[None]:
    """Put the scenario's name before the message of a `PlanError` of the block."""
    try:
        yield
    except PlanError as error:
        raise PlanError(f"{name}: {error.message}" if name else error.message, hint=error.hint) from error


def replaced_by(layer: Layer, below: Mapping[str, Any]) -> dict[str, str]:
    """Return the options of lower tiers that *layer* removes, each with the option that causes it.

    The executor that a lower tier names is removed too, unless it fits the given options.
    """
    given = {name: value for name, value in layer.options.items() if is_given(value)}
    if layer.removes_load and given:
        return dict.fromkeys((*LOAD_OPTIONS, "start_time", "after", "graceful_stop"), "")
    gone = {other: name for name in given for other in _REPLACES.get(name, ())}
    for name, kept in _KEEPS_EXECUTOR.items():
        if name in given:
            rates = name == "stages" and _has_rates(given)
            if below.get("executor") not in (kept - {"ramping-vus"} if rates else kept):
                gone["executor"] = name
    if "executor" in given and (taken := _text_names(options_of(given["executor"]))):
        gone |= {name: "executor" for name in LOAD_OPTIONS if name not in taken}
    return gone


def executor_of(texts: Mapping[str, Any]) -> str:
    """Return the executor that these options name or imply.

    Raises:
        PlanError: the options contradict each other.
    """
    if is_given(texts.get("executor")):
        return as_text(texts["executor"], "executor")
    names = {name for name in texts if name in LOAD_OPTIONS and name not in _MODIFIERS}
    if "start_rate" in texts:
        names.add("start_rate")
    fields = {_FIELDS.get(name, name) for name in names}
    return implied_executor(
        fields - {"stages"} | {"rate_stages"} if "stages" in fields and _has_rates(texts) else fields
    )


def parse_load(texts: Mapping[str, Any], *, folder: str = "") -> LoadOptions:
    """Parse load options from texts, like ``{"duration": "10s"}``, into numbers. Trace files are relative to *folder*.

    Raises:
        PlanError: an option is malformed.
    """
    stages = tuple(texts.get("stages", ()))
    rates = bool(stages) and _has_rates(texts)
    trace = texts.get("trace")
    return LoadOptions(
        executor=texts.get("executor", ""),
        vus=_whole(texts, "vus"),
        duration_s=_duration(texts, "duration"),
        iterations=_whole(texts, "iterations"),
        stages=() if rates else tuple(map(parse_stage, stages)),
        start_vus=_whole(texts, "start_vus"),
        rate_per_s=parse_rate_per_s(texts["rate"]) if "rate" in texts else None,
        rate_stages=tuple(map(parse_rate_stage, stages)) if rates else (),
        start_rate_per_s=parse_rate_per_s(texts["start_rate"], what="start_rate", zero=True)
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
    """Return the options that the executor of *values* accepts; all load options if that executor does not exist."""
    return _text_names(options_of(executor_of(values))) or LOAD_OPTIONS


def _text_names(fields: Collection[str]) -> set[str]:
    shown = {field: name for name, field in _FIELDS.items()} | {"rate_stages": "stages"}
    return {shown.get(field, field) for field in fields}


def _has_rates(texts: Mapping[str, Any]) -> bool:
    """Return whether the stages are stages of a rate, not of VUs."""
    if texts.get("executor") == "ramping-arrival-rate" or "start_rate" in texts:
        return True
    return any(map(is_rate_stage, texts.get("stages", ())))


def _limit_vus_to_iterations(one: MergedOptions) -> None:
    """Lower the VUs to the number of shared iterations, if a higher layer than that of the VUs gave the iterations."""
    values, level = one.values, one.level
    if executor_of(values) != "shared-iterations" or not {"vus", "iterations"} <= values.keys():
        return
    both_whole = as_whole(values["vus"]) is not None and as_whole(values["iterations"]) is not None
    if level["iterations"] > level["vus"] and both_whole and values["vus"] > values["iterations"] > 0:
        one.set("vus", values["iterations"], level["iterations"])


def _whole(texts: Mapping[str, Any], name: str) -> int | None:
    value = texts.get(name)
    if value is None or (number := as_whole(value)) is not None:
        return None if value is None else number
    raise PlanError(f"{name} {value!r} is not a whole number", hint=f"write {name}=10")


def _duration(texts: Mapping[str, Any], name: str) -> float | None:
    return parse_duration_s(texts[name], what=name) if name in texts else None


def _one_of(texts: Mapping[str, Any], name: str) -> Any:
    value, allowed = texts.get(name), OPTIONS[name].choices
    if value is not None and value not in allowed:
        raise PlanError(
            f"{name} {value!r} is unknown",
            hint=nearest(as_text(value, name), allowed) or f"one of {', '.join(allowed)}",
        )
    return value
