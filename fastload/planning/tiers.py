"""Tiers of options: what each source gives, one over the other, and who set each value in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fastload.planning.options import is_given


@dataclass(frozen=True, slots=True)
class Tier:
    """What one source says: *options* for all scenarios, and *scenarios* for those of these names.

    *who* has, for an option, more than the tier's *name*: ``FASTLOAD_VUS`` of the environment. *is_standing*: it is
    there for every run of this project, as a file of the working directory is; so what no scenario can use is no
    mistake. *chosen*: the run has just these scenarios, each made of the function named, and what is said of one
    replaces all of its load (k6's ``scenarios``).
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    who: Mapping[str, str] = field(default_factory=dict)
    is_standing: bool = False
    chosen: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()

    def layers(self, scenario: str) -> list[Layer]:
        """What it says of *scenario*: first what it says of all, then what it says of this one."""
        own = self.scenarios.get(scenario, {})
        whole = Layer(self.name, self.options, self.who, of_all=True, is_standing=self.is_standing)
        one = Layer(f"{self.name} [scenarios.{scenario}]", own, {}, wipes=self.chosen is not None)
        return [whole, one]


@dataclass(frozen=True, slots=True)
class Layer:
    """Options that one source gives together. *of_all*: to every scenario. *wipes*: nothing stays of what lower
    layers say of the load and its times."""

    name: str
    options: Mapping[str, Any]
    who: Mapping[str, str] = field(default_factory=dict)
    of_all: bool = False
    is_standing: bool = False
    wipes: bool = False

    def by(self, option: str) -> str:
        """Who set *option*, or one entry of it, like ``tags.team``."""
        return self.who.get(option.partition(".")[0], self.name)


class GivenValue(NamedTuple):
    """A value, and who gave it."""

    value: Any
    by: str


@dataclass(slots=True)
class MergedOptions:
    """What came of layers. *values* has the options that are left, *level* the layer that each is of, *lost* what was
    given and has no effect, and *ended_by* who took away an option of which nothing is left."""

    layers: Sequence[Layer]
    values: dict[str, Any] = field(default_factory=dict)
    level: dict[str, int] = field(default_factory=dict)
    lost: dict[str, list[GivenValue]] = field(default_factory=dict)
    ended_by: dict[str, str] = field(default_factory=dict)

    def by(self, option: str) -> str:
        return self.layers[self.level[option]].by(option)

    def set(self, option: str, value: Any, level: int) -> None:
        """Put *value* over what is there."""
        if option in self.values and self.values[option] != value:
            self.lost.setdefault(option, []).append(GivenValue(self.values[option], self.by(option)))
        self.values[option] = value
        self.level[option] = level
        self.ended_by.pop(option, None)

    def drop(self, option: str, by: str) -> None:
        """Take *option* away, because of *by*."""
        self.lost.setdefault(option, []).append(GivenValue(self.values.pop(option), self.by(option)))
        self.ended_by[option] = by
        del self.level[option]


Replaced = Callable[[Layer, Mapping[str, Any]], Mapping[str, str]]
"""A layer, and what lower layers left -> the options that it takes away, each with the option because of which."""


def nothing_replaced(_layer: Layer, _below: Mapping[str, Any]) -> Mapping[str, str]:
    """Of options that do not contradict each other: each is only replaced by itself."""
    return {}


def merge_layers(layers: Sequence[Layer], replaced: Replaced = nothing_replaced) -> MergedOptions:
    """Layers from the lowest to the highest, each over those below it; empty values are none."""
    settled = MergedOptions(layers)
    for level, layer in enumerate(layers):
        given = {name: value for name, value in layer.options.items() if is_given(value)}
        for name, because in replaced(layer, settled.values).items():
            if name in settled.values and name not in given:
                settled.drop(name, f"{because} ({layer.by(because)})" if because else layer.name)
        for name, value in given.items():
            settled.set(name, value, level)
    return settled


def flat(options: Mapping[str, Any], tables: Sequence[str]) -> dict[str, Any]:
    """*options* with an entry of its own for each entry of *tables*: ``{"tags.team": "a"}``. So the tables of several
    layers add up, entry by entry."""
    entries = {name: value for name, value in options.items() if name not in tables}
    for table in tables:
        entries |= {f"{table}.{name}": value for name, value in (options.get(table) or {}).items()}
    return entries


def table_of(settled: MergedOptions, table: str) -> dict[str, Any]:
    """What is left of *table* in flat layers."""
    start = f"{table}."
    return {name.removeprefix(start): value for name, value in settled.values.items() if name.startswith(start)}
