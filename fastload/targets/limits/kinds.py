"""Kinds of limits, written like "pool=4:20ms", and the parser of such texts."""

from __future__ import annotations

import dataclasses
import os
import random
from collections.abc import Callable, Iterable

from fastload.model.errors import PlanError, nearest
from fastload.model.names import as_text
from fastload.model.units import format_count, parse_bytes, parse_rate_per_s, parse_share, parse_whole
from fastload.targets.distributions import Distribution, parse_distribution

# The next free slot is looked for among all of them, for each request.
_MOST_SLOTS = 1_000
# The kernel keeps no longer queue, by its default of net.core.somaxconn.
_LONGEST_ACCEPT_QUEUE = 4_096
# So many descriptors are open before the first connection, with some to spare.
_FEWEST_FDS = 64
_MOST_FDS = 1_000_000
# The kernel takes no smaller quota than 1 ms of its period of 100 ms.
_LEAST_CORES = 0.01
_DRAWS = 8

_ParseAmount = Callable[[str, str], float]


@dataclasses.dataclass(frozen=True)
class StagedLimit:
    """One limit. ``text`` is how it was written.

    ``amount`` counts slots, connections or descriptors, or is a rate per second, a share from 0 to 1, a size in bytes
    or a number of cores. ``time`` is what one request, or one accept, takes. What a kind does not have is 0 and
    ``None``.
    """

    name: str
    text: str
    amount: float = 0.0
    time: Distribution | None = None

    def sample_s(self, source: random.Random) -> float:
        """Draw the time of one request in seconds."""
        assert self.time is not None
        return self.time.sample_s(source)


@dataclasses.dataclass(frozen=True)
class _Kind:
    default: str
    amount: _ParseAmount | None = None
    has_time: bool = False


def _count(low: int, high: int) -> _ParseAmount:
    def parse(text: str, what: str) -> float:
        number = parse_whole(text.strip(), high)
        if number is None or number < low:
            raise PlanError(f"{what} takes a whole number from {low} to {format_count(high)}, not {text!r}")
        return number

    return parse


def _cores(text: str, what: str) -> float:
    most = os.cpu_count() or 1
    try:
        cores = float(text)
    except ValueError:
        cores = 0.0
    if not _LEAST_CORES <= cores <= most:
        raise PlanError(f"{what} takes a number of CPUs from {_LEAST_CORES:g} to {most}, not {text!r}")
    return cores


def _rate(text: str, what: str) -> float:
    return parse_rate_per_s(text, what=f"{what}: rate")


def _share(text: str, what: str) -> float:
    share = parse_share(text, what=f"{what}: share")
    if not share:
        raise PlanError(f"{what} limits nothing")
    return share


def _size(text: str, what: str) -> float:
    size_bytes = parse_bytes(text, what=f"{what}: size")
    if not size_bytes:
        raise PlanError(f"{what} limits nothing")
    return size_bytes


# In the order in which a request meets them: what refuses comes before what takes time.
_KINDS = {
    "rate": _Kind("100/s", _rate),
    "errors": _Kind("5%", _share),
    "slots": _Kind("8:10ms", _count(1, _MOST_SLOTS), has_time=True),
    "pool": _Kind("4:20ms", _count(1, _MOST_SLOTS), has_time=True),
    "lock": _Kind("5ms", has_time=True),
    "one-thread": _Kind("2ms", has_time=True),
    "cpu": _Kind("2ms", has_time=True),
    "fsync": _Kind("4KiB", _size),
    "leak": _Kind("100KB", _size),
    "quota": _Kind("0.5", _cores),
    "accept-queue": _Kind("8:100ms", _count(1, _LONGEST_ACCEPT_QUEUE), has_time=True),
    "fds": _Kind("128", _count(_FEWEST_FDS, _MOST_FDS)),
}


def limit_names() -> tuple[str, ...]:
    """Return the names of all kinds of limits."""
    return tuple(_KINDS)


def find_limit(limits: Iterable[StagedLimit], name: str) -> StagedLimit | None:
    """Return the limit called *name* among *limits*, or ``None``."""
    return next((limit for limit in limits if limit.name == name), None)


def parse_limits(texts: Iterable[str], *, what: str = "limits") -> tuple[StagedLimit, ...]:
    """Return the limits that *texts* describe, in the order in which a request meets them.

    A text is ``NAME``, ``NAME=VALUE`` or ``NAME=COUNT:TIME``. What is left out has its default.

    Raises:
        PlanError: no kind has that name, a value is not one of its kind, or a kind is given twice; *what* is the name
            of the option in the message.
    """
    if isinstance(texts, str):
        raise PlanError(f"{what} is a list of texts, not {texts!r}", hint=f"write [{texts!r}]")
    found: dict[str, StagedLimit] = {}
    for text in texts:
        limit = _parse(as_text(text, what).strip(), what)
        if limit.name in found:
            raise PlanError(f"{what} has {limit.name!r} twice: {found[limit.name].text!r} and {limit.text!r}")
        found[limit.name] = limit
    return tuple(found[name] for name in _KINDS if name in found)


def _parse(text: str, what: str) -> StagedLimit:
    name, equals, value = (part.strip() for part in text.partition("="))
    kind = _KINDS.get(name)
    if kind is None:
        raise PlanError(
            f"{what} {text!r}: no limit is called {name!r}",
            hint=nearest(name.lower(), _KINDS) or f"there are {', '.join(_KINDS)}",
        )
    where = f"{what} {text!r}"
    try:
        amount, time = _values(kind, value if equals else kind.default, where)
    except PlanError as error:
        guess = error.hint if error.hint.startswith("did you mean") else ""
        raise PlanError(error.message, hint=guess or f"write it like {name}={kind.default}") from None
    return StagedLimit(name, text, amount, time)


def _values(kind: _Kind, value: str, where: str) -> tuple[float, Distribution | None]:
    if kind.amount is None:
        return 0.0, _time(value, where)
    if not kind.has_time:
        return kind.amount(value, where), None
    amount, colon, time = value.partition(":")
    return kind.amount(amount, where), _time(time if colon else kind.default.partition(":")[2], where)


def _time(text: str, where: str) -> Distribution:
    time = parse_distribution(text, what=f"{where}: time")
    source = random.Random(0)
    if not any(time.sample_s(source) for _ in range(_DRAWS)):
        raise PlanError(f"{where} limits nothing: its time is 0")
    return time
