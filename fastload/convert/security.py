"""What a description says of authentication, as values from the environment."""

from __future__ import annotations

from typing import Any

from fastload.convert.names import constant
from fastload.convert.openapi import Api
from fastload.convert.writer import Code, Module, text_literal

_TELLING = ("TOKEN", "KEY", "SECRET", "AUTH", "PASSWORD")


class Credentials:
    """Adds to a request what its security asks for. ``notes`` has the kinds that no script can do alone."""

    def __init__(self, api: Api, module: Module) -> None:
        self._api = api
        self._module = module
        self.notes: list[str] = []

    def add(
        self,
        security: list[dict[str, Any]],
        params: dict[str, Any],
        headers: dict[str, Any],
        cookies: dict[str, Any],
    ) -> None:
        """Of the alternatives in *security* the first: all of its schemes, each where it belongs."""
        for name in security[0] if security else ():
            steps = ("components", "securitySchemes", name)
            scheme = self._api.resolve({"$ref": f"#/components/securitySchemes/{name}"}, steps)
            match scheme["type"], str(scheme.get("scheme", "")).lower():
                case "apiKey", _:
                    where = {"query": params, "header": headers, "cookie": cookies}[scheme["in"]]
                    where[scheme["name"]] = self._module.secret(_variable(name, "KEY"))
                case "http", "basic":
                    headers["Authorization"] = self._basic(name)
                case ("oauth2" | "openIdConnect", _) | ("http", "bearer"):
                    token = self._module.secret(_variable(name, "TOKEN")).text
                    headers["Authorization"] = Code(f'f"Bearer {{{token}}}"')
                case kind, how:
                    note = f"the security scheme {name} ({how or kind}) is not written: see to it"
                    self.notes += [note] if note not in self.notes else []

    def cookie(self, cookies: dict[str, Any]) -> Code:
        """The value of a Cookie header."""
        parts = [
            f"{name}={{{value.text}}}" if isinstance(value, Code) else f"{name}={value}".replace("{", "{{")
            for name, value in cookies.items()
        ]
        text = text_literal("; ".join(parts))
        return Code(f"f{text}" if any(isinstance(value, Code) for value in cookies.values()) else text)

    def _basic(self, name: str) -> Code:
        user = self._module.secret(f"{constant(name)}_USER").text
        password = self._module.secret(f"{constant(name)}_PASSWORD").text
        self._module.imports.add("base64")
        pair = f'base64.b64encode(f"{{{user}}}:{{{password}}}".encode()).decode()'
        basic = self._module.constant("BASIC", Code(pair)).text
        return Code(f'f"Basic {{{basic}}}"')


def _variable(name: str, kind: str) -> str:
    """The name in the environment for the secret of the scheme *name*, which shows that it is one."""
    variable = constant(name, kind)
    return variable if any(word in variable for word in _TELLING) else f"{variable}_{kind}"
