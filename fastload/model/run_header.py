"""What is known of a run before its first second, as outputs and saved runs have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastload.model.metrics import Kind, MetricSpec
from fastload.model.public_types import PublicType


@dataclass(frozen=True, slots=True)
class RunHeader(metaclass=PublicType):
    """The beginning of a run, for outputs. ``title`` and ``base_url`` are those of the plan.

    *plan* is `Plan.to_dict`, with ``paused`` if the run waits to be told to begin. *thresholds* are
    ``"metric: expression"``, *started_at* is ISO 8601 in UTC, *run_id* is hexadecimal and another one for each run.
    *versions* and *machine* are as in the summary; *specs* has every metric that can exist, by name.
    """

    plan: Mapping[str, Any]
    started_at: str
    run_id: str
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    specs: Mapping[str, MetricSpec] = field(default_factory=dict)
    thresholds: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return str(self.plan.get("title", ""))

    @property
    def base_url(self) -> str:
        return str(self.plan.get("base_url", ""))

    def to_plain(self) -> dict[str, Any]:
        """Plain data for a file."""
        return {
            "plan": dict(self.plan),
            "started_at": self.started_at,
            "run_id": self.run_id,
            "versions": dict(self.versions),
            "machine": dict(self.machine),
            "specs": [[spec.name, spec.kind.value, spec.unit] for spec in self.specs.values()],
            "thresholds": list(self.thresholds),
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> RunHeader:
        """The header whose `to_plain` is *data*."""
        specs = {name: MetricSpec(name, Kind(kind), unit) for name, kind, unit in data["specs"]}
        return cls(
            plan=data["plan"],
            started_at=data["started_at"],
            run_id=data["run_id"],
            versions=data["versions"],
            machine=data["machine"],
            specs=specs,
            thresholds=tuple(data["thresholds"]),
        )
