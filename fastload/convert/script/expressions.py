"""Expressions in generated scripts that are put together from texts and variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastload.convert.script.names import unique
from fastload.convert.script.writer import Call, Code, Module, escaped, text_literal

_LONGEST_JOINED = 60
"""The longest text in an f-string, in characters: nothing breaks its line."""
_LONGEST_CALLS = 60
"""The longest constant with its variables put into their places, in characters: nothing breaks its line either."""
_LONGEST_CONSTANT = 112
"""The longest constant in one line, name and value, in characters."""


@dataclass(frozen=True, slots=True)
class Local(Code):
    """An expression with variables of a function, which no constant of the module can have."""


def has_local(value: Any) -> bool:
    """Return whether a `Local` is anywhere in *value*."""
    match value:
        case Local():
            return True
        case Call():
            return has_local(value.arguments) or has_local(value.keywords)
        case Mapping():
            return any(map(has_local, value.values()))
        case list() | tuple():
            return any(map(has_local, value))
    return False


def on_reply(expression: Any, reply: str) -> Any:
    """Return *expression*, which is about the variable ``reply``, for another expression *reply*."""
    if isinstance(expression, Call):
        inside = [on_reply(argument, reply) for argument in expression.arguments]
        return Call(_about_reply(expression.head, reply), inside, expression.keywords, expression.tail)
    return Code(_about_reply(expression.text, reply)) if isinstance(expression, Code) else expression


def _about_reply(text: str, reply: str) -> str:
    return f"{reply}{text.removeprefix('reply')}" if text.startswith("reply.") else text


def local_file(module: Module, path: str) -> Code:
    """Return the file *path* of the machine that runs the script."""
    module.imports.add("pathlib.Path")
    return Code(f"Path({text_literal(path)})")


def code_of_parts(parts: Sequence[str | Code], module: Module, name: str = "TEXT") -> str | Code:
    """Return *parts* one after the other: a plain text, a variable alone, or an f-string.

    Long texts become the constant *name* of *module*, with the variables put into their places.
    """
    parts = _merged(one for part in parts for one in (isinstance(part, Code) and part.parts) or [part])
    if all(isinstance(part, str) for part in parts):
        return "".join(str(part) for part in parts)
    if len(parts) == 1:
        return parts[0]
    kind = Local if has_local(list(parts)) else Code
    # Before Python 3.12, an expression in an f-string may not have its quotes.
    quoted = any(isinstance(part, Code) and '"' in part.text for part in parts)
    if quoted or sum(len(part) for part in parts if isinstance(part, str)) > _LONGEST_JOINED:
        return kind(_replaced(parts, module, name))
    return kind(_f_string(parts), tuple(parts))


def _merged(parts: Iterable[str | Code]) -> list[str | Code]:
    """Return *parts* with one text between two variables, and none that is empty."""
    merged: list[str | Code] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return merged


def _f_string(parts: Sequence[str | Code]) -> str:
    texts = [part if isinstance(part, Code) else part.replace("{", "{{").replace("}", "}}") for part in parts]
    quote = text_literal("".join(text for text in texts if isinstance(text, str)))[0]
    inside = "".join(f"{{{text.text}}}" if isinstance(text, Code) else escaped(text, quote) for text in texts)
    return f"f{quote}{inside}{quote}"


def _replaced(parts: Sequence[str | Code], module: Module, name: str) -> str:
    """Return *parts* as a constant with its variables put into their places; many stand in the constant itself."""
    places: dict[str, str] = {}
    for part in parts:
        if isinstance(part, Code) and part.text not in places:
            shown = part.text if part.text.isidentifier() else "VALUE"
            places[part.text] = f"@{unique(shown, [place[1:-1] for place in places.values()])}@"
    calls = "".join(f".replace({text_literal(place)}, {code})" for code, place in places.items())
    quoted = any('"' in code for code in places)
    if len(name) + len(calls) > _LONGEST_CALLS and not quoted and not has_local(list(parts)):
        whole = _f_string(parts)
        return module.constant(
            name, Code(whole if len(name) + len(whole) < _LONGEST_CONSTANT else _on_lines(parts))
        ).text
    text = "".join(places[part.text] if isinstance(part, Code) else part for part in parts)
    return module.constant(name, text).text + calls


def _on_lines(parts: Sequence[str | Code]) -> str:
    """Return *parts* as a text in parentheses: each variable with the text before it on a line."""
    literals: list[str] = []
    before: list[str | Code] = []
    for part in parts:
        if isinstance(part, str):
            pieces = [part[at : at + _LONGEST_JOINED] for at in range(0, len(part), _LONGEST_JOINED)]
            literals += map(text_literal, pieces[:-1])
            before = [pieces[-1]]
        else:
            literals.append(_f_string([*before, part]))
            before = []
    return (
        "(\n"
        + "".join(f"    {literal}\n" for literal in [*literals, *(text_literal(str(text)) for text in before)])
        + ")"
    )
