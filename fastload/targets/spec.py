"""Specification of a target: its routes, options, kinds of answers, and its service."""

from __future__ import annotations

import dataclasses

from fastload.targets.options import TargetOptions


@dataclasses.dataclass(frozen=True)
class RouteSpec:
    """One route. ``handler`` is the name of the service's method that answers it.

    ``path`` may contain ``{name}`` segments. ``limited``: requests count against the rate limit, and get the injected
    latency and failures. ``needs_api_key``: requests need the API key; it has an effect only on a limited route.
    """

    method: str
    path: str
    handler: str
    summary: str
    limited: bool = True
    needs_api_key: bool = True


@dataclasses.dataclass(frozen=True)
class TargetSpec:
    """The specification of one target.

    ``service`` is ``"module:Class"``, imported in the server process only. ``own_outcomes`` are the kinds of answers
    that are not in ``COMMON_OUTCOMES``. ``key_headers`` are the headers that may carry the API key: pairs of
    lower-case header name and the prefix before the key. ``shared_bytes`` is the size of the memory that the service
    shares between the server processes; it is zeroed at the start.
    """

    name: str
    summary: str
    service: str
    options_type: type[TargetOptions]
    own_routes: tuple[RouteSpec, ...]
    own_answer_kinds: tuple[str, ...]
    default_port: int = 8080
    key_headers: tuple[tuple[str, str], ...] = (("authorization", "Bearer "),)
    shared_bytes: int = 0

    @property
    def routes(self) -> tuple[RouteSpec, ...]:
        """The target's own routes, then the routes that every target has."""
        return self.own_routes + COMMON_ROUTES

    @property
    def outcomes(self) -> tuple[str, ...]:
        """All kinds of answers that are counted; answers of ``/health`` and ``/stats`` have no kind."""
        return self.own_answer_kinds + COMMON_ANSWER_KINDS

    @property
    def description(self) -> str:
        """The summary, then one line for each route, as text."""
        width = max(len(f"{route.method} {route.path}") for route in self.routes)
        lines = [f"{f'{route.method} {route.path}':<{width}}  {route.summary}" for route in self.routes]
        return "\n".join([self.summary, "", *lines])


COMMON_ROUTES = (
    RouteSpec("GET", "/health", "health", "200 as soon as requests are answered", limited=False, needs_api_key=False),
    RouteSpec(
        "GET", "/stats", "stats", "answers by route and status class, and by kind", limited=False, needs_api_key=False
    ),
)
COMMON_ANSWER_KINDS = (
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
