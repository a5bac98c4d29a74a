"""Parameters of an operation, in path, query, headers and cookies: which are sent, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from fastload.convert.openapi.description import ApiDescription, Steps
from fastload.convert.openapi.examples import NO_VALUE, Examples
from fastload.convert.openapi.operation import Operation
from fastload.convert.openapi.parameter_styles import (
    Style,
    in_cookies,
    in_header,
    in_path,
    in_query,
    json_text,
    path_prefix,
    style_of,
    text_of,
)
from fastload.convert.openapi.request_bodies import is_json
from fastload.convert.openapi.secrets import HiddenSecrets
from fastload.convert.script.names import constant, counted, is_secret_field
from fastload.convert.script.writer import Module

PLACE = re.compile(r"\{([^}]*)\}")
_WORD = re.compile(r"\w+")
# OpenAPI says of these that a parameter of the name is ignored.
_HEADERS_OF_BODIES = ("accept", "content-type", "authorization")
_UNDESCRIBED = "1"


class _Parameter:
    """A parameter, *node*, which is at *steps*. One with a media type has its schema and example below that."""

    def __init__(self, node: Mapping[str, Any], steps: Steps) -> None:
        self.node = node
        self.name, self.kind = str(node["name"]), str(node["in"])
        self.media_type = next(iter(node.get("content") or {}), "")
        self.holder = node["content"][self.media_type] if self.media_type else node
        self.steps = (*steps, "content", self.media_type) if self.media_type else steps
        self.style = style_of(node, self.kind)


class Parameters:
    """Adds parameters to operations. It remembers, for its notes, what is not as it should be."""

    def __init__(self, api: ApiDescription, examples: Examples, module: Module, secrets: HiddenSecrets) -> None:
        self._api, self._examples, self._module, self._secrets = api, examples, module, secrets
        self._undescribed: list[str] = []
        self._misplaced: list[str] = []
        self._repeated_cookies: list[str] = []
        self._without_secret: list[str] = []
        self._optional: list[str] = []
        self._ignored: list[str] = []
        self._without_value: list[str] = []

    def notes(self) -> Iterator[str]:
        """Return what to see to."""
        if self._undescribed:
            yield f"in a path, but not described, so sent as {_UNDESCRIBED!r}: {counted(self._undescribed)}"
        if self._misplaced:
            yield f"left out, described as parts of a path that does not have them: {counted(self._misplaced)}"
        if self._without_value:
            yield f"parameters sent empty, for no value that ends fits their schema: {counted(self._without_value)}"
        if self._repeated_cookies:
            yield f"cookies with all values in one, for a cookie cannot repeat: {counted(self._repeated_cookies)}"
        if self._optional:
            yield f"left out, for they are optional and have no example: {counted(self._optional)}"
        if self._ignored:
            yield f"left out, for OpenAPI ignores header parameters of these names: {counted(self._ignored)}"
        if self._without_secret:
            yield f"left out, for they seem to be secrets and are optional: {counted(self._without_secret)}"

    def add(self, operation: Operation, item: Mapping[str, Any], node: Mapping[str, Any], steps: Steps) -> None:
        """Add the parameters that are in the path, are required, or have an example.

        What *operation* has already, its credentials, stays. A parameter of the operation, *node*, overrides the same
        one of the path *item*.
        """
        found: dict[tuple[str, str], tuple[dict[str, Any], Steps]] = {}
        for holder, place in ((item, steps[:-1]), (node, steps)):
            for number, parameter in enumerate(holder.get("parameters") or []):
                where: Steps = (*place, "parameters", number)
                parameter = self._api.resolve(parameter, where)
                for key in ("in", "name"):
                    if key not in parameter:
                        self._api.refuse(where, f"{key!r} is missing")
                found[parameter["in"], parameter["name"]] = parameter, where
        of_path: dict[str, str] = {}
        for parameter, where in found.values():
            self._add(operation, _Parameter(parameter, where), of_path)
        self._fill_path(operation, of_path)

    def _add(self, operation: Operation, parameter: _Parameter, of_path: dict[str, str]) -> None:
        name, style = parameter.name, parameter.style
        if parameter.kind == "path":
            if f"{{{name}}}" in operation.template:
                value = self._value(parameter)
                simple = not isinstance(value, dict | list)
                of_path[name] = (
                    self._segment(operation, name, text_of(value), style) if simple else in_path(name, value, style)
                )
            else:
                self._misplaced.append(f"{name} of {operation.title}")
        elif self._is_sent(operation, parameter):
            if _is_secret(name):
                _values(operation, parameter)[name] = self._module.secret(constant(name))
            else:
                self._add_value(operation, parameter, self._value(parameter))

    def _add_value(self, operation: Operation, parameter: _Parameter, value: Any) -> None:
        name, style = parameter.name, parameter.style
        if parameter.kind == "query":
            query = in_query(name, value, style)
            operation.params |= query.params
            operation.query += query.encoded
        elif parameter.kind == "header":
            operation.headers[name] = in_header(value, style)
        else:
            operation.cookies |= in_cookies(name, value, style)
            if isinstance(value, list) and style.exploded and len(value) > 1:
                self._repeated_cookies.append(f"{name} of {operation.title}")

    def _is_sent(self, operation: Operation, parameter: _Parameter) -> bool:
        name, told = parameter.name, f"{parameter.name} of {operation.title}"
        there = _values(operation, parameter)
        if parameter.kind == "header":
            name, there = name.lower(), dict.fromkeys(map(str.lower, there))
        if name in there:
            return False
        if parameter.kind == "header" and name in _HEADERS_OF_BODIES:
            self._ignored.append(told)
            return False
        if parameter.node.get("required"):
            return True
        if not self._examples.has_own(parameter.holder, parameter.steps):
            self._optional.append(told)
            return False
        if _is_secret(name):
            self._without_secret.append(told)
            return False
        return True

    def _value(self, parameter: _Parameter) -> Any:
        """Return the value of *parameter*; of one that has a media type, the text in that format."""
        value, name = self._examples.of_holder(parameter.holder, parameter.steps), parameter.name
        if value is NO_VALUE:
            self._without_value.append(name)
            value = None
        # What is made up for a part of a path is no secret, and a name there must be one of Python to be asked for.
        is_of_path = parameter.kind == "path"
        if not is_of_path or (_WORD.fullmatch(name) and self._examples.has_own(parameter.holder, parameter.steps)):
            value = self._secrets.hide(value, name)
        if is_json(parameter.media_type):
            return json_text(value)
        return text_of(value) if parameter.media_type else value

    def _segment(self, operation: Operation, name: str, value: str, style: Style) -> str:
        prefix = path_prefix(name, style)
        # path={...} takes names of word characters only; values of other names are written into the path.
        if not _WORD.fullmatch(name):
            return f"{prefix}{quote(value, safe='')}"
        operation.path_values[name] = value
        return f"{prefix}{{{name}}}"

    def _fill_path(self, operation: Operation, of_path: dict[str, str]) -> None:
        def filled(place: re.Match[str]) -> str:
            name = place[1]
            if name not in of_path:
                self._undescribed.append(f"{name} of {operation.title}")
                of_path[name] = self._segment(operation, name, _UNDESCRIBED, Style("simple", False))
            return of_path[name]

        operation.path += PLACE.sub(filled, operation.template)


def _is_secret(name: str) -> bool:
    """Return whether parameter *name* holds a secret. The key that tells a request from its repetition is none."""
    return is_secret_field(name) and "idempotency" not in name.lower()


def _values(operation: Operation, parameter: _Parameter) -> dict[str, Any]:
    return {"query": operation.params, "header": operation.headers, "cookie": operation.cookies}[parameter.kind]
