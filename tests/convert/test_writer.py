"""Python source: it means what it was made of, and a formatter leaves it as it is."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.convert.script.names import (
    constant,
    counted,
    identifier,
    is_secret_field,
    request_name,
    single_line,
    unique,
)
from fastload.convert.script.writer import Call, Code, Module, docstring, render, statement, text_literal
from tests.convert.conftest import check_style

TEXTS = st.text(st.characters(codec=None), max_size=60)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
LONG = "a rather long sentence, of which there is more than fits in any line, "


@given(VALUES, st.integers(0, 60))
def test_a_value_is_read_back_as_it_was(value: Any, indent: int) -> None:
    assert ast.literal_eval(render(value, indent)) == value


@given(TEXTS)
def test_a_text_has_the_quotes_with_fewer_escapes(text: str) -> None:
    source = text_literal(text)
    assert ast.literal_eval(source) == text
    other = '"' if source[0] == "'" else "'"
    assert text.count(source[0]) <= text.count(other) or (source[0] == '"' and '"' not in text)
    assert source.isprintable()


@given(st.lists(VALUES, max_size=3), st.dictionaries(st.sampled_from(["json", "data", "params"]), VALUES))
def test_a_statement_is_one_statement(arguments: list[Any], keywords: dict[str, Any]) -> None:
    tree = ast.parse(statement(Call("send", arguments, keywords), 0))
    [call] = tree.body
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    assert [ast.literal_eval(one) for one in call.value.args] == arguments
    assert {one.arg: ast.literal_eval(one.value) for one in call.value.keywords} == keywords


@given(st.text(max_size=300))
def test_any_text_can_be_a_docstring(text: str) -> None:
    about = single_line(text, 200)
    tree = ast.parse(f"def f():\n{docstring(about or 'x', 4)}")
    assert ast.get_docstring(tree.body[0])  # type: ignore[arg-type]


def test_long_texts_become_constants_in_pieces() -> None:
    module = Module("About it.")
    value = {"short": "s", "deep": [{"long": LONG * 4}], "again": LONG * 4, "word": "x" * 300}
    shortened = module.short(value, "BODY")
    assert shortened == {"short": "s", "deep": [{"long": Code("BODY")}], "again": Code("BODY"), "word": Code("BODY_2")}
    space: dict[str, Any] = {}
    source = module.text()
    exec(source.replace("import fastload as fl\n", ""), space)
    assert (space["BODY"], space["BODY_2"]) == (LONG * 4, "x" * 300)
    assert max(map(len, source.splitlines())) <= 88


def test_constants_are_shared_and_do_not_clash() -> None:
    module = Module("About it.", taken={"HEADERS"})
    assert module.constant("HEADERS", {"a": "1"}) == module.constant("OTHER", {"a": "1"}) == Code("HEADERS_2")
    assert module.constant("HEADERS", {"a": Code("X")}) == Code("HEADERS_3")
    assert module.constant("HEADERS", {"a": "X"}) == Code("HEADERS_4")
    assert module.secret("API_KEY") == module.secret("API_KEY") == Code("API_KEY")
    assert module.environment == ["API_KEY"]
    assert 'API_KEY = fl.env("API_KEY")\n' in module.text()


def test_formatters_leave_it_as_it_is(tmp_path: Path) -> None:
    """At each length of a value around the ends of lines."""
    module = Module("About it.\n\nMore, at length: " + LONG * 3 + "\n\n    kept as it is")
    module.imports.add("asyncio")
    numbers = [0, -1, 1.5, 1e16, 1e-7, 1.5e300, True, None]
    for size in itertools.chain(range(1, 12), range(60, 84)):
        text = "x" * size
        body = [
            Call("await vu.post", ["/" + text], {"json": {"a": text, "b": [text, numbers], "c": {}}}),
            Call("await vu.get", ["/" + text]),
            Call("await asyncio.gather", [Call("vu.get", ["/"], {"name": text}), Call("vu.get", ["/" + text])]),
            Call("vu.check", [Code("vu"), {f"status {size}": Code("vu.id == 1")}]),
            Call("await vu.put", ["/"], {"auth": (text, 'it\'s "me"'), "files": {"f": (text, b"...")}}),
        ]
        source = "".join(statement(one, 4) for one in body)
        module.add(f"async def f{size}(vu: fl.VU) -> None:\n{docstring('About ' + text, 4)}{source}")
    for size in (90, 100, 105, 120, 200, 400):
        module.constant("TEXT", LONG[:1] * size)
        module.constant("TEXT", (LONG * 9)[:size])
    script = tmp_path / "made.py"
    script.write_text(module.text())
    check_style(script)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("listPets", "list_pets"),
        ("GET /pets/by petId", "get_pets_by_pet_id"),
        ("HTTPServer2", "http_server_2"),
        ("Über uns", "uber_uns"),
        ("import", "import_"),
        ("type", "type_"),
        ("print", "print_"),
        ("reply", "reply_"),
        ("404 page", "page_404_page"),
        ("", "page"),
        ("日本", "page"),
        ("a" * 80, "a" * 50),
    ],
)
def test_names_of_functions(text: str, name: str) -> None:
    assert identifier(text, "page") == name


@given(st.text(max_size=80))
def test_every_name_can_be_one(text: str) -> None:
    assert identifier(text, "page").isidentifier()
    assert constant(text).isidentifier()
    assert constant(text).isupper()


def test_other_names() -> None:
    assert unique("a", {"a", "a_2"}) == "a_3"
    assert request_name("/users/17/0b7f1c9e-7f4a-4a57-9a3e-5f2f5a0f2b11/v2") == "/users/{id}/{id}/v2"
    assert request_name("") == "/"
    assert single_line("a\n b\t" + "c" * 80) == "a b " + "c" * 53 + "..."
    assert counted(["a", "b", "b", *"cdef"]) == "b (2), a, c, d, e and 1 more"
    secrets = ["password", "X-Api-Key", "access_token", "PHPSESSIONID", "Authorization", "client-secret"]
    assert all(map(is_secret_field, secrets))
    assert not any(map(is_secret_field, ["user", "key", "monkey", "page"]))
