"""Scopes: what is measured counts in one, which is a scenario, or a group within a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from fastload.model.metrics import MAX_NAMES, OTHER_NAME

CURRENT_SCOPE: ContextVar[Scope | None] = ContextVar("fastload_scope", default=None)
"""The scope whose code runs. Tasks that are made inside a group, as by `asyncio.gather`, are in that group too."""


class RunningVU(Protocol):
    """A VU, as far as what is recorded depends on it. ``id`` is unique in the run."""

    id: int


CURRENT_VU: ContextVar[RunningVU | None] = ContextVar("fastload_vu", default=None)
"""The VU whose code runs; None outside of iterations."""


class Scope:
    """What was counted in one scenario or group since the last fold, and what its requests were resolved to.

    ``tags`` are those of all that happens in it: the scenario's own, ``scenario``, and ``group``, which is empty
    outside of groups. ``scenario_scope`` is the scope of the scenario itself, ``nested`` has the groups within this
    one by name.
    """

    __slots__ = (
        "checks",
        "dropped",
        "endpoints",
        "group_us",
        "iteration_us",
        "lateness_us",
        "nested",
        "plain",
        "queued",
        "raised",
        "samples",
        "scenario_scope",
        "tags",
    )

    def __init__(self, tags: Mapping[str, str], scenario_scope: Scope | None = None) -> None:
        self.tags = tags
        self.scenario_scope = scenario_scope or self
        self.nested: dict[str, Scope] = {}
        self.plain: dict[tuple[str, str, str], tuple[str, int, tuple[str, ...]]] = {}
        self.endpoints: dict[tuple[Any, ...], int] = {}
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self.iteration_us: list[int] = []
        self.lateness_us: list[int] = []
        self.group_us: list[int] = []
        self.checks: dict[tuple[str, ...], list[int]] = {}
        self.samples: dict[tuple[str, ...], list[int]] = {}
        self.raised = self.dropped = self.queued = 0

    @property
    def group(self) -> str:
        return self.tags["group"]


class NameLimit:
    """The names of one kind that have statistics of their own: the first `MAX_NAMES`, and those that are *wanted*."""

    def __init__(self, wanted: frozenset[str] = frozenset()) -> None:
        self._wanted = wanted
        self._known: set[str] = set()

    def admit(self, name: str) -> str:
        """*name*, or `OTHER_NAME` when there are too many."""
        if name in self._known:
            return name
        if len(self._known) >= MAX_NAMES and name not in self._wanted:
            return OTHER_NAME
        self._known.add(name)
        return name


def current_tags() -> Mapping[str, str]:
    """The tags of the scope whose code runs; none outside of scenarios."""
    scope = CURRENT_SCOPE.get()
    return {} if scope is None else scope.tags
