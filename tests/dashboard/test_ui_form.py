"""The form of `fastload ui`: what becomes of it, what is wrong with it, and that nothing else comes through."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fastload.dashboard.ui_command import error_of
from fastload.dashboard.ui_form import Form, FormError, env_names, first_form, run_arguments
from fastload.model.redaction import shortened

PLAN: dict[str, Any] = {
    "target": "",
    "scenarios": [{"name": "browse"}, {"name": "buy [fast]"}],
    "options": [
        {"scenario": "", "option": "vus", "value": "5", "set_by": "script"},
        {"scenario": "browse", "option": "duration", "value": "30s", "set_by": "script"},
        {"scenario": "buy [fast]", "option": "duration", "value": "30s", "set_by": "script"},
        {"scenario": "browse", "option": "rate", "value": "10/s", "set_by": "script"},
        {"scenario": "", "option": "iterations", "value": "1", "set_by": "default"},
        {"scenario": "", "option": "env.API_KEY", "value": "(not shown)", "set_by": "command line"},
        {"scenario": "", "option": "base_url", "value": "http://localhost:1", "set_by": "script"},
    ],
}
FIRST = first_form(PLAN)


def form(**values: Any) -> Form:
    """The form as it is at first, but for *values*."""
    return Form.take({**json.loads(json.dumps(FIRST.to_dict())), **values})


def faults_of(**values: Any) -> dict[str, str]:
    with pytest.raises(FormError) as raised:
        run_arguments(form(**values), FIRST)
    return {name: fault.message for name, fault in raised.value.fields.items()}


def test_it_begins_with_what_is_the_same_for_all_scenarios() -> None:
    assert (
        Form(
            ("browse", "buy [fast]"),
            users="5",
            duration="30s",
            base_url="http://localhost:1",
        )
        == FIRST
    )
    assert env_names(PLAN) == ["API_KEY"]
    assert not first_form(PLAN | {"target": "sequencer"}).needs_host


@pytest.mark.parametrize(
    ("values", "arguments"),
    [
        ({}, []),
        ({"users": " 5 ", "duration": ""}, []),
        ({"users": "7", "rate": "1k/s"}, ["--vus=7", "--rate=1k/s"]),
        ({"iterations": "100"}, ["--iterations=100"]),
        ({"duration": "1m30s", "base_url": "http://h:2"}, ["--duration=1m30s", "--base-url=http://h:2"]),
        ({"scenarios": ["buy [fast]"]}, ["--scenario=buy [[]fast]"]),
        ({"spawn_rate": "2"}, ["--stages=2.5s:5,30s:5"]),
        (
            {"spawn_rate": "300", "users": "100", "duration": "5m", "base_url": "https://h"},
            ["--stages=0.333s:100,5m:100", "--base-url=https://h"],
        ),
        ({"thresholds": None}, []),
        ({"thresholds": [" checks: rate>0.9", ""]}, ["--no-thresholds", "--threshold=checks: rate>0.9"]),
        ({"thresholds": []}, ["--no-thresholds"]),
        (
            {"thresholds": ["checks: rate>0.9", "--vus=9"]},
            ["--no-thresholds", "--threshold=checks: rate>0.9", "--threshold=--vus=9"],
        ),
        ({"env": [[" A ", "--vus=9 $(id)"], ["", ""]]}, ["--env=A=--vus=9 $(id)"]),
    ],
)
def test_what_is_changed_becomes_arguments(values: dict[str, Any], arguments: list[str]) -> None:
    assert run_arguments(form(**values), FIRST) == arguments


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"users": "many"}, "users", "users 'many' is not a whole number of 1 or more"),
        ({"users": "0"}, "users", "users '0' is not a whole number of 1 or more"),
        ({"users": "-5"}, "users", "users '-5' is not a whole number of 1 or more"),
        ({"users": "²"}, "users", "users '²' is not a whole number of 1 or more"),
        ({"users": "99999999"}, "users", "users '99999999' are too many for one machine"),
        ({"users": "9" * 5000}, "users", shortened(f"users '{'9' * 5000}' is not a whole number of 1 or more")),
        ({"iterations": "1.5"}, "iterations", "iterations '1.5' is not a whole number of 1 or more"),
        ({"duration": "10"}, "duration", "duration '10' is not a duration with a unit"),
        ({"duration": "0s"}, "duration", "duration '0s' is no time"),
        ({"rate": "fast"}, "rate", "rate 'fast' is not a rate above zero"),
        ({"spawn_rate": "0"}, "spawn_rate", "spawn rate '0' is not a number above zero"),
        ({"spawn_rate": "inf"}, "spawn_rate", "spawn rate 'inf' is not a number above zero"),
        ({"spawn_rate": "nan"}, "spawn_rate", "spawn rate 'nan' is not a number above zero"),
        ({"spawn_rate": "1", "rate": "5"}, "rate", "spawn rate and rate exclude each other"),
        ({"base_url": "localhost:8080"}, "base_url", "host 'localhost:8080' has no http:// or https:// scheme"),
        ({"base_url": "http://h\ud800"}, "base_url", "host 'http://h\\ud800' is not a URL"),
        ({"scenarios": []}, "scenarios", "no scenario is chosen"),
        ({"scenarios": ["gone"]}, "scenarios", "the script has no scenario 'gone' any more"),
        ({"env": [["A=B", "1"]]}, "env", "'A=B' is no name and value of the environment"),
        ({"env": [["", "1"]]}, "env", "'' is no name and value of the environment"),
        ({"env": [["A", "1\n2"]]}, "env", "'A' is no name and value of the environment"),
    ],
)
def test_a_mistake_is_told_at_its_field(values: dict[str, Any], field: str, message: str) -> None:
    assert faults_of(**values) == {field: message}


def test_all_mistakes_are_told_at_once() -> None:
    assert {*faults_of(users="x", duration="y", spawn_rate="z")} == {"users", "duration", "spawn_rate"}


def test_a_spawn_rate_needs_users_and_a_time_and_a_run_a_host() -> None:
    bare = Form(("browse",))
    with pytest.raises(FormError) as raised:
        run_arguments(Form(("browse",), spawn_rate="1"), bare)
    assert {*raised.value.fields} == {"users", "duration", "base_url"}
    assert run_arguments(Form(("browse",), needs_host=False), bare) == []


@pytest.mark.parametrize(
    "data",
    [
        {"save": "/etc/passwd"},
        {"users": 5},
        {"scenarios": "browse"},
        {"scenarios": [1]},
        {"env": [["A"]]},
        {"env": ["AB"]},
        {"env": [["A", "B"]] * 201},
        {"needs_host": "no"},
        {"thresholds": "checks: rate>0.9"},
        {"thresholds": [["checks", "rate>0.9"]]},
        {"duration": "1" * 10_001},
        {"base_url": "http://h\0"},
    ],
)
def test_nothing_else_is_taken(data: dict[str, Any]) -> None:
    with pytest.raises(FormError, match="the form has no field"):
        Form.take(data)


def test_an_error_of_a_threshold_is_told_at_its_field() -> None:
    error = error_of("Error: threshold 'cuont>1': a counter has no 'cuont'\nHint:  write count\n").at_field()
    assert {name: (one.message, one.hint) for name, one in error.fields.items()} == {
        "thresholds": ("threshold 'cuont>1': a counter has no 'cuont'", "write count")
    }
    for other in ("threshold_of.py does not import", "browse: rate and iterations exclude each other"):
        assert FormError(other).at_field().fields == {}


def test_the_error_of_a_command_is_found_among_what_it_says() -> None:
    error = error_of("Note: n\nError: x does not import:\n  line 1\nHint:  mend it\n")
    assert (error.message, error.hint) == ("x does not import:\n  line 1", "mend it")
    assert error_of("Traceback ...\nKeyError: 'x'\n").message == "it crashed: KeyError: 'x'"
    assert error_of("").message == "it ended without a word"
