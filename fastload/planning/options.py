"""Table of all options of configurations: the name, kind of value and scope of each, and the checks of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fastload.model.errors import PlanError, nearest
from fastload.model.http_settings import PEM
from fastload.model.load_models import EXECUTORS
from fastload.model.plain_numbers import as_flag, as_whole
from fastload.model.units import (
    is_rate_stage,
    parse_bytes,
    parse_duration_s,
    parse_rate_per_s,
    parse_rate_stage,
    parse_stage,
)

OptionScope = Literal["load", "scenario", "run", "table"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option. *kind*: the kind of its value, see `check_value`. *choices*: the allowed texts, () for any.

    *scope*: ``load`` of a scenario, another option of a ``scenario``, the whole ``run``, or ``table``: allowed only in
    a scenario's own table.
    """

    name: str
    kind: str
    scope: OptionScope
    choices: tuple[str, ...] = ()


OPTIONS: dict[str, Option] = {
    option.name: option
    for option in (
        Option("executor", "text", "load", tuple(EXECUTORS)),
        Option("vus", "whole number", "load"),
        Option("duration", "duration", "load"),
        Option("iterations", "whole number", "load"),
        Option("stages", "list of stages", "load"),
        Option("start_vus", "whole number", "load"),
        Option("rate", "rate", "load"),
        Option("start_rate", "rate", "load"),
        Option("max_vus", "whole number", "load"),
        Option("arrivals", "text", "load", ("constant", "uniform", "poisson")),
        Option("when_busy", "text", "load", ("queue", "drop")),
        Option("pacing", "duration", "load"),
        Option("trace", "file", "load"),
        Option("graceful_ramp_down", "duration", "load"),
        Option("graceful_stop", "duration", "scenario"),
        Option("start_time", "duration", "scenario"),
        Option("after", "text", "table"),
        Option("iteration_timeout", "duration", "scenario"),
        Option("tags", "table of texts", "scenario"),
        Option("env", "table of texts", "scenario"),
        Option("thresholds", "table of expressions", "scenario"),
        Option("keep_body", "yes or no", "table"),
        Option("keep_headers", "yes or no", "table"),
        Option("scenario", "list of texts", "run"),
        Option("base_url", "text", "run"),
        Option("target", "text", "run"),
        Option("target_limits", "list of texts", "run"),
        Option("workers", "whole number", "run"),
        Option("seed", "whole number", "run"),
        Option("warmup", "duration", "run"),
        Option("headers", "headers", "run"),
        Option("timeout", "duration", "run"),
        Option("insecure", "yes or no", "run"),
        Option("http", "text", "run", ("1.1", "2", "2-prior", "3")),
        Option("user_agent", "text", "run"),
        Option("max_redirects", "whole number", "run"),
        Option("cookies", "yes or no", "run"),
        Option("connect_timeout", "duration", "run"),
        Option("idle_timeout", "duration", "run"),
        Option("auth", "text", "run"),
        Option("compressed", "yes or no", "run"),
        Option("accept_encoding", "text", "run"),
        Option("max_body", "size", "run"),
        Option("upload_rate", "size", "run"),
        Option("download_rate", "size", "run"),
        Option("proxy", "text", "run"),
        Option("no_proxy", "text", "run"),
        Option("proxy_auth", "text", "run", ("basic", "digest", "ntlm")),
        Option("hosts", "table of texts", "run"),
        Option("dns", "text", "run"),
        Option("dns_select", "text", "run", ("first", "random", "roundRobin")),
        Option("ip_version", "text", "run", ("4", "6")),
        Option("source_addresses", "list of texts", "run"),
        Option("no_connection_reuse", "yes or no", "run"),
        Option("no_vu_connection_reuse", "yes or no", "run"),
        Option("max_connection_requests", "whole number", "run"),
        Option("max_connection_age", "duration", "run"),
        Option("ca_file", "file", "run"),
        Option("cert", "file or PEM", "run"),
        Option("key", "file or PEM", "run"),
        Option("key_password", "text", "run"),
        Option("tls_min", "text", "run", ("1.0", "1.1", "1.2", "1.3")),
        Option("tls_max", "text", "run", ("1.0", "1.1", "1.2", "1.3")),
        Option("ciphers", "text", "run"),
        Option("http_debug", "text", "run", ("headers", "full")),
        Option("fold_paths", "yes or no", "run"),
        Option("expected", "text", "run"),
        Option("watch", "list of texts", "run"),
        Option("on_worker_loss", "text", "run", ("continue", "stop")),
        Option("on_no_answer", "text", "run", ("stop", "continue")),
        Option("strict", "yes or no", "run"),
        Option("paused", "yes or no", "run"),
        Option("control", "address", "run"),
        Option("no_setup", "yes or no", "run"),
        Option("no_teardown", "yes or no", "run"),
        Option("no_thresholds", "yes or no", "run"),
        Option("setup_timeout", "duration", "run"),
        Option("teardown_timeout", "duration", "run"),
        Option("summary", "text", "run"),
        Option("save", "text", "run"),
        Option("html", "text", "run"),
        Option("out", "list of texts", "run"),
        Option("strict_outputs", "yes or no", "run"),
        Option("dashboard", "address", "run"),
        Option("dashboard_linger", "duration", "run"),
        Option("open", "yes or no", "run"),
        Option("json", "yes or no", "run"),
        Option("quiet", "yes or no", "run"),
    )
}
LOAD_OPTIONS = (*(name for name, option in OPTIONS.items() if option.scope == "load"), "shape")
"""Options of a scenario that decide when iterations start. A shape is a function, which only a script can give."""
SCENARIO_OPTIONS = tuple(name for name, option in OPTIONS.items() if option.scope in ("scenario", "table"))
RUN_OPTIONS = tuple(name for name, option in OPTIONS.items() if option.scope == "run")
_OF_SCENARIOS = tuple(name for name, option in OPTIONS.items() if option.scope != "run")
_OF_RUN = tuple(name for name, option in OPTIONS.items() if option.scope != "table")

_EXAMPLES = {
    "whole number": "10",
    "text": '"text"',
    "duration": '"30s"',
    "rate": '100 or "1k/s"',
    "yes or no": "true or false",
    "file": '"starts.txt"',
    "size": '65536 or "64KiB"',
    "file or PEM": '"client.pem"',
    "address": '6565 or "127.0.0.1:6565"',
    "list of texts": '["one", "two"]',
    "list of stages": '["30s:10", "1m:10"]',
    "headers": '{ Accept = "application/json" }',
    "table of texts": '{ team = "checkout" }',
    "table of expressions": '{ http_req_failed = "rate<0.01" }',
}


def is_given(value: Any) -> bool:
    """Return whether an option has a value: None and an empty text, list or table count as no value."""
    return value is not None and not (isinstance(value, str | tuple | dict) and not value)


def check_options(
    given: Mapping[str, Any], *, where: str, of_scenario: bool = False, folder: str = ""
) -> dict[str, Any]:
    """Check the options of a file's table, and return them with values in the form of `check_value`.

    *where* names the table in messages. Paths of files are relative to *folder*.

    Raises:
        PlanError: an unknown option, an option in the wrong table, or a value of the wrong type.
    """
    known = _OF_SCENARIOS if of_scenario else _OF_RUN
    checked = {}
    for name, value in given.items():
        if name not in known:
            raise PlanError(f"{where}: there is no option {name!r}", hint=_hint_of_unknown(name, known))
        checked[name] = check_value(OPTIONS[name], value, where=where, folder=folder)
    return checked


def check_value(option: Option, value: Any, *, where: str, folder: str = "") -> Any:
    """Check *value* of *option*, and return it as the plan takes it: lists as tuples, headers as lines, absolute paths.

    Raises:
        PlanError: the value is not of the option's kind, or not one of its choices.
    """
    taken = _TAKE[option.kind](value)
    if taken is None:
        raise PlanError(
            f"{where}: {option.name} is {value!r}, and takes a {option.kind}",
            hint=f"write {option.name} = {_EXAMPLES[option.kind]}",
        )
    if option.choices and taken not in option.choices:
        hint = nearest(taken, option.choices) or f"one of {', '.join(option.choices)}"
        raise PlanError(f"{where}: {option.name} {taken!r} is unknown", hint=hint)
    if option.kind == "duration":
        parse_duration_s(taken, what=f"{where}: {option.name}")
    if option.kind == "rate":
        parse_rate_per_s(str(taken), what=f"{where}: {option.name}", zero=option.name == "start_rate")
    for stage in taken if option.kind == "list of stages" else ():
        _check_stage(stage, where)
    if option.kind == "size":
        parse_bytes(taken, what=f"{where}: {option.name}")
    is_file = option.kind == "file" or (option.kind == "file or PEM" and not taken.startswith(PEM))
    return str(Path(folder, taken).absolute()) if is_file else taken


def _check_stage(text: str, where: str) -> None:
    """Check that *text* is a stage, of VUs or of a rate: the executor is not known yet."""
    try:
        try:
            parse_rate_stage(text)
        except PlanError:
            if is_rate_stage(text):
                raise
            parse_stage(text)
    except PlanError as error:
        raise PlanError(f"{where}: {error.message}", hint=error.hint) from error


def _hint_of_unknown(name: str, known: tuple[str, ...]) -> str:
    if name in OPTIONS:
        whom = "one scenario only: write it in [scenarios.NAME]" if name in _OF_SCENARIOS else "the whole run"
        return f"it is an option of {whom}"
    if name == "shape":
        return "a shape is a function: give it in the script"
    return nearest(name.replace("-", "_"), known) or f"there are {', '.join(known)}"


def _whole_number(value: Any) -> int | None:
    return as_whole(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _rate(value: Any) -> str | float | None:
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _yes_or_no(value: Any) -> bool | None:
    return as_flag(value)


def _address(value: Any) -> str | None:
    return str(value) if isinstance(value, str) or _whole_number(value) is not None else None


def _texts(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, list | tuple) or any(not isinstance(item, str | int) for item in value):
        return None
    return tuple(str(item) for item in value)


def _table(value: Any) -> dict[str, str] | None:
    if not isinstance(value, Mapping) or any(isinstance(item, Mapping | list) for item in value.values()):
        return None
    return {str(name): _plain(item) for name, item in value.items()}


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _headers(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, Mapping):
        lines = _table(value)
        return None if lines is None else tuple(f"{name}: {text}" for name, text in lines.items())
    lines_given = isinstance(value, list | tuple) and all(isinstance(line, str) and ":" in line for line in value)
    return tuple(value) if lines_given else None


def _expressions(value: Any) -> Mapping[str, Any] | None:
    # The expressions are checked later: the metrics are known only when the script has been read.
    return value if isinstance(value, Mapping) else None


_TAKE: dict[str, Callable[[Any], Any]] = {
    "whole number": _whole_number,
    "text": _text,
    "duration": _text,
    "rate": _rate,
    "yes or no": _yes_or_no,
    "file": _text,
    "file or PEM": _text,
    "size": _rate,
    "address": _address,
    "list of texts": _texts,
    "list of stages": _texts,
    "headers": _headers,
    "table of texts": _table,
    "table of expressions": _expressions,
}
