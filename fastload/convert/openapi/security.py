"""Authentication of an API description, written as secrets from environment variables."""

from __future__ import annotations

from typing import Any

from fastload.convert.openapi.description import ApiDescription, Steps
from fastload.convert.script.names import constant
from fastload.convert.script.writer import Code, Module

_KEYWORDS = {"query": "params", "header": "headers", "cookie": "cookies"}
_TELLING = ("TOKEN", "KEY", "SECRET", "AUTH", "PASSWORD")


class Credentials:
    """Makes the credentials of requests. It remembers, for its notes, which security schemes are not written."""

    def __init__(self, api: ApiDescription, module: Module) -> None:
        self._api = api
        self._module = module
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        """What to see to, each once."""
        return [*self._notes]

    def of(self, security: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the keyword arguments that authenticate a request, for all schemes of the first alternative."""
        found: dict[str, Any] = {}
        first, *others = [" with ".join(one) for one in security if one] or [""]
        if security and security[0] and (others := [one for one in others if one != first]):
            self._note(f"of several kinds of credentials, the first is written: {first} and not {', '.join(others)}")
        for name in security[0] if security else ():
            steps: Steps = ("components", "securitySchemes", name)
            scheme = self._api.resolve({"$ref": f"#/components/securitySchemes/{name}"}, steps)
            match scheme["type"], str(scheme.get("scheme", "")).lower():
                case "apiKey", _:
                    values = found.setdefault(self._keyword(scheme, steps), {})
                    values[scheme["name"]] = self._module.secret(_variable(name, "KEY"))
                case "http", "basic" | "digest" as how:
                    words = (f"{constant(name)}_USER", f"{constant(name)}_PASSWORD")
                    user, password = (self._module.secret(word) for word in words)
                    digest = Code(f'fl.Auth("digest", {user.text}, {password.text})')
                    found["auth"] = (user, password) if how == "basic" else digest
                case (kind, how) if kind != "mutualTLS" and "Authorization" in found.get("headers", ()):
                    self._note(f"the security scheme {name} ({how or kind}) is not written: see to it")
                case ("oauth2" | "openIdConnect", _) | ("http", "bearer"):
                    token = self._module.secret(_variable(name, "TOKEN")).text
                    found.setdefault("headers", {})["Authorization"] = Code(f'f"Bearer {{{token}}}"')
                case kind, how:
                    self._note(f"the security scheme {name} ({how or kind}) is not written: see to it")
        return found

    def _note(self, note: str) -> None:
        self._notes[note] = None

    def _keyword(self, scheme: dict[str, Any], steps: Steps) -> str:
        """Return the keyword argument that the key of *scheme*, which is at *steps*, belongs in."""
        for missing in ("in", "name"):
            if missing not in scheme:
                self._api.refuse(steps, f"{missing!r} is missing")
        place = scheme["in"]
        if place not in _KEYWORDS:
            self._api.refuse((*steps, "in"), f"{place!r} is no place of a key", f"it is one of {', '.join(_KEYWORDS)}")
        return _KEYWORDS[place]


def _variable(name: str, kind: str) -> str:
    """Return the environment variable for the secret of scheme *name*. The variable's name shows that it is secret."""
    variable = constant(name, kind)
    return variable if any(word in variable for word in _TELLING) else f"{variable}_{kind}"
