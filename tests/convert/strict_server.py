"""A server that is a description of an API: it answers what is asked as described, and refuses the rest with 400."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, urlsplit

from tests.convert.api_decoding import Decoder, Pointer, Refused, Request, pairs_of
from tests.convert.conftest import serving

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Described(NamedTuple):
    """An operation: its name, its host, a pattern for its paths, and where it is."""

    name: str
    host: str
    path: re.Pattern[str]
    places: list[str]
    pointer: Pointer


class StrictServer(ThreadingHTTPServer):
    """Answers the operations whose server has the host *host*; "" is that of the base URL.

    *secrets* are the values that credentials may have. ``answered`` has the names of the operations, ``refused`` why
    not, ``seen`` the decoded values by operation.
    """

    daemon_threads = True

    def __init__(self, document: dict[str, Any], host: str, secrets: set[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.decoder = Decoder(document)
        self.document = document
        self.secrets = secrets
        self.operations = [one for one in self._described() if one.host == host]
        self.answered: list[str] = []
        self.refused: list[str] = []
        self.seen: dict[str, dict[str, Any]] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def _described(self) -> Iterator[Described]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method not in item or item[method].get("deprecated"):
                    continue
                servers = item[method].get("servers") or item.get("servers") or self.document.get("servers")
                url = servers[0]["url"] if servers else ""
                for name, variable in (servers[0].get("variables") or {}).items() if servers else ():
                    url = url.replace(f"{{{name}}}", variable["default"])
                parts = urlsplit(url)
                prefix = "/" + re.sub(r"(\.\./)+", "", parts.path).strip("/") if parts.path.strip("/.") else ""
                pattern = re.sub(r"\\\{[^/]*\\\}", "([^/]+)", re.escape(prefix + path))
                host = "" if parts.netloc == self._main_host() else parts.netloc
                places = re.findall(r"\{([^}]*)\}", path)
                yield Described(f"{method} {path}", host, re.compile(pattern), places, ("paths", path, method))

    def _main_host(self) -> str:
        servers = self.document.get("servers")
        if not servers:
            return ""
        variables = servers[0].get("variables", {})
        url = re.sub(r"\{(\w+)\}", lambda found: str(variables[found[1]]["default"]), servers[0]["url"])
        return urlsplit(url).netloc

    def status_of(self, request: Request) -> int:
        """The status to answer with.

        Raises:
            Refused: the request is not as described.
        """
        for one in self.operations:
            found = one.path.fullmatch(request.path)
            if found and one.pointer[-1] == request.method.lower():
                self.seen[one.name] = self._read(one, request, dict(zip(one.places, found.groups(), strict=True)))
                self.answered.append(one.name)
                node, _ = self.decoder.resolve(one.pointer)
                return next((int(status) for status in map(str, node["responses"]) if status[0] == "2"), 200)
        raise Refused(f"nothing is described for {request.method} {request.path}")

    def _read(self, operation: Described, request: Request, places: dict[str, str]) -> dict[str, Any]:
        node, _ = self.decoder.resolve(operation.pointer)
        pairs = pairs_of(request.query)
        cookies = dict(part.split("=", 1) for part in request.headers.get("cookie", "").split("; ") if part)
        self._take_credentials(node, request, pairs, cookies)
        found: dict[str, Any] = {}
        for pointer in self._parameters(operation.pointer):
            parameter, pointer = self.decoder.resolve(pointer)
            name, place = parameter["name"], pointer
            if parameter["in"] == "path" and name not in places:
                continue
            value = self._value(parameter, pointer, request, places, pairs, cookies)
            if value is None and parameter.get("required"):
                raise Refused(f"{name} is missing")
            if value is not None:
                content = next(iter(parameter.get("content", {})), None)
                place = (*pointer, "content", content, "schema") if content else (*pointer, "schema")
                self.decoder.check(value, place)
                found[name] = value
        if pairs or cookies:
            raise Refused(f"unknown: {pairs} {cookies}")
        if "requestBody" in node:
            found["body"] = self._body(request, (*operation.pointer, "requestBody"))
        elif request.body:
            raise Refused("it has a body")
        return found

    def _parameters(self, pointer: Pointer) -> Iterator[Pointer]:
        node, _ = self.decoder.resolve(pointer)
        item, _ = self.decoder.resolve(pointer[:-1])
        own = {(one["in"], one["name"]) for one in node.get("parameters", ()) if "$ref" not in one}
        for number, one in enumerate(item.get("parameters", ())):
            if (one.get("in"), one.get("name")) not in own:
                yield (*pointer[:-1], "parameters", number)
        for number, _ in enumerate(node.get("parameters", ())):
            yield (*pointer, "parameters", number)

    def _value(
        self,
        parameter: dict[str, Any],
        pointer: Pointer,
        request: Request,
        places: dict[str, str],
        pairs: list[tuple[str, str]],
        cookies: dict[str, str],
    ) -> Any:
        decoder, name, schema = self.decoder, parameter["name"], (*pointer, "schema")
        if "content" in parameter:
            media = next(iter(parameter["content"]))
            schema = (*pointer, "content", media, "schema")
            assert (parameter["in"], media) == ("query", "application/json")
            # The object as a whole is one text of JSON.
            texts = [value for key, value in pairs if key == name]
            pairs[:] = [pair for pair in pairs if pair[0] != name]
            return decoder.cast(unquote_plus(texts[0]), schema) if texts else None
        match parameter["in"]:
            case "path":
                return decoder.of_path(places[name], name, parameter, pointer)
            case "query":
                return decoder.of_query(pairs, name, parameter, schema)
            case "header":
                raw = request.headers.get(name.lower())
                return None if raw is None else decoder.of_header(raw, parameter, schema)
        there = name in cookies or (parameter.get("explode", True) and "object" in decoder.types(schema))
        return decoder.of_cookies(cookies, name, parameter, schema) if there else None

    def _take_credentials(
        self, node: dict[str, Any], request: Request, pairs: list[tuple[str, str]], cookies: dict[str, str]
    ) -> None:
        security = node.get("security", self.document.get("security", []))
        for name in security[0] if security else ():
            scheme = self.document["components"]["securitySchemes"][name]
            if scheme["type"] != "apiKey":
                value = request.headers.get("authorization", "").removeprefix("Bearer ")
            elif scheme["in"] == "query":
                value = dict(pairs).get(scheme["name"], "")
                pairs.remove((scheme["name"], value))
            elif scheme["in"] == "cookie":
                value = cookies.pop(scheme["name"], "")
            else:
                value = request.headers.get(scheme["name"].lower(), "")
            if value not in self.secrets:
                raise Refused(f"the credential {name} is {value!r}")

    def _body(self, request: Request, pointer: Pointer) -> Any:
        body, pointer = self.decoder.resolve(pointer)
        kind = request.headers.get("content-type", "")
        bare = kind.partition(";")[0]
        ranges = (bare, f"{bare.partition('/')[0]}/*")
        described = next((one for one in body["content"] if one in ranges), None)
        if described is None:
            raise Refused(f"the body is {kind}, not of {list(body['content'])}")
        place: Pointer = (*pointer, "content", described)
        media = body["content"][described]
        value: Any = request.body.decode()
        if bare.endswith("json"):
            value = json.loads(request.body)
        elif bare == "application/x-www-form-urlencoded":
            value = self.decoder.of_form(request.body, media, place)
        elif bare == "multipart/form-data":
            value = self.decoder.of_parts(request.body, kind, media, place)
        if "schema" in media:
            self.decoder.check(value, (*place, "schema"))
        return value


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StrictServer

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value.encode("latin-1").decode() for name, value in self.headers.items()}
        try:
            status = self.server.status_of(Request(self.command, path, query, headers, body))
        except Exception as error:  # what the decoder stumbles over is as wrong as what it refuses
            self.server.refused.append(f"{self.command} {self.path}: {type(error).__name__}: {error}")
            status = 400
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Nothing: stderr is the test's."""


@contextmanager
def strict_server(document: dict[str, Any], host: str, secrets: set[str]) -> Iterator[StrictServer]:
    """Serve *document* while the block lasts."""
    with serving(StrictServer(document, host, secrets)) as server:
        yield server
