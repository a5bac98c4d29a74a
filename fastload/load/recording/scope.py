"""Where the code of a VU runs: in a scenario, and there in a group or in none."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from fastload.model.metrics import MAX_NAMES, OTHER_NAME

HERE: ContextVar[Place | None] = ContextVar("fastload_place", default=None)
"""The place whose code runs. Tasks that are made inside a group, as by `asyncio.gather`, are in that group too."""


class RunningVU(Protocol):
    """A VU, as far as what is recorded depends on it. ``id`` is unique in the run."""

    id: int


WHO: ContextVar[RunningVU | None] = ContextVar("fastload_vu", default=None)
"""The VU whose code runs; None outside of iterations."""


class Place:
    """What was counted in one place since the last fold, and what requests from there were resolved to.

    ``tags`` are those of all that happens there: the scenario's own, ``scenario``, and ``group``, which is empty
    outside of groups. ``home`` is the place of the scenario itself.
    """

    __slots__ = (
        "checks",
        "dropped",
        "endpoints",
        "group_us",
        "home",
        "inner",
        "iteration_us",
        "lateness_us",
        "plain",
        "queued",
        "raised",
        "samples",
        "tags",
    )

    def __init__(self, tags: Mapping[str, str], home: Place | None = None) -> None:
        self.tags = tags
        self.home = home or self
        self.inner: dict[str, Place] = {}
        self.plain: dict[tuple[str, str, str], tuple[str, int, tuple[str, ...]]] = {}
        self.endpoints: dict[tuple[Any, ...], int] = {}
        self.forget()

    def forget(self) -> None:
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


class Names:
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


def tags_here() -> Mapping[str, str]:
    """The tags of the place whose code runs; none outside of scenarios."""
    place = HERE.get()
    return {} if place is None else place.tags
