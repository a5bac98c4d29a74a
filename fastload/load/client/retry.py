"""``retry=fl.Retry(...)``: a request that failed in a way that may pass is sent again."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastload.load.engine.error_kinds import ERROR_KINDS
from fastload.model.errors import PlanError, nearest
from fastload.model.statuses import parse_statuses
from fastload.model.units import parse_duration_s

if TYPE_CHECKING:
    from fastload.load.client.reply import Reply

ANY_ERROR = "error"
_KINDS = (ANY_ERROR, *sorted(ERROR_KINDS))


@dataclass(frozen=True, slots=True)
class Retry:
    """When a request is sent again, and after which wait. Each try is a request like any other, and is counted.

    Args:
        times: how often at most, beside the first try.
        on: statuses, and kinds of errors like "reset" or "timeout"; "error" is whatever got no response.
        wait: before the second try, like "200ms".
        factor: each further wait is so many times the one before.
        longest: no wait is longer, like "30s".
        jitter: from 0 to 1: the share of each wait that is left to chance, so that VUs do not come back all at once.
        retry_after: where a response says in its header Retry-After how long to wait, that is the wait.

    Raises:
        PlanError: an argument that makes no sense; it is named.
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
        if self.times < 1:
            raise PlanError(f"Retry: times {self.times} is below 1", hint="leave retry= out for no further try")
        if not self.factor >= 1:
            raise PlanError(f"Retry: factor {self.factor} is below 1", hint="1 keeps the wait as it is, 2 doubles it")
        if not 0 <= self.jitter <= 1:
            raise PlanError(f"Retry: jitter {self.jitter} is not from 0 to 1", hint="0.5 leaves half of it to chance")
        on = (self.on,) if isinstance(self.on, int | str) else tuple(self.on)
        for one in on:
            if isinstance(one, str):
                _check_kind(one)
            else:
                parse_statuses(one, what="Retry: on")
        object.__setattr__(self, "_on", frozenset(on))
        object.__setattr__(self, "_wait_s", parse_duration_s(self.wait, what="Retry: wait"))
        object.__setattr__(self, "_longest_s", parse_duration_s(self.longest, what="Retry: longest"))

    def wants(self, reply: Reply) -> bool:
        """Whether *reply* is one to try again for."""
        if reply.error:
            return reply.error in self._on or ANY_ERROR in self._on
        return reply.status in self._on

    def wait_s(self, tries: int, reply: Reply, chance: float) -> float:
        """How long to wait after so many *tries*, the last of which got *reply*; *chance* is from 0 to 1."""
        asked_s: float | None = getattr(reply, "_retry_after_s", None) if self.retry_after else None
        if asked_s is not None:
            return min(asked_s, self._longest_s)
        wait_s = min(self._wait_s * float(self.factor ** (tries - 1)), self._longest_s)
        return wait_s * (1 - self.jitter * chance)


async def persist(
    retry: Retry,
    send: Callable[[], Awaitable[Reply]],
    pause: Callable[[float], Awaitable[None]],
    chance: Callable[[], float],
    give_up: Callable[[], None],
) -> Reply:
    """Send until the reply is none that *retry* wants another try for, and return the last one.

    *give_up* is called before each further try: nobody will judge the last one.
    """
    for tries in itertools.count(1):
        reply = await send()
        if tries > retry.times or not retry.wants(reply):
            break
        give_up()
        await pause(retry.wait_s(tries, reply, chance()))
    reply._tries = tries
    return reply


def _check_kind(kind: str) -> None:
    if kind not in _KINDS:
        hint = nearest(kind, _KINDS) or f"there are {', '.join(_KINDS)}; statuses are numbers"
        raise PlanError(f"Retry: on has {kind!r}, which is no kind of error", hint=hint)
