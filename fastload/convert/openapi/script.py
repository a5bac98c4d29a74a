"""Scripts from API descriptions: a function for each operation, and a scenario that calls them by weight."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from fastload.convert.openapi.description import ApiDescription, Steps
from fastload.convert.openapi.examples import Examples
from fastload.convert.openapi.operation import Operation
from fastload.convert.openapi.parameters import PLACE, Parameters
from fastload.convert.openapi.request_bodies import Bodies
from fastload.convert.openapi.schemas import Schemas
from fastload.convert.openapi.secrets import HiddenSecrets
from fastload.convert.openapi.security import Credentials
from fastload.convert.openapi.servers import server_of
from fastload.convert.script.expressions import code_of_parts
from fastload.convert.script.names import constant, counted, identifier, single_line, unique
from fastload.convert.script.request_writer import METHODS
from fastload.convert.script.writer import (
    WIDTH,
    Call,
    Code,
    Commented,
    Conversion,
    Module,
    docstring,
    statement,
    text_literal,
)
from fastload.model.errors import PlanError
from fastload.model.http_settings import without_credentials

DELETES_OPTION = "--with-deletes"
# Of a description that does not say where its server is.
_DEFAULT_ORIGIN = "http://localhost:8080"
_METHODS = (*METHODS, "trace")
_READS = ("get", "head", "options", "trace")
# Weights of the tasks: users read more often than they write.
READ_WEIGHT, WRITE_WEIGHT = 3, 1


def script_of_api(api: ApiDescription, source: str, title: str, *, deletes: bool) -> Conversion:
    """Return the script of *api*, which was read from the file *source*.

    Args:
        deletes: make tasks of operations that delete, too; otherwise they are written as comments.

    Raises:
        PlanError: the description has no operation, or a reference cannot be resolved.
    """
    with api.readable(()):
        return _ApiScript(api, source, title, deletes=deletes).conversion()


def refuse_deletes(what: str) -> NoReturn:
    """Raise the error for the option of operations that delete, given with the source *what*, which has none.

    Raises:
        PlanError: always.
    """
    raise PlanError(
        f"{DELETES_OPTION} goes with a description of an API, not with {what}",
        hint="leave it out, or give a description (OpenAPI) with --from",
    )


class _ApiScript:
    """Builder of the script of one API description."""

    def __init__(self, api: ApiDescription, source: str, title: str, *, deletes: bool) -> None:
        self._api, self._source, self._title = api, source, title
        self._deletes = deletes
        self._scenario = identifier(Path(title).stem, "api")
        self._module = Module("", taken={self._scenario})
        schemas = Schemas(api)
        self._examples = Examples(api, schemas)
        self._credentials = Credentials(api, self._module)
        self._secrets = HiddenSecrets(self._module, api)
        self._parameters = Parameters(api, self._examples, self._module, self._secrets)
        self._bodies = Bodies(api, schemas, self._examples, self._secrets)
        self._deprecated: list[str] = []
        self._linked: list[str] = []
        self._calling_back: list[str] = []
        # Origin -> the constant with the origin that a run is given in its place.
        self._other_origins: dict[str, Code] = {}

    def conversion(self) -> Conversion:
        """Return the script, with notes on its left-out and doubtful parts."""
        operations = sorted(self._operations(), key=self._order_of_tags())
        if not operations:
            raise PlanError(f"{self._source}: paths: it has no operation", hint="there is nothing to make requests of")
        origin = self._main_origin(operations)
        for operation in operations:
            self._module.add(self._function(operation, origin))
        options = {
            "name": self._scenario,
            "tasks": self._tasks(operations),
            "vus": 1,
            "duration": "30s",
            "thresholds": {"http_req_failed": "rate<0.01", "checks": "rate>0.99"},
        }
        self._module.add(statement(Call("fl.scenario", keywords=options), 0, f"{self._scenario} = "))
        self._module.about = self._about(len(operations)) + self._module.how_to_run(self._title, origin)
        return Conversion(self._module.text(), tuple(self._notes(operations)), self._module.options(origin))

    def _tasks(self, operations: list[Operation]) -> Any:
        """Return the tasks by weight; those that delete are comments, if the user did not ask for them."""
        live = [one for one in operations if self._deletes or not one.deletes]
        if not live:
            message = f"{self._source}: all that it describes deletes"
            raise PlanError(message, hint=f"{DELETES_OPTION} makes a script of it")
        tasks = {Code(one.function): READ_WEIGHT if one.method in _READS else WRITE_WEIGHT for one in live}
        if len(live) == len(operations):
            return tasks
        deletes = [f"{one.function}: {WRITE_WEIGHT}," for one in operations if one.deletes]
        return Commented(tasks, ['These delete. Take away the "# " to have them called.', *deletes])

    def _main_origin(self, operations: list[Operation]) -> str:
        """Return the origin that is the base URL: that of the whole API, or of the first operation that has one."""
        whole = server_of(self._api, {}, {}, ()).origin
        origins = [one.origin for one in operations if one.origin]
        return whole if whole in origins else next(iter(origins), _DEFAULT_ORIGIN)

    def _about(self, count: int) -> str:
        info = self._api.document["info"]
        return (
            f"{single_line(info['title'])} {single_line(str(info['version']))}, "
            f"as {single_line(self._source)} describes it: "
            f"{count} operation{'s' if count > 1 else ''}."
        )

    def _notes(self, operations: list[Operation]) -> Iterator[str]:
        if self._deprecated:
            yield f"left out as deprecated: {counted(self._deprecated)}"
        if not self._deletes and (deletes := [one.function for one in operations if one.deletes]):
            yield f"not called, for they delete: {counted(deletes)}; {DELETES_OPTION} makes tasks of them"
        yield from self._bodies.notes()
        yield from self._parameters.notes()
        if self._examples.doubtful:
            yield f"made up without regard to some of its schema, see to them: {counted(self._examples.doubtful)}"
        yield from self._credentials.notes
        if others := (self._api.document.get("servers") or [])[1:]:
            urls = [single_line(without_credentials(str(one["url"]))) for one in others]
            yield f"of several servers, the first is written, and not: {counted(urls)}"
        if self._linked:
            yield f"links of responses are not followed: {counted(self._linked)}"
        if called := [*self._calling_back, *(self._api.document.get("webhooks") or ())]:
            names = counted(map(single_line, called))
            yield f"callbacks and webhooks are requests of the server, and not written: {names}"
        for origin, name in self._other_origins.items():
            yield f"some requests go to {origin}, and not to the base URL: {name.text} says where"
        if self._module.environment:
            yield f"give {', '.join(self._module.environment)} with -e, or in the environment"

    def _order_of_tags(self) -> Any:
        """Return a sort key: tags in the order of the description's list, then other tags in the order of first use."""
        order = [tag["name"] for tag in self._api.document.get("tags") or ()]

        def place(operation: Operation) -> int:
            if operation.tag not in order:
                order.append(operation.tag)
            return order.index(operation.tag)

        return place

    def _operations(self) -> Iterator[Operation]:
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

    def _operation(self, path: str, method: str, item: Mapping[str, Any], steps: Steps) -> Operation:
        node = item[method]
        by_path = PLACE.sub(r"by \1", path)
        name = unique(identifier(node.get("operationId") or f"{method} {by_path}", method), self._module.names)
        self._module.names.add(name)
        tags = node.get("tags") or [""]
        about = single_line(node.get("summary") or f"{method.upper()} {path}", 100)
        operation = Operation(name, method, path, single_line(tags[0]).replace("::", ":"), about)
        operation.statuses = [int(status) for status in node.get("responses", {}) if re.fullmatch(r"2\d\d", status)]
        operation.origin, operation.path = server_of(self._api, node, item, steps)
        if node.get("callbacks"):
            self._calling_back.append(operation.title)
        if any(isinstance(one, dict) and one.get("links") for one in node.get("responses", {}).values()):
            self._linked.append(operation.title)
        security = node.get("security", self._api.document.get("security", []))
        for keyword, value in self._credentials.of(security).items():
            if keyword == "auth":
                operation.auth = value
            else:
                getattr(operation, keyword).update(value)
        self._parameters.add(operation, item, node, steps)
        if "requestBody" in node:
            self._bodies.add(operation, node["requestBody"], (*steps, "requestBody"))
        return operation

    def _url(self, operation: Operation, main_origin: str) -> Any:
        """Return the source of the URL: relative to the base URL, or behind the constant with another origin."""
        url = operation.path
        if operation.query:
            url += f"{'&' if '?' in url else '?'}{'&'.join(operation.query)}"
        parts = [part for part in self._secrets.revealed_parts(url) if part]
        if any(isinstance(part, Code) for part in parts):
            begin = [] if operation.origin in ("", main_origin) else [self._other_origin(operation.origin)]
            return code_of_parts([*begin, *parts], self._module, "URL")
        if operation.origin in ("", main_origin):
            return self._module.short(url, "URL")
        origin = self._other_origin(operation.origin).text
        short = self._module.short(url, "URL", margin=20 + len(origin))
        if isinstance(short, Code):
            return Code(f'f"{{{origin}}}{{{short.text}}}"')
        literal = text_literal(url.replace("{", "{{").replace("}", "}}"))
        return Code(f"f{literal[0]}{{{origin}}}{literal[1:]}")

    def _other_origin(self, origin: str) -> Code:
        """Return the constant for *origin*, which is not the base URL."""
        if origin not in self._other_origins:
            name = unique(f"{constant(urlsplit(origin).hostname or '', 'SERVER')}_URL", self._module.names)
            self._other_origins[origin] = self._module.required(name, origin)
        return self._other_origins[origin]

    def _function(self, operation: Operation, main_origin: str) -> str:
        short, reveal = self._module.short, self._secrets.reveal
        body = {key: reveal(value, as_json=key == "json") for key, value in operation.body.items()}
        keywords: dict[str, Any] = {
            "path": short(reveal(operation.path_values), "VALUE"),
            "params": short(reveal(operation.params), "VALUE"),
            **short(body, "BODY"),
            "cookies": short(reveal(operation.cookies), "VALUE"),
            "auth": operation.auth,
            "headers": operation.headers
            and self._module.constant("HEADERS", short(reveal(operation.headers), "HEADER")),
            "name": operation.function,
        }
        # Keep an empty body: it is sent too.
        keywords = {key: value for key, value in keywords.items() if value or key in operation.body}
        url = self._url(operation, main_origin)
        if operation.method in METHODS:
            call = Call(f"await vu.{operation.method}", [url], keywords)
        else:
            call = Call("await vu.request", [operation.method.upper(), url], keywords)
        indent = 8 if operation.tag else 4
        inside = "".join(f"{' ' * indent}# {comment}\n" for comment in operation.comments)
        inside += statement(call, indent, "reply = ")
        inside += _check(operation, indent)
        if operation.tag:
            inside = statement(Call("async with vu.group", [operation.tag], tail=":"), 4) + inside
        return f"async def {operation.function}(vu: fl.VU) -> None:\n{docstring(operation.about, 4)}{inside}"


def _check(operation: Operation, indent: int) -> str:
    """Return statements that check that the status is one of the 2xx statuses in the description."""
    match operation.statuses:
        case []:
            name, test = f"{operation.function}: ok", "reply.ok"
        case [status]:
            name, test = f"{operation.function}: status is {status}", f"reply.status == {status}"
        case statuses:
            listed = ", ".join(map(str, statuses))
            name, test = f"{operation.function}: status is {listed}", f"reply.status in ({listed})"
    before = ""
    # A formatter would break a comparison that is too long for its line.
    if indent + 8 + len(f"{text_literal(name)}: {test},") > WIDTH:
        before, test = statement(Code(test), indent, "passed = "), "passed"
    return before + statement(Call("vu.check", [Code("reply"), {name: Code(test)}]), indent)
