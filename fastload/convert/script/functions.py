"""Statements of a script in functions: which are short enough to read, and hand each other the variables they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastload.convert.script.names import unique
from fastload.convert.script.writer import WIDTH, Call, Code, Module, docstring, render, statement

# Linters warn about longer functions, which are hard to read.
MOST_STATEMENTS = 40


class ScriptVariable(Protocol):
    """A variable of the script: its name, and the Python type of its value."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Statement:
    """Lines of a function at its indentation, with the variables that they read and set."""

    source: str
    reads: Sequence[ScriptVariable] = ()
    sets: Sequence[ScriptVariable] = ()

    @property
    def size(self) -> int:
        """How many statements it is for a linter."""
        return 1 + len(self.sets)


@dataclass(slots=True)
class ScriptFunction:
    """A function of the script: its name and docstring, and its statements."""

    name: str
    about: str
    statements: list[Statement] = field(default_factory=list)

    @property
    def reads(self) -> list[ScriptVariable]:
        """Variables that it needs from functions before it."""
        own: list[ScriptVariable] = []
        needed: list[ScriptVariable] = []
        for one in self.statements:
            needed += [variable for variable in one.reads if variable not in own and variable not in needed]
            own += one.sets
        return needed

    @property
    def sets(self) -> list[ScriptVariable]:
        """Variables that it sets."""
        return [variable for one in self.statements for variable in one.sets]

    def call(self, indent: int, later: Iterable[ScriptFunction]) -> str:
        """Return the statement that calls it, and keeps what *later* functions need."""
        kept = self._returned(later)
        call = Call(f"await {self.name}", [Code("vu"), *_names(self.reads)])
        return statement(call, indent, _targets(kept, indent) if kept else "")

    def add_to(self, module: Module, later: Iterable[ScriptFunction]) -> None:
        """Add it to *module*; it returns what *later* functions need."""
        kept = self._returned(later)
        parameters = [Code("vu: fl.VU"), *(Code(f"{one.name}: {one.kind}") for one in self.reads)]
        kinds = [one.kind for one in kept]
        result = "None" if not kinds else kinds[0] if len(kinds) == 1 else f"tuple[{', '.join(kinds)}]"
        head = statement(Call(f"async def {self.name}", parameters, tail=f" -> {result}:"), 0)
        body = "".join(one.source for one in self.statements)
        end = statement(_together(kept, len("    return ")), 4, "return ") if kept else ""
        module.add(head + docstring(self.about, 4) + body + end)

    def _returned(self, later: Iterable[ScriptFunction]) -> list[ScriptVariable]:
        needed = [variable for function in later for variable in function.reads]
        return [variable for variable in self.sets if variable in needed]


def functions_of(module: Module, name: str, about: str, statements: Iterable[Statement]) -> list[ScriptFunction]:
    """Return functions of at most `MOST_STATEMENTS` statements, called *name*, or with a number if that is taken."""
    found: list[ScriptFunction] = []
    size = MOST_STATEMENTS
    for one in statements:
        if size + one.size > MOST_STATEMENTS:
            found.append(ScriptFunction(unique(name, module.names), about))
            module.names.add(found[-1].name)
            size = 0
        found[-1].statements.append(one)
        size += one.size
    return found


def _names(variables: Iterable[ScriptVariable]) -> list[Code]:
    return [Code(variable.name) for variable in variables]


def _together(variables: Sequence[ScriptVariable], before: int) -> Any:
    """Return *variables* as they stand after ``return`` or before ``=``: in parentheses only if the line is full."""
    names = _names(variables)
    line = ", ".join(name.text for name in names)
    return Code(line) if before + len(line) <= WIDTH else tuple(names)


def _targets(variables: Sequence[ScriptVariable], indent: int) -> str:
    # Room for the call.
    return render(_together(variables, indent + WIDTH // 2), indent, before=WIDTH) + " = "
