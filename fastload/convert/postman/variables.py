"""Variables of Postman, ``{{name}}``, as constants and expressions of a script."""

from __future__ import annotations

import re
from typing import Any

from fastload.convert.script.expressions import Local, code_of_parts, local_file
from fastload.convert.script.names import constant, is_secret_field
from fastload.convert.script.secret_texts import is_secret_value, secrets_in
from fastload.convert.script.values import Values
from fastload.convert.script.writer import Code, Module

PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
UNQUOTED = "\x00"
"""Begins a text of JSON whose placeholder stood there without quotes, as a number or a whole value."""
_MOST_STEPS = 10
"""Of variables whose values have variables."""
# What Postman makes up, with the modules that the expression needs.
_MADE_UP = {
    **dict.fromkeys(("$guid", "$randomUUID"), ("str(uuid.uuid4())", "uuid")),
    "$timestamp": ("str(int(time.time()))", "time"),
    "$isoTimestamp": ('time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())', "time"),
    "$randomInt": ("str(vu.random.randint(0, 1000))", ""),
    "$randomBoolean": ('vu.random.choice(["true", "false"])', ""),
}


class PostmanValues(Values):
    """Values with placeholders. *variables* are those of the collection, with their values.

    A variable with a value is a constant that a run can set; one without a value, or with a secret, is asked for.
    """

    def __init__(self, module: Module, variables: dict[str, str]) -> None:
        super().__init__(module)
        module.names.update(("uuid", "time", "json", "Path"))
        self._variables = variables

    def known(self, text: str) -> str:
        """Return *text* with the values of its variables; "" if one has none."""
        for _ in range(_MOST_STEPS):
            names = PLACEHOLDER.findall(text)
            if not names:
                return text
            if not all(self._variables.get(name) for name in names):
                return ""
            text = PLACEHOLDER.sub(lambda found: self._variables[found[1]], text)
        return ""

    def value(self, value: Any, name: str) -> Any:
        if isinstance(value, str) and value.startswith(UNQUOTED):
            self._module.imports.add("json")
            inside = self.text(value[1:], name)
            code = inside.text if isinstance(inside, Code) else repr(inside)
            return (Local if isinstance(inside, Local) else Code)(f"json.loads({code})")
        return super().value(value, name)

    def text(self, text: str, name: str) -> str | Code:
        if not PLACEHOLDER.search(text):
            return super().text(text, name)
        return self._with_variables(text, name)

    def segment(self, text: str, before: str) -> str | Code:
        return self._with_variables(text, before)

    def file(self, path: str) -> Code:
        """Return the file *path*, which the script reads."""
        return local_file(self._module, path)

    def raw(self, text: str) -> str | Code:
        return self._with_variables(text, "body")

    def _with_variables(self, text: str, name: str) -> str | Code:
        return code_of_parts(self._parts(text), self._module, constant(name, "text"))

    def _parts(self, text: str, depth: int = 0) -> list[str | Code]:
        """Return the texts and variables that *text* is made of, *depth* variables within others."""
        parts: list[str | Code] = []
        for number, part in enumerate(PLACEHOLDER.split(text)):
            value = self._variables.get(part, "") if number % 2 else ""
            if number % 2 == 0:
                parts += self.parts(part)
            elif PLACEHOLDER.search(value) and depth < _MOST_STEPS and not is_secret_field(part):
                parts += self._parts(value, depth + 1)
            else:
                parts.append(self._variable(part, value))
        return parts

    def _variable(self, name: str, value: str) -> Code:
        if name in _MADE_UP:
            code, module = _MADE_UP[name]
            self._module.imports.update(filter(None, [module]))
            return Local(code)
        if not value or is_secret_value(value, name) or secrets_in(value):
            return self._module.secret(constant(name))
        return self._module.setting(constant(name), value)
