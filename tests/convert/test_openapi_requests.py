"""Scripts of descriptions of APIs run against a server that reads each request as the description says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastload.convert import RecordingFilter, convert
from tests.conftest import Cli
from tests.convert.api_decoding import Refused, Request
from tests.convert.conftest import DATA, check_style
from tests.convert.strict_server import StrictServer, strict_server

ALL = (
    "import fastload as fl\nimport made\n\n@fl.scenario(vus=1, iterations=1)\nasync def each(vu: fl.VU) -> None:\n"
    "    for task in made.made.tasks:\n        await task(vu)\n"
)
# The hosts that each description names beside that of the base URL.
OTHER_HOSTS: dict[str, list[str]] = {
    "petstore": [],
    "features_30": ["files.example.com:8443", "other.example.com"],
    "features_31": [],
}
SECRETS = {
    "petstore": ["PETSTORE_AUTH", "API_KEY", "PASSWORD"],
    "features_30": ["QUERY_KEY", "HEADER_KEY", "COOKIE_KEY"],
    "features_31": ["BEARER_TOKEN", "TOKEN"],
}
ORIGINS = {"files.example.com:8443": "FILES_EXAMPLE_COM_URL", "other.example.com": "OTHER_EXAMPLE_COM_URL"}


def as_json(path: Path) -> dict[str, Any]:
    """The description as a program would have it that reads YAML as JSON: keys and dates are texts."""
    text = path.read_text().replace("!!binary ", "")
    document = yaml.load(text, yaml.BaseLoader)
    typed = yaml.safe_load(text)
    found: dict[str, Any] = _typed(typed, document)
    return found


def _typed(typed: Any, texts: Any) -> Any:
    if isinstance(typed, dict):
        return {str(key): _typed(value, text) for (key, value), text in zip(typed.items(), texts.values(), strict=True)}
    if isinstance(typed, list):
        return [_typed(value, text) for value, text in zip(typed, texts, strict=True)]
    return typed if typed is None or isinstance(typed, str | int | float) else texts


@pytest.mark.parametrize("name", list(SECRETS))
def test_each_request_is_read_as_it_is_described(cli: Cli, tmp_path: Path, name: str) -> None:
    document = as_json(DATA / f"{name}.yaml")
    done = cli("new", "made", "--from", str(DATA / f"{name}.yaml"), "--with-deletes")
    assert done.returncode == 0, done.stderr
    (tmp_path / "all.py").write_text(ALL)
    check_style(tmp_path / "made.py")
    secrets = SECRETS[name]
    given = [word for secret in secrets for word in ("-e", f"{secret}={secret.lower()}")]
    with ExitStack() as stack:
        servers: dict[str, StrictServer] = {
            host: stack.enter_context(strict_server(document, host, set(map(str.lower, secrets))))
            for host in ("", *OTHER_HOSTS[name])
        }
        for host, variable in ORIGINS.items():
            given += ["-e", f"{variable}={servers[host].url}"] if host in servers else []
        done = cli("run", "all.py", "--base-url", servers[""].url, *given, "-w", "1", "-q", "--json")
    assert [reason for server in servers.values() for reason in server.refused] == []
    assert done.returncode == 0, done.stdout + done.stderr
    described = [one.name for server in servers.values() for one in server.operations]
    assert sorted(one for server in servers.values() for one in server.answered) == sorted(described)
    summary = json.loads(done.stdout)
    assert {check["name"]: check["fails"] for check in summary["checks"] if check["fails"]} == {}
    assert summary["metrics"]["http_req_failed"]["fails"] == 0
    assert summary["metrics"]["http_reqs"]["count"] == len(described)


def test_a_type_checker_has_nothing_to_say(cli: Cli, tmp_path: Path) -> None:
    for name in SECRETS:
        done = cli("new", name, "--from", str(DATA / f"{name}.yaml"), "--with-deletes")
        assert done.returncode == 0, done.stderr
    names = [f"{name}.py" for name in SECRETS]
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", *names]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_notes_say_what_to_see_to() -> None:
    made = convert(DATA / "features_31.yaml", "api.py", RecordingFilter())
    assert [note.partition(":")[0] for note in made.notes] == [
        "not called, for they delete",
        'give real content in place of b"..."',
        "in a path, but not described, so sent as '1'",
        "left out, described as parts of a path that does not have them",
        "left out, for they seem to be secrets and are optional",
        "give BEARER_TOKEN, TOKEN with -e, or in the environment",
    ]
    assert "a literal of the document" not in made.text


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("flag=true", "is missing"),
        ("flag=True", "is not of type 'boolean'"),
        ("joined=black%2Cbrown,black", "is too short"),
        ("joined=black&joined=brown", "is there 2 times"),
        ("spaces=a,b", "is too short"),
        ("pipes=a%2Cb", "is too short"),
        ("deep[x]=1", "'y' is a required property"),
        ("R=100", "'G' is a required property"),
        ("what=1", "unknown"),
    ],
)
def test_the_server_refuses_what_is_not_as_described(query: str, reason: str) -> None:
    """So that a script which it takes is right."""
    document = as_json(DATA / "features_30.yaml")
    node = document["paths"]["/queries"]["get"]
    with strict_server(document, "", {"key"}) as server:
        if reason != "is missing":
            node["parameters"] = [{**one, "required": False} for one in node["parameters"]]
        with pytest.raises(Refused, match=re.escape(reason)):
            server.status_of(Request("GET", "/v1/queries", f"api_key=key&{query}", {}, b""))
        with pytest.raises(Refused, match="the credential queryKey is 'none'"):
            server.status_of(Request("GET", "/v1/queries", "api_key=none", {}, b""))
