"""Options of targets, checked before a process is started."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from fastload.model.errors import PlanError
from fastload.model.units import parse_whole
from fastload.targets.distributions import parse_distribution
from fastload.targets.limits import parse_limits


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """Options of every target. ``None`` means: take it from the environment, else the default.

    ``api_key``: the key that requests must carry; none (or "") accepts every request.
    ``rate_limit_per_minute``: requests to the limited routes in one minute, over all processes; 0 is no limit.
    ``latency``: the distribution of the wait before each limited request is handled, like "20ms" or "exp(20ms)".
    ``failure_rate``: the share, 0 to 1, of limited requests that are answered with 500 or 503 and change nothing.
    ``seed``: the seed of all random numbers; with it, each process draws the same numbers in every run.
    ``limits``: what limits the server, like ("pool=4:20ms", "errors=5%"); see ``fastload.targets.limits``.
    """

    api_key: str | None = None
    rate_limit_per_minute: int | None = None
    latency: str | None = None
    failure_rate: float = 0.0
    seed: int | None = None
    limits: Sequence[str] = ()

    _ENVIRONMENT: ClassVar[Mapping[str, str]] = {
        "api_key": "API_KEY",
        "rate_limit_per_minute": "RATE_LIMIT_PER_MINUTE",
    }
    _MINIMUM: ClassVar[Mapping[str, int]] = {"rate_limit_per_minute": 0}
    _SHARES: ClassVar[tuple[str, ...]] = ("failure_rate",)
    _DISTRIBUTIONS: ClassVar[tuple[str, ...]] = ("latency",)
    _ABOVE_ZERO: ClassVar[tuple[str, ...]] = ()

    @property
    def _exclusive_file(self) -> str | None:
        """A file that no other target may use at the same time, or ``None``."""
        return None

    def _with_environment(self, environment: Mapping[str, str]) -> Self:
        """Return these options, with each option that is ``None`` taken from its environment variable.

        Raises:
            PlanError: a variable must be a whole number and is not.
        """
        found: dict[str, Any] = {}
        for field, variable in self._ENVIRONMENT.items():
            text = environment.get(variable, "")
            if getattr(self, field) is None and text:
                found[field] = _whole_number(text, variable) if field in self._MINIMUM else text
        return dataclasses.replace(self, **found)

    def _validate(self, workers: int) -> None:
        """Check all values, for *workers* server processes.

        Raises:
            PlanError: a value is out of range.
        """
        if workers < 1:
            raise PlanError(f"workers must be at least 1, not {workers}")
        for field, minimum in self._MINIMUM.items():
            value = getattr(self, field)
            if value is not None and value < minimum:
                raise PlanError(f"{field} must be at least {minimum}, not {value}")
        for field in self._SHARES:
            value = getattr(self, field)
            if not 0 <= value <= 1:
                raise PlanError(f"{field} must be a share from 0 to 1, not {value}", hint="0.01 is 1 %")
        for field in self._ABOVE_ZERO:
            value = getattr(self, field)
            if not value > 0:
                raise PlanError(f"{field} must be above zero, not {value:g}")
        for field in self._DISTRIBUTIONS:
            text = getattr(self, field)
            if text is not None:
                parse_distribution(text, what=field)
        parse_limits(self.limits)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequencerOptions(TargetOptions):
    """Options of the sequencer.

    ``db``: path of the SQLite file, which is kept, and continued by later runs; without it, a temporary file.
    ``max_batch_events``: most events in a batch; a larger batch is refused.
    ``events_per_commitment``: number of events of a tenant and store that one Merkle root covers.
    ``max_db_connections``: SQLite connections over all processes; each process needs two or more.
    """

    db: str | None = None
    max_batch_events: int = 1000
    events_per_commitment: int = 1000
    max_db_connections: int | None = None

    _ENVIRONMENT: ClassVar[Mapping[str, str]] = {
        **TargetOptions._ENVIRONMENT,
        "max_db_connections": "MAX_DB_CONNECTIONS",
    }
    _MINIMUM: ClassVar[Mapping[str, int]] = {
        **TargetOptions._MINIMUM,
        "max_batch_events": 1,
        "events_per_commitment": 1,
        "max_db_connections": 2,
    }

    @property
    def _exclusive_file(self) -> str | None:
        return self.db

    def _validate(self, workers: int) -> None:
        super()._validate(workers)
        if self.max_db_connections is not None and self.max_db_connections < 2 * workers:
            raise PlanError(
                f"max_db_connections {self.max_db_connections} is too few for {workers} server processes",
                hint="each process needs one connection to write and one to read: "
                f"allow {2 * workers}, or start fewer processes",
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DidOptions(TargetOptions):
    """Options of the DID API.

    ``client_limit_per_minute``: requests of one wallet in one minute, over all processes; 0 is no limit.
    ``max_age_s``: largest distance of a timestamp from the server's clock, before or after; beyond it is stale.
    """

    client_limit_per_minute: int = 0
    max_age_s: float = 300.0

    _MINIMUM: ClassVar[Mapping[str, int]] = {**TargetOptions._MINIMUM, "client_limit_per_minute": 0}
    _ABOVE_ZERO: ClassVar[tuple[str, ...]] = ("max_age_s",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WidgetOptions(TargetOptions):
    """Options of the embed widget and its render pipeline.

    ``nonce_ttl_s``: seconds in which a nonce can be validated.
    ``pool``: render jobs that run at the same time, over all processes. ``queue_size``: most waiting jobs.
    ``job_time``: the distribution of job durations. ``job_failure_rate``: the share of jobs that fail.
    """

    nonce_ttl_s: float = 300.0
    pool: int = 50
    queue_size: int = 1000
    job_time: str = "lognormal(p50=2s,p99=8s)"
    job_failure_rate: float = 0.01

    _MINIMUM: ClassVar[Mapping[str, int]] = {
        **TargetOptions._MINIMUM,
        "pool": 1,
        "queue_size": 0,
    }
    _SHARES: ClassVar[tuple[str, ...]] = (*TargetOptions._SHARES, "job_failure_rate")
    _DISTRIBUTIONS: ClassVar[tuple[str, ...]] = (*TargetOptions._DISTRIBUTIONS, "job_time")
    _ABOVE_ZERO: ClassVar[tuple[str, ...]] = ("nonce_ttl_s",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationOptions(TargetOptions):
    """Options of the image generation. Its users log in, so there is no API key.

    ``email``: the address of the first user, ``DEFAULT_EMAIL`` by default; in other addresses "+2", "+3" and so on
    follow the name part.
    ``password``: the password of all users, ``DEFAULT_PASSWORD`` by default. ``users``: number of users.
    ``credits``: credits of each user at the start; a generation costs one.
    ``job_time``: the distribution of generation times. ``job_failure_rate``: the share of generations that fail after
    their start. ``provider_failure_rate``: the share that the provider refuses at once.
    ``mock``: simulate no provider; every generation is ready at once and none fails.
    """

    email: str | None = None
    password: str | None = None
    users: int = 1
    credits: int = 10_000
    job_time: str = "lognormal(p50=3s,p99=12s)"
    job_failure_rate: float = 0.02
    provider_failure_rate: float = 0.02
    mock: bool = False

    DEFAULT_EMAIL: ClassVar[str] = "test@example.com"
    DEFAULT_PASSWORD: ClassVar[str] = "testpassword123"
    _ENVIRONMENT: ClassVar[Mapping[str, str]] = {
        "rate_limit_per_minute": "RATE_LIMIT_PER_MINUTE",
        "email": "TEST_EMAIL",
        "password": "TEST_PASSWORD",
    }
    _MINIMUM: ClassVar[Mapping[str, int]] = {**TargetOptions._MINIMUM, "users": 1, "credits": 0}
    _SHARES: ClassVar[tuple[str, ...]] = (*TargetOptions._SHARES, "job_failure_rate", "provider_failure_rate")
    _DISTRIBUTIONS: ClassVar[tuple[str, ...]] = (*TargetOptions._DISTRIBUTIONS, "job_time")

    def _validate(self, workers: int) -> None:
        super()._validate(workers)
        if self.api_key:
            raise PlanError("generation takes no api_key", hint="its users log in: set email and password")
        if self.email is not None and not all(self.email.partition("@")):
            raise PlanError(f"email {self.email!r} is no address", hint=f"write it like {self.DEFAULT_EMAIL}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreOptions(TargetOptions):
    """Options of the score embed.

    ``scorers``: the ids of the existing scorers, separated by commas; ``DEFAULT_SCORERS`` by default.
    ``threshold``: lowest score with which an address passes.
    """

    scorers: str | None = None
    threshold: int = 20

    DEFAULT_SCORERS: ClassVar[str] = "1"
    _ENVIRONMENT: ClassVar[Mapping[str, str]] = {**TargetOptions._ENVIRONMENT, "scorers": "SCORER_ID"}
    _MINIMUM: ClassVar[Mapping[str, int]] = {**TargetOptions._MINIMUM, "threshold": 0}

    @property
    def _scorer_ids(self) -> frozenset[str]:
        """The ids in ``scorers``."""
        return frozenset(filter(None, map(str.strip, (self.scorers or self.DEFAULT_SCORERS).split(","))))

    def _validate(self, workers: int) -> None:
        super()._validate(workers)
        if not self._scorer_ids:
            raise PlanError(f"scorers {self.scorers!r} names none", hint="write ids with commas between them")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlainOptions(TargetOptions):
    """Options of the plain target: those that every target has."""


def _whole_number(text: str, variable: str) -> int:
    number = parse_whole(text.strip(), sys.maxsize)
    if number is None:
        raise PlanError(f"environment variable {variable}={text!r} is not a whole number", hint=f"unset {variable}")
    return number
