"""Variables that are set anyway, as ``PWD`` is in each shell, are never what a script asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastload.convert.script.names import environment_name
from fastload.convert.script.writer import Module
from tests.conftest import Cli
from tests.convert.conftest import Memory
from tests.convert.test_correlation import body, form, given, script_of, sends
from tests.convert.test_curl import made_of as curl_of
from tests.convert.test_openapi import made_of as api_of
from tests.convert.test_postman import made_of as postman_of

ASKED = 'PWD_VALUE = fl.env("PWD_VALUE")'


def test_a_password_called_pwd_is_asked_for_and_sent(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    done = cli("new", "in", "--from", f"curl {memory.url}/in -d user=ada -d pwd=sesame")
    assert done.returncode == 0, done.stderr
    done = cli("run", "in.py", "--base-url", memory.url, "-w", "1", "-q")
    assert done.returncode == 104
    assert "-e PWD_VALUE=..." in done.stderr
    assert memory.asked == []
    done = cli("run", "in.py", "--base-url", memory.url, "-e", "PWD_VALUE=s", "-w", "1", "-q")
    assert done.returncode == 0, done.stderr
    assert [asked.body for asked in memory.asked] == ["user=ada&pwd=s"]


def test_each_source_asks_for_it_by_another_name(tmp_path: Path) -> None:
    query = {"name": "pwd", "in": "query", "schema": {"type": "string"}, "example": "sesame"}
    texts = [
        script_of(tmp_path, given({}), sends(**body({"pwd": "sesame"}))).text,
        script_of(tmp_path, given({}), sends(**form("pwd=sesame"))).text,
        script_of(tmp_path, given({}), sends(headers=[{"name": "Cookie", "value": "pwd=sesame"}])).text,
        curl_of("""curl http://a.test/in --json '{"pwd": "sesame"}'""").text,
        curl_of("""curl http://a.test/in -d '{"pwd": "sesame"}'""").text,
        postman_of(tmp_path, "http://a.test/in?pwd=sesame").text,
        postman_of(tmp_path, "http://a.test/in?a={{PWD}}").text,
        api_of(tmp_path, {"parameters": [{**query, "required": True}]}).text,
        api_of(
            tmp_path,
            {"requestBody": {"content": {"application/json": {"example": {"pwd": "sesame"}}}}},
        ).text,
    ]
    assert [text for text in texts if ASKED not in text or "sesame" in text] == []


def test_a_variable_with_a_value_has_another_name_as_well(tmp_path: Path) -> None:
    made = postman_of(
        tmp_path, "http://a.test/in?a={{user}}", variable=[{"key": "user", "value": "ada"}, {"key": "b", "value": "c"}]
    )
    assert 'USER_VALUE = fl.env("USER_VALUE", "ada")' in made.text


def test_what_a_command_takes_from_its_shell_keeps_its_name() -> None:
    made = curl_of('curl "http://a.test/in" -d "user=$USER&pwd=sesame"')
    assert 'USER = fl.env("USER")' in made.text
    assert ASKED in made.text


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "USER", "GPG_KEY", "SSH_AUTH_SOCK", "CI_JOB_TOKEN", "FASTLOAD_ENV"])
def test_names_that_are_set_anyway(name: str) -> None:
    assert environment_name(name) == f"{name}_VALUE"
    module = Module("")
    codes = [module.secret(name), module.required(name, "it"), module.setting(f"{name}_VALUE", "x")]
    assert codes[0].text == f"{name}_VALUE"
    assert json.dumps(module.options("")).count(f"{name}_VALUE") == len(module.environment)


@pytest.mark.parametrize("name", ["PASSWORD", "TOKEN", "API_KEY", "PATHS", "CITY", "USER_ID", "PWD_2"])
def test_other_names_stay(name: str) -> None:
    assert environment_name(name) == name
