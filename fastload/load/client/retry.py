"""Retries of requests after temporary failures: ``retry=fl.Retry(...)``."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastload.load.engine.error_kinds import ERROR_KINDS
from fastload.model.argument_types import CallArguments, wrong_types_named
from fastload.model.errors import PlanError, nearest
from fastload.model.public_types import PublicType
from fastload.model.statuses import parse_statuses
from fastload.model.units import parse_duration_s

if TYPE_CHECKING:
    from fastload.load.client.reply import Reply

ANY_ERROR = "error"
_KINDS = (ANY_ERROR, *sorted(ERROR_KINDS))


@dataclass(frozen=True, slots=True)
class Retry(metaclass=PublicType):
    """Rules that say when a request is sent again, and after which wait. Each try is recorded as a separate request.

    Args:
        times: maximum number of retries, without the first try.
        on: statuses, and kinds of errors like "reset" or "timeout"; "error" means every request without a response.
        wait: wait before the second try, like "200ms".
        factor: each further wait is the one before multiplied by this factor.
        longest: maximum of each wait, like "30s".
        jitter: random share of each wait, from 0 to 1: it shortens the wait by up to this share, so that VUs do not
            retry all at the same time.
        retry_after: a Retry-After header of the response replaces the wait, up to *longest*.

    Raises:
        PlanError: an argument is not valid; the message names it.
    """

    times: int = 3
    on: int | str | Collection[int | str] = (429, 502, 503, 504)
    wait: str = "200ms"
    factor: float = 2.0
    longest: str = "30s"
    jitter: float = 0.0
    retry_after: bool = True
    _on: frozenset[int | str] = field(init=False, repr=False, compare=False)
    _wait_s: float = field(init=False, repr=False, compare=False)
    _longest_s: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        with wrong_types_named(CallArguments.of("fl.Retry", self)):
            self._check()

    def _check(self) -> None:
        if self.times < 1:
            raise PlanError(f"Retry: times {self.times} is below 1", hint="leave retry= out for no further try")
        if not self.factor >= 1:
            raise PlanError(f"Retry: factor {self.factor} is below 1", hint="1 keeps the wait as it is, 2 doubles it")
        if not 0 <= self.jitter <= 1:
            raise PlanError(f"Retry: jitter {self.jitter} is not from 0 to 1", hint="0.5 leaves half of it to chance")
        given = self.on
        on: tuple[Any, ...] = (given,) if isinstance(given, str) or not isinstance(given, Collection) else tuple(given)
        for one in on:
            if isinstance(one, str):
                _check_kind(one)
            else:
                parse_statuses(one, what="Retry: on")
        object.__setattr__(self, "_on", frozenset(on))
        object.__setattr__(self, "_wait_s", parse_duration_s(self.wait, what="Retry: wait"))
        object.__setattr__(self, "_longest_s", parse_duration_s(self.longest, what="Retry: longest"))

    def _wants(self, reply: Reply) -> bool:
        """Return whether *reply* calls for another try."""
        if reply.error:
            return reply.error in self._on or ANY_ERROR in self._on
        return reply.status in self._on

    def _next_wait_s(self, tries: int, reply: Reply, chance: float) -> float:
        """Return the wait in seconds after try number *tries* (from 1), which got *reply*.

        *chance* is a random number from 0 to 1, for the jitter.
        """
        asked_s: float | None = getattr(reply, "_retry_after_s", None) if self.retry_after else None
        if asked_s is not None:
            return min(asked_s, self._longest_s)
        wait_s = min(self._wait_s * float(self.factor ** (tries - 1)), self._longest_s)
        return wait_s * (1 - self.jitter * chance)


async def send_with_retries(
    retry: Retry,
    send: Callable[[], Awaitable[Reply]],
    pause: Callable[[float], Awaitable[None]],
    chance: Callable[[], float],
    before_retry: Callable[[], None],
) -> Reply:
    """Send a request until *retry* wants no further try, and return the last reply.

    *give_up* is called before each further try, because the script will not judge the try before it.
    """
    for tries in itertools.count(1):
        reply = await send()
        if tries > retry.times or not retry._wants(reply):
            break
        before_retry()
        await pause(retry._next_wait_s(tries, reply, chance()))
    reply._tries = tries + reply.tries - 1
    return reply


def _check_kind(kind: str) -> None:
    if kind not in _KINDS:
        hint = nearest(kind, _KINDS) or f"there are {', '.join(_KINDS)}; statuses are numbers"
        raise PlanError(f"Retry: on has {kind!r}, which is no kind of error", hint=hint)
