"""What stands in a script for the values of a request: themselves, or what is to be sent in their place."""

from __future__ import annotations

from typing import Any

from fastload.convert.script.names import constant, is_secret_field
from fastload.convert.script.writer import Code, Module


class Values:
    """Values as they are in the source, but for secrets, which become environment values of the run."""

    def __init__(self, module: Module) -> None:
        self._module = module

    def value(self, value: Any, name: str) -> Any:
        """Return what is sent for *value* of a field *name*: of a query, a form, or JSON."""
        return self.text(value, name) if isinstance(value, str) else value

    def text(self, text: str, name: str) -> str | Code:
        """Return what is sent for *text* of a header or field *name*."""
        return self._module.secret(constant(name)) if text and is_secret_field(name) else text

    def segment(self, text: str, before: str) -> str | Code:  # noqa: ARG002 - subclasses read it
        """Return what is sent for *text*, a part of a path, decoded, which follows the part *before*."""
        return text

    def raw(self, text: str) -> str | Code:
        """Return what is sent for *text*, a body or query that has no fields."""
        return text

    def tree(self, value: Any, name: str = "") -> Any:
        """Return *value*, of any depth, with what is sent for each of its values."""
        if isinstance(value, dict):
            return {key: self.tree(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item, name) for item in value]
        return self.value(value, name)
