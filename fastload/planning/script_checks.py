"""Script checks: mistakes in the source of a script that can be seen before the run.

A function is checked only if its source is found and compiles to the code that will run, and if the name of its VU
always means the VU. What is not seen here is noticed while it runs.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import linecache
import marshal
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from fastload.load.client.measured_calls import measure
from fastload.load.client.reply_parts import code_within, reachable_code
from fastload.model.errors import PlanError

Function = ast.FunctionDef | ast.AsyncFunctionDef

_URL_FIRST = frozenset(("get", "post", "put", "patch", "delete", "head", "options", "websocket"))
_URL_SECOND = frozenset(("request", "expect", "stream"))
COROUTINES = (_URL_FIRST - {"websocket"}) | {"request", "batch", "sleep"}
"""Methods of a VU that do nothing without ``await``."""
BLOCKS = frozenset(("group", "expect", "stream", "websocket"))
"""Methods of a VU that do nothing without ``async with``."""
_MAY_NOT_RUN = ast.If | ast.IfExp | ast.BoolOp | ast.Match | ast.Try | Function | ast.Lambda | ast.comprehension
_LONGEST_SHOWN = 80
TOO_DEEP = (RecursionError, MemoryError)
"""What Python raises for code with too much of it within each other."""


class _Definition(NamedTuple):
    """The source of a function: its *node*, the *vu*'s name in it, the names that it *knows*, and its file."""

    node: Function
    vu: str
    knows: Mapping[str, Any]
    file: str

    def at(self, node: ast.AST) -> str:
        """Return ``visit (shop.py:12)``."""
        return f"{self.node.name} ({Path(self.file).name}:{getattr(node, 'lineno', 0)})"

    def calls(self, nodes: Iterable[ast.AST], methods: Iterable[str]) -> Iterator[ast.Call]:
        """Yield those of *nodes* that call one of *methods* of the VU."""
        for node in nodes:
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=self.vu), attr=name)) if name in methods:
                    yield node

    def coroutine_calls(self, nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
        """Yield those of *nodes* that call an ``async def`` of the script."""
        for node in nodes:
            match node:
                case ast.Call(func=ast.Name(id=name)) if inspect.iscoroutinefunction(self.knows.get(name)):
                    yield node

    def generator_calls(self, nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
        """Yield those of *nodes* that call an async generator of the script."""
        for node in nodes:
            match node:
                case ast.Call(func=ast.Name(id=name)) if inspect.isasyncgenfunction(self.knows.get(name)):
                    yield node

    def blocks(self, nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
        """Yield those of *nodes* that make something for an ``async with``."""
        nodes = list(nodes)
        yield from self.calls(nodes, BLOCKS)
        for node in nodes:
            match node:
                case ast.Call(func=ast.Name(id=name)) if self.knows.get(name) is measure:
                    yield node
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="measure")):
                    if getattr(self.knows.get(name), "measure", None) is measure:
                        yield node


def check_awaits(functions: Iterable[Callable[..., Any]]) -> None:
    """Check that *functions*, which are called with a VU, and the functions that they pass it to await what they call.

    Raises:
        PlanError: a call is not awaited; a block is not entered with ``async with``; or a check is an ``async def``.
    """
    for definition in _with_helpers(_definitions(functions)):
        _check_calls(definition)
        _check_conditions(definition)


def check_urls(functions: Iterable[Callable[..., Any]]) -> None:
    """Check that *functions*, which are called with a VU, need no base URL.

    Raises:
        PlanError: a request that is surely sent has a relative URL.
    """
    functions = list(functions)
    if not any("base_url" in code.co_names for code in reachable_code(functions)):
        for definition in _definitions(functions):
            _check_urls(definition)


def _check_calls(definition: _Definition) -> None:
    nodes = list(ast.walk(definition.node))
    statements = [node.value for node in nodes if isinstance(node, ast.Expr)]
    for call in (*definition.calls(statements, COROUTINES), *definition.coroutine_calls(statements)):
        text = _text(call)
        raise PlanError(f"{definition.at(call)}: without await, {text} does nothing", hint=f"write: await {text}")
    awaited = [node.value for node in nodes if isinstance(node, ast.Await)]
    for call in definition.generator_calls([*statements, *awaited]):
        text = _text(call)
        raise PlanError(
            f"{definition.at(call)}: {text} is an async generator (it has yield), and does nothing without async for",
            hint=f"write: async for item in {text}:",
        )
    entered = [item.context_expr for node in nodes if isinstance(node, ast.With) for item in node.items]
    for call in definition.blocks([*statements, *awaited, *entered]):
        text = _text(call)
        raise PlanError(
            f"{definition.at(call)}: {text} is a block, and does nothing without async with",
            hint=f"write: async with {text}:",
        )


def _check_conditions(definition: _Definition) -> None:
    for call in definition.calls(ast.walk(definition.node), ("check",)):
        for argument in call.args:
            for condition in argument.values if isinstance(argument, ast.Dict) else ():
                if isinstance(condition, ast.Name) and inspect.iscoroutinefunction(definition.knows.get(condition.id)):
                    raise PlanError(
                        f"{definition.at(call)}: the check {condition.id} is async, and would always hold",
                        hint=f"await {condition.id}(...) before the check, and give the check the result",
                    )


def _check_urls(definition: _Definition) -> None:
    if _gives_vu_away(definition):
        return
    sure = list(_surely_run(definition.node.body))
    for methods, position in ((_URL_FIRST, 0), (_URL_SECOND, 1)):
        for call in definition.calls(sure, methods):
            named = [keyword.value for keyword in call.keywords if keyword.arg == "url"]
            url = next(iter([*call.args[position : position + 1], *named]), None)
            if url is not None and _is_relative(url):
                raise PlanError(
                    f"{definition.at(call)}: {_text(url)} is relative, and there is no base URL",
                    hint="give one: --base-url URL, --target NAME, base_url= in fl.run, or @fl.scenario(base_url=...)",
                )


def _is_relative(url: ast.expr) -> bool:
    if isinstance(url, ast.JoinedStr) and url.values:
        url = url.values[0]
    return isinstance(url, ast.Constant) and isinstance(url.value, str) and url.value.startswith("/")


def _gives_vu_away(definition: _Definition) -> bool:
    """Return whether code that is not known gets the VU: it could set the base URL."""
    nodes = list(ast.walk(definition.node))
    uses = sum(isinstance(node, ast.Name) and node.id == definition.vu for node in nodes)
    own = sum(
        isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == definition.vu
        for node in nodes
    )
    known = 0
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if isinstance(definition.knows.get(name), FunctionType):
                known += sum(isinstance(one, ast.Name) and one.id == definition.vu for one in args)
    return uses > own + known


def _surely_run(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes within *nodes* that run whenever the function does."""
    pending = list(nodes)[::-1]
    while pending:
        node = pending.pop()
        if not isinstance(node, _MAY_NOT_RUN):
            yield node
            pending.extend(list(ast.iter_child_nodes(node))[::-1])


def _text(node: ast.AST) -> str:
    """Return the code of *node* on one line, shortened."""
    try:
        text = " ".join(ast.unparse(node).split())
    except (ValueError, *TOO_DEEP):
        # Python does not write every number that it reads: 0xff... of 10,000 digits.
        return "the call"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _definitions(functions: Iterable[Callable[..., Any]]) -> list[_Definition]:
    linecache.checkcache()
    return [found for function in functions for found in _definition(function, 0)]


def _with_helpers(definitions: Iterable[_Definition]) -> Iterator[_Definition]:
    """Yield *definitions*, and those of the functions that get their VU as a positional argument, and so on."""
    pending, seen = list(definitions), set()
    while pending:
        definition = pending.pop()
        if (place := (definition.file, definition.node.lineno, definition.vu)) in seen:
            continue
        seen.add(place)
        yield definition
        for node in ast.walk(definition.node):
            match node:
                case ast.Call(func=ast.Name(id=name), args=args) if not any(isinstance(a, ast.Starred) for a in args):
                    for position, argument in enumerate(args):
                        if isinstance(argument, ast.Name) and argument.id == definition.vu:
                            pending += _definition(definition.knows.get(name), position)


def _definition(function: Any, position: int) -> list[_Definition]:
    """Return the definition of *function*, whose parameter at *position* is a VU; empty if it is not known for sure."""
    if not isinstance(function, FunctionType):
        return []
    file = function.__code__.co_filename
    return [
        _Definition(node, vu, _known(node, function), file)
        for node, code in _functions_in(file, "".join(linecache.getlines(file)))
        if _is_same(code, function.__code__) and (vu := _name_of_vu(node, position))
    ]


def _is_same(code: CodeType, other: CodeType) -> bool:
    """Return whether both are compiled from the same text.

    Python's own comparison takes twice as long for each level of functions within functions.
    """
    try:
        # Version 0 has no marks for objects that are shared or interned, which may differ.
        return marshal.dumps(code, 0) == marshal.dumps(other, 0)
    except ValueError:
        # Too many within each other.
        return False


def _known(node: Function, function: FunctionType) -> dict[str, Any]:
    """Return what names mean in *node*, the definition of *function*: globals, and names of the functions around it.

    A name of a function around it hides the global one, also as long as it has no value.
    """
    bound = _bound_names(node)
    around = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    names = {name: value for name, value in function.__globals__.items() if name not in around}
    for name, cell in around.items():
        with contextlib.suppress(ValueError):
            names[name] = cell.cell_contents
    return {name: value for name, value in names.items() if name not in bound}


@functools.lru_cache(maxsize=16)
def _functions_in(file: str, source: str) -> list[tuple[Function, CodeType]]:
    """Return all functions of *file* with their compiled code; none if *source* cannot be compiled."""
    with warnings.catch_warnings():
        # The import has shown them.
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source)
            codes = list(code_within(compile(source, file, "exec", dont_inherit=True)))
        except (SyntaxError, ValueError, *TOO_DEEP):
            return []
    by_place = {(code.co_name, code.co_firstlineno): code for code in codes}
    return [
        (node, by_place[place])
        for node in ast.walk(tree)
        if isinstance(node, Function)
        and (place := (node.name, min(one.lineno for one in (node, *node.decorator_list)))) in by_place
    ]


def _name_of_vu(node: Function, position: int) -> str:
    """Return the name of a parameter of *node*; "" if there is none, or if the name may mean something else."""
    parameters = [*node.args.posonlyargs, *node.args.args]
    if position >= len(parameters):
        return ""
    parameter = parameters[position]
    return "" if parameter.arg in _bound_names(node, besides=parameter) else parameter.arg


def _bound_names(function: Function, *, besides: ast.arg | None = None) -> set[str]:
    """Return all names that *function* and what is nested in it bind, without those of one parameter."""
    bound: set[str] = set()
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                bound.add(name)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                bound.update(names)
            case ast.keyword():
                continue
            case _ if node is not besides and node is not function:
                # Parameters, imports, nested functions and classes, handlers and patterns.
                fields = (getattr(node, field, None) for field in ("arg", "asname", "name", "rest"))
                bound.update(name for name in fields if isinstance(name, str))
    return bound
