"""Cases that fuzzing has found, each with its value written out."""

from __future__ import annotations

import ast
import contextlib
import json
import math
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastload.cli.bench import read_body
from fastload.cli.ctl import Client
from fastload.cli.main import run_cli
from fastload.control.commands.http_checks import parse_address
from fastload.control.sampling.procfs import cgroup_quota_cpus
from fastload.convert import RecordingFilter, convert
from fastload.load.client.json_path import NoSuchPathError, at_path
from fastload.load.client.sse import EventParser
from fastload.load.engine.header_lines import redirects, status_of
from fastload.model.errors import FastloadError, PlanError
from fastload.model.http_settings import check_base_url, without_credentials
from fastload.model.judging.thresholds import parse_threshold
from fastload.model.metrics import BUILTIN
from fastload.model.statuses import parse_statuses
from fastload.model.units import format_ms, parse_bytes, parse_duration_s, parse_rate_per_s, parse_stage
from fastload.outputs.custom_summary import read_custom_summary
from fastload.outputs.streams.prometheus_names import labels
from fastload.planning.config_files import file_tier
from fastload.planning.transport import make_http

HUGE = "9" * 5_000


@pytest.mark.parametrize(
    "parse",
    [
        lambda: parse_duration_s(f"{HUGE}s"),
        lambda: parse_duration_s("99999999999d"),
        lambda: parse_duration_s("٣s"),
        lambda: parse_rate_per_s(HUGE),
        lambda: parse_rate_per_s("0" * 300 + "garbage", zero=True),
        lambda: parse_bytes("9" * 180),
        lambda: parse_stage(f"30s:{HUGE}"),
        lambda: parse_statuses(f"200-{HUGE}", what="expected"),
        lambda: parse_statuses("100-999999999", what="expected"),
        lambda: parse_statuses(range(100, 10**12), what="expected"),
        lambda: parse_address("[::1", what="--control", port=5665),
        lambda: parse_address(f"a:{HUGE}", what="--control", port=5665),
        lambda: make_http({"proxy": "http://["}),
        lambda: make_http({"proxy": "http://a:99999"}),
        lambda: make_http({"hosts": {"a": f"b:{HUGE}"}}),
        lambda: check_base_url("http://["),
    ],
)
def test_a_text_that_is_no_value_is_an_error(parse: Callable[[], Any]) -> None:
    with pytest.raises(PlanError) as caught:
        parse()
    assert caught.value.hint
    assert len(caught.value.message) < 5_000


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("avg<1e400", "1e400 is too large"),
        ("avg<1e99999999", "1e99999999 is too large"),
        ("avg<1e308h", "1e308 is too large"),
        ("avg<" + "9" * 9_000, "is too large"),
        ("x" * 1_000_001, "has 1,000,001 characters"),
    ],
)
def test_a_threshold_without_a_limit_is_an_error(expression: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_threshold("http_req_duration", expression, BUILTIN)
    assert message in caught.value.message


def test_a_threshold_keeps_its_limit_and_its_percentile() -> None:
    finest = parse_threshold("http_req_duration", "p(99.99999999999)<0.1s", BUILTIN)
    assert (finest.aggregate, finest.condition.limit) == ("p(99.99999999999)", 100.0)
    assert parse_threshold("http_req_failed", "rate<0.1%", BUILTIN).condition.limit == 0.001
    assert parse_threshold("http_req_duration", "avg<1e-99999999", BUILTIN).condition.limit == 0.0


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    error = FastloadError("begin" + "x" * 1_000_000 + "end")
    assert len(str(error)) < 5_000
    assert error.message.startswith("beginx")
    assert error.message.endswith("xend")
    assert "characters left out" in error.message


@pytest.mark.parametrize("line", [f"HTTP/1.1 {HUGE} OK", "HTTP/1.1 ² OK", "HTTP/1.1 -1", "HTTP/1.1", "HTTP/1.1 1000"])
def test_a_status_line_without_a_status_has_0(line: str) -> None:
    assert status_of(line) == 0


def test_a_location_that_is_no_url_is_kept_as_it_is() -> None:
    lines = [b"HTTP/1.1 302 Found", b"Location: http://[", b"HTTP/1.1 200 OK"]
    assert redirects("http://a/", lines)[0].location == "http://["


def test_a_retry_of_any_length_is_none() -> None:
    (event,) = EventParser().feed(f"retry: {HUGE}\ndata: x\n\n".encode())
    assert (event.data, event.retry) == ("x", None)


def test_an_index_of_any_length_is_not_there() -> None:
    with pytest.raises(NoSuchPathError):
        at_path([1], HUGE)
    assert at_path([1, 2], "-1") == 2


def test_the_password_of_what_is_no_url_is_not_shown() -> None:
    assert "secret" not in without_credentials("http://user:secret@[")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", "a = " + "[" * 20_000),
        ("a.toml", f"vus = {HUGE}"),
        ("a.json", "[" * 50_000),
        ("a.json", f'{{"vus": {HUGE}}}'),
        ("a.json", '{"tlsVersion": {"min": []}}'),
        ("a.json", '{"scenarios": {"a": {"executor": []}}}'),
    ],
)
def test_a_configuration_without_measure_is_an_error(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(PlanError):
        file_tier(str(path), option="--config")


@pytest.mark.parametrize("url", ["http://[", "http://a:99999/", "https://a.test]/"])
def test_a_recording_of_what_is_no_url_is_an_error(url: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"request\.url"):
        convert(_har(tmp_path, url), "visit.py", RecordingFilter())


def test_a_script_has_no_control_characters(tmp_path: Path) -> None:
    ast.parse(convert(_har(tmp_path, "http://a\0b.test/"), "visit.py", RecordingFilter()).text)


def _har(folder: Path, url: str) -> Path:
    entry = {
        "startedDateTime": "2026-01-31T10:00:00Z",
        "request": {"method": "GET", "url": url},
        "response": {"status": 200},
    }
    path = folder / "made.har"
    path.write_text(json.dumps({"log": {"entries": [entry]}}))
    return path


def test_labels_without_a_letter_are_valid() -> None:
    found = labels([("%", "a"), ("&", "b"), ("_", "c")], {})
    assert sorted(found.values()) == ["a", "b", "c"]
    assert not any(name.startswith("__") for name in found)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_time_that_is_no_number_is_a_dash(number: float) -> None:
    assert format_ms(number) == "-"


_API = """openapi: 3.0.3
info: {title: a, version: 1.0}
paths:
  /a: {get: {security: [k: []], responses: {200: {description: x}}}}
components: {securitySchemes: {k: KEY}}
"""
_TWICE = "".join(
    f", s{level}: {{type: object, properties: {{"
    f"a: {{$ref: '#/components/schemas/s{level + 1}'}}, b: {{$ref: '#/components/schemas/s{level + 1}'}}}}}}"
    for level in range(40)
)
_DOUBLED = f"""openapi: 3.1.0
info: {{title: a, version: 1.0}}
paths:
  /a: {{post: {{requestBody: {{content: {{application/json: {{schema: {{$ref: "#/components/schemas/s0"}}}}}}}}}}}}
components: {{schemas: {{s40: {{type: string}}{_TWICE}}}}}
"""
_ALIASES = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{', '.join([f'*{chr(97 + level)}'] * 10)}]\n" for level in range(9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_API.replace("KEY", "{type: apiKey, name: K}"), "'in' is missing"),
        (_API.replace("KEY", "{type: apiKey, in: header}"), "'name' is missing"),
        (_API.replace("KEY", "{type: apiKey, in: body, name: K}"), "'body' is no place of a key"),
        (_API.replace("KEY", '{$ref: "#/info"}'), "leads to a part of another kind"),
        (_DOUBLED, "over 10,000 values"),
        (_ALIASES, "over 1,000,000 values"),
        ("&a [*a]", "over 1,000,000 values"),
        ("a: " + "9" * 5_000, "a value of the YAML cannot be read"),
        ("a: !!timestamp x", "a value of the YAML cannot be read"),
        ("a: !!float ''", "a value of the YAML cannot be read"),
        ("a: !!int ''", "a value of the YAML cannot be read"),
    ],
)
def test_a_description_without_sense_or_measure_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(text)
    with pytest.raises(PlanError, match=message):
        convert(path, "visit.py", RecordingFilter())


def test_tags_that_are_null_are_none(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(_API.replace("KEY", "{type: http, scheme: basic}") + "tags: null\n")
    ast.parse(convert(path, "visit.py", RecordingFilter()).text)


@pytest.mark.parametrize("command", [["status"], ["metrics"], ["scale", "--vus", "3"]])
@pytest.mark.parametrize(
    "answer", [b'{"a": 7}', b'{"scenarios": 7}', b'{"phase": "x", "scenarios": [{}]}', b"[1]", b"[" * 50_000, b"\xff"]
)
def test_an_answer_that_is_none_of_a_run_is_an_error(
    command: list[str], answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + answer)
                connection.shutdown(socket.SHUT_WR)
                # To close with a body unread is a reset, which can overtake the answer.
                with contextlib.suppress(ConnectionError):
                    while connection.recv(65_536):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert run_cli(["ctl", "--port", str(server.getsockname()[1]), *command]) == 104
        finally:
            thread.join()
    assert "is not the control API of a run" in capsys.readouterr().err


@pytest.mark.parametrize("token", ["two\nlines", "t\r", "\udcff"])
def test_a_token_that_no_header_may_have_is_an_error(token: str) -> None:
    with pytest.raises(PlanError, match="--token"):
        Client("http://127.0.0.1:1", token, as_json=False).ask("status")


def test_bytes_of_the_command_line_that_are_no_text_are_sent_as_they_are() -> None:
    assert read_body("a\udcff") == b"a\xff"


def test_a_summary_with_half_a_character_is_written() -> None:
    assert read_custom_summary({"a.txt": "a\ud800"}).files == {"a.txt": b"a\xef\xbf\xbd"}


@pytest.mark.parametrize(
    ("groups", "limit", "cpus"),
    [
        (b"0::/caf\xe9\n", b"50000 100000", 0.5),
        (b"no group\n0::/\n", b"150000 100000", 1.5),
        (b"0::/\n", b"50000 0", None),
        (b"0::/\n", b"9" * 5_000 + b" 1", None),
        (b"0::/\n", b"x 1", None),
        (b"0::/\n", b"max 100000", None),
    ],
)
def test_a_limit_of_a_cgroup_is_read_or_none(groups: bytes, limit: bytes, cpus: float | None, tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_bytes(groups)
    (tmp_path / "cpu.max").write_bytes(limit)
    assert cgroup_quota_cpus(tmp_path, tmp_path) == cpus
