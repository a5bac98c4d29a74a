"""What stands in a script for the values of a request: themselves, or what is to be sent in their place."""

from __future__ import annotations

from typing import Any

from fastload.convert.script.expressions import code_of_parts
from fastload.convert.script.names import constant, is_secret_field
from fastload.convert.script.secret_texts import is_secret_number, is_secret_value, secrets_in
from fastload.convert.script.writer import Code, Module


class Values:
    """Values as they are in the source, but for secrets, which become environment values of the run."""

    def __init__(self, module: Module) -> None:
        self._module = module

    def value(self, value: Any, name: str) -> Any:
        """Return what is sent for *value* of a field *name*: of a query, a form, or JSON."""
        if isinstance(value, str):
            return self.text(value, name)
        if isinstance(value, int | float) and not isinstance(value, bool) and is_secret_number(str(value), name):
            return Code(f"{type(value).__name__}({self.secret(str(value), name).text})")
        return value

    def text(self, text: str, name: str) -> str | Code:
        """Return what is sent for *text* of a header or field *name*."""
        if is_secret_value(text, name):
            return self.secret(text, name)
        return code_of_parts(self.parts(text), self._module, constant(name, "text"))

    def secret(self, text: str, name: str) -> Code:
        """Return what is sent for the secret *text* of a field *name*."""
        return self._module.secret(constant(name), text)

    def segment(self, text: str, before: str) -> str | Code:
        """Return what is sent for *text*, a part of a path, decoded, which follows the part *before*."""
        return code_of_parts(self.parts(text), self._module, constant(before, "text"))

    def raw(self, text: str) -> str | Code:
        """Return what is sent for *text*, a body or query that has no fields."""
        return code_of_parts(self.parts(text), self._module)

    def parts(self, text: str) -> list[str | Code]:
        """Return the parts of *text*: secrets in it are environment values."""
        parts: list[str | Code] = []
        at = 0
        for start, end, name in secrets_in(text):
            parts += [text[at:start], self.secret(text[start:end], name)]
            at = end
        return [*parts, text[at:]]

    def tree(self, value: Any, name: str = "") -> Any:
        """Return *value*, of any depth, with what is sent for each value: all below a secret name are secret."""
        if isinstance(value, dict):
            above = f"{name} " if is_secret_field(name) else ""
            return {key: self.tree(item, f"{above}{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item, name) for item in value]
        if isinstance(value, tuple):
            # A name with its value, in a form or a query.
            return value[0], self.tree(value[1], value[0])
        return self.value(value, name)
