"""Plan of a saved run: all plan data that a report needs. Such a plan cannot be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from fastload.model.load_models import EXECUTORS, Executor
from fastload.model.plan import Plan, ScenarioPlan


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
    """Return the plan of *plain*, the result of `Plan.to_dict`. Keys unknown to this version are in ``plain`` only."""
    return SavedPlan(
        kind=plain["kind"],
        title=plain["title"],
        scenarios=tuple(_scenario(one) for one in plain["scenarios"]),
        workers=plain["workers"],
        base_url=plain["base_url"],
        warmup_s=plain["warmup_s"],
        seed=plain["seed"],
        plain=plain,
    )


def _scenario(plain: Mapping[str, Any]) -> ScenarioPlan:
    return ScenarioPlan(
        name=plain["name"],
        executor=_executor(plain),
        work=None,
        graceful_stop_s=plain["graceful_stop_s"],
        start_s=plain["start_s"],
        after=plain["after"],
        tags=dict(plain["tags"]),
    )


def _executor(plain: Mapping[str, Any]) -> Executor:
    kind = EXECUTORS.get(plain["executor"])
    if kind is None:
        is_open, duration_s = plain["model"] == "open", plain.get("duration_s", 0.0)
        return cast("Executor", _OtherExecutor(plain["executor"], is_open, duration_s, plain.get("max_vus", 0)))
    figures = {one.name: plain[one.name] for one in fields(kind) if one.init and one.name in plain}
    if "stages" in figures:
        figures["stages"] = tuple((duration_s, target) for duration_s, target in figures["stages"])
    if "function" in figures:
        figures["function"] = _named(figures["function"])
    if "starts" in plain:
        # A file has the number of starts, but not their times. A range has the same length.
        figures["due_ns"] = range(plain["starts"])
    executor: Executor = kind(**figures)
    return executor


def _named(name: str) -> Any:
    """Return a function called *name*. A file has only the name of a shape's function."""

    def function(_elapsed_s: float) -> None:
        return None

    function.__name__ = name
    return function
