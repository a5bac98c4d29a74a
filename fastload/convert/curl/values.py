"""Variables of a shell in commands of curl, ``$NAME``, as environment values of a script."""

from __future__ import annotations

import re

from fastload.convert.curl.shell_words import VARIABLE, variable
from fastload.convert.script.expressions import code_of_parts
from fastload.convert.script.names import constant, environment_name, is_secret_field
from fastload.convert.script.values import Values
from fastload.convert.script.writer import Code

_SCHEME = re.compile(r"(?:bearer|basic|token|apikey)?\s*", re.IGNORECASE)
"""What may stand beside the variables of a secret, and is none itself."""
_TEXT_OF_JSON = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:\s*)"((?:[^"\\]|\\.)+)"', re.DOTALL)


class ShellValues(Values):
    """Values with variables of a shell, which a run takes from its environment, as the shell would."""

    def text(self, text: str, name: str) -> str | Code:
        literals = VARIABLE.split(text)[::2]
        is_secret = is_secret_field(name) and not all(map(_SCHEME.fullmatch, literals))
        return super().text(text, name) if is_secret or len(literals) == 1 else self._with_variables(text, name)

    def segment(self, text: str, before: str) -> str | Code:
        return self._with_variables(text, before)

    def raw(self, text: str) -> str | Code:
        return self._with_variables(text, "body")

    def _with_variables(self, text: str, name: str) -> str | Code:
        parts: list[str | Code] = []
        for number, part in enumerate(VARIABLE.split(text)):
            parts += [self._module.variable(part)] if number % 2 else self.parts(part)
        return code_of_parts(parts, self._module, constant(name, "text"))


def secrets_as_variables(text: str) -> str:
    """Return *text*, which may be JSON, with a variable for each secret text in it: ``{"password": "$PASSWORD"}``."""
    return _TEXT_OF_JSON.sub(_secret_as_variable, text) if text.lstrip()[:1] in ("{", "[") else text


def _secret_as_variable(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    if not is_secret_field(name) or VARIABLE.search(value):
        return found[0]
    return f'"{name}"{between}"{variable(environment_name(constant(name)))}"'
