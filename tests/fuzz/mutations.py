"""Mutations of plain data by type: what a hostile writer of a file or a frame would put in the place of a value."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

from tests.fuzz.source import Source

Place = tuple[Any, Any]
"""A container, and the key or the index of a value in it."""


def nested(depth: int) -> list[Any]:
    """Lists within each other."""
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 10**400,
    0.0, -0.0, 0.5, -1.5, 1e-320, 1e18, 1e300, math.nan, math.inf, -math.inf,
    "", "x", "7", "nan", "worker 99999999999", "\x00\x1b[2J", "[bold]", "<script>", "{}", "é" * 300, "VALID",
    b"", b"\xff\x00", [], [[]], [1, 2, 3], ["a"], [math.nan], [10**30], {}, {"": 1}, {"a": {}}, {1: 2},
    nested(60), nested(400),
)  # fmt: skip


def places(data: Any, most: int = 100_000) -> list[Place]:
    """Every place of a value in *data*."""
    found: list[Place] = []
    left = [data]
    while left and len(found) < most:
        container = left.pop()
        inside: Iterator[tuple[Any, Any]] = iter(())
        if isinstance(container, dict):
            inside = iter(container.items())
        elif isinstance(container, list):
            inside = iter(enumerate(container))
        for key, value in inside:
            found.append((container, key))
            if isinstance(value, dict | list):
                left.append(value)
    return found


def copied(data: Any) -> Any:
    """A copy of plain data, in a fifth of the time of `copy.deepcopy`."""
    if isinstance(data, dict):
        return {key: copied(value) for key, value in data.items()}
    return [copied(value) for value in data] if isinstance(data, list) else data


def mutated(data: Any, chance: random.Random | Source, *, most: int = 3) -> Any:
    """A copy of *data* with one to *most* places changed."""
    copy = copied(data)
    for _ in range(chance.randint(1, most)):
        if found := places(copy):
            _change(*chance.choice(found), chance)
    return copy


def _change(container: Any, key: Any, chance: random.Random | Source) -> None:
    value = container[key]
    match chance.randrange(8):
        case 0:
            del container[key]
        case 1 if isinstance(container, list):
            container.insert(key, copied(value))
        case 1 | 2 if isinstance(container, dict):
            container[chance.choice(["more", "", 7, "name", "series"])] = container.pop(key)
        case 3 if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**300:
            container[key] = chance.choice([-value, value * 1000, value + 0.5, value + 1, 0])
        case 3 if isinstance(value, str):
            container[key] = chance.choice([value * 50, value[1:], value + "{", value.upper()])
        case 3 if isinstance(value, list) and value:
            container[key] = chance.choice([value * 20, value[:-1], value[::-1], value[:1]])
        case 4:
            other_container, other_key = chance.choice(places(container) or [(container, key)])
            container[key] = copied(other_container[other_key])
        case _:
            container[key] = copied(chance.choice(ODD_VALUES))
