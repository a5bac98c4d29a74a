"""Errors with hints, and the user's part of a traceback."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fastload.model.errors import (
    FastloadError,
    FrameError,
    OutputError,
    PlanError,
    TargetError,
    nearest,
    nearest_file,
    user_traceback,
)
from fastload.model.http_settings import check_base_url


@pytest.mark.parametrize("error", [PlanError, TargetError, FrameError, OutputError])
def test_every_error_has_a_message_and_a_hint(error: type[FastloadError]) -> None:
    raised = error("it broke", hint="mend it")
    assert (str(raised), raised.message, raised.hint) == ("it broke", "it broke", "mend it")
    assert error("it broke").hint == ""
    assert isinstance(raised, FastloadError)


def test_the_nearest_name_is_suggested_and_no_far_one() -> None:
    assert nearest("http_reqz", ["iterations", "http_reqs"]) == "did you mean 'http_reqs'?"
    assert nearest("zzz", ["iterations", "http_reqs"]) == ""


@pytest.mark.parametrize(
    ("name", "files", "found"),
    [
        ("pets.py", ["t_stages.py", "conftest.py"], ""),
        ("pets.py", ["t_stages.py", "pet.py"], "pet.py"),
        ("visit.py", ["visit.js", "visits.py", "visit.pyi"], "visit.pyi"),
        ("opts.json", ["opts.toml", "other.json"], "opts.toml"),
        ("nightly", ["nightly.fastload", "a.fastload"], "nightly.fastload"),
        ("a" * 300 + ".py", ["a" * 300 + "b.py"], ""),
        ("x.py", [], ""),
    ],
)
def test_the_nearest_file_has_a_near_name_whatever_its_ending(name: str, files: list[str], found: str) -> None:
    assert nearest_file(name, files) == (f"did you mean {found!r}?" if found else "")


def caught(call: Any) -> BaseException:
    with pytest.raises(Exception) as info:  # noqa: PT011 - whatever it is, its traceback matters
        call()
    return info.value


def test_a_users_traceback_is_theirs_alone() -> None:
    text = user_traceback(caught(lambda: check_base_url("nothing")))
    assert text.startswith("Traceback (most recent call last):")
    assert "test_errors.py" in text
    assert "model/plan.py" not in text
    assert text.splitlines()[-1].startswith("fastload.model.errors.PlanError: URL 'nothing'")


def test_the_cause_is_told_too() -> None:
    def call() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise KeyError("id") from error

    text = user_traceback(caught(call))
    assert "JSONDecodeError" in text
    assert text.endswith("KeyError: 'id'")
