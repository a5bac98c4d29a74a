"""The cost per request in words and rows, for the text, the Markdown and the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastload.model.cost.target_cost import CostEstimate, EndpointCost, TargetCost
from fastload.model.units import (
    format_bytes,
    format_count,
    format_duration_s,
    format_ms,
    format_number_of,
    format_percent,
)

_NOUNS = {"request": "request", "call": "call", "message": "WebSocket message"}


def cost_title(cost: TargetCost) -> str:
    """Return the title: ``Cost per request``."""
    return f"Cost per {_NOUNS[cost.noun]}"


def cost_note(cost: TargetCost) -> str:
    """Return what it was measured over: ``of the target, over 9s with 2,700 requests``."""
    ended = format_number_of(round(cost.count), _NOUNS[cost.noun])
    return f"of the target, over {format_duration_s(round(cost.seconds))} with {ended}"


def cost_sentences(cost: TargetCost) -> list[str]:
    """Return the figures as sentences: CPU, what a core carries, and the rest."""
    noun = _NOUNS[cost.noun]
    sentences = [f"CPU {format_ms(cost.cpu_ms.value)}{_interval(cost.cpu_ms, format_ms)}"]
    if (most := cost.per_core_per_s) is not None:
        carried = f"one core carries at most {format_count(most.value)} {noun}s/s"
        sentences.append(f"{carried} of this mix{_interval(most, format_count)}")
    disk = "disk not known"
    if cost.disk_read_bytes is not None and cost.disk_written_bytes is not None:
        disk = f"disk {format_bytes(cost.disk_read_bytes)} read, {format_bytes(cost.disk_written_bytes)} written"
    network = (
        f"network {format_bytes(cost.sent_bytes)} sent to it, {format_bytes(cost.received_bytes)} received from it"
    )
    sentences.append(f"{format_count(cost.context_switches)} context switches; {disk}; {network}")
    if cost.refusal:
        sentences.append(f"no estimate by endpoint: {cost.refusal}")
    return sentences


def cost_words(cost: TargetCost) -> dict[str, Any]:
    """Return all of it as plain data: ``title``, ``note``, ``sentences``, the titles of ``columns``, and ``rows``.

    A row is an endpoint: its ``cells`` as text, and the ``values`` by which they are sorted.
    """
    return {
        "title": cost_title(cost),
        "note": cost_note(cost),
        "sentences": cost_sentences(cost),
        "columns": list(ENDPOINT_TITLES),
        "rows": [{"cells": endpoint_row(one), "values": _sorted_by(one)} for one in cost.endpoints],
    }


ENDPOINT_TITLES = ("Endpoint", "CPU", "95% interval", "share of the CPU")


def endpoint_row(one: EndpointCost) -> tuple[str, str, str, str]:
    """Return the cells of an endpoint, as `ENDPOINT_TITLES`."""
    name = f"{one.method} {one.name}".strip() or f"{_NOUNS[one.kind]}s"
    interval = _interval(one.cpu_ms, format_ms).removeprefix(" (").removesuffix(")")
    return name, format_ms(one.cpu_ms.value), interval, format_percent(one.share)


def _sorted_by(one: EndpointCost) -> tuple[str, float, float | None, float]:
    return endpoint_row(one)[0], one.cpu_ms.value, one.cpu_ms.low, one.share


def _interval(estimate: CostEstimate, show: Callable[[float], str]) -> str:
    """Return `` (2.1ms to 2.4ms)``; "" where it is not known."""
    _, low, high = estimate
    if low is None and high is None:
        return ""
    if high is None:
        return f" ({show(low or 0.0)} or more)"
    return f" ({show(low or 0.0)} to {show(high)})"
