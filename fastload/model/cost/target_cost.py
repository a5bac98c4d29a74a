"""Cost per request: what the target uses for each, measured over the seconds, and estimated for each endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from fastload.model.cost.aligned_seconds import AlignedRow
from fastload.model.cost.least_squares import MOST_CONDITION, Coefficients, fit_non_negative
from fastload.model.points import FloatArray
from fastload.model.units import format_count, format_number_of

Noun = Literal["request", "call", "message"]
"""What the cost is per: a request; in a run without requests a measured call, or else a WebSocket message."""
NOUNS: tuple[Noun, ...] = ("request", "call", "message")
SENT, RECEIVED = "sent", "received"
MOST_ENDPOINTS = 20
"""Most endpoints for an estimate of each."""
FEWEST_SECONDS = 3
"""Fewest seconds for an interval."""
SECONDS_PER_ENDPOINT = 3
"""How many more seconds each endpoint needs, for an estimate of each."""
_SECONDS_BESIDES = 4
_MS_PER_S = 1000.0


class Work(NamedTuple):
    """Kind of work that is asked of the target: requests of one *method* and *name*, calls of one name, messages.

    *kind* is a `Noun`, or for volumes `SENT` or `RECEIVED`.
    """

    kind: str
    method: str = ""
    name: str = ""


class CostEstimate(NamedTuple):
    """Estimated figure, and the ends of its 95 % interval; None where too few seconds say nothing of it."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class EndpointCost:
    """Estimated CPU time of one request of an endpoint, in ms. *kind* is "request", or "call" or "message" beside.

    *share* is its share of the target's CPU time.
    """

    kind: Noun
    method: str
    name: str
    count: float
    share: float
    cpu_ms: CostEstimate


@dataclass(frozen=True, slots=True)
class TargetCost:
    """Cost of the target for each *noun*, over *seconds* in which it was sampled and *count* of them ended.

    *cpu_ms* is its CPU time in ms. *context_switches* counts how often a thread was put on a CPU. *disk_read_bytes* and
    *disk_written_bytes* are what disks had to do for it, None where that is not known. *sent_bytes* and
    *received_bytes* are what fastload itself sent and received. All are per *noun*, and all of the target's work in
    these seconds is in them, whatever caused it.

    *endpoints* are estimates for each endpoint, the dearest first. Without them, *refusal* says why; it is "" if there
    is one endpoint only.
    """

    noun: Noun
    seconds: float
    count: float
    cpu_ms: CostEstimate
    context_switches: float
    disk_read_bytes: float | None
    disk_written_bytes: float | None
    sent_bytes: float
    received_bytes: float
    endpoints: tuple[EndpointCost, ...] = ()
    refusal: str = ""

    @property
    def per_core_per_s(self) -> CostEstimate | None:
        """How many a second of this mix one core carries at most; None if the target used no CPU.

        It is 1,000 ms over the CPU time of one, so the ends of the interval change places.
        """
        value, low, high = self.cpu_ms
        if value <= 0:
            return None
        return CostEstimate(_MS_PER_S / value, _MS_PER_S / high if high else None, _MS_PER_S / low if low else None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the summary."""
        per_core = self.per_core_per_s
        return {
            **asdict(self),
            "cpu_ms": self.cpu_ms._asdict(),
            "per_core_per_s": per_core._asdict() if per_core else None,
            "endpoints": [{**asdict(one), "cpu_ms": one.cpu_ms._asdict()} for one in self.endpoints],
        }


def cost_of(rows: Sequence[AlignedRow[Work]]) -> TargetCost | None:
    """Return the cost by *rows*; None if there are none in which anything was asked of the target."""
    noun = next((one for one in NOUNS if any(_count(row.amounts, one) > 0 for row in rows)), None)
    if noun is None:
        return None
    rows = [row for row in rows if _count(row.amounts, noun) > 0]
    counts = np.array([_count(row.amounts, noun) for row in rows])
    cpu_ms = np.array([row.cpu_ms for row in rows])
    count = float(counts.sum())

    def each(amount: float | None) -> float | None:
        return None if amount is None else amount / count

    endpoints, refusal = _by_endpoint(rows, cpu_ms)
    return TargetCost(
        noun=noun,
        seconds=sum(row.span_s for row in rows),
        count=count,
        cpu_ms=_mean(counts, cpu_ms),
        context_switches=sum(row.context_switches for row in rows) / count,
        disk_read_bytes=each(_sum([row.disk_read_bytes for row in rows])),
        disk_written_bytes=each(_sum([row.disk_written_bytes for row in rows])),
        sent_bytes=sum(row.amounts.get(Work(SENT), 0.0) for row in rows) / count,
        received_bytes=sum(row.amounts.get(Work(RECEIVED), 0.0) for row in rows) / count,
        endpoints=endpoints,
        refusal=refusal,
    )


def _count(amounts: Mapping[Work, float], noun: str) -> float:
    return sum(amount for work, amount in amounts.items() if work.kind == noun)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _mean(counts: FloatArray, cpu_ms: FloatArray) -> CostEstimate:
    """Return the CPU time of one, over all: the sum by the sum."""
    value = float(cpu_ms.sum() / counts.sum())
    fit = fit_non_negative(counts[:, None], cpu_ms, 1 / counts) if len(counts) >= FEWEST_SECONDS else None
    return CostEstimate(value, float(fit.low[0]), float(fit.high[0])) if fit else CostEstimate(value)


def _by_endpoint(rows: Sequence[AlignedRow[Work]], cpu_ms: FloatArray) -> tuple[tuple[EndpointCost, ...], str]:
    """Return the estimate of each endpoint; without one, why."""
    works = list(dict.fromkeys(work for row in rows for work, amount in row.amounts.items() if _is_work(work, amount)))
    if len(works) < 2:
        return (), ""
    if len(works) > MOST_ENDPOINTS:
        return (), f"there are {format_count(len(works))} endpoints, and at most {MOST_ENDPOINTS} can be told apart"
    needed = SECONDS_PER_ENDPOINT * len(works) + _SECONDS_BESIDES
    if len(rows) < needed:
        there = format_number_of(len(rows), "second")
        return (), f"{there} can be used, and {format_count(len(works))} endpoints need {needed}"
    columns = np.array([[row.amounts.get(work, 0.0) for work in works] for row in rows])
    fit = fit_non_negative(columns, cpu_ms, 1 / columns.sum(axis=1))
    if fit is None:
        return (), "their shares were the same in all seconds, so that their costs cannot be told apart"
    used_ms = columns.sum(axis=0) * fit.values
    if why := _refusal(fit, used_ms):
        return (), why
    found = [
        EndpointCost(
            kind=cast("Noun", work.kind),
            method=work.method,
            name=work.name,
            count=float(columns[:, number].sum()),
            share=float(used_ms[number] / used_ms.sum()),
            cpu_ms=CostEstimate(float(fit.values[number]), float(fit.low[number]), float(fit.high[number])),
        )
        for number, work in enumerate(works)
    ]
    return tuple(sorted(found, key=lambda one: -one.cpu_ms.value)), ""


def _refusal(fit: Coefficients, used_ms: FloatArray) -> str:
    """Return why the estimates are worth nothing: the interval of the endpoint that used most is wider than its
    estimate; "" if it is not. Those that use little have wide intervals in any case."""
    most = int(used_ms.argmax())
    if fit.high[most] - fit.low[most] <= fit.values[most]:
        return ""
    if fit.condition > MOST_CONDITION:
        return "their shares hardly changed from second to second, so that their costs cannot be told apart"
    return "the CPU time of the seconds varies too much beside what the endpoints explain of it"


def _is_work(work: Work, amount: float) -> bool:
    return amount > 0 and work.kind in NOUNS
