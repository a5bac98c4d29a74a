"""Sources of ``fastload new --from``: what a document is, where it comes from, and what is said of others."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import fastload.convert.download as download_module
from fastload.convert import RecordingFilter, convert
from fastload.model.errors import PlanError
from tests.conftest import Cli
from tests.convert.conftest import DATA, Memory, serving

JMX = '<?xml version="1.0"?>\n<jmeterTestPlan version="1.2"><hashTree/></jmeterTestPlan>'


class Documents(ThreadingHTTPServer):
    """Serves the files of the tests by name, to user ``ada`` with password ``pw`` below /private."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.credentials: list[str | None] = []


class _Handler(BaseHTTPRequestHandler):
    server: Documents

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        file = DATA / name
        credentials = self.headers.get("Authorization")
        self.server.credentials.append(credentials)
        wanted = "Basic " + base64.b64encode(b"ada:pw").decode()
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/shop.har")
            self.end_headers()
        elif self.path == "/to-a-file":
            self.send_response(302)
            self.send_header("Location", f"file://{DATA / 'shop.har'}")
            self.end_headers()
        elif self.path == "/page":
            self._send(b"<!DOCTYPE html><html><title>Docs</title></html>")
        elif self.path == "/api/open.json":
            paths = {"/x": {"get": {"responses": {"200": {"description": "it"}}}}}
            self._send(
                json.dumps({"openapi": "3.1.0", "info": {"title": "A", "version": "1"}, "paths": paths}).encode()
            )
        elif not file.is_file() or (self.path.startswith("/private") and credentials != wanted):
            self.send_error(404)
        else:
            self._send(file.read_bytes())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Nothing: stderr is the test's."""


@pytest.fixture
def documents() -> Iterator[Documents]:
    with serving(Documents()) as server:
        yield server


@pytest.mark.parametrize(
    ("path", "begin"),
    [
        ("/shop.har", "A visit as it was recorded in shop.har"),
        ("/shop.har?token=secret#x", "A visit as it was recorded in shop.har"),
        ("/pets.yaml", "Pet shop"),
        ("/shop.postman.json", "Shop API, a collection of Postman in shop.postman.json"),
        ("/moved", "A visit as it was recorded in moved"),
    ],
)
def test_a_document_may_be_on_a_server(cli: Cli, tmp_path: Path, documents: Documents, path: str, begin: str) -> None:
    done = cli("new", "visit", "--from", f"{documents.url}{path}")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "visit.py").read_text()
    compile(text, "visit.py", "exec")
    assert begin in text
    assert "secret" not in text.partition('"""\n')[0]


def test_a_description_without_a_server_is_of_the_server_that_has_it(documents: Documents) -> None:
    made = convert(f"{documents.url}/api/open.json", "visit.py", RecordingFilter())
    assert made.options == ("--base-url", documents.url)


def test_user_and_password_of_a_url_are_sent_and_not_written(cli: Cli, tmp_path: Path, documents: Documents) -> None:
    url = documents.url.replace("://", "://ada:pw@")
    assert cli("new", "visit", "--from", f"{url}/private/shop.har").returncode == 0
    assert "ada:pw" not in (tmp_path / "visit.py").read_text()
    missing = cli("new", "other", "--from", f"{url}/private/none.har")
    assert missing.returncode == 104
    assert "the server answered 404" in missing.stderr
    assert "ada:pw" not in missing.stderr


def test_a_redirect_leads_to_no_file(documents: Documents) -> None:
    with pytest.raises(PlanError, match="302"):
        convert(f"{documents.url}/to-a-file", "visit.py", RecordingFilter())


def test_a_document_is_bounded_in_size_and_time(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "MOST_BYTES", 1000)
    with pytest.raises(PlanError, match="it has more than"):
        convert(f"{documents.url}/shop.har", "visit.py", RecordingFilter())
    monkeypatch.setattr(download_module, "LONGEST_S", 0.3)
    with _drip() as url, pytest.raises(PlanError, match=r"no whole answer within 0\.3 s"):
        convert(f"{url}/shop.har", "visit.py", RecordingFilter())


@contextmanager
def _drip() -> Iterator[str]:
    """A server that never stops to send the headers of its answer."""
    ends = threading.Event()

    def serve() -> None:
        client, _ = server.accept()
        with client:
            client.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not ends.wait(0.02):
                client.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            ends.set()
            thread.join(10)


def test_what_a_server_does_not_give_is_told(documents: Documents) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        free = closed.getsockname()[1]
    for url, message in (
        (f"{documents.url}/none.json", f"--from {documents.url}/none.json: the server answered 404"),
        (f"{documents.url}/page", "page is an HTML page, and no description of requests"),
        (f"http://127.0.0.1:{free}/x", "Connection refused"),
        ("http://", "the URL has no host"),
        ("http://a.test:port/", "the URL is broken"),
    ):
        with pytest.raises(PlanError) as raised:
            convert(url, "visit.py", RecordingFilter())
        assert message in raised.value.message
        assert raised.value.hint


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("plan.jmx", JMX, "plan.jmx is a test plan of JMeter, which is not read", "hardump=plan.har"),
        ("page.html", "<html></html>", "page.html is an HTML page", "the address of one of them"),
        ("feed.xml", "<?xml version='1.0'?><feed/>", "feed.xml is XML", ""),
    ],
)
def test_what_is_not_read_is_told(tmp_path: Path, name: str, content: str, message: str, hint: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(PlanError) as raised:
        convert(tmp_path / name, "visit.py", RecordingFilter())
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_a_file_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "shop.har").write_text("{}")
    with pytest.raises(PlanError, match="No such file") as raised:
        convert(tmp_path / "shop.hra", "visit.py", RecordingFilter())
    assert "did you mean 'shop.har'?" in raised.value.hint


def test_the_kind_is_in_the_content(tmp_path: Path, memory: Memory) -> None:
    for name, content, begin in (
        ("a.json", (DATA / "shop.har").read_text(), "A visit as it was recorded in a.json"),
        (
            "b",
            json.dumps({"collection": json.loads((DATA / "shop.postman.json").read_text())}),
            "Shop API, a collection",
        ),
        ("c.txt", f"# all\n\n$ curl {memory.url}/x\n", "1 request of curl, from c.txt."),
        ("e.sh", f"#!/bin/sh\nset -e\nBASE={memory.url}\n\ncurl $BASE/x\n", "1 request of curl, from e.sh."),
        ("d", (DATA / "pets.yaml").read_text(), "Pet shop"),
    ):
        (tmp_path / name).write_text(content)
        made = convert(tmp_path / name, "visit.py", RecordingFilter())
        assert begin in made.text


def test_options_of_a_recording_go_with_no_command(cli: Cli) -> None:
    done = cli("new", "visit", "--static", "--from", "curl localhost/x")
    assert done.returncode == 104
    assert "go with a recording, not with a command of curl" in done.stderr
