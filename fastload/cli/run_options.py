"""Options of `run` and `plan`, and their conversion to tiers: one for the command line, one for the environment."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fastload.cli.options import (
    AnyFunction,
    ListText,
    SharedCommand,
    header_lines,
    http_options,
    parse_pairs,
    shared_options,
)
from fastload.cli.transport_options import CONVERTERS, HEADINGS, WITHOUT_A_VALUE, transport_options
from fastload.model.errors import PlanError
from fastload.model.units import parse_whole
from fastload.planning import Tier, Tiers, file_tier, project_tiers
from fastload.planning.options import OPTIONS, Option, check_value, is_given
from fastload.planning.settings import COMMAND_LINE

_LOAD = (
    click.option(
        "-u", "--vus", "--users", "vus", type=int, envvar="FASTLOAD_VUS", help="Virtual users (VUs), at most or always."
    ),
    click.option(
        "-d",
        "-t",
        "--duration",
        "--run-time",
        "duration",
        metavar="DURATION",
        envvar="FASTLOAD_DURATION",
        help="How long, like 30s or 5m.",
    ),
    click.option(
        "-i", "--iterations", type=int, envvar="FASTLOAD_ITERATIONS", help="Iterations in all, shared by the VUs."
    ),
    click.option(
        "-s",
        "--stage",
        "--stages",
        "stages",
        multiple=True,
        type=ListText(),
        metavar="30s:10",
        envvar="FASTLOAD_STAGES",
        help="Reach 10 VUs in 30 s, or 10 starts a second with 30s:10/s. Repeatable, or with commas.",
    ),
    click.option(
        "-r",
        "--rate",
        metavar="RATE",
        envvar="FASTLOAD_RATE",
        help="Start so many iterations a second by the clock, like 50 or 1k/s.",
    ),
    click.option(
        "--start-rate", metavar="RATE", envvar="FASTLOAD_START_RATE", help="The rate before the first stage of a rate."
    ),
    click.option("--max-vus", type=int, envvar="FASTLOAD_MAX_VUS", help="Most VUs of an open model.  [default: 100]"),
    click.option(
        "--arrivals",
        type=click.Choice(OPTIONS["arrivals"].choices),
        envvar="FASTLOAD_ARRIVALS",
        help="How starts of a rate are spaced.  [default: constant]",
    ),
    click.option(
        "--when-busy",
        type=click.Choice(OPTIONS["when_busy"].choices),
        envvar="FASTLOAD_WHEN_BUSY",
        help="What a start does that finds no VU free.  [default: queue]",
    ),
    click.option("--trace", metavar="FILE", envvar="FASTLOAD_TRACE", help="Start times in seconds, one a line."),
    click.option(
        "--pacing",
        metavar="DURATION",
        envvar="FASTLOAD_PACING",
        help="Each VU starts an iteration every so often (closed model).",
    ),
    click.option(
        "--executor",
        metavar="NAME",
        envvar="FASTLOAD_EXECUTOR",
        help="By its name, where the options leave a choice, like per-vu-iterations.",
    ),
    click.option(
        "--iteration-timeout",
        metavar="DURATION",
        envvar="FASTLOAD_ITERATION_TIMEOUT",
        help="Longest time for an iteration.  [default: none]",
    ),
    click.option(
        "--graceful-stop",
        metavar="DURATION",
        envvar="FASTLOAD_GRACEFUL_STOP",
        help="How long iterations may go on after the end.  [default: 30s]",
    ),
)
_TEST = (
    click.option(
        "--scenario",
        multiple=True,
        type=ListText(),
        metavar="NAME",
        envvar="FASTLOAD_SCENARIO",
        help="Only this one, or those like 'read_*'. Repeatable.",
    ),
    click.option(
        "-e",
        "--env",
        multiple=True,
        type=ListText(),
        metavar="K=V",
        envvar="FASTLOAD_ENV",
        help="For vu.env and os.environ. Repeatable.",
    ),
    click.option(
        "--tag",
        "tags",
        multiple=True,
        type=ListText(),
        metavar="K=V",
        envvar="FASTLOAD_TAGS",
        help="Tag of everything that is measured. Repeatable.",
    ),
    click.option("--seed", type=int, envvar="FASTLOAD_SEED", help="Makes what is left to chance repeat."),
    click.option(
        "--base-url",
        "--host",
        "base_url",
        metavar="URL",
        envvar="FASTLOAD_BASE_URL",
        help="What relative URLs start with.",
    ),
    click.option(
        "--target", metavar="NAME", envvar="FASTLOAD_TARGET", help="Start this shipped target and run against it."
    ),
    click.option(
        "--target-limit",
        "target_limits",
        multiple=True,
        # The parameters of a distribution have commas between them.
        type=ListText(re.compile(r",(?![^()]*\))").split),
        metavar="LIMIT",
        envvar="FASTLOAD_TARGET_LIMITS",
        help="What limits that target, like pool=4:20ms. Repeatable.",
    ),
    click.option(
        "--config", metavar="FILE", envvar="FASTLOAD_CONFIG", help="Options below the script: TOML, or k6-style JSON."
    ),
    click.option(
        "--opts", metavar="FILE", envvar="FASTLOAD_OPTS", help="Options over the script: k6-style JSON, or TOML."
    ),
    click.option("--no-setup", is_flag=True, envvar="FASTLOAD_NO_SETUP", help="Leave the script's setup out."),
    click.option("--no-teardown", is_flag=True, envvar="FASTLOAD_NO_TEARDOWN", help="Leave its teardown out."),
    click.option(
        "--no-thresholds",
        is_flag=True,
        envvar="FASTLOAD_NO_THRESHOLDS",
        help="Leave its thresholds out; those of --threshold count.",
    ),
    click.option("-p", "--paused", is_flag=True, envvar="FASTLOAD_PAUSED", help="Start nothing before it is asked to."),
    click.option(
        "--control",
        metavar="PORT|HOST:PORT",
        envvar="FASTLOAD_CONTROL",
        help="Serve the control API there, for fastload ctl.",
    ),
)
_GROUPS = {
    "vus": "Load",
    "scenario": "Test",
    "headers": "Requests",
    **HEADINGS,
    "workers": "Run",
    "summary_file": "Output",
}
# Parameter of click -> option name in a configuration, where the two differ.
_NAMES = {"http_version": "http", "summary_file": "summary", "as_json": "json"}
_FILES = ("config", "opts")
_PREFIX = "FASTLOAD_"
_MISSPELT_LIKENESS = 0.8
_ONLY_FILES = (
    "start_vus",
    "graceful_ramp_down",
    "start_time",
    "cookies",
    "accept_encoding",
    "proxy_auth",
    "expected",
    "fold_paths",
    "setup_timeout",
    "teardown_timeout",
)
FILE_VARIABLES = {f"{_PREFIX}{name.upper()}": OPTIONS[name] for name in _ONLY_FILES}
"""Variables of options that files have and the command line has not."""
# They are read elsewhere.
_OTHER_VARIABLES = ("FASTLOAD_CONTROL_TOKEN", "FASTLOAD_DASHBOARD_TOKEN", "FASTLOAD_UI_ARGUMENTS")


class RunCommand(SharedCommand):
    """A command whose help groups its many options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        title = ""
        for option in (param for param in self.get_params(ctx) if isinstance(param, click.Option)):
            title = _GROUPS.get(option.name or "", title)
            if record := option.get_help_record(ctx):
                groups.setdefault(title, []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, [WITHOUT_A_VALUE.get(arg, arg) for arg in args])
        except click.BadParameter as error:
            param = error.param
            if param and param.name and ctx.get_parameter_source(param.name) is ParameterSource.ENVIRONMENT:
                raise PlanError(f"{param.envvar}: {error.message}", hint="mend that variable, or unset it") from error
            raise


def run_options(command: AnyFunction) -> AnyFunction:
    """Add every option of a run to a command. `tiers_of` returns their values."""
    command = http_options(transport_options(shared_options(command)))
    for add in reversed((*_LOAD, *_TEST)):
        command = add(command)
    return command


def tiers_of(ctx: click.Context) -> Tiers:
    """Return all options given outside of the script: by files, by the environment, on the command line.

    Raises:
        PlanError: a file cannot be read, or an option in a file or of the command is malformed.
    """
    environment, given = _environment(ctx), _command_line(ctx)
    files = {name: given.options.get(name) or environment.options.get(name) for name in _FILES}
    below = project_tiers(Path.cwd())
    if files["config"]:
        below.append(file_tier(files["config"], option="--config"))
    above = [file_tier(files["opts"], option="--opts")] if files["opts"] else []
    names = [name for tier in (*below, *above) for name in tier.options.get("env", {})]
    process = {name: os.environ[name] for name in names if name in os.environ}
    return Tiers(below, [*above, Tier("environment", {"env": process}), environment, given])


def _environment(ctx: click.Context) -> Tier:
    """Return the tier of the environment variables, including those that the command line overrides."""
    options, who = {}, {}
    for param in _options_of(ctx):
        text = param.value_from_envvar(ctx)
        if text is not None and param.name is not None and isinstance(param.envvar, str):
            name = _NAMES.get(param.name, param.name)
            value = _converted(name, param.type_cast_value(ctx, text), param.envvar)
            is_checked = name in OPTIONS and name != "thresholds" and is_given(value)
            options[name] = check_value(OPTIONS[name], value, where=param.envvar) if is_checked else value
            who[name] = param.envvar
    for variable, option in FILE_VARIABLES.items():
        if text := os.environ.get(variable):
            options[option.name] = check_value(option, _file_value(option, text), where=variable)
            who[option.name] = variable
    known = {*FILE_VARIABLES, *_OTHER_VARIABLES, *(str(param.envvar) for param in _options_of(ctx))}
    return Tier("environment", options, who=who, notes=tuple(_misspelt(known)))


def _file_value(option: Option, text: str) -> Any:
    """Return *text* of the environment as the value that a file would have: texts are taken as they are."""
    if option.kind == "whole number":
        number = parse_whole(text.strip(), 10**12)
        return text if number is None else number
    if option.kind == "yes or no":
        try:
            return click.BOOL.convert(text, None, None)
        except click.BadParameter:
            return text
    return text


def _misspelt(known: Collection[str]) -> Iterator[str]:
    """Yield a note for each variable that is nearly the name of an option. Others may be the script's own."""
    names = [variable.removeprefix(_PREFIX) for variable in known]
    for variable in sorted(os.environ):
        name = variable.removeprefix(_PREFIX)
        if variable.startswith(_PREFIX) and variable not in known:
            # Only what is very near: a program of the user's may have variables with this prefix as well.
            for guess in difflib.get_close_matches(name, names, n=1, cutoff=_MISSPELT_LIKENESS):
                yield f"{variable} has no effect: did you mean '{_PREFIX}{guess}'?"


def _command_line(ctx: click.Context) -> Tier:
    options = {}
    for param in _options_of(ctx):
        if param.name and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
            name = _NAMES.get(param.name, param.name)
            options[name] = _converted(name, ctx.params[param.name], param.opts[-1])
    return Tier(COMMAND_LINE, options)


def _options_of(ctx: click.Context) -> Iterable[click.Option]:
    return (param for param in ctx.command.params if isinstance(param, click.Option))


def _converted(name: str, value: Any, said_by: str) -> Any:
    """Return *value* in the form that configurations use."""
    take = _CONVERTERS.get(name)
    return take(value, said_by) if take and is_given(value) else value


def _pairs(example: str) -> Callable[[tuple[str, ...], str], dict[str, str]]:
    return lambda texts, said_by: parse_pairs(texts, separator="=", what=said_by, example=example)


_CONVERTERS: dict[str, Callable[[Any, str], Any]] = {
    **CONVERTERS,
    "env": _pairs("API_KEY=secret"),
    "tags": _pairs("team=checkout"),
    "headers": lambda texts, _: header_lines({"headers": texts}),
    "stages": lambda texts, _: tuple(part.strip() for text in texts for part in text.split(",") if part.strip()),
    "trace": lambda path, _: str(Path(path).absolute()),
}
