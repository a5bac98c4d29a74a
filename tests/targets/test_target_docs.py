"""The page of the targets says what the code does: options, environment names, kinds of answers, routes, ports."""

from __future__ import annotations

import dataclasses

import click
import pytest

from fastload.cli.target import target as command
from fastload.targets import TargetOptions, find_target, target_names
from fastload.targets.distributions import parse_distribution
from fastload.targets.limits import limit_names, parse_limits
from fastload.targets.spec import COMMON_ANSWER_KINDS, COMMON_ROUTES
from tests.test_docs import DOCS, first_column, names, rows, section

PAGE = "targets.md"
OWN = sorted({*target_names()} - {"sequencer"})
COMMON = {field.name for field in dataclasses.fields(TargetOptions)}


def options_table(heading: str) -> dict[str, tuple[str, str]]:
    """Option of the command -> field and environment variable."""
    return {
        names(row[0])[0]: (names(row[1])[0], "".join(names(row[2])))
        for row in rows(section(PAGE, heading))
        if names(row[0])[0] != "--port"
    }


def real_options(name: str, fields: set[str]) -> dict[str, tuple[str, str]]:
    """The same of the code."""
    environment = find_target(name).options_type._ENVIRONMENT
    return {
        option.opts[0]: (option.name, environment.get(option.name, ""))
        for option in command.commands[name].params
        if isinstance(option, click.Option) and option.name in fields
    }


def test_the_common_options() -> None:
    assert options_table("Common options") == real_options("score", COMMON)


@pytest.mark.parametrize("name", OWN)
def test_the_options_of_each(name: str) -> None:
    fields = {field.name for field in dataclasses.fields(find_target(name).options_type)}
    table = options_table(f"Options of {name}")
    assert table == real_options(name, fields - COMMON)
    assert {field for field, _ in table.values()} == fields - COMMON


@pytest.mark.parametrize("name", OWN)
def test_the_kinds_of_answers_of_each(name: str) -> None:
    documented = first_column(section(PAGE, f"Answers of {name}"))
    assert sorted(documented) == sorted(find_target(name).own_answer_kinds)


def test_the_kinds_of_answers_of_all() -> None:
    assert first_column(section(PAGE, "Counters")) == [*COMMON_ANSWER_KINDS]
    documented = first_column(section("sequencer.md", "Kinds of answers"))
    assert sorted(documented) == sorted(find_target("sequencer").own_answer_kinds)


@pytest.mark.parametrize("name", OWN)
def test_the_routes_of_each(name: str) -> None:
    documented = [route.partition("?")[0] for route in first_column(section(PAGE, name))]
    assert documented == [f"{route.method} {route.path}" for route in find_target(name).own_routes]
    text = (DOCS / PAGE).read_text()
    assert all(route.path in text for route in COMMON_ROUTES)


def test_the_ports() -> None:
    table = {names(row[0])[0]: int(row[1]) for row in rows(section(PAGE, "Servers to test against"))}
    assert table == {name: find_target(name).default_port for name in target_names()}


def test_the_limits() -> None:
    table = {names(row[0])[0]: names(row[1])[0] for row in rows(section(PAGE, "Limits"))}
    assert list(table) == [*limit_names()]
    for name, default in table.items():
        (given,), (left_out,) = parse_limits([default]), parse_limits([name])
        assert given.amount == left_out.amount
        assert (given.time and given.time.text) == (left_out.time and left_out.time.text)


def test_the_distributions_can_be_written_so() -> None:
    written = first_column(section(PAGE, "Distributions"))
    assert len(written) == 5
    for text in written:
        parse_distribution(text, what="docs")
