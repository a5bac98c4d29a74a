"""Scripts as files: any bytes, any source, and calls of a VU in any place of it."""

from __future__ import annotations

import linecache
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

import fastload as fl
from fastload.cli.script import load_script
from fastload.load.client.reply_parts import parts_read_by
from fastload.planning.script_checks import TOO_DEEP, check_awaits, check_urls
from tests.fuzz.parsing import fuzz, written
from tests.fuzz.source import Source

# Nothing here loops, and no number is large: the files are imported.
_PIECES = (
    "import fastload as fl\n", "@fl.scenario(vus=1, iterations=1)\n", "@fl.setup\n", "@fl.scenario\n",
    "@fl.teardown()\n",
    "async def visit(vu):\n", "async def other(vu, data):\n", "def visit():\n", "    await vu.get('/')\n",
    "    pass\n",
    "class A:\n", "visit = fl.scenario(visit)\n", "    return\n", "\t", "    ", "\n", "(", ")", "[", "]", "{", "}",
    "'", '"""',
    "\\", "#", "# coding: ", "latin-1\n", "utf-16\n", "nope\n", "\0", "\ufeff", "é", "λ = 1\n", "x", " = ", "1",
    "raise x\n",
    "lambda: ", "not ", "f'{x}'", "await ", "yield\n", "x.", ":", ",", "*", "@", "1e999", "0xf", "fl.fail('a')\n",
)  # fmt: skip
_SCRIPTS = (
    """import fastload as fl

@fl.setup
async def begin(vu):
    return await vu.get('/')

@fl.scenario(vus=1, iterations=1)
async def visit(vu):
    await vu.get('/')
""",
    """# coding: latin-1
import fastload as fl
@fl.scenario(name='é', rate=10, duration='1s')
async def visit(vu): await vu.post('/', json={'a': [1]})
@fl.scenario(vus=1, iterations=1)
async def other(vu): pass
""",
)


@pytest.fixture
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an import leaves in the interpreter is taken back; no bytecode of an older case is used."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    modules = dict(sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    for name in sys.modules.keys() - modules:
        del sys.modules[name]


@pytest.mark.usefixtures("as_it_was")
def test_any_file_is_a_script_or_an_error(tmp_path: Path) -> None:
    path, folders = tmp_path / "script.py", list(sys.path)

    def run(source: Source) -> None:
        content = source.like(_SCRIPTS, _PIECES).encode("utf-8", "surrogatepass")
        if not source.randrange(9):
            at = source.randrange(len(content) + 1)
            content = content[:at] + source.choice((b"\xff", b"\0", b"\xfe\xff", source.binary(3))) + content[at:]
        sys.path[:] = folders
        assert load_script(str(written(path, content))).scenarios

    try:
        fuzz(run)
    finally:
        sys.path[:] = folders


_CALLS = (
    "vu.get('/a')", "vu.get(f'/{a}')", "vu.post(url='/a')", "vu.request('GET', '/')", "vu.stream('GET', 'http://a/')",
    "vu.websocket('/w')", "vu.sleep(1)", "vu.group('g')", "vu.expect('GET', '/x')", "vu.batch(['/a'])", "helper(vu)",
    "helper(1, vu)", "items()", "fl.measure('m')", "vu.check(1, {'a': helper})", "vu.check(1, {'a': a})", "vu",
    "vu.env",
    "vu.base_url", "a", "print(vu)", "print(*a, vu)", "(lambda vu: vu.get('/'))", "[vu for vu in a]",
    "[vu.get('/') for a in ()]",
)  # fmt: skip
_WRAPS = (
    "{}", "await {}", "a = {}", "a = await {}", "return {}", "x = [{}, await {}]", "a if {} else b", "a and {}",
    "({}).b",
    "async for a in {}: pass", "del a", "global a", "import vu", "vu = {}", "nonlocal a", "yield {}", "(vu := {})",
    "f'{{{}}}'",
    "{}" + "[a]" * 40, "a = " + "lambda: " * 30 + "{}", "-" * 60 + "{}", "({})" + "()" * 60,
    "0x" + "f" * 9_000 + " + {}",
    "vu.get(0x" + "f" * 9_000 + ")",
)  # fmt: skip
_BLOCKS = (
    "if a:", "while a:", "for a in {}:", "async with {}:", "with {}:", "async with {} as vu:", "try:", "else:",
    "finally:",
    "async def visit(vu):", "async def helper(vu):", "def helper(a, vu=1):", "class A:", "match a:",
    "case {{'b': vu}}:",
    "except ValueError as vu:", "@helper",
)  # fmt: skip


def _source(source: Source) -> str:
    """The text of a module with functions of a VU, which Python takes or not."""
    lines, depth, deepest = ["async def visit(vu, a=None):"], 1, source.choice((3, 3, 3, 12))
    for _ in range(source.randint(1, 9)):
        line = source.choice(_WRAPS if source.randrange(4) else _BLOCKS).replace("{}", source.choice(_CALLS), 1)
        lines.append("    " * depth + line.replace("{}", source.choice(_CALLS)).replace("{{", "{").replace("}}", "}"))
        depth = min(depth + 1, deepest) if line.endswith(":") else max(1, depth - source.choice((0, 0, 1, 2)))
        if line.endswith(":"):
            lines.append("    " * depth + source.choice(("pass", *_CALLS)))
    lines += ["async def helper(vu): await vu.get('/h')", "async def items(): yield 1"]
    return "\n".join((*lines, ""))


def _checked(text: str, file: str, names: dict[str, Any]) -> bool:
    """Check every function of the module *text* as one with a VU; return whether Python takes the module."""
    try:
        code = compile(text, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, *TOO_DEEP):
        return False
    functions = [
        FunctionType(one, names)
        for one in code.co_consts
        if isinstance(one, CodeType) and one.co_argcount and not one.co_freevars
    ]
    names |= {function.__name__: function for function in functions}
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    parts_read_by(*functions)
    check_awaits(functions)
    check_urls(functions)
    return True


def test_any_source_is_checked_or_an_error() -> None:
    taken = []

    def run(source: Source) -> None:
        taken.append(False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            taken[-1] = True
            taken[-1] = _checked(_source(source), "/none/made.py", {"fl": fl})

    fuzz(run)
    # The others end before anything is checked.
    assert taken.count(True) > len(taken) / 4
    linecache.cache.pop("/none/made.py", None)


@pytest.mark.parametrize(
    "line",
    [
        "a = " + "lambda: " * 500 + "1",
        "await vu.get(a, json=" + "[" * 90 + "]" * 90 + ")",
        "a = " + "-" * 900 + "a",
        "a = " + "a." * 900 + "a",
        "a = " + " + ".join(["a"] * 900),
        "await vu.get(" + " + ".join(["a"] * 900) + ")",
    ],
)
def test_a_source_of_any_depth_is_checked(line: str) -> None:
    assert _checked(f"async def visit(vu, a=None):\n    {line}\n", "/none/deep.py", {})


def test_functions_within_functions_take_no_time() -> None:
    # Python's own comparison of the two codes would take hours.
    lines = [f"{'    ' * depth}async def visit(vu{depth}):" for depth in range(1, 19)]
    inner = "lambda: " * 60 + "1"
    text = "\n".join(["async def visit(vu):", "    vu.get('/')", f"    a = {inner}", *lines, f"{'    ' * 19}pass\n"])
    with pytest.raises(fl.PlanError, match="without await"):
        _checked(text, "/none/within.py", {})


def test_a_number_that_python_does_not_write_is_in_no_message() -> None:
    text = f"async def visit(vu):\n    vu.get(0x{'f' * 9_000})\n"
    with pytest.raises(fl.PlanError, match="without await, the call does nothing"):
        _checked(text, "/none/number.py", {})
