"""Which environment names a script requires, before it has run."""

from __future__ import annotations

import ast
import warnings

from fastload.planning.script_checks import TOO_DEEP

# What is in these may never run, or not with the import.
_EVALUATED_LATER = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.If, ast.IfExp, ast.BoolOp, ast.For, ast.While),
    *(ast.Try, ast.TryStar, ast.Match, ast.comprehension, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def required_names(source: bytes) -> list[str]:
    """Return the names that a script requires of the environment when it is imported, whatever is set.

    An import ends at the first that is not set, so they are looked for in the text.
    """
    found: list[ast.Call] = []
    left: list[ast.AST] = [*statements_of(source)]
    while left:
        node = left.pop()
        if isinstance(node, _EVALUATED_LATER):
            left += getattr(node, "decorator_list", ())
            continue
        left += ast.iter_child_nodes(node)
        if isinstance(node, ast.Call) and _requires_name(node):
            found.append(node)
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return [ast.literal_eval(node.args[0]) for node in found]


def _requires_name(call: ast.Call) -> bool:
    function = ast.unparse(call.func).rpartition(".")[2]
    texts = [one for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    is_one_name = len(call.args) == len(texts) == 1
    return function == "env" and is_one_name and all(one.arg not in ("default", None) for one in call.keywords)


def statements_of(source: bytes) -> list[ast.stmt]:
    """Return the statements of a script that was compiled; empty if there is too much within each other for a syntax
    tree."""
    with warnings.catch_warnings():
        # The import has shown them.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source).body
        except (SyntaxError, ValueError, *TOO_DEEP):
            return []
