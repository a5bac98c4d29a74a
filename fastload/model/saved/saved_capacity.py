"""Result of a capacity search in a saved run, rebuilt from its plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastload.model.capacity.objectives import ObjectiveResult
from fastload.model.capacity.result import CapacityResult
from fastload.model.capacity.scalability import Scalability
from fastload.model.capacity.search import FoundState
from fastload.model.capacity.settings import CapacitySettings
from fastload.model.capacity.steps import CapacityStep, StepFigures, StepKind, StepOutcome
from fastload.model.errors import PlanError
from fastload.model.saved.plain_types import converter, made_of

_text, _texts = converter(str), converter(tuple[str, ...])
_map, _maps = converter(dict[str, Any]), converter(tuple[dict[str, Any], ...])
_flag, _state, _kind = converter(bool), converter(FoundState), converter(StepKind)
_number_or_none = converter(float | None)


def saved_settings(plain: Any) -> CapacitySettings | None:
    """Return the settings of *plain*, the result of `CapacitySettings.to_dict`; None for None. Their objectives are
    only texts in a file, which the result has as well.

    Raises:
        ValueError: *plain* is something else.
    """
    if plain is None:
        return None
    try:
        return made_of(CapacitySettings, _map(plain), objectives=())
    except PlanError as error:
        raise ValueError(error.message) from error


def saved_capacity(plain: Any) -> CapacityResult | None:
    """Return the result of *plain*, that of `CapacityResult.to_dict`; None for None.

    Raises:
        KeyError, ValueError: *plain* is something else.
    """
    if plain is None:
        return None
    found = _map(plain)
    settings = saved_settings(found["settings"])
    if settings is None:
        raise ValueError("the search has no settings")
    law = found["scalability"]
    return CapacityResult(
        settings=settings,
        state=_state(found["state"]),
        capacity=_number_or_none(found["capacity"]),
        high=_number_or_none(found["high"]),
        why=_text(found["why"]),
        objectives=_texts(found["objectives"]),
        steps=tuple(_step(one) for one in _maps(found["steps"])),
        limit=_text(found["limit"]),
        remedy=_text(found["remedy"]),
        scalability=law if isinstance(law, str) else made_of(Scalability, _map(law)),
    )


def _step(plain: Mapping[str, Any]) -> CapacityStep:
    figures = made_of(StepFigures, plain)
    kind = _kind(plain["outcome"])
    return made_of(
        CapacityStep,
        plain,
        figures=figures,
        objectives=tuple(made_of(ObjectiveResult, one) for one in _maps(plain["objectives"])),
        outcome=StepOutcome(figures.load, kind, _flag(plain["clear"]), _text(plain["why"])),
    )
