"""Files that users give: traces, data, configuration, recordings, descriptions of APIs."""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastload.convert import RecordingFilter, convert
from fastload.convert.curl.command import is_curl
from fastload.convert.postman.collection import script_of_collection
from fastload.convert.recordings.har import read_har
from fastload.load.script.data_files import READERS, DataSource
from fastload.load.script.environment import convert_text
from fastload.load.script.trace_files import read_trace
from fastload.planning.config_files import file_tier
from tests.convert.conftest import DATA
from tests.fuzz.mutations import copied, mutated
from tests.fuzz.parsing import fuzz, written
from tests.fuzz.source import NUMBERS, Source

_TRACE = (*NUMBERS, "\n", "\r\n", ",", " ", "\t", "#", "\ufeff", "0.25\n", "1,GET\n")
_CSV = ("a", "b", ",", ";", "\n", "\r\n", "\r", '"', '""', " ", "\0", "\ufeff", "1", "é", *NUMBERS)
_JSON = (
    "{",
    "}",
    "[",
    "]",
    '"a"',
    '"\\u',
    "d800",
    ":",
    ",",
    "null",
    "true",
    "\n",
    " ",
    "\ufeff",
    "\\",
    "[" * 30_000,
    *NUMBERS,
)
_TOML = (
    "vus", "duration", "stages", "rate", "thresholds", "headers", "scenarios", "timeout", "hosts", "tags", "=", ".",
    "[", "]", "[scenarios.a]", "\n", '"', "'", '"""', '"10s"', '"30s:10"', "{", "}", ",", "true", "#", *NUMBERS,
)  # fmt: skip
_YAML = (
    "openapi", ": ", "3.1.0", "\n", "\n  ", "  ", "- ", "&a ", "*a", "[", "]", "{", "}", "!!python/x ", "<<: ", "|",
    "paths", ",", "!!int ", "!!float ", "!!timestamp ", "!!set ", "!!omap ", "? ", "%YAML 1.2", "---", "...", "'", '"',
    "#", "\0", "$ref: ", "1:99", "0x", "2026-01-31", "yes", "~", "[" * 5_000, *NUMBERS,
)  # fmt: skip
_YAML_FILES = (
    """openapi: 3.0.3
info: {title: &t Shop, version: 1.0}
servers: [{url: "https://{a}.test/", variables: {a: {default: x}}}]
paths:
  /a/{b}:
    get:
      parameters: [{name: b, in: path, required: true, schema: {type: integer, minimum: 7}}]
      responses: {200: {description: *t}}
""",
    """openapi: 3.1.0
info: {title: a, version: 2026-01-31}
x: &x {type: object, properties: {a: {type: [string, "null"]}}}
paths:
  /a: {post: {requestBody: {content: {application/json: {schema: {<<: *x, minProperties: 1}}}}}}
components: {securitySchemes: {k: {type: apiKey, in: header, name: K}}}
security: [k: []]
""",
)
_K6 = {
    "tags": {"a": "b"},
    "thresholds": {"http_req_duration": ["p(95)<500", {"threshold": "avg<1", "abortOnFail": True}]},
    "hosts": {"a.test": "127.0.0.1"}, "dns": {"ttl": "5m", "policy": "onlyIPv4"}, "tlsVersion": {"min": "tls1.2"},
    "tlsAuth": [{"cert": "x", "key": "y"}], "tlsCipherSuites": ["A"], "localIPs": "127.0.0.1", "userAgent": "x",
}  # fmt: skip
_K6_LOADS: tuple[dict[str, Any], ...] = (
    {"vus": 10, "duration": "30s"},
    {"vus": 10, "iterations": 5},
    {"stages": [{"duration": "30s", "target": 10}]},
    {"scenarios": {
        "read": {"executor": "constant-arrival-rate", "rate": 10, "timeUnit": "1s", "duration": "1m", "exec": "a"},
        "ramp": {"executor": "ramping-vus", "stages": [{"duration": 1000, "target": 1}], "env": {"A": "b"}},
    }},
)  # fmt: skip


def test_any_trace_is_read_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "starts.txt"

    def run(source: Source) -> None:
        trace = read_trace(written(path, source.made_of(_TRACE)))
        assert (np.diff(trace.due_ns) >= 0).all()

    fuzz(run)


@pytest.mark.parametrize("name", ["csv", "json", "jsonl"])
def test_any_data_file_is_rows_or_an_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"rows.{name}"
    tokens: Sequence[str] = _CSV if name == "csv" else _JSON

    def run(source: Source) -> None:
        types: dict[str, Callable[[str], Any]] = (
            {"a": source.choice((int, float, bool))} if not source.randrange(4) else {}
        )
        delimiter, key = source.choice((",", ";", "\t", "a")), source.choice((None, None, "a"))
        written(path, source.made_of(tokens) if source.randrange(9) else source.binary(20))
        rows = READERS[name](DataSource(path, path.name, types, delimiter, key))
        for begin, end in zip(rows.bounds[::2], rows.bounds[1::2], strict=True):
            json.loads(rows.blob[begin:end])

    fuzz(run)


def test_rows_of_a_data_file_come_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"

    def run(source: Source) -> None:
        rows = [{source.text(): source.text()} for _ in range(source.randint(1, 4))]
        written(path, "\n".join(map(json.dumps, rows)))
        packed = READERS["jsonl"](DataSource(path, path.name))
        bounds = zip(packed.bounds[::2], packed.bounds[1::2], strict=True)
        assert [json.loads(packed.blob[begin:end]) for begin, end in bounds] == rows

    fuzz(run)


def test_any_value_of_the_environment_is_one_or_an_error() -> None:
    def run(source: Source) -> None:
        with contextlib.suppress(ValueError):
            convert_text(source.made_of((*NUMBERS, "true", "off", " "), 2), source.choice((int, float, bool, str)))

    fuzz(run)


def test_any_toml_is_options_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "options.toml"

    def run(source: Source) -> None:
        text = source.made_of(_TOML, 16)
        file_tier(str(written(path, "a = " + "[" * 20_000 if not source.randrange(300) else text)), option="--config")

    fuzz(run)


def test_any_options_of_k6_are_options_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "options.json"

    def run(source: Source) -> None:
        text = json.dumps(mutated({**_K6, **source.choice(_K6_LOADS)}, source), default=str, skipkeys=True)
        if not source.randrange(20):
            text = source.choice(("[" * 50_000, '{"vus": ' + "9" * 5_000 + "}", '{"a": 1e999}', "{", "null", text[:-9]))
        file_tier(str(written(path, text)), option="--opts")

    fuzz(run)


def _convert(path: Path, *, all_of_it: bool = False) -> None:
    """Make a script of *path*. *all_of_it*: of all requests of a recording."""
    made = convert(path, "visit.py", RecordingFilter(all_hosts=all_of_it, static=all_of_it))
    ast.parse(made.text)


def _recording() -> dict[str, Any]:
    whole = json.loads((DATA / "shop.har").read_text())
    return {"log": {"pages": whole["log"].get("pages", [])[:2], "entries": whole["log"]["entries"][:3]}}


def _har(recording: dict[str, Any], source: Source) -> str:
    """A recording with anything in it, or with any URL and any time."""
    if source.randrange(3):
        return json.dumps(mutated(recording, source), default=str, skipkeys=True)
    entry = json.loads(json.dumps(recording["log"]["entries"][0]))
    url = source.made_of(("http", "s", "://", "a.test", "/", "[", "]", ":", "@", "?", "#", "%", *NUMBERS), 9)
    entry["request"]["url"] = source.choice(("", "http://", "https://a.test/")) + url
    entry["startedDateTime"] = source.choice((entry["startedDateTime"], "0001-01-01T00:00:00+23:59", "2026-01-01"))
    return json.dumps({"log": {"entries": [entry]}})


def test_any_recording_is_read_or_an_error() -> None:
    recording = _recording()
    fuzz(lambda source: read_har("made.har", _har(recording, source).encode()))


def test_any_recording_is_a_script_or_an_error(tmp_path: Path) -> None:
    recording, path = _recording(), tmp_path / "made.har"
    fuzz(lambda source: _convert(written(path, _har(recording, source)), all_of_it=True))


_ANSWERED: dict[str, Any] = {
    "log": {
        "entries": [
            {
                "startedDateTime": "2026-01-31T10:00:00Z",
                "request": {"method": "GET", "url": "http://a.test/first"},
                "response": {
                    "status": 200,
                    "headers": [{"name": "Set-Cookie", "value": "t=q7Xk2mPz9LwB4vTn; Path=/"}],
                    "content": {
                        "mimeType": "application/json",
                        "text": '{"id": "48213", "t": ["eyJhbGciOiJI.eyJzdWIi.x"]}',
                    },
                },
            },
            {
                "startedDateTime": "2026-01-31T10:00:01Z",
                "request": {
                    "method": "POST",
                    "url": "http://a.test:81/orders/48213?t=q7Xk2mPz9LwB4vTn&x=%E9",
                    "headers": [{"name": "Authorization", "value": "Bearer eyJhbGciOiJI.eyJzdWIi.x"}],
                    "postData": {"mimeType": "application/json", "text": '{"id": 48213, "ids": [48213, "x48213"]}'},
                },
                "response": {"status": 200},
            },
        ]
    }
}
_HTML = (
    "<",
    ">",
    "input",
    ' type="hidden"',
    " name=",
    "csrf",
    '"',
    "'",
    " value=",
    "q7Xk2mPz9LwB4vTn",
    "&amp;",
    "\n",
    "{",
    "\\",
)


def test_any_answer_is_looked_through(tmp_path: Path) -> None:
    path = tmp_path / "made.har"

    def run(source: Source) -> None:
        whole = copied(_ANSWERED)
        first, second = whole["log"]["entries"]
        if source.randrange(2):
            first["response"]["content"] = {"mimeType": "text/html", "text": source.made_of(_HTML, 12)}
            second["request"]["postData"] = {"mimeType": "text/plain", "text": source.made_of(_HTML, 6)}
        else:
            whole = mutated(whole, source)
        _convert(written(path, json.dumps(whole, default=str, skipkeys=True)), all_of_it=True)

    fuzz(run)


_CURL = (
    "curl ", "-X", "POST ", "-d ", "a=1&b ", "--data-urlencode ", "-F ", "f=@x;type=a/b ", "-H ", "'A: b' ", "-u ",
    "a:b ", "-b ", "-G ", "--json ", "{} ", "$'", "\\x41", "\\'", "'", '"', "\\", "\n", ";", "&", "--next ",
    "http://a.test/ ", "a.test:80/%E9?x ", "-", "--", "--frob ", "#", "[", "@", "\ud800", "\0", *NUMBERS,
    "a.test/{a,b}/[1-3] ", "B=x; ", "$B ", "-T f ", "f=<x ",
)  # fmt: skip
_RIGHT_CURL = ("curl ", "-X", "POST ", "http://a.test/x?a=1 ", "-H ", "'A: b' ", "-d ", "a=1&b ")


def test_any_command_of_curl_is_a_script_or_an_error() -> None:
    def run(source: Source) -> None:
        text = source.like(_RIGHT_CURL, _CURL)
        ast.parse(convert(text if is_curl(text) else f"curl {text}", "visit.py", RecordingFilter()).text)

    fuzz(run)


_COLLECTION: dict[str, Any] = {
    "info": {"name": "a"},
    "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{t}}"}]},
    "variable": [{"key": "base", "value": "http://a.test/{{v}}"}, {"key": "v", "value": "1"}],
    "item": [
        {
            "name": "f",
            "event": [{"script": {"exec": ["pm.environment.set('t', 1)"]}}],
            "item": [
                {
                    "name": "b",
                    "request": {
                        "method": "PUT",
                        "header": [{"key": "A", "value": "{{$guid}}"}],
                        "body": {"mode": "raw", "raw": '{"a": {{n}}, "b": "{{v}}"}'},
                        "url": {"raw": "{{base}}/:id", "query": [{"key": "q", "value": "{{v}}"}], "variable": []},
                    },
                },
                {
                    "name": "c",
                    "request": {
                        "method": "POST",
                        "body": {"mode": "formdata", "formdata": [{"key": "a", "type": "file", "src": "x"}]},
                        "url": "{{other}}/x",
                    },
                },
            ],
        }
    ],
}


def test_any_collection_is_a_script_or_an_error() -> None:
    def run(source: Source) -> None:
        data = json.dumps(mutated(_COLLECTION, source), default=str, skipkeys=True).encode()
        ast.parse(script_of_collection("made.json", data, "visit.py").text)

    fuzz(run)


def _description(whole: dict[str, Any], source: Source) -> dict[str, Any]:
    """One path of an API with anything in it: the check of the whole takes ten times as long."""
    path = source.choice(list(whole["paths"]))
    return {**whole, "paths": {path: whole["paths"][path]}}


def test_any_description_of_an_api_is_a_script_or_an_error(tmp_path: Path) -> None:
    import yaml

    whole = yaml.safe_load((DATA / "pets.yaml").read_text())
    path = tmp_path / "api.json"

    def run(source: Source) -> None:
        described = mutated(_description(whole, source), source)
        _convert(written(path, json.dumps(described, default=str, skipkeys=True)))

    fuzz(run)


def test_any_yaml_is_a_script_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    fuzz(lambda source: _convert(written(path, source.like(_YAML_FILES, _YAML))))
