"""The plan of a run that is over, as a file tells it: all that a report asks of a plan, and nothing that could run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from fastload.model.load_models import EXECUTORS, Executor
from fastload.model.plan import Plan, ScenarioPlan


@dataclass(frozen=True, slots=True)
class SavedPlan(Plan):
    """A plan without functions. Its HTTP settings are the defaults: *plain* has those of the run."""

    plain: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """What `Plan.to_dict` of the run was."""
        return dict(self.plain)


@dataclass(frozen=True, slots=True)
class _OtherExecutor:
    """A load model of another version of fastload."""

    name: str
    is_open: bool
    duration_s: float
    max_vus: int

    def describe(self) -> str:
        return self.name


def saved_plan(plain: Mapping[str, Any]) -> SavedPlan:
    """The plan whose `Plan.to_dict` is *plain*; keys that this version does not know are in ``plain`` only."""
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
        # A file says how many starts there were, and not when: a range is as long.
        figures["due_ns"] = range(plain["starts"])
    executor: Executor = kind(**figures)
    return executor


def _named(name: str) -> Any:
    """A function called *name*, which is all that is left of the one of a shape."""

    def function(_elapsed_s: float) -> None:
        return None

    function.__name__ = name
    return function
