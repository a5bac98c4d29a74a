"""Scope: the scenario, or the group within a scenario, in which measurements count."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from fastload.model.metrics import MAX_NAMES, OTHER_NAME

CURRENT_SCOPE: ContextVar[Scope | None] = ContextVar("fastload_scope", default=None)
"""Scope of the running code. Tasks created inside a group, as by `asyncio.gather`, belong to that group too."""


class RunningVU(Protocol):
    """The part of a VU that recording needs. ``id`` is unique in the run."""

    id: int


CURRENT_VU: ContextVar[RunningVU | None] = ContextVar("fastload_vu", default=None)
"""VU of the running code; None outside of iterations."""


class Scope:
    """Counts and values of one scenario or group since the last fold, and caches of its resolved requests.

    ``tags`` belong to everything measured in the scope: the scenario's own tags, ``scenario``, and ``group``, which is
    empty outside of groups. ``scenario_scope`` is the scope of the whole scenario. ``nested`` has the groups directly
    within this scope by name. ``plain`` and ``endpoints`` are the caches.
    """

    __slots__ = (
        "checks",
        "dropped",
        "endpoints",
        "group_us",
        "iteration_us",
        "lateness_us",
        "nested",
        "plain_requests",
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
        self.plain_requests: dict[tuple[str, str, str], tuple[str, int, tuple[str, ...]]] = {}
        self.endpoints: dict[tuple[Any, ...], int] = {}
        self.reset()

    def reset(self) -> None:
        """Delete the counts and values; the caches stay."""
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
    """Limit on the names of one kind with their own statistics: the first `MAX_NAMES`, and all that are *wanted*."""

    def __init__(self, wanted: frozenset[str] = frozenset()) -> None:
        self._wanted = wanted
        self._known: set[str] = set()

    def admit(self, name: str) -> str:
        """Return *name*, or `OTHER_NAME` if there are too many names."""
        if name in self._known:
            return name
        if len(self._known) >= MAX_NAMES and name not in self._wanted:
            return OTHER_NAME
        self._known.add(name)
        return name


def current_tags() -> Mapping[str, str]:
    """Return the tags of the running code's scope; none outside of scenarios."""
    scope = CURRENT_SCOPE.get()
    return {} if scope is None else scope.tags
