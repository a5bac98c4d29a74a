"""The targets by name: what each answers, its options, and the service behind it."""

from __future__ import annotations

import dataclasses

from fastload.model.errors import TargetError, nearest
from fastload.targets.options import SequencerOptions, TargetOptions


@dataclasses.dataclass(frozen=True)
class RouteSpec:
    """One route. ``handler`` is the method of the service that answers it.

    ``path`` may hold ``{name}`` segments. Guarded routes need the API key and count against the rate limit.
    """

    method: str
    path: str
    handler: str
    summary: str
    guarded: bool = True


@dataclasses.dataclass(frozen=True)
class TargetSpec:
    """One target.

    ``service`` is ``"module:Class"``, imported in the server process only. ``shared_bytes`` is memory, zeroed
    at the start, that the service shares between the server processes.
    """

    name: str
    summary: str
    service: str
    options_type: type[TargetOptions]
    own_routes: tuple[RouteSpec, ...]
    auth_scheme: str = "ApiKey"
    shared_bytes: int = 0

    @property
    def routes(self) -> tuple[RouteSpec, ...]:
        """The target's own routes, then those that every target has."""
        return self.own_routes + COMMON_ROUTES

    @property
    def description(self) -> str:
        """The summary, then one line for each route."""
        width = max(len(f"{route.method} {route.path}") for route in self.routes)
        lines = [f"{f'{route.method} {route.path}':<{width}}  {route.summary}" for route in self.routes]
        return "\n".join([self.summary, "", *lines])


COMMON_ROUTES = (
    RouteSpec("GET", "/health", "health", "200 as soon as requests are answered", guarded=False),
    RouteSpec("GET", "/stats", "stats", "requests answered, by route and status class, all processes", guarded=False),
)

SEQUENCER = TargetSpec(
    name="sequencer",
    summary="Validates, sequences and stores batches of events, with Merkle commitments, in SQLite.",
    service="fastload.targets.sequencer.service:SequencerService",
    options_type=SequencerOptions,
    own_routes=(
        RouteSpec("POST", "/api/v1/ves/events/ingest", "ingest", "store a batch; 200 with its sequences"),
        RouteSpec("POST", "/api/v1/events/ingest", "ingest", "the same"),
        RouteSpec("GET", "/api/v1/events", "events", "events of tenant_id and store_id: from, limit"),
        RouteSpec("GET", "/api/v1/head", "head", "last sequence and event count of tenant_id and store_id"),
        RouteSpec("GET", "/api/v1/entities/{type}/{id}", "entity", "the events of one entity, or 404"),
        RouteSpec("GET", "/api/v1/ves/commitments", "commitments", "Merkle roots, newest first: before, limit"),
    ),
    # The filter of known event ids and its header (sequencer/known.py).
    shared_bytes=(64 << 20) + 64,
)

_TARGETS = {spec.name: spec for spec in (SEQUENCER,)}


def target_names() -> tuple[str, ...]:
    """The name of every target."""
    return tuple(_TARGETS)


def find_target(name: str) -> TargetSpec:
    """The target called *name*.

    Raises:
        TargetError: there is none; the hint suggests the nearest.
    """
    spec = _TARGETS.get(name)
    if spec is None:
        raise TargetError(
            f"no target is called {name!r}", hint=nearest(name, _TARGETS) or f"one of: {', '.join(_TARGETS)}"
        )
    return spec
