"""Tiers and layers of options: merge the options of all sources by priority, and record who set each value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fastload.model.names import as_text
from fastload.planning.options import is_given


@dataclass(frozen=True, slots=True)
class Tier:
    """Options of one source: *options* for all scenarios, and *scenarios* with the options of single ones, by name.

    *who*: for single options, a more exact source than *name*, like ``FASTLOAD_VUS`` of the environment. *is_standing*:
    the source applies to every run of the project, like a file in the working directory; so it is no error if no
    scenario can use an option of it. *chosen* (k6's ``scenarios``): the run has only these scenarios, each with the
    name of its function, and the options for one of them replace all of its load.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    who: Mapping[str, str] = field(default_factory=dict)
    is_project_file: bool = False
    chosen: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()

    def layers(self, scenario: str) -> list[Layer]:
        """Return the layers for *scenario*: first the options for all scenarios, then its own."""
        own = self.scenarios.get(scenario, {})
        whole = Layer(self.name, self.options, self.who, of_all=True, is_project_file=self.is_project_file)
        one = Layer(f"{self.name} [scenarios.{scenario}]", own, {}, removes_load=self.chosen is not None)
        return [whole, one]


@dataclass(frozen=True, slots=True)
class Layer:
    """Options that one source gives together.

    *of_all*: they apply to every scenario. *wipes*: they remove all options of lower layers for the load and its times.
    """

    name: str
    options: Mapping[str, Any]
    who: Mapping[str, str] = field(default_factory=dict)
    of_all: bool = False
    is_project_file: bool = False
    removes_load: bool = False

    def by(self, option: str) -> str:
        """Return who set *option*, or one of its entries, like ``tags.team``."""
        return self.who.get(option.partition(".")[0], self.name)


class GivenValue(NamedTuple):
    """Value of an option, and who gave it."""

    value: Any
    by: str


@dataclass(slots=True)
class MergedOptions:
    """Result of a merge of layers.

    *values*: the options after the merge. *level*: the index in *layers* of the layer that set each of them. *lost*:
    given values that have no effect. *ended_by*: for each option that was removed, who removed it.
    """

    layers: Sequence[Layer]
    values: dict[str, Any] = field(default_factory=dict)
    level: dict[str, int] = field(default_factory=dict)
    lost: dict[str, list[GivenValue]] = field(default_factory=dict)
    removed_by: dict[str, str] = field(default_factory=dict)

    def by(self, option: str) -> str:
        return self.layers[self.level[option]].by(option)

    def set(self, option: str, value: Any, level: int) -> None:
        """Set *option* to *value*, from the layer with index *level*. A different earlier value becomes lost."""
        if option in self.values and self.values[option] != value:
            self.lost.setdefault(option, []).append(GivenValue(self.values[option], self.by(option)))
        self.values[option] = value
        self.level[option] = level
        self.removed_by.pop(option, None)

    def drop(self, option: str, by: str) -> None:
        """Remove *option*. *by*: the option or source that removes it."""
        self.lost.setdefault(option, []).append(GivenValue(self.values.pop(option), self.by(option)))
        self.removed_by[option] = by
        del self.level[option]


Replaced = Callable[[Layer, Mapping[str, Any]], Mapping[str, str]]
"""Function of a layer and the merged options of the layers below it.

It returns the options of lower layers that the layer removes, each with the option of the layer that causes this.
"""


def nothing_replaced(_layer: Layer, _below: Mapping[str, Any]) -> Mapping[str, str]:
    """Return no options: for options that do not contradict each other, so that none removes another."""
    return {}


def merge_layers(layers: Sequence[Layer], replaced: Replaced = nothing_replaced) -> MergedOptions:
    """Merge *layers*, from the lowest to the highest: each overrides those below it. Empty values are ignored."""
    merged = MergedOptions(layers)
    for level, layer in enumerate(layers):
        given = {name: value for name, value in layer.options.items() if is_given(value)}
        for name, because in replaced(layer, merged.values).items():
            if name in merged.values and name not in given:
                merged.drop(name, f"{because} ({layer.by(because)})" if because else layer.name)
        for name, value in given.items():
            merged.set(name, value, level)
    return merged


def flat(options: Mapping[str, Any], tables: Sequence[str]) -> dict[str, Any]:
    """Return *options* with one option for each entry of *tables*, like ``{"tags.team": "a"}``.

    So the tables of several layers are merged entry by entry.
    """
    entries = {name: value for name, value in options.items() if name not in tables}
    for table in tables:
        given = (options.get(table) or {}).items()
        entries |= {f"{table}.{as_text(name, f'a name in {table}')}": value for name, value in given}
    return entries


def table_of(merged: MergedOptions, table: str) -> dict[str, Any]:
    """Return the entries of *table* after a merge of layers with `flat` options."""
    start = f"{table}."
    return {name.removeprefix(start): value for name, value in merged.values.items() if name.startswith(start)}
