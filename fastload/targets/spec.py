"""What a target is made of: its routes, its options, what it can answer, and the service behind it."""

from __future__ import annotations

import dataclasses

from fastload.targets.options import TargetOptions


@dataclasses.dataclass(frozen=True)
class RouteSpec:
    """One route. ``handler`` is the method of the service that answers it.

    ``path`` may hold ``{name}`` segments. ``guarded``: it counts against the rate limit, and gets the latency
    and the failures that are injected. ``keyed``: it needs the API key; only a guarded route can.
    """

    method: str
    path: str
    handler: str
    summary: str
    guarded: bool = True
    keyed: bool = True


@dataclasses.dataclass(frozen=True)
class TargetSpec:
    """One target.

    ``service`` is ``"module:Class"``, imported in the server process only. ``own_outcomes`` name every kind of
    answer that is not one of ``COMMON_OUTCOMES``. ``key_headers``: where the API key may be, as lower-case
    header and what stands before the key. ``shared_bytes`` is memory, zeroed at the start, that the service
    shares between the server processes.
    """

    name: str
    summary: str
    service: str
    options_type: type[TargetOptions]
    own_routes: tuple[RouteSpec, ...]
    own_outcomes: tuple[str, ...]
    default_port: int = 8080
    key_headers: tuple[tuple[str, str], ...] = (("authorization", "Bearer "),)
    shared_bytes: int = 0

    @property
    def routes(self) -> tuple[RouteSpec, ...]:
        """The target's own routes, then those that every target has."""
        return self.own_routes + COMMON_ROUTES

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Every kind of answer; an answer of ``/health`` and ``/stats`` is of none."""
        return self.own_outcomes + COMMON_OUTCOMES

    @property
    def description(self) -> str:
        """The summary, then one line for each route."""
        width = max(len(f"{route.method} {route.path}") for route in self.routes)
        lines = [f"{f'{route.method} {route.path}':<{width}}  {route.summary}" for route in self.routes]
        return "\n".join([self.summary, "", *lines])


COMMON_ROUTES = (
    RouteSpec("GET", "/health", "health", "200 as soon as requests are answered", guarded=False, keyed=False),
    RouteSpec("GET", "/stats", "stats", "answers by route and status class, and by kind", guarded=False, keyed=False),
)
COMMON_OUTCOMES = (
    "injected",
    "unauthorized",
    "rate_limited",
    "malformed_json",
    "missing_field",
    "unknown_field",
    "invalid_value",
    "body_too_large",
    "not_found",
    "method_not_allowed",
    "internal",
)
