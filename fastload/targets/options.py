"""What can be set on a target; checked before a process is started."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from fastload.model.errors import PlanError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """Options of every target. ``None`` means: take it from the environment, else the default.

    ``api_key``: the key that requests must carry; none (or "") accepts every request.
    ``rate_limit_per_minute``: requests to the guarded routes in one minute, over all processes; 0 is no limit.
    """

    api_key: str | None = None
    rate_limit_per_minute: int | None = None

    ENVIRONMENT: ClassVar[Mapping[str, str]] = {
        "api_key": "API_KEY",
        "rate_limit_per_minute": "RATE_LIMIT_PER_MINUTE",
    }
    MINIMUM: ClassVar[Mapping[str, int]] = {"rate_limit_per_minute": 0}

    @property
    def exclusive_file(self) -> str | None:
        """A file that no other target may use meanwhile."""
        return None

    def with_environment(self, environment: Mapping[str, str]) -> Self:
        """These options, with each one that is ``None`` taken from its environment variable.

        Raises:
            PlanError: a variable that must be a whole number is not.
        """
        found: dict[str, Any] = {}
        for field, variable in self.ENVIRONMENT.items():
            text = environment.get(variable, "")
            if getattr(self, field) is None and text:
                found[field] = _whole_number(text, variable) if field in self.MINIMUM else text
        return dataclasses.replace(self, **found)

    def validate(self, workers: int) -> None:
        """Raises PlanError for a value out of range, for *workers* server processes."""
        if workers < 1:
            raise PlanError(f"workers must be at least 1, not {workers}")
        for field, minimum in self.MINIMUM.items():
            value = getattr(self, field)
            if value is not None and value < minimum:
                raise PlanError(f"{field} must be at least {minimum}, not {value}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequencerOptions(TargetOptions):
    """Options of the sequencer.

    ``db``: path of the SQLite file, kept and continued; none is a temporary one, deleted at the end.
    ``max_batch_events``: a larger batch is refused.
    ``events_per_commitment``: how many events of a tenant and store one Merkle root covers.
    ``max_db_connections``: SQLite connections over all processes; each process needs two or more.
    """

    db: str | None = None
    max_batch_events: int = 1000
    events_per_commitment: int = 1000
    max_db_connections: int | None = None

    ENVIRONMENT: ClassVar[Mapping[str, str]] = {
        **TargetOptions.ENVIRONMENT,
        "max_db_connections": "MAX_DB_CONNECTIONS",
    }
    MINIMUM: ClassVar[Mapping[str, int]] = {
        **TargetOptions.MINIMUM,
        "max_batch_events": 1,
        "events_per_commitment": 1,
        "max_db_connections": 2,
    }

    @property
    def exclusive_file(self) -> str | None:
        return self.db

    def validate(self, workers: int) -> None:
        super().validate(workers)
        if self.max_db_connections is not None and self.max_db_connections < 2 * workers:
            raise PlanError(
                f"max_db_connections {self.max_db_connections} is too few for {workers} server processes",
                hint="each process needs one connection to write and one to read: "
                f"allow {2 * workers}, or start fewer processes",
            )


def _whole_number(text: str, variable: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise PlanError(
            f"environment variable {variable}={text!r} is not a whole number", hint=f"unset {variable}"
        ) from None
