"""Plan of a saved run: all plan data that a report needs. Such a plan cannot be run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from fastload.model.load_models import EXECUTORS, Executor, Shape, Trace
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.saved.plain_types import converter, made_of
from fastload.model.saved.saved_capacity import saved_settings
from fastload.model.units import LONGEST_DURATION_S

_text, _whole, _number = converter(str), converter(int), converter(float)
_CHECKS: dict[str, Any] = {
    "kind": _text,
    "title": _text,
    "base_url": _text,
    "workers": _whole,
    "http": converter(dict[str, Any]),
    "env": converter(tuple[str, ...]),
    "paused": converter(bool),
}
_MAPS = converter(tuple[dict[str, Any], ...])
_STAGES = converter(tuple[tuple[float, float], ...])
# Each of them looks at the one before it.
_LONGEST_CHAIN = 100


@dataclass(frozen=True, slots=True)
class SavedPlan(Plan):
    """Plan of a saved run, without functions. Its ``http`` has the defaults; the run's HTTP settings are in *plain*."""

    plain: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return `Plan.to_dict` of the run."""
        return dict(self.plain)


@dataclass(frozen=True, slots=True)
class _OtherExecutor:
    """Executor of another version of fastload."""

    name: str
    is_open: bool
    duration_s: float
    max_vus: int

    def describe(self) -> str:
        return self.name


def saved_plan(plain: Mapping[str, Any]) -> SavedPlan:
    """Return the plan of *plain*, the result of `Plan.to_dict`. Keys unknown to this version are in ``plain`` only.

    Raises:
        KeyError: an entry is missing.
        ValueError: an entry has another type, or the scenarios make no sense together.
    """
    if not isinstance(plain, Mapping):
        raise ValueError("the plan is no map")
    for name, check in _CHECKS.items():
        if name in plain:
            check(plain[name])
    scenarios = tuple(_scenario(one) for one in _MAPS(plain["scenarios"]))
    _check_order(scenarios)
    return SavedPlan(
        kind=plain["kind"],
        title=plain["title"],
        scenarios=scenarios,
        workers=plain["workers"],
        base_url=plain["base_url"],
        warmup_s=_time(plain["warmup_s"]),
        seed=plain["seed"],
        capacity=saved_settings(plain.get("capacity")),
        plain=plain,
    )


def _scenario(plain: Mapping[str, Any]) -> ScenarioPlan:
    return made_of(
        ScenarioPlan,
        plain,
        executor=_executor(plain),
        work=None,
        graceful_stop_s=_time(plain["graceful_stop_s"]),
        start_s=_time(plain["start_s"]),
        after=_text(plain["after"]),
        env={},
    )


def _check_order(scenarios: Sequence[ScenarioPlan]) -> None:
    """Check that names are unique, and that no scenario comes after itself, also not by way of others."""
    if not scenarios:
        raise ValueError("there is no scenario")
    before = {one.name: one.after for one in scenarios}
    if len(before) < len(scenarios):
        raise ValueError("two scenarios have one name")
    for one in scenarios:
        name = one.name
        for _ in range(_LONGEST_CHAIN):
            name = before.get(name, "")
        if name:
            raise ValueError(f"scenario {one.name:.40} comes after itself, or after {_LONGEST_CHAIN} others")


def _time(value: Any) -> float:
    seconds: float = _number(value)
    if not 0 <= seconds <= LONGEST_DURATION_S:
        raise ValueError(f"{seconds!r} s is no time of a plan")
    return seconds


def _executor(plain: Mapping[str, Any]) -> Executor:
    kind = EXECUTORS.get(_text(plain["executor"]))
    model, duration_s = _text(plain["model"]), _time(plain.get("duration_s", 0.0))
    if "stages" in plain and sum(_time(one) for one, _ in _STAGES(plain["stages"])) > LONGEST_DURATION_S:
        raise ValueError("its stages are longer than a hundred years")
    if kind is None:
        return cast(
            "Executor", _OtherExecutor(plain["executor"], model == "open", duration_s, _whole(plain.get("max_vus", 0)))
        )
    if "stages" in plain and not plain["stages"]:
        raise ValueError("it has no stage")
    made: dict[str, Any] = {}
    if kind is Shape:
        made["function"] = _named(_text(plain["function"]))
    if kind is Trace:
        # A file has the number of starts, but not their times. A range has the same length.
        made["due_ns"] = range(_whole(plain["starts"]))
    executor: Executor = made_of(kind, plain, **made)
    return executor


def _named(name: str) -> Any:
    """Return a function called *name*. A file has only the name of a shape's function."""

    def function(_elapsed_s: float) -> None:
        return None

    function.__name__ = name
    return function
