"""Options of a capacity search, which `capacity` and `bench --find-capacity` share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from fastload.cli.options import AnyFunction, ListText
from fastload.model.capacity.settings import CapacitySettings
from fastload.model.errors import PlanError
from fastload.model.judging.threshold_grammar import split_thresholds
from fastload.planning.capacity import search_settings

_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*").fullmatch

_SEARCH = (
    click.option(
        "--slo",
        "slo",
        multiple=True,
        type=ListText(split_thresholds),
        metavar="'METRIC: EXPR'",
        help="Objective of every step, like 'http_req_response_time: p(95)<50'. Repeatable.  "
        "[default: the thresholds; else p99 under 3 times that of the lightest step, and under 1% failed]",
    ),
    click.option(
        "--by", type=click.Choice(["rate", "vus"]), default="rate", show_default=True, help="What the search drives."
    ),
    click.option("--from", "first", metavar="LOAD", help="The lightest load, like 10/s, or 1 for VUs."),
    click.option("--up-to", "most", metavar="LOAD", help="Try no more than this."),
    click.option(
        "--precision", metavar="PERCENT", default="5%", show_default=True, help="How close the answer is to be."
    ),
    click.option("--step", metavar="DURATION", default="8s", show_default=True, help="Longest time to measure a step."),
    click.option(
        "--settle", metavar="DURATION", default="1s", show_default=True, help="Time before that, not counted."
    ),
    click.option("--within", metavar="DURATION", default="5m", show_default=True, help="Longest time of the search."),
    click.option("--at-least", metavar="LOAD", help="Fail (exit 99) unless the search shows this capacity."),
)
SEARCH_NAMES = ("slo", "by", "first", "most", "precision", "step", "settle", "within", "at_least")
"""Parameters of these options."""
_RENAMED = {"first": "--from", "most": "--up-to"}
_OPTIONS = {name: _RENAMED.get(name, f"--{name.replace('_', '-')}") for name in SEARCH_NAMES}


def search_options(command: AnyFunction) -> AnyFunction:
    """Add every option of a search to a command."""
    for add in reversed(_SEARCH):
        command = add(command)
    return command


def refuse_search_options(ctx: click.Context, remedy: str) -> None:
    """Refuse the options of a search in a command that makes none.

    Raises:
        PlanError: one was given.
    """
    for name in SEARCH_NAMES:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise PlanError(f"{_OPTIONS[name]} belongs to a search for the capacity", hint=remedy)


def capacity_settings(options: Mapping[str, Any]) -> CapacitySettings:
    """Return the settings of a search that these *options* ask for.

    Raises:
        PlanError: an option is malformed, or contradicts another.
    """
    return search_settings(
        precision=_share(options["precision"]),
        names=_OPTIONS,
        **{name: options[name] for name in SEARCH_NAMES if name not in ("slo", "precision")},
    )


def _share(text: str) -> float:
    match = _PERCENT(text)
    if match is None:
        raise PlanError(f"--precision {text!r} is no percentage", hint="write it like 5%")
    return float(match[1]) / 100
