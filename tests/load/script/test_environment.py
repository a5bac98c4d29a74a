"""``fl.env``: what is set, what is not, what it becomes, and what an error shows of it."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_type

import pytest

import fastload as fl
from fastload.model.redaction import SECRET_PARTS, SECRET_WORDS
from tests.conftest import Cli
from tests.test_docs import first_column, section

SEVERAL = """
import fastload as fl

USERS = fl.env("USERS", type=int)
PLACE = fl.env("PLACE", "here")
KEYS = {"one": fl.env("FIRST_KEY"), "two": fl.env("SECOND_KEY"), "three": fl.env("THIRD_KEY", default="")}
if PLACE != "here":
    OTHER = fl.env("OTHER")

def later() -> str:
    return fl.env("LATER")

@fl.scenario(vus=fl.env("VUS", type=int))
async def visit(vu: fl.VU) -> None: ...
"""
SCRIPT = """
import fastload as fl

USERS = fl.env("USERS", type=int)

@fl.scenario
async def visit(vu: fl.VU) -> None: ...
"""


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Sets a name for the length of the test."""
    return monkeypatch.setenv


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FL_NAME", "FL_API_KEY", "FL_NAMES"):
        monkeypatch.delenv(name, raising=False)


def refusal(*args: Any, **options: Any) -> fl.PlanError:
    with pytest.raises(fl.PlanError) as caught:
        fl.env(*args, **options)
    return caught.value


class TestValues:
    def test_a_text(self, put: Callable[[str, str], None]) -> None:
        put("FL_NAME", " as it is ")
        assert fl.env("FL_NAME") == " as it is "

    @pytest.mark.parametrize(
        ("text", "wanted", "value"),
        [
            ("12", int, 12),
            ("-3", int, -3),
            ("1.5", float, 1.5),
            ("3", float, 3.0),
            ("x", str, "x"),
            ("0.10", Decimal, Decimal("0.10")),
            ("a,b", lambda text: text.split(","), ["a", "b"]),
        ],
    )
    def test_types(self, put: Callable[[str, str], None], text: str, wanted: Any, value: object) -> None:
        put("FL_NAME", text)
        found = fl.env("FL_NAME", type=wanted)
        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize("text", ["1", "true", "True", "YES", "on", " on "])
    def test_true(self, put: Callable[[str, str], None], text: str) -> None:
        put("FL_NAME", text)
        assert fl.env("FL_NAME", type=bool) is True

    @pytest.mark.parametrize("text", ["0", "false", "FALSE", "no", "Off"])
    def test_false(self, put: Callable[[str, str], None], text: str) -> None:
        put("FL_NAME", text)
        assert fl.env("FL_NAME", True) is False

    @pytest.mark.parametrize("default", [None, 3, 1.5, True, "x", "", ["a"]])
    @pytest.mark.parametrize("text", [None, ""])
    def test_a_default_stands_for_what_is_not_set(
        self, put: Callable[[str, str], None], text: str | None, default: Any
    ) -> None:
        if text is not None:
            put("FL_NAME", text)
        assert fl.env("FL_NAME", default) is default
        assert fl.env("FL_NAME", default, type=int) is default

    def test_the_default_says_the_type(self, put: Callable[[str, str], None]) -> None:
        put("FL_NAME", "1")
        typed: dict[object, object] = {3: 1, 1.5: 1.0, False: True, "x": "1", None: "1"}
        for default, value in typed.items():
            found = fl.env("FL_NAME", default)  # type: ignore[call-overload]
            assert (found, type(found)) == (value, type(value))
        assert fl.env("FL_NAME", 3, type=str) == "1"

    def test_choices(self, put: Callable[[str, str], None]) -> None:
        put("FL_NAME", "2")
        assert fl.env("FL_NAME", choices=["1", "2"]) == "2"
        assert fl.env("FL_NAME", 1, choices=[1, 2]) == 2
        assert fl.env("FL_NAMES", None, choices=["1", "2"]) is None


class TestErrors:
    def test_not_set(self) -> None:
        error = refusal("FL_NAME")
        assert error.message == "environment name FL_NAME is not set"
        assert error.hint == "pass -e FL_NAME=... or export it"

    def test_an_empty_one_is_not_set(self, put: Callable[[str, str], None]) -> None:
        put("FL_NAME", "")
        error = refusal("FL_NAME", type=int)
        assert error.message == "environment name FL_NAME is not set"
        assert error.hint == "pass -e FL_NAME=... or export it", "it is not its own nearest"

    @pytest.mark.parametrize("wanted", ["FL_NAME", "fl_names", "FLNAMES"])
    def test_a_near_name_is_suggested(self, put: Callable[[str, str], None], wanted: str) -> None:
        put("FL_NAMES", "x")
        assert refusal(wanted).hint.endswith("; did you mean 'FL_NAMES'?")

    @pytest.mark.parametrize(
        ("text", "wanted", "said"),
        [
            ("ten", int, "'ten' is not an int: a whole number, like 10"),
            ("1.5", int, "'1.5' is not an int: a whole number, like 10"),
            ("x", float, "'x' is not a float: a finite number, like 0.5"),
            ("nan", float, "'nan' is not a float: a finite number, like 0.5"),
            ("inf", float, "'inf' is not a float: a finite number, like 0.5"),
            ("maybe", bool, "'maybe' is not a bool: one of 1, true, yes, on, 0, false, no, off"),
            ("x", Decimal, "'x' is not what Decimal takes"),
            ("x", {"a": 1}.__getitem__, "'x' is not what __getitem__ takes"),
        ],
    )
    def test_it_does_not_convert(self, put: Callable[[str, str], None], text: str, wanted: Any, said: str) -> None:
        put("FL_NAME", text)
        error = refusal("FL_NAME", type=wanted)
        assert error.message == f"environment name FL_NAME: {said}"
        assert error.hint == "pass -e FL_NAME=... with such a value"

    def test_it_is_no_choice(self, put: Callable[[str, str], None]) -> None:
        put("FL_NAME", "prood")
        error = refusal("FL_NAME", "dev", choices=["prod", "dev"])
        assert error.message == "environment name FL_NAME: 'prood' is not allowed"
        assert error.hint == "did you mean 'prod'? one of: prod, dev"
        assert refusal("FL_NAME", choices=["1"]).hint == "one of: 1"

    @pytest.mark.parametrize(
        "name",
        ["FL_API_KEY", "fl_password", "AUTH_FL", "FLTOKENS", "DBPASS", "MYKEY", "FLAUTH", *SECRET_PARTS, *SECRET_WORDS],
    )
    def test_a_secret_is_never_shown(self, put: Callable[[str, str], None], name: str) -> None:
        put(name, "hunter2")
        for options in ({"type": int}, {"type": float}, {"type": bool}, {"choices": ["hunter3"]}):
            error = refusal(name, **options)
            assert "its value (not shown)" in error.message
            assert name in error.message
            assert error.__cause__ is error.__context__ is None
            assert "hunter2" not in "".join(traceback.format_exception(error)) + error.hint


class TestCommand:
    def test_from_the_command_line_and_the_shell(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "script.py").write_text(SCRIPT)
        command = ("run", "script.py", "--base-url", "http://127.0.0.1:9", "-w", "1")
        assert cli(*command, "-e", "USERS=3").returncode == 0
        assert cli(*command, USERS="3").returncode == 0
        missing = cli(*command)
        assert missing.returncode == 104
        assert "script.py: environment name USERS is not set" in missing.stderr
        assert "pass -e USERS=... or export it" in missing.stderr

    def test_all_names_that_are_missing_are_told_at_once(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "script.py").write_text(SEVERAL)
        command = ("plan", "script.py", "--base-url", "http://127.0.0.1:9")
        missing = cli(*command, "-e", "FIRST_KEI=x", "-e", "SECOND_KEY=x")
        assert missing.returncode == 104
        assert "script.py: environment names USERS, FIRST_KEY and VUS are not set" in missing.stderr
        assert "pass -e USERS=... -e FIRST_KEY=... -e VUS=... or export them" in missing.stderr
        assert "for FIRST_KEY: did you mean 'FIRST_KEI'?" in missing.stderr
        given = ("-e", "USERS=1", "-e", "FIRST_KEY=x", "-e", "SECOND_KEY=x", "-e", "VUS=1")
        assert cli(*command, *given).returncode == 0


def test_the_result_has_a_type(put: Callable[[str, str], None]) -> None:
    """mypy, which runs with the tests, is the judge."""
    put("FL_NAME", "1")
    assert_type(fl.env("FL_NAME"), str)
    assert_type(fl.env("FL_NAME", type=int), int)
    assert_type(fl.env("FL_NAME", None), str | None)
    assert_type(fl.env("FL_NAME", 3), int)
    assert_type(fl.env("FL_NAME", True), bool)
    assert_type(fl.env("FL_NAME", 1.5), float)
    assert_type(fl.env("FL_NAME", "2", choices=["1", "2"]), str)
    assert_type(fl.env("FL_NAME", None, type=float), float | None)


def test_every_argument_and_every_secret_word_is_documented() -> None:
    text = section("data.md", "Environment")
    assert first_column(text) == list(inspect.signature(fl.env).parameters)
    assert [part for part in (*SECRET_PARTS, *SECRET_WORDS) if f"`{part}`" not in text] == []
