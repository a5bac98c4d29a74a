"""Correlation: values that an earlier response contained are taken from that response when the script runs.

Each VU then sends the token, id or hidden field that the server gave to it, and not the one of the recording. A value
that looks as if it were of that kind, but was in no earlier response, is asked for as an environment value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fastload.convert.recordings.dynamic_values import (
    is_asked_for,
    is_id,
    is_worth_a_search,
    looks_random,
    may_be_handed_out,
    pieces,
    values_within,
)
from fastload.convert.recordings.extractions import HELPER, HELPER_SOURCE, Extraction, extraction_from_text, extractions
from fastload.convert.recordings.har import HarEntry
from fastload.convert.script.expressions import Local, code_of_parts
from fastload.convert.script.names import constant, environment_name, identifier, is_secret_field, unique
from fastload.convert.script.values import Values
from fastload.convert.script.writer import Code, Module

# Headers in which a client sends an id that it makes up for each request.
_MADE_BY_CLIENT = ("x-request-id", "x-correlation-id", "idempotency-key", "x-idempotency-key", "request-id")
_SHORTEST_IN_TEXT = 8
_NAME_BEFORE = re.compile(
    r"(?:^|%[0-9A-F]{2}|[^\w%-])(?P<name>[A-Z][\w-]{0,60})(?:(?P<is_value>=|%3D)|/|%2F)$", re.IGNORECASE
)
RESERVED = ("reply", "replies", "re", "html", "unquote", "uuid", "asyncio", HELPER)
"""Names that a script with variables may use for something else."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the script, which holds what *extraction* takes from a response.

    ``sent_as`` says where it is first sent: as which field, with which request.
    """

    name: str
    extraction: Extraction
    sent_as: str

    @property
    def kind(self) -> str:
        """The Python type of its value."""
        return self.extraction.kind


@dataclass(slots=True)
class Use:
    """What a request has to do with variables: those that it ``sends``, and those that its response ``gives``."""

    sends: list[Variable] = field(default_factory=list)
    gives: list[Variable] = field(default_factory=list)


class Correlation(Values):
    """Values of the requests of a recording, looked up in the responses that came before.

    Call `begin` before a request is written, and `answered` when it and those that are sent with it are written.
    """

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        module.names.update(RESERVED)
        self.uses: list[Use] = []
        self.asked: list[str] = []
        self._request = ""
        self._sent: set[str] = set()
        self._found: dict[str, list[tuple[int, Extraction]]] = {}
        self._responses: list[tuple[int, HarEntry]] = []
        self._variables: dict[str, Variable] = {}
        self._constants: dict[str, Code] = {}

    def begin(self, shown: str) -> Use:
        """Begin a request, which comments call *shown*, and return its use of variables."""
        self.uses.append(Use())
        self._request = shown
        return self.uses[-1]

    def answered(self, chains: Sequence[list[HarEntry]]) -> None:
        """Note the responses to the last requests: each with the redirects that were followed, in order."""
        first = len(self.uses) - len(chains)
        for number, chain in enumerate(chains, first):
            for extraction in extractions(chain):
                # What the client sent itself before comes back often, such as a search word.
                if extraction.value and extraction.value not in self._sent:
                    self._found.setdefault(extraction.value, []).append((number, extraction))
            if chain[-1].response.content.text:
                self._responses.append((number, chain[-1]))

    def value(self, value: Any, name: str) -> Any:
        if isinstance(value, str):
            return self.text(value, name)
        if not isinstance(value, int) or isinstance(value, bool):
            return super().value(value, name)
        variable = self._variable(str(value), name)
        if variable is None:
            self._sent.add(str(value))
            return super().value(value, name)
        return Local(variable.name if variable.extraction.kind == "int" else f"int({variable.name})")

    def text(self, text: str, name: str) -> str | Code:
        if not text:
            return text
        variable = self._variable(text, name)
        if variable is not None:
            return Local(variable.name if variable.extraction.kind == "str" else f"str({variable.name})")
        parts = self._in_pieces(text, name)
        if isinstance(parts, Code):
            return parts
        self._sent.add(text)
        if name.lower() in _MADE_BY_CLIENT and looks_random(text):
            self._module.imports.add("uuid")
            return Local("str(uuid.uuid4())")
        if not is_secret_field(name) and is_asked_for(text, name):
            return self._asked(text, name)
        return super().text(text, name)

    def segment(self, text: str, before: str) -> str | Code:
        if not text:
            return text
        name = f"{_singular(before)}_id"
        variable = self._variable(text, name)
        if variable is not None:
            return Local(variable.name)
        parts = self._in_pieces(text, name)
        if isinstance(parts, Code):
            return parts
        self._sent.add(text)
        return self._asked(text, name) if is_asked_for(text, name) else super().segment(text, before)

    def raw(self, text: str) -> str | Code:
        return self._in_pieces(text, "")

    def _in_pieces(self, text: str, name: str) -> str | Code:
        """Return *text* with variables for the parts of it that earlier responses contained.

        What else looks random behind a ``=``, and what is secret by its name, is asked for. In a field of a secret
        name, which is asked for as a whole, it is so only if the other parts of it are known.
        """
        parts: list[str | Code] = []
        at = 0
        for piece in pieces(text):
            for inside in (piece, *values_within(text, piece)):
                sent = self._part(text, inside, name) if inside.start() >= at else None
                if sent is not None:
                    parts += [*self.parts(text[at : inside.start()]), sent]
                    at = inside.end()
        if not parts and name:
            return text
        return code_of_parts([*parts, *self.parts(text[at:])], self._module, constant(name, "text"))

    def _part(self, text: str, part: re.Match[str], name: str) -> Code | None:
        """Return what is sent for *part* of *text*; None for itself."""
        if part[0] == text:
            return None
        variable = self._variable(part[0], name)
        if variable is not None:
            return Local(variable.name)
        named = _NAME_BEFORE.search(text[max(0, part.start() - 64) : part.start()])
        # Behind a slash, only what can be nothing else is an id.
        if is_secret_field(name) or not named or not (named["is_value"] or is_id(part[0])):
            return None
        before = named["name"] if named["is_value"] else f"{_singular(named['name'])}_id"
        return self._asked(part[0], before) if is_asked_for(part[0], before) else None

    def _variable(self, text: str, name: str) -> Variable | None:
        """Return the variable for *text*, to be sent as *name*; None if no earlier response has it."""
        variable = self._variables.get(text)
        if variable is None:
            source = self._source(text, name)
            if source is None:
                return None
            number, extraction = source
            variable = Variable(self._name_of(extraction, name), extraction, f"{name or 'a part'} with {self._request}")
            self._variables[text] = variable
            self.uses[number].gives.append(variable)
            self._import(extraction)
        elif not may_be_handed_out(text, name, variable.extraction.name):
            return None
        sends = self.uses[-1].sends
        if variable not in sends:
            sends.append(variable)
        return variable

    def _source(self, text: str, name: str) -> tuple[int, Extraction] | None:
        """Return the number of the request whose response *text* is taken from, and how."""
        found = [one for one in self._found.get(text, ()) if may_be_handed_out(text, name, one[1].name)]
        if found:
            # One of the same name, and of those the latest.
            return max(found, key=lambda one: (identifier(one[1].name, "") == identifier(name, ""), one[0]))
        is_secret = is_secret_field(name) and len(text) >= _SHORTEST_IN_TEXT and not text.isalpha()
        if text in self._sent or not (is_secret or is_worth_a_search(text)):
            return None
        for number, entry in reversed(self._responses):
            if extraction := extraction_from_text(entry.response, text, name, is_secret=is_secret):
                return number, extraction
        return None

    def _name_of(self, extraction: Extraction, sent_as: str) -> str:
        vague = identifier(extraction.name, "") in ("", "id_", "value", "location")
        name = unique(identifier(sent_as if vague else extraction.name, "value"), self._module.names)
        self._module.names.add(name)
        return name

    def _import(self, extraction: Extraction) -> None:
        if "re" in extraction.imports and "re" not in self._module.imports:
            self._module.add(HELPER_SOURCE)
        self._module.imports.update(extraction.imports)

    def _asked(self, text: str, name: str) -> Code:
        """Return a constant for *text*, which a run must give; equal texts share one."""
        if text not in self._constants:
            variable = unique(environment_name(constant(name)), self._module.environment)
            self._constants[text] = self._module.secret(variable)
            self.asked.append(variable)
        return self._constants[text]


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
