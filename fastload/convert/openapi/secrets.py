"""Secrets among the examples of an API description: marks in their place, until the values are written as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastload.convert.openapi.description import ApiDescription
from fastload.convert.script.expressions import code_of_parts
from fastload.convert.script.names import constant
from fastload.convert.script.values import Values
from fastload.convert.script.writer import Code, Module

# Only signs that JSON, forms and URLs leave as they are.
_MARK = re.compile(r"fastloadSecret(\d+)End")
_NUMBER = re.compile(r"(?:int|float)\((\w+)\)")


class HiddenSecrets(Values):
    """Hides secrets in values that are yet to be encoded, and reveals them as code of the script.

    Those are what has the name of a secret, ``format: password`` anywhere in the description, or the form of a
    credential. Each name is one environment variable: values of examples differ by chance.
    """

    def __init__(self, module: Module, api: ApiDescription) -> None:
        super().__init__(module)
        self._names = set(_names_of_passwords(api))
        self._codes: list[Code] = []

    def hide(self, value: Any, name: str = "") -> Any:
        """Return *value*, of the field *name*, with marks in place of its secrets."""
        return self._marked(self.tree(value, name))

    def reveal(self, value: Any, *, as_json: bool = False) -> Any:
        """Return *value* with the code of its secrets in place of the marks; numbers are texts but in JSON."""
        if isinstance(value, dict):
            return {key: self.reveal(item, as_json=as_json) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.reveal(item, as_json=as_json) for item in value)
        if not isinstance(value, str) or not _MARK.search(value):
            return value
        parts = [part for part in self.revealed_parts(value, as_json=as_json) if part != ""]
        return code_of_parts(parts, self._module)

    def revealed_parts(self, text: str, *, as_json: bool = False) -> list[str | Code]:
        """Return the parts of *text*, which are texts and the code of secrets in turn."""
        parts: list[str | Code] = list(_MARK.split(text))
        for number, part in enumerate(parts):
            if number % 2:
                code = self._codes[int(str(part))]
                is_number = _NUMBER.fullmatch(code.text)
                parts[number] = Code(is_number[1]) if is_number and not as_json else code
        return parts

    def value(self, value: Any, name: str) -> Any:
        # It tells a request from its repetition, and is no secret.
        if "idempotency" in name.lower():
            return value
        return (
            self.secret(value, name) if isinstance(value, str) and name in self._names else super().value(value, name)
        )

    def secret(self, text: str, name: str) -> Code:  # noqa: ARG002 - one variable for all values
        return self._module.secret(constant(name))

    def _marked(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._marked(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._marked(item) for item in value]
        if not isinstance(value, Code):
            return value
        if value not in self._codes:
            self._codes.append(value)
        return f"fastloadSecret{self._codes.index(value)}End"


def _names_of_passwords(api: ApiDescription) -> Iterator[str]:
    """Yield the names of all properties and parameters whose format is ``password``."""
    left: list[Any] = [api.document]
    while left:
        node = left.pop()
        if isinstance(node, list):
            left += node
        elif isinstance(node, dict):
            left += node.values()
            named = dict(node["properties"]) if isinstance(node.get("properties"), dict) else {}
            if isinstance(node.get("name"), str):
                named[node["name"]] = node.get("schema")
            for name, schema in named.items():
                resolved: Any = api.resolve(schema, ()) if isinstance(schema, dict) else None
                if isinstance(resolved, dict) and resolved.get("format") == "password":
                    yield name
