"""Scripts from API descriptions: a function for each operation, and a scenario that calls them by weight."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fastload.convert.examples import Examples
from fastload.convert.names import counted, identifier, single_line, unique
from fastload.convert.openapi import ApiDescription, Steps
from fastload.convert.request_writer import FORM, JSON, METHODS
from fastload.convert.security import Credentials
from fastload.convert.writer import Call, Code, Conversion, Module, docstring, statement
from fastload.model.errors import PlanError

_METHODS = (*METHODS, "trace")
_READS = ("get", "head", "options", "trace")
# Weights of the tasks: users read more often than they write.
READ_WEIGHT, WRITE_WEIGHT = 3, 1
_WORD = re.compile(r"\w+")
_PLACE = re.compile(r"\{([^}]*)\}")
_HEADERS_OF_BODIES = ("accept", "content-type", "authorization")


@dataclass(slots=True)
class _Operation:
    """One operation, with the parts of its request. ``places`` are the ``{name}`` values of the path."""

    function: str
    method: str
    path: str
    tag: str
    about: str
    path_parameters: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)
    cookies: dict[str, Any] = field(default_factory=dict)
    auth: tuple[Any, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)


def script_of_api(api: ApiDescription, source: str, title: str) -> Conversion:
    """Return the script of *api*, which was read from the file *source*.

    Raises:
        PlanError: the description has no operation, or a reference cannot be resolved.
    """
    with api.readable(()):
        return _ApiScript(api, source, title).conversion()


class _ApiScript:
    """Builder of the script of one API description."""

    def __init__(self, api: ApiDescription, source: str, title: str) -> None:
        self._api, self._source, self._title = api, source, title
        self._scenario = identifier(Path(title).stem, "api")
        self._module = Module("", taken={self._scenario})
        self._examples = Examples(api)
        self._credentials = Credentials(api, self._module)
        self._deprecated: list[str] = []
        self._unsent: list[str] = []

    def conversion(self) -> Conversion:
        """Return the script, with notes on its left-out and doubtful parts."""
        operations = sorted(self._operations(), key=self._order_of_tags())
        if not operations:
            raise PlanError(f"{self._source}: paths: it has no operation", hint="there is nothing to make requests of")
        for operation in operations:
            self._module.add(self._function(operation))
        tasks = {Code(one.function): READ_WEIGHT if one.method in _READS else WRITE_WEIGHT for one in operations}
        options = {
            "name": self._scenario,
            "tasks": tasks,
            "vus": 1,
            "duration": "30s",
            "thresholds": {"http_req_failed": "rate<0.01", "checks": "rate>0.99"},
        }
        self._module.add(statement(Call("fl.scenario", keywords=options), 0, f"{self._scenario} = "))
        origin, _ = self._server()
        self._module.about = self._about(len(operations)) + self._module.how_to_run(self._title, origin)
        return Conversion(self._module.text(), tuple(self._notes()), self._module.options(origin))

    def _about(self, count: int) -> str:
        info = self._api.document["info"]
        return (
            f"{single_line(info['title'])} {single_line(str(info['version']))}, "
            f"as {single_line(self._source)} describes it: "
            f"{count} operation{'s' if count > 1 else ''}."
        )

    def _notes(self) -> Iterator[str]:
        if self._deprecated:
            yield f"left out as deprecated: {counted(self._deprecated)}"
        if self._unsent:
            yield f"no body is written for these, see to them: {counted(self._unsent)}"
        if self._examples.ignored_patterns:
            yield f"made up without regard to their patterns, see to them: {counted(self._examples.ignored_patterns)}"
        yield from self._credentials.notes
        if self._module.environment:
            yield f"give {', '.join(self._module.environment)} with -e, or in the environment"

    def _order_of_tags(self) -> Any:
        """Return a sort key: tags in the order of the description's list, then other tags in the order of first use."""
        order = [tag["name"] for tag in self._api.document.get("tags") or ()]

        def place(operation: _Operation) -> int:
            if operation.tag not in order:
                order.append(operation.tag)
            return order.index(operation.tag)

        return place

    def _server(self) -> tuple[str, str]:
        """Return the base URL, and the path prefix of all operations."""
        servers: list[dict[str, Any]] = self._api.document.get("servers") or [{"url": "/"}]
        server = servers[0]
        variables = server.get("variables") or {}
        url = _PLACE.sub(lambda found: str(variables.get(found[1], {}).get("default", found[1])), server["url"])
        try:
            parts = urlsplit(url)
        except ValueError as error:
            self._api.refuse(("servers", 0, "url"), str(error), "write it like https://api.example.com/v1")
        origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else "http://localhost:8080"
        return origin, parts.path.rstrip("/")

    def _operations(self) -> Iterator[_Operation]:
        for path, item in (self._api.document.get("paths") or {}).items():
            steps: Steps = ("paths", path)
            with self._api.readable(steps):
                item = self._api.resolve(item, steps)
                methods = [method for method in _METHODS if method in item]
            for method in methods:
                with self._api.readable((*steps, method)):
                    if not item[method].get("deprecated"):
                        yield self._operation(path, method, item, (*steps, method))
                        continue
                self._deprecated.append(f"{method.upper()} {path}")

    def _operation(self, path: str, method: str, item: Mapping[str, Any], steps: Steps) -> _Operation:
        node = item[method]
        by_path = _PLACE.sub(r"by \1", path)
        name = unique(identifier(node.get("operationId") or f"{method} {by_path}", method), self._module.names)
        self._module.names.add(name)
        tags = node.get("tags") or [""]
        about = single_line(node.get("summary") or f"{method.upper()} {path}", 100)
        operation = _Operation(name, method, path, single_line(tags[0]).replace("::", ":"), about)
        operation.statuses = [int(status) for status in node.get("responses", {}) if re.fullmatch(r"2\d\d", status)]
        self._add_parameters(operation, item, node, steps)
        if "requestBody" in node:
            self._add_body(operation, node["requestBody"], (*steps, "requestBody"))
        security = node.get("security", self._api.document.get("security", []))
        for keyword, value in self._credentials.of(security).items():
            if keyword == "auth":
                operation.auth = value
            else:
                getattr(operation, keyword).update(value)
        return operation

    def _add_parameters(self, operation: _Operation, item: Any, node: Any, steps: Steps) -> None:
        """Add the parameters that are in the path, are required, or have an example.

        A parameter of the operation overrides the same parameter of the path item.
        """
        found: dict[tuple[str, str], tuple[dict[str, Any], Steps]] = {}
        for holder, place in ((item, steps[:-1]), (node, steps)):
            for number, parameter in enumerate(holder.get("parameters") or []):
                where: Steps = (*place, "parameters", number)
                parameter = self._api.resolve(parameter, where)
                found[parameter["in"], parameter["name"]] = parameter, where
        path_parameters = dict.fromkeys(_PLACE.findall(operation.path), "1")
        values = {
            "path": path_parameters,
            "query": operation.params,
            "header": operation.headers,
            "cookie": operation.cookies,
        }
        for (kind, name), (parameter, where) in found.items():
            # A parameter may have one media type in place of a schema.
            content = next(iter(parameter.get("content") or {}), None)
            holder = parameter["content"][content] if content else parameter
            if kind == "header" and name.lower() in _HEADERS_OF_BODIES:
                continue
            if kind == "path" or parameter.get("required") or self._examples.has_own(holder, where):
                _set(values[kind], name, self._examples.of_holder(holder, where), parameter)
        # path={...} accepts only names of word characters; values of other names are written into the path.
        operation.path_parameters = {name: value for name, value in path_parameters.items() if _WORD.fullmatch(name)}
        operation.path = self._server()[1] + _PLACE.sub(
            lambda place: (
                place[0] if place[1] in operation.path_parameters else quote(str(path_parameters[place[1]]), safe="")
            ),
            operation.path,
        )

    def _add_body(self, operation: _Operation, body: Any, steps: Steps) -> None:
        contents = self._api.resolve(body, steps).get("content") or {}
        kind = _preferred(contents)
        if kind is None:
            return
        place: Steps = (*steps, "content", kind)
        bare = kind.partition(";")[0].strip().lower()
        value = self._examples.of_holder(self._api.resolve(contents[kind], place), place)
        if bare == JSON or bare.endswith("+json") or bare in ("*/*", "application/*"):
            operation.body = {"json": value}
            if bare.endswith("+json"):
                operation.headers["Content-Type"] = kind
        elif bare == FORM and isinstance(value, dict):
            operation.body = {"data": {key: _text(item) for key, item in value.items()}}
        elif bare == "multipart/form-data" and isinstance(value, dict):
            operation.body = self._parts(contents[kind].get("schema", {}), value, place)
        elif isinstance(value, str) and not bare.startswith("multipart/"):
            operation.body = {"data": value}
            operation.headers["Content-Type"] = kind
        else:
            self._unsent.append(f"{operation.method.upper()} {operation.path} ({bare})")

    def _parts(self, schema: Any, value: dict[str, Any], steps: Steps) -> dict[str, Any]:
        """Return the keyword arguments of a multipart form; binary properties become files."""
        fields = self._api.resolve(schema, (*steps, "schema")).get("properties", {})
        files = [name for name in value if self._is_file(fields.get(name, {}), (*steps, "schema", "properties", name))]
        data = {key: _text(item) for key, item in value.items() if key not in files}
        # Keep files even if it is empty: it makes the body a multipart form.
        return ({"data": data} if data else {}) | {"files": {name: (f"{name}.bin", b"...") for name in files}}

    def _is_file(self, schema: Any, steps: Steps) -> bool:
        schema = self._api.resolve(schema, steps)
        return schema.get("format") == "binary" or "contentMediaType" in schema

    def _function(self, operation: _Operation) -> str:
        short = self._module.short
        keywords: dict[str, Any] = {
            "path": short(operation.path_parameters, "VALUE"),
            "params": short(operation.params, "VALUE"),
            **short(operation.body, "BODY"),
            "cookies": short(operation.cookies, "VALUE"),
            "auth": operation.auth,
            "headers": operation.headers and self._module.constant("HEADERS", short(operation.headers, "HEADER")),
            "name": operation.function,
        }
        # Keep an empty body: it is sent too.
        keywords = {key: value for key, value in keywords.items() if value or key in operation.body}
        url = short(operation.path, "URL")
        if operation.method in METHODS:
            call = Call(f"await vu.{operation.method}", [url], keywords)
        else:
            call = Call("await vu.request", [operation.method.upper(), url], keywords)
        indent = 8 if operation.tag else 4
        inside = statement(call, indent, "reply = ")
        inside += statement(Call("vu.check", [Code("reply"), _checks(operation)]), indent)
        if operation.tag:
            inside = statement(Call("async with vu.group", [operation.tag], tail=":"), 4) + inside
        return f"async def {operation.function}(vu: fl.VU) -> None:\n{docstring(operation.about, 4)}{inside}"


def _checks(operation: _Operation) -> dict[str, Any]:
    """Return one check: the status is one of the 2xx statuses in the description."""
    match operation.statuses:
        case []:
            return {f"{operation.function}: ok": Code("reply.ok")}
        case [status]:
            return {f"{operation.function}: status is {status}": Code(f"reply.status == {status}")}
        case statuses:
            listed = ", ".join(map(str, statuses))
            return {f"{operation.function}: status is {listed}": Code(f"reply.status in ({listed})")}


def _preferred(contents: Mapping[str, Any]) -> str | None:
    """Return the media type to send: JSON, else a form, else the first one; None if there is none."""
    bare = {kind.partition(";")[0].strip().lower(): kind for kind in contents}
    json = next((kind for kind in bare if kind.endswith("+json")), "")
    return next((bare[kind] for kind in (JSON, json, FORM) if kind in bare), next(iter(contents), None))


def _set(values: dict[str, Any], name: str, value: Any, parameter: Mapping[str, Any]) -> None:
    """Add the *value* of *parameter* to *values*, serialized in the ``style`` of the description."""
    exploded = parameter.get("explode", parameter.get("style", "form") in ("form", "deepObject"))
    if isinstance(value, dict) and parameter["in"] == "query" and exploded:
        deep = parameter.get("style") == "deepObject"
        values |= {f"{name}[{key}]" if deep else key: _text(item) for key, item in value.items()}
    elif isinstance(value, list) and parameter["in"] == "query" and exploded:
        values[name] = [_text(item) for item in value]
    elif isinstance(value, list | dict):
        pairs = value if isinstance(value, list) else [part for pair in value.items() for part in pair]
        values[name] = ",".join(str(_text(item)) for item in pairs)
    else:
        values[name] = _text(value) if parameter["in"] == "query" else str(_text(value))


def _text(value: Any) -> Any:
    """Return *value* for a query or form: booleans as in JSON, null as an empty text, objects and lists as text."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return str(value) if isinstance(value, dict | list) else value
