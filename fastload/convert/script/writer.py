"""Generator of formatted Python source: values, calls, and the parts of a script in order.

A value that does not fit in a line has each of its items on a line of its own, with a comma after the last. A formatter
keeps this layout, at this line width and at any larger one.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastload.convert.script.names import environment_name, single_line, unique

WIDTH = 88
# The longest line that linters accept. A formatter cannot break texts, so lines with texts may be up to this width.
_LONGEST_LINE = 120
_LONGEST_TEXT = WIDTH - 4


@dataclass(frozen=True, slots=True)
class Conversion:
    """A generated script: its text, notes for the user, and the command-line options that a run of it needs."""

    text: str
    notes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Code:
    """A Python expression in one line, written unchanged; *parts* are those of an f-string."""

    text: str
    parts: tuple[str | Code, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Commented:
    """A mapping on several lines, with more of its lines as comments, *notes*, behind its items."""

    items: Mapping[Any, Any]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Call:
    """A call, or any other code with *head*, arguments in parentheses, and *tail*."""

    head: str
    arguments: Sequence[Any] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    tail: str = ""


def text_literal(text: str) -> str:
    """Return *text* as a literal, in the quotes that need fewer escapes; in double quotes if both need the same."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return f"{quote}{escaped(text, quote)}{quote}"


def escaped(text: str, quote: str) -> str:
    """Return *text* as it stands between two *quote* signs in Python source."""
    escapes = {quote: f"\\{quote}", "\\": "\\\\"}
    return "".join(escapes.get(sign) or (sign if sign.isprintable() else repr(sign)[1:-1]) for sign in text)


def render(value: Any, indent: int = 0, before: int = 0, after: int = 0) -> str:
    """Return the source of *value*, in one line if it fits.

    Args:
        indent: indentation of the first line, in characters.
        before, after: number of other characters in the first and in the last line.
    """
    if isinstance(value, Commented):
        margin = " " * (indent + 4)
        lines = [*(f"{item}," for item in _items(value.items, indent + 4)), *(f"# {note}" for note in value.notes)]
        return "{\n" + "".join(f"{margin}{line}\n" for line in lines) + f"{' ' * indent}}}"
    line = flatten(value)
    if indent + before + len(line) + after <= WIDTH or not isinstance(value, Call | Mapping | list | tuple):
        return line
    items = _items(value, indent + 4)
    if not items:
        return line
    opening, closing = _brackets(value)
    inner = "".join(f"{' ' * (indent + 4)}{item},\n" for item in items)
    return f"{opening}\n{inner}{' ' * indent}{closing}"


def statement(value: Any, indent: int, prefix: str = "") -> str:
    """Return one indented statement: *prefix* and *value*."""
    return f"{' ' * indent}{prefix}{render(value, indent, before=len(prefix))}\n"


def docstring(text: str, indent: int = 0) -> str:
    """Return *text* as a docstring. Long lines are wrapped, except lines that begin with a space."""
    margin = " " * indent
    text = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)
    text = text.replace("\\", "/").replace('"', "'")
    lines: list[str] = []
    for line in text.split("\n"):
        kept = not line or line.startswith(" ")
        lines += [line] if kept else textwrap.wrap(line, WIDTH - indent - 6, break_on_hyphens=False)
    if len(lines) == 1:
        return f'{margin}"""{lines[0]}"""\n'
    return f'{margin}"""' + "\n".join(f"{margin}{line}".rstrip() for line in lines).lstrip() + f'\n{margin}"""\n'


class Module:
    """Builder of a script: constants first, then functions.

    ``about`` is the docstring, ``names`` are the names in use, ``environment`` are the variables that a run needs.
    """

    def __init__(self, about: str, taken: Iterable[str] = ()) -> None:
        self.about = about
        self.environment: list[str] = []
        self._described: dict[str, str] = {}
        # Name and value in the source -> environment variable.
        self._secrets: dict[tuple[str, str], str] = {}
        self._constants: dict[str, str] = {}
        self._by_value: dict[str, str] = {}
        self._functions: list[str] = []
        self.names = set(taken)
        self.imports: set[str] = set()

    def constant(self, name: str, value: Any) -> Code:
        """Return the name of a constant with *value*; equal values share one constant."""
        key = flatten(value)
        if key not in self._by_value:
            name = unique(name, self.names)
            self.names.add(name)
            self._by_value[key] = name
            self._constants[name] = (
                _pieces(name, value) if isinstance(value, str) else statement(value, 0, f"{name} = ")
            )
        return Code(self._by_value[key])

    def options(self, base_url: str) -> tuple[str, ...]:
        """Return the command-line options that a run of the script needs."""
        return ("--base-url", base_url, *(word for name in self.environment for word in ("-e", self._given(name))))

    def how_to_run(self, path: str, base_url: str) -> str:
        """Return paragraphs for the docstring that tell how to run the script."""
        text = f"\n\nRun it with:\n\n    fastload run {single_line(path)} --base-url {base_url}"
        if self.environment:
            text += f"\n\nIt takes from -e, or from the environment: {', '.join(self.environment)}."
        for name in dict.fromkeys(name for name, _ in self._secrets):
            variables = [variable for (other, _), variable in self._secrets.items() if other == name]
            if len(variables) > 1:
                text += f" The source has different values of one name, in this order: {', '.join(variables)}."
        return text

    def required(self, name: str, value: str) -> Code:
        """Return a constant as `secret`, for what is not secret: *value* is shown as what to give."""
        name = environment_name(name)
        self._described[name] = value
        return self.secret(name)

    def _given(self, name: str) -> str:
        return f"{name}={self._described.get(name, '...')}"

    def secret(self, name: str, value: str = "") -> Code:
        """Return a constant that reads environment variable *name*; a run must set this variable.

        Secrets of one name that have different values in the source (*value*) are different variables, with numbers.
        What is set anyway has another name: see `environment_name`.
        """
        return self.variable(environment_name(name), value)

    def variable(self, name: str, value: str = "") -> Code:
        """Return a constant as `secret`, for the variable that has exactly this name, also if a shell sets it."""
        if (name, value) not in self._secrets:
            self._secrets[name, value] = unique(name, self.environment)
            self.environment.append(self._secrets[name, value])
        variable = self._secrets[name, value]
        return self.constant(variable.upper(), Code(f"fl.env({text_literal(variable)})"))

    def setting(self, name: str, default: str) -> Code:
        """Return a constant that reads environment variable *name*, which is *default* unless a run sets it."""
        name = environment_name(name)
        return self.constant(name, Call("fl.env", [name, default]))

    def short(self, value: Any, name: str, margin: int = 16) -> Any:
        """Return *value* with texts that are too long for a line replaced by constants.

        *margin* is the number of characters before the value in its line.
        """
        if isinstance(value, str) and len(text_literal(value)) > min(_LONGEST_TEXT, _LONGEST_LINE - margin):
            return self.constant(name, value)
        if isinstance(value, Mapping):
            return {key: self.short(item, name, margin + 8 + len(flatten(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self.short(item, name, margin + 4) for item in value]
        return value

    def add(self, source: str) -> None:
        """Append a function, or another top-level statement."""
        self._functions.append(source)

    def text(self) -> str:
        """Return the text of the whole script."""
        imports = "".join(f"{line}\n" for line in sorted(map(_import_line, self.imports), key=_import_order))
        parts = [docstring(self.about), "\n", f"{imports}\n" if imports else "", "import fastload as fl\n"]
        if self._constants:
            parts += ["\n", *self._constants.values()]
        for function in self._functions:
            parts += ["\n\n", function]
        return "".join(parts)


def _import_line(name: str) -> str:
    """Return the import of *name*: a module, or what is in one, as in ``pathlib.Path``."""
    module, _, item = name.rpartition(".")
    return f"from {module} import {item}" if module else f"import {item}"


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from "), line


def _pieces(name: str, text: str) -> str:
    """Return the definition of a constant; a long *text* is split into literals, one per line."""
    line = f"{name} = {text_literal(text)}"
    if len(line) <= _LONGEST_LINE:
        return f"{line}\n"
    size = WIDTH - 8
    pieces: list[str] = []
    rest = text
    while rest:
        cut = min(size, len(rest))
        while len(text_literal(rest[:cut])) > size:
            cut -= 1
        # Split between words if possible.
        cut = (rest[:cut].rfind(" ") + 1 or cut) if cut < len(rest) else cut
        pieces.append(rest[:cut])
        rest = rest[cut:]
    return f"{name} = (\n" + "".join(f"    {text_literal(piece)}\n" for piece in pieces) + ")\n"


def flatten(value: Any) -> str:
    """Return the source of *value* in one line."""
    match value:
        case Code():
            return value.text
        case str():
            return text_literal(value)
        case float():
            return repr(value).replace("e+", "e")
        case bytes():
            return f"b{text_literal(value.decode('ascii'))}"
        case Commented():
            return flatten(value.items)
        case Call() | Mapping() | list() | tuple():
            opening, closing = _brackets(value)
            return f"{opening}{', '.join(_items(value))}{closing}"
        case _:
            return repr(value)


def _brackets(value: Call | Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> tuple[str, str]:
    if isinstance(value, Call):
        return f"{value.head}(", f"){value.tail}"
    if isinstance(value, tuple):
        return "(", ")"
    return ("[", "]") if isinstance(value, list) else ("{", "}")


def _items(value: Call | Mapping[Any, Any] | list[Any] | tuple[Any, ...], indent: int | None = None) -> list[str]:
    """Return the items between the brackets, without commas: each in one line, or laid out for lines at *indent*."""

    def item(content: Any, prefix: str = "") -> str:
        return prefix + (flatten(content) if indent is None else render(content, indent, len(prefix), 1))

    if isinstance(value, Call):
        return [*map(item, value.arguments), *(item(content, f"{name}=") for name, content in value.keywords.items())]
    if isinstance(value, list | tuple):
        return [item(content) for content in value]
    return [item(content, f"{flatten(key)}: ") for key, content in value.items()]
