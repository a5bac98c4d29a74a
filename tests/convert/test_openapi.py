"""Scripts of descriptions of APIs: a function for each operation, values that fit, and mistakes by their place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastload.convert import Conversion, RecordingFilter, convert
from fastload.convert.examples import Examples
from fastload.convert.openapi import ApiDescription
from fastload.model.errors import PlanError
from fastload.targets import RunningTarget
from tests.conftest import Cli, cli_env
from tests.convert.conftest import DATA, Memory, check_style

PETS = DATA / "pets.yaml"
SECRETS = [f"{name}={name.lower()}" for name in ("BEARER_AUTH", "BASIC_USER", "BASIC_PASSWORD", "KEY", "SESSION_KEY")]
GIVEN = [word for secret in SECRETS for word in ("-e", secret)]
HEAD: dict[str, Any] = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}}
FINE = {"responses": {"200": {"description": "fine"}}}


def described(tmp_path: Path, paths: dict[str, Any], **top: Any) -> Path:
    path = tmp_path / "api.json"
    path.write_text(json.dumps({**HEAD, "paths": paths, **top}, indent=1))
    return path


def made_of(tmp_path: Path, operation: dict[str, Any], **top: Any) -> Conversion:
    path = described(tmp_path, {"/a": {"post": {**FINE, "operationId": "send", **operation}}}, **top)
    made = convert(path, "api.py", RecordingFilter())
    compile(made.text, "api.py", "exec")
    script = tmp_path / "api.py"
    script.write_text(made.text)
    check_style(script)
    return made


def test_each_operation_is_sent_as_it_is_described(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    done = cli("new", "pets", "--from", str(PETS))
    assert done.returncode == 0, done.stderr
    assert "fastload run pets.py --base-url https://pets.example.com -e BEARER_AUTH=..." in done.stdout
    check_style(tmp_path / "pets.py")
    where = ("--base-url", memory.url, *GIVEN)
    plan = json.loads(cli("plan", "pets.py", "--json", *where).stdout)
    weights = {one["name"]: one["weight"] for one in plan["scenarios"][0]["functions"]}
    assert weights == {
        "list_pets": 3,
        "post_pets": 1,
        "get_pet": 3,
        "import_": 1,
        "place_order": 1,
        "token": 1,
        "post_photos": 1,
    }
    assert cli("run", "pets.py", *where, "-i", "1", "-w", "1", "-q").returncode in (0, 99)
    assert len(memory.asked) == 1
    # All of them, each once: what the tasks choose is left to chance.
    (tmp_path / "all.py").write_text(
        "import fastload as fl\nimport pets\n\n@fl.scenario(vus=1, iterations=1)\nasync def each(vu: fl.VU) -> None:\n"
        "    for task in pets.pets.tasks:\n        await task(vu)\n"
    )
    memory.asked.clear()
    done = cli("run", "all.py", *where, "-w", "1", "-q", "--json")
    assert done.returncode == 0, done.stderr
    assert [asked.line for asked in memory.asked] == [
        "GET /v2/pets?limit=20&tag=cat&since=2026-01-31&deep=true",
        "POST /v2/pets",
        "GET /v2/pets/cat%2F7?api_key=key",
        "DELETE /v2/pets/cat%2F7",
        "POST /v2/orders",
        "POST /v2/token",
        "POST /v2/photos",
    ]
    pets, rex, pet, gone, order, token, photos = memory.asked
    assert (pets.headers["x-team"], pets.headers["authorization"]) == ("blue", "Bearer bearer_auth")
    assert rex.headers["authorization"] == "Basic YmFzaWNfdXNlcjpiYXNpY19wYXNzd29yZA=="
    assert json.loads(rex.body) == {"name": "Rex", "tags": ["dog"], "born": "2020-02-29", "weight": 7.5, "owner": None}
    assert pet.headers["cookie"] == "sid=session_key"
    assert "authorization" not in gone.headers
    assert json.loads(order.body) == {
        "name": "textte",
        "count": 1,
        "price": 1.25,
        "code": "text",
        "at": "2026-01-31T12:00:00Z",
        "pay": {"card": "visa"},
        "parts": [],
        "labels": {"key": "tex"},
    }
    assert token.body == "grant_type=password&remember=true"
    assert 'name="title"\r\n\r\nRex\r\n' in photos.body
    assert 'name="photo"; filename="photo.bin"' in photos.body
    summary = json.loads(done.stdout)
    checks = {check["name"]: check["passes"] for check in summary["checks"]}
    assert checks["list_pets: status is 200, 204"] == checks["post_pets: ok"] == 1
    # The server says 200 where the description says 201 and 204.
    assert checks["place_order: status is 201"] == checks["import_: status is 204"] == 0


def test_what_a_run_must_be_given_is_one_clear_line(cli: Cli, tmp_path: Path) -> None:
    assert cli("new", "pets", "--from", str(PETS)).returncode == 0
    done = cli("plan", "pets.py")
    assert done.returncode == 104
    assert "environment names BEARER_AUTH, BASIC_USER, " in done.stderr


def test_a_real_server_takes_what_is_made_of_its_description(
    cli: Cli, tmp_path: Path, sequencer: RunningTarget
) -> None:
    schema = {"type": "string", "format": "uuid"}
    parameters = [
        {"name": name, "in": "query", "required": True, "schema": schema} for name in ("tenant_id", "store_id")
    ]
    described(
        tmp_path,
        {
            "/api/v1/head": {"get": {**FINE, "parameters": parameters, "tags": ["reads"]}},
            "/health": {"get": {**FINE, "tags": ["reads"]}},
        },
    )
    assert cli("new", "events", "--from", "api.json").returncode == 0
    done = cli(
        "run", "events.py", "--base-url", sequencer.base_url, "-i", "20", "-w", "1", "--threshold", "checks: rate==1"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_notes() -> None:
    assert convert(PETS, "pets.py", RecordingFilter()).notes == (
        "left out as deprecated: PUT /pets/{petId}",
        "made up without regard to their patterns, see to them: code",
        "give BEARER_AUTH, BASIC_USER, BASIC_PASSWORD, KEY, SESSION_KEY with -e, or in the environment",
    )


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "exclusiveMaximum": 1}, 0),
        ({"type": "number", "maximum": 0.25}, 0),
        ({"type": "number"}, 0.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "string", "format": "date-time"}, "2026-01-31T12:00:00Z"),
        ({"type": "string", "minLength": 6, "maxLength": 7}, "textte"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"type": "string", "examples": ["x", "y"]}, "x"),
        ({"type": "string", "default": ""}, ""),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "maxItems": 0}, []),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"allOf": [{"type": "string"}]}, "text"),
        ({"properties": {"a": {}}, "allOf": [{"properties": {"b": {"type": "integer"}}}]}, {"b": 1, "a": "text"}),
        ({"additionalProperties": {"type": "integer"}}, {"key": 1}),
        ({"$ref": "#/components/schemas/Node"}, {"id": 1, "below": []}),
        (True, None),
        ({}, "text"),
    ],
)
def test_values_fit_their_schema(schema: Any, value: Any) -> None:
    node = {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "next": {"$ref": "#/components/schemas/Node"},
            "below": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
        },
    }
    api = ApiDescription("api.json", b"", {**HEAD, "components": {"schemas": {"Node": node}}})
    found = Examples(api).of_schema(schema, ("x",))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        (
            {
                "parameters": [
                    {"name": "f", "in": "query", "style": "deepObject", "example": {"a": 1, "b": True}, "schema": {}}
                ]
            },
            'params={"f[a]": 1, "f[b]": "true"}',
        ),
        (
            {"parameters": [{"name": "f", "in": "query", "explode": False, "example": [1, 2], "schema": {}}]},
            'params={"f": "1,2"}',
        ),
        ({"parameters": [{"name": "c", "in": "cookie", "example": 7, "schema": {}}]}, 'cookies={"c": "7"}'),
        ({"parameters": [{"name": "Accept", "in": "header", "required": True, "schema": {}}]}, '"/a", name="send")'),
        ({"parameters": [{"name": "o", "in": "query", "schema": {"default": 1}}]}, '"/a", name="send")'),
        (
            {
                "parameters": [
                    {"name": "j", "in": "query", "required": True, "content": {"text/plain": {"example": "x"}}}
                ]
            },
            'params={"j": "x"}',
        ),
        ({"requestBody": {"content": {"application/merge-patch+json": {"example": {}}}}}, "json={}"),
        ({"requestBody": {"content": {"text/csv": {"example": "a,b"}}}}, 'data="a,b"'),
        (
            {"requestBody": {"content": {"text/csv": {"example": "a"}, "application/json": {"example": [1]}}}},
            "json=[1]",
        ),
    ],
)
def test_parameters_and_bodies(tmp_path: Path, operation: dict[str, Any], part: str) -> None:
    assert part in made_of(tmp_path, operation).text


def test_security(tmp_path: Path) -> None:
    schemes = {
        "OAuth": {"type": "oauth2", "flows": {}},
        "digest": {"type": "http", "scheme": "digest"},
        "appId": {"type": "apiKey", "in": "header", "name": "X-App"},
    }
    made = made_of(
        tmp_path,
        {"security": [{"OAuth": [], "digest": [], "appId": []}]},
        components={"securitySchemes": schemes},
    )
    assert 'HEADERS = {"Authorization": f"Bearer {O_AUTH}", "X-App": APP_ID_KEY}' in made.text
    assert made.notes[0] == "the security scheme digest (digest) is not written: see to it"
    assert made.options[2:] == ("-e", "O_AUTH=...", "-e", "APP_ID_KEY=...")


def test_other_methods_and_names_that_clash(tmp_path: Path) -> None:
    item = {"trace": FINE, "get": {**FINE, "operationId": "api"}, "put": {**FINE, "operationId": "API"}}
    path = described(tmp_path, {"/{a-b}/{c}": item})
    text = convert(path, "api.py", RecordingFilter()).text
    compile(text, "api.py", "exec")
    assert 'vu.request(\n        "TRACE",\n        "/1/{c}",\n        path={"c": "1"},' in text
    assert [f"async def {name}(" in text for name in ("api_2", "api_3", "trace_by_a_b_by_c")] == [True] * 3


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("a.yaml", "openapi: 3.0.0\ninfo: [", "a.yaml:3:1: the YAML is malformed", ""),
        ("a.yaml", "openapi: 3.0.0\n  paths: {}", "a.yaml:2:8: the YAML is malformed: mapping values", ""),
        ("a.json", '{"openapi": "3.0.0",\n}', "a.json:1:20: the JSON is malformed", ""),
        ("a.yaml", "- a", "a.yaml holds no object", ""),
        ("a.yaml", "a: 1", "a.yaml: at the top: 'openapi' is missing", ""),
        ("a.json", '{"swagger": "2.0"}', "'openapi' is missing", "Swagger 2"),
        ("a.json", '{"info": {}, "item": []}', "it has no request", "Collection v2.1"),
        ("a.yaml", "\nopenapi: 4.0.0", "a.yaml:2: openapi: version '4.0.0' is not read", "3.1"),
        ("a.yaml", "openapi: 3.0.0\npaths: {}", "a.yaml: at the top: 'info' is missing", ""),
        (
            "a.yaml",
            "openapi: 3.0.0\ninfo:\n  title: a\npaths: {}",
            "a.yaml:2: info: 'version' is missing",
            "spec.openapis.org",
        ),
        (
            "a.yaml",
            "openapi: 3.1.0\ninfo: {title: a, version: 1.0}\npaths:\n  /a:\n    get:\n      parameters:\n"
            "      - in: query\n",
            "a.yaml:7: paths[\"/a\"].get.parameters[0]: 'name' is missing",
            "",
        ),
        (
            "a.yaml",
            "openapi: 3.0.0\ninfo: {title: a, version: '1'}\npaths:\n  /a:\n    get:\n      deprecated: soon\n"
            "      responses: {}\n",
            'a.yaml:6: paths["/a"].get.deprecated: input should be a valid boolean',
            "",
        ),
        ("a.json", json.dumps({**HEAD, "paths": {}}), "a.json: paths: it has no operation", ""),
        (
            "a.json",
            json.dumps({**HEAD, "paths": {"/a": {"get": {**FINE, "parameters": [{"$ref": "#/components/x"}]}}}}),
            'paths["/a"].get.parameters[0]: the reference \'#/components/x\' leads nowhere',
            "",
        ),
        (
            "a.json",
            json.dumps({**HEAD, "paths": {"/a": {"get": {**FINE, "parameters": [{"$ref": "b.yaml#/x"}]}}}}),
            "the reference 'b.yaml#/x' leads to another file",
            "bundle",
        ),
        (
            "a.json",
            json.dumps(
                {
                    **HEAD,
                    "paths": {"/a": {"get": {**FINE, "parameters": [{"$ref": "#/components/parameters/A"}]}}},
                    "components": {"parameters": {"A": {"$ref": "#/components/parameters/A"}}},
                }
            ),
            "leads back to itself",
            "",
        ),
        (
            "a.json",
            json.dumps({**HEAD, "paths": {"/a": {"get": {**FINE, "security": [{"kee": []}]}}},
                        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "basic"}}}}),
            "'#/components/securitySchemes/kee' leads nowhere",
            "did you mean 'key'?",
        ),
    ],
)  # fmt: skip
def test_what_does_not_parse_is_told_with_its_place(
    tmp_path: Path, name: str, content: str, message: str, hint: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(PlanError) as raised:
        convert(path, "a.py", RecordingFilter())
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_yaml_is_read_as_json_would_be(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(
        "openapi: 3.0.3\ninfo: {title: on, version: 2026-01-31}\npaths:\n  /a:\n    post:\n      operationId: send\n"
        "      responses: {200: {description: yes}}\n"
        "      requestBody: {content: {application/json: {example: {on: yes, at: 2026-01-31, flag: true, n: 010}}}}\n"
    )
    text = convert(path, "api.py", RecordingFilter()).text
    assert 'json={"on": "yes", "at": "2026-01-31", "flag": True, "n": 8}' in text
    assert "status is 200" in text


@pytest.mark.parametrize("module", ["openapi_pydantic", "yaml"])
def test_without_the_extra_its_name_is_told(tmp_path: Path, module: str) -> None:
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from fastload.cli.main import run_cli\n"
        f"sys.exit(run_cli(['new', 'pets', '--from', {str(PETS)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=cli_env(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 104
    assert "Hint:  pip install 'fastload[new]'" in done.stderr
    assert not (tmp_path / "pets.py").exists()
