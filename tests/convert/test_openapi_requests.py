"""Scripts of descriptions of APIs run against a server that reads each request as the description says."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Cli
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
    "petstore": ["PETSTORE_AUTH", "API_KEY"],
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
