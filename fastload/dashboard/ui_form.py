"""The form of ``fastload ui``: its first values, its checks, and its conversion to arguments of ``fastload run``."""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastload.model.errors import FastloadError, PlanError
from fastload.model.http_settings import check_base_url
from fastload.model.load_models import MOST_VUS
from fastload.model.units import parse_duration_s, parse_rate_per_s

TEXTS = {
    "users": "vus",
    "rate": "rate",
    "iterations": "iterations",
    "duration": "duration",
    "base_url": "base_url",
}
"""Text field of the form -> option of a run that the field sets."""
NO_THRESHOLDS, THRESHOLD = "--no-thresholds", "--threshold="
_OF_THRESHOLDS = re.compile(r"thresholds? ").match
_LONGEST_TEXT = 10_000
_MOST_ENTRIES = 200
_MOST_DIGITS = 18
_MISTAKES, _SEE_FIELDS = "the form has mistakes", "see the fields"


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in one field, and a hint how to correct it."""

    message: str
    hint: str = ""


class FormError(FastloadError):
    """An invalid form. *fields* has the errors by field; the message tells an error of no particular field."""

    def __init__(self, message: str, *, hint: str = "", fields: Mapping[str, FieldError] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.fields = dict(fields or {})

    def to_dict(self) -> dict[str, Any]:
        fields = {name: {"message": fault.message, "hint": fault.hint} for name, fault in self.fields.items()}
        return {"error": self.message, "hint": self.hint, "fields": fields}

    def at_field(self) -> FormError:
        """Return this error of a command as one of the field that it is about; itself if that is not known."""
        if self.fields or not _OF_THRESHOLDS(self.message):
            return self
        return FormError(_MISTAKES, hint=_SEE_FIELDS, fields={"thresholds": FieldError(self.message, self.hint)})


@dataclass(frozen=True, slots=True)
class Form:
    """The form as the user filled it in. An empty text keeps the script's value; *env* has only the names given.

    *thresholds* are ``METRIC: EXPRESSION`` each, in place of all that the script and other sources say; None keeps
    those of the chosen scenarios.

    *env_of* is the number of an earlier run, or 0. An empty value in *env* then stands for the value of that run,
    because values of the environment are never sent to a browser.
    """

    scenarios: tuple[str, ...] = ()
    users: str = ""
    spawn_rate: str = ""
    rate: str = ""
    iterations: str = ""
    duration: str = ""
    base_url: str = ""
    needs_host: bool = True
    thresholds: tuple[str, ...] | None = None
    env: tuple[tuple[str, str], ...] = ()
    env_of: int = 0

    @classmethod
    def take(cls, data: Mapping[str, Any]) -> Form:
        """Return the form for the *data* that a browser sent.

        Raises:
            FormError: a field does not exist, or its value has a wrong type.
        """
        for name, value in data.items():
            if name not in _TAKES or not _TAKES[name](value):
                raise FormError(f"the form has no field {name!r} of this kind", hint="load the page again")
        given: dict[str, Any] = {
            name: value.strip() if isinstance(value, str) else value for name, value in data.items()
        }
        given["scenarios"] = tuple(given.get("scenarios", ()))
        if given.get("thresholds") is not None:
            given["thresholds"] = tuple(line for text in given["thresholds"] if (line := text.strip()))
        given["env"] = tuple((name.strip(), value) for name, value in given.get("env", ()) if name or value)
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def without_values(self, number: int) -> Form:
        """Return the form of run *number* for a browser: with the names of its environment, without the values."""
        return replace(self, env=tuple((name, "") for name, _ in self.env), env_of=number if self.env else 0)

    def with_values(self, form: Form) -> Form:
        """Return this form with empty environment values filled from *form*, which is the form of run `env_of`."""
        had = dict(form.env)
        return replace(self, env=tuple((name, value or had.get(name, "")) for name, value in self.env), env_of=0)


def first_form(plan: Mapping[str, Any]) -> Form:
    """Return the form with its first values: the values that all scenarios of *plan* share.

    *plan* is the result of `describe_draft`. Its values come from the script and the tiers that override it.
    """
    texts: dict[str, Any] = {field: _common(plan, option) for field, option in TEXTS.items()}
    names = tuple(scenario["name"] for scenario in plan["scenarios"])
    return Form(scenarios=names, needs_host=not plan["target"], **texts)


def env_names(plan: Mapping[str, Any]) -> list[str]:
    """Return the names of `env` that have a value already. The values are not sent to the browser."""
    rows = [row["option"] for row in plan["options"] if row["value"] is not None]
    return list(dict.fromkeys(name.removeprefix("env.") for name in rows if name.startswith("env.")))


def _common(plan: Mapping[str, Any], option: str) -> str:
    """Return the value given for *option* if all scenarios have the same one, else an empty text."""
    rows = [row for row in plan["options"] if row["option"] == option and row["set_by"] != "default"]
    values = {row["scenario"]: row["value"] or "" for row in rows}
    if "" in values:
        return str(values[""])
    of_all = {values.get(scenario["name"], "") for scenario in plan["scenarios"]}
    return str(of_all.pop()) if len(of_all) == 1 else ""


def run_arguments(form: Form, first: Form) -> list[str]:
    """Return the arguments of ``fastload run`` for the fields of *form* that differ from *first*.

    *first* is the form with its first values, which the script already sets. Each argument has the form
    ``--option=value``, so that a value is never read as an option.

    Raises:
        FormError: ``fastload run`` would refuse a value; the error names the field.
    """
    faults = _faults(form, first)
    if faults:
        raise FormError(_MISTAKES, hint=_SEE_FIELDS, fields=faults)
    changed = {name: text for name in TEXTS if (text := getattr(form, name)) and text != getattr(first, name)}
    arguments = []
    if set(form.scenarios) != set(first.scenarios):
        # --scenario takes patterns.
        arguments += [f"--scenario={glob.escape(name)}" for name in form.scenarios]
    if form.spawn_rate:
        arguments.append(f"--stages={_stages(form, first)}")
        changed = {name: text for name, text in changed.items() if name == "base_url"}
    arguments += [f"--{TEXTS[name].replace('_', '-')}={text}" for name, text in changed.items()]
    if form.thresholds is not None:
        arguments += [NO_THRESHOLDS, *(f"{THRESHOLD}{text}" for text in form.thresholds)]
    return arguments + [f"--env={name}={value}" for name, value in form.env]


def _stages(form: Form, first: Form) -> str:
    """Return stages for Locust's users and spawn rate: a ramp to all users, then all users for the duration."""
    users, duration = form.users or first.users, form.duration or first.duration
    ramp_s = f"{int(users) / float(form.spawn_rate):.3f}".rstrip("0").rstrip(".")
    return f"{ramp_s}s:{users},{duration}:{users}"


def _faults(form: Form, first: Form) -> dict[str, FieldError]:
    faults: dict[str, FieldError] = {}
    for name, check in _CHECKS.items():
        text = getattr(form, name)
        try:
            if text and text != getattr(first, name):
                check(text)
        except PlanError as error:
            faults[name] = FieldError(error.message, error.hint)
    faults |= _faults_of_scenarios(form, first) | _faults_of_env(form)
    if form.spawn_rate:
        faults = _faults_of_spawning(form, first) | faults
    if form.needs_host and not (form.base_url or first.base_url):
        faults["base_url"] = FieldError(
            "no host: relative URLs of the script need one", "give it, or say that the script needs none"
        )
    return faults


def _faults_of_scenarios(form: Form, first: Form) -> dict[str, FieldError]:
    gone = [name for name in form.scenarios if name not in first.scenarios]
    if gone:
        return {"scenarios": FieldError(f"the script has no scenario {gone[0]!r} any more", "read the script again")}
    return {} if form.scenarios else {"scenarios": FieldError("no scenario is chosen", "choose at least one")}


def _faults_of_env(form: Form) -> dict[str, FieldError]:
    for name, value in form.env:
        if not name or "=" in name or not (name + value).isprintable():
            return {
                "env": FieldError(
                    f"{name!r} is no name and value of the environment", "write it like API_KEY and secret"
                )
            }
    return {}


def _faults_of_spawning(form: Form, first: Form) -> dict[str, FieldError]:
    """Return the errors of fields that a spawn rate needs, or that it excludes."""
    faults = {}
    if not (form.users or first.users):
        faults["users"] = FieldError("with a spawn rate, say how many users", "give a number, like 100")
    if not (form.duration or first.duration):
        faults["duration"] = FieldError("with a spawn rate, say how long", 'write it like "30s" or "5m"')
    for name in ("rate", "iterations"):
        if getattr(form, name) and getattr(form, name) != getattr(first, name):
            faults[name] = FieldError(f"spawn rate and {name} exclude each other", "give one of them")
    return faults


def _check_users(text: str) -> None:
    _check_whole(text, "users")
    if int(text) > MOST_VUS:
        raise PlanError(f"users {text!r} are too many for one machine", hint=f"give {MOST_VUS} at most")


def _check_iterations(text: str) -> None:
    _check_whole(text, "iterations")


def _check_whole(text: str, what: str) -> None:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text)):
        raise PlanError(f"{what} {text!r} is not a whole number of 1 or more", hint="write it like 100")


def _check_spawn_rate(text: str) -> None:
    try:
        is_right = 0 < float(text) < math.inf
    except ValueError:
        is_right = False
    if not is_right:
        raise PlanError(
            f"spawn rate {text!r} is not a number above zero", hint="write users per second, like 10 or 0.5"
        )


def _check_duration(text: str) -> None:
    if parse_duration_s(text) <= 0:
        raise PlanError(f"duration {text!r} is no time", hint='write it like "30s" or "5m"')


def _check_rate(text: str) -> None:
    parse_rate_per_s(text)


def _check_base_url(text: str) -> None:
    if not text.isprintable() or " " in text:
        raise PlanError(f"host {text!r} is not a URL", hint="write it like http://127.0.0.1:8080")
    check_base_url(text, what="host")


_CHECKS: dict[str, Callable[[str], None]] = {
    "users": _check_users,
    "spawn_rate": _check_spawn_rate,
    "rate": _check_rate,
    "iterations": _check_iterations,
    "duration": _check_duration,
    "base_url": _check_base_url,
}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT and "\0" not in value


def _is_list(value: Any, is_entry: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_ENTRIES and all(map(is_entry, value))


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_text, value))


_TAKES: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_CHECKS, _is_text),
    "scenarios": lambda value: _is_list(value, _is_text),
    "thresholds": lambda value: value is None or _is_list(value, _is_text),
    "env": lambda value: _is_list(value, _is_pair),
    "needs_host": lambda value: isinstance(value, bool),
    "env_of": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
}
