"""Scripts of descriptions of APIs: a function for each operation, values that fit, and mistakes by their place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastload.convert import Conversion, RecordingFilter, convert
from fastload.convert.openapi.description import ApiDescription
from fastload.convert.openapi.examples import Examples
from fastload.convert.openapi.schemas import Schemas
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
    done = cli("new", "pets", "--from", str(PETS), "--with-deletes")
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
        "code": "AAA",
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
    assert "environment names BEARER_AUTH, BASIC_USER, BASIC_PASSWORD, KEY and SESSION_KEY are not set" in done.stderr


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
        "not called, for they delete: import_; --with-deletes makes tasks of them",
        "of several media types of a body, one is written: application/json of POST /pets",
        'give real content in place of b"...": photo of POST /photos',
        "left out, for they are optional and have no example: sort of GET /pets",
        "of several kinds of credentials, the first is written: basic and not bearerAuth",
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
        (True, "text"),
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
    found = Examples(api, Schemas(api)).of_schema(schema, ("x",))
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
            '"/a?f=1,2", name="send")',
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
        ({"requestBody": {"content": {"application/xml": {"example": {"a": 1}}}}}, '"/a", name="send")'),
        (
            {"parameters": [{"name": "f", "in": "query", "style": "deepObject", "example": {"a": {"b": [1, 2]}}}]},
            'params={"f[a][b]": [1, 2]}',
        ),
        (
            {"parameters": [{"name": "f", "in": "query", "example": [{"a": 1}, None], "schema": {}}]},
            """params={"f": ['{"a":1}', ""]}""",
        ),
        (
            {"parameters": [{"name": "c", "in": "cookie", "example": ["a", "b"], "schema": {}}]},
            'cookies={"c": "a,b"}',
        ),
        (
            {"parameters": [{"name": "f", "in": "query", "explode": False, "example": [1], "schema": {}}]},
            'params={"f": "1"}',
        ),
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
        "mutual": {"type": "mutualTLS"},
        "appId": {"type": "apiKey", "in": "header", "name": "X-App"},
    }
    made = made_of(
        tmp_path,
        {"security": [{"OAuth": [], "mutual": [], "appId": []}]},
        components={"securitySchemes": schemes},
    )
    assert 'HEADERS = {"Authorization": f"Bearer {O_AUTH}", "X-App": APP_ID_KEY}' in made.text
    assert made.notes[0] == "the security scheme mutual (mutualTLS) is not written: see to it"
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
        ("a.json", '{"swagger": "2.0"}', "'openapi' is missing", "npx swagger2openapi a.json -o openapi.yaml"),
        ("a.yaml", "openapi: 3.1.0\na: !!set {b}", "JSON has nothing like !!set", ""),
        ("a.yaml", "openapi: 3.1.0\n{{a}}: b", "JSON has nothing like a key that is no text", ""),
        (
            "a.json",
            json.dumps({**HEAD, "paths": {"/a": {"get": {**FINE, "parameters": [{"$ref": "#/info"}]}}}}),
            "get.parameters[0]: 'in' is missing",
            "",
        ),
        (
            "a.json",
            json.dumps({**HEAD, "paths": {"/a": {"get": {**FINE, "parameters": [{"$ref": "#anchor"}]}}}}),
            "the reference '#anchor' is no path within the file",
            "#/components/schemas/Pet",
        ),
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


def test_yaml_that_json_does_not_have_is_a_text_or_left_out(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(
        "openapi: 3.0.3\ninfo: {title: a, version: 1}\npaths:\n  /a:\n    post:\n      operationId: send\n"
        "      responses: {200: {description: fine}}\n"
        "      requestBody: {content: {application/json: {example:\n"
        "        {at: 12:30, time: 12:30:00, day: !!timestamp 2026-01-31, big: 1e3, bytes: !!binary 'aGVs bG8='}}}}\n"
        "  /b:\n    get:\n      operationId: infinite\n      responses: {200: {description: fine}}\n"
        "      parameters: [{name: n, in: query, example: .inf, required: true,\n"
        "        schema: {type: number, minimum: -.inf, maximum: .nan}}]\n"
    )
    text = convert(path, "api.py", RecordingFilter()).text
    compile(text, "api.py", "exec")
    for part in ('"at": "12:30"', '"time": "12:30:00"', '"day": "2026-01-31"', '"big": 1000.0', '"bytes": "aGVsbG8="'):
        assert part in text
    assert 'params={"n": 0.5}' in text


def test_what_deletes_is_a_comment_unless_it_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    path = described(
        tmp_path, {"/a": {"get": {**FINE, "operationId": "read"}, "delete": {**FINE, "operationId": "gone"}}}
    )
    done = cli("new", "api", "--from", str(path))
    assert "Note: not called, for they delete: gone; --with-deletes makes tasks of them\n" in done.stderr
    script = tmp_path / "api.py"
    check_style(script)
    assert '        read: 3,\n        # These delete. Take away the "# " to have' in script.read_text()

    def tasks() -> list[str]:
        plan = cli("plan", "api.py", "--json", "--base-url", "http://127.0.0.1:1")
        return [one["name"] for one in json.loads(plan.stdout)["scenarios"][0]["functions"]]

    assert tasks() == ["read"]
    # As the comment says.
    script.write_text(script.read_text().replace("# gone", "gone"))
    check_style(script)
    assert tasks() == ["read", "gone"]
    assert "Note" not in cli("new", "api", "--from", str(path), "--with-deletes", "--force").stderr
    assert tasks() == ["read", "gone"]


def test_only_deletes_need_their_option(tmp_path: Path) -> None:
    path = described(tmp_path, {"/a": {"delete": FINE}})
    with pytest.raises(PlanError, match=r"api\.json: all that it describes deletes") as raised:
        convert(path, "api.py", RecordingFilter())
    assert raised.value.hint == "--with-deletes makes a script of it"
    assert "delete_a: 1" in convert(path, "api.py", RecordingFilter(), deletes=True).text


@pytest.mark.parametrize("source", [(), ("--from", str(DATA / "shop.har")), ("--from", "scenario:ingest")])
def test_deletes_go_with_a_description(cli: Cli, tmp_path: Path, source: tuple[str, ...]) -> None:
    done = cli("new", "visit", *source, "--with-deletes")
    assert done.returncode == 104
    assert "Error: --with-deletes goes with a description of an API, not with" in done.stderr
    assert not (tmp_path / "visit.py").exists()


@pytest.mark.parametrize(
    ("servers", "base_url", "url"),
    [
        ([], "http://localhost:8080", "/a"),
        ([{"url": "/"}], "http://localhost:8080", "/a"),
        ([{"url": "v1/"}], "http://localhost:8080", "/v1/a"),
        ([{"url": "../v1?x=1"}], "http://localhost:8080", "/v1/a"),
        ([{"url": "//api.example.com/v1"}], "https://api.example.com", "/v1/a"),
        ([{"url": "//127.0.0.1:8080"}], "http://127.0.0.1:8080", "/a"),
        ([{"url": "https://user:pass@api.example.com:8443/"}], "https://api.example.com:8443", "/a"),
        ([{"url": "http://[::1]:8080/v1"}, {"url": "/v2"}], "http://[::1]:8080", "/v1/a"),
        (
            [
                {
                    "url": "{s}://{h}{p}",
                    "variables": {"s": {"default": "http"}, "h": {"default": "a.b"}, "p": {"default": "/c"}},
                }
            ],
            "http://a.b",
            "/c/a",
        ),
    ],
)
def test_servers(tmp_path: Path, servers: list[Any], base_url: str, url: str) -> None:
    made = made_of(tmp_path, {}, servers=servers)
    assert made.options == ("--base-url", base_url)
    assert f'await vu.post("{url}", name="send")' in made.text


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({"url": "https://{host}/"}, "the variable {host} has no default"),
        ({"url": "ftp://example.com/"}, "'ftp://example.com/' is no address of HTTP"),
        ({"url": "https://a b/"}, "'https://a b/' is no address of HTTP"),
        ({"url": "http://a.com;rm/"}, "is no address of HTTP"),
        ({"url": "http://["}, "Invalid IPv6 URL"),
    ],
)
def test_a_server_that_is_none_is_told_with_its_place(tmp_path: Path, server: Any, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        made_of(tmp_path, {"servers": [server]})
    assert message in raised.value.message
    assert 'paths["/a"].post.servers[0].url' in raised.value.message


def test_a_server_of_an_operation_is_asked_for(tmp_path: Path) -> None:
    made = made_of(
        tmp_path,
        {"servers": [{"url": "https://files.example.com/v{n}", "variables": {"n": {"default": "2"}}}]},
        servers=[{"url": "https://api.example.com/v1"}],
    )
    # All that is described is there: so it is the base URL.
    assert made.options == ("--base-url", "https://files.example.com")
    path = described(
        tmp_path,
        {
            "/a": {
                "servers": [{"url": "https://files.example.com/v2"}],
                "put": FINE,
                "get": {**FINE, "servers": [{"url": "/"}]},
            },
            "/b": {"get": FINE},
        },
        servers=[{"url": "https://api.example.com/v1"}],
    )
    made = convert(path, "api.py", RecordingFilter())
    assert made.options == (
        *("--base-url", "https://api.example.com"),
        *("-e", "FILES_EXAMPLE_COM_URL=https://files.example.com"),
    )
    assert 'vu.put(f"{FILES_EXAMPLE_COM_URL}/v2/a", name="put_a")' in made.text
    assert 'vu.get("/a", name="get_a")' in made.text
    assert 'vu.get("/v1/b", name="get_b")' in made.text
    assert made.notes[0] == (
        "some requests go to https://files.example.com, and not to the base URL: FILES_EXAMPLE_COM_URL says where"
    )


def test_parameters_that_are_secret_are_no_literals(tmp_path: Path) -> None:
    parameters = [
        {"name": name, "in": place, "required": required, "example": "literal", "schema": {}}
        for name, place, required in (
            ("api_key", "query", True),
            ("X-Api-Key", "header", True),
            ("session", "cookie", True),
            ("page_token", "query", False),
        )
    ]
    once = {"name": "Idempotency-Key", "in": "header", "required": True, "example": "7", "schema": {}}
    made = made_of(tmp_path, {"parameters": [*parameters, once]})
    assert "literal" not in made.text
    assert '"Idempotency-Key": "7"' in made.text
    assert made.options[2:] == ("-e", "API_KEY=...", "-e", "X_API_KEY=...", "-e", "SESSION=...")
    assert "page_token of POST /a" in made.notes[0]


def test_a_key_that_is_described_twice_is_given_once(tmp_path: Path) -> None:
    scheme = {"type": "apiKey", "in": "header", "name": "X-Key"}
    made = made_of(
        tmp_path,
        {
            "security": [{"id": []}],
            "parameters": [{"name": "x-key", "in": "header", "required": True, "example": "literal", "schema": {}}],
        },
        components={"securitySchemes": {"id": scheme}},
    )
    assert 'HEADERS = {"X-Key": ID_KEY}' in made.text
    assert made.options[2:] == ("-e", "ID_KEY=...")


@pytest.mark.parametrize("tags", [[], ["reads"]])
def test_long_names_are_formatted_as_well(tmp_path: Path, tags: list[str]) -> None:
    scripts = [tmp_path / f"made_{length}.py" for length in range(28, 54)]
    for length, script in enumerate(scripts, 28):
        operation = {**FINE, "operationId": "a" * length, "tags": tags}
        script.write_text(convert(described(tmp_path, {"/a": {"get": operation}}), "api.py", RecordingFilter()).text)
    check_style(*scripts)


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
