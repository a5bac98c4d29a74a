"""Example values: each one fits its schema, by the judgement of openapi-schema-validator."""

from __future__ import annotations

import re
from typing import Any

import openapi_schema_validator as validators
import pytest
from hypothesis import given
from hypothesis import strategies as st
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from fastload.convert.openapi.description import ApiDescription
from fastload.convert.openapi.examples import NO_VALUE, Examples
from fastload.convert.openapi.patterns import matching_text
from fastload.convert.openapi.schemas import Schemas
from fastload.model.errors import PlanError

SCHEMAS: dict[str, Any] = {
    "Int": {"type": "integer"},
    "Chain": {"$ref": "#/components/schemas/Int"},
    "Loop": {"$ref": "#/components/schemas/Loop"},
    "Within": {"allOf": [{"$ref": "#/components/schemas/Within"}]},
    "Endless": {
        "type": "object",
        "required": ["next"],
        "properties": {"next": {"$ref": "#/components/schemas/Endless"}},
    },
    "List": {
        "type": "object",
        "required": ["value", "rest"],
        "properties": {
            "value": {"type": "integer"},
            "rest": {"oneOf": [{"$ref": "#/components/schemas/List"}, {"type": "boolean"}]},
        },
    },
}


def made(schema: Any, version: str = "3.1.0") -> tuple[Any, list[str]]:
    """A value for *schema*, and what it may not fit."""
    document = {"openapi": version, "components": {"schemas": {**SCHEMAS, "It": schema}}}
    api = ApiDescription("api.json", b"", document)
    examples = Examples(api, Schemas(api))
    return examples.of_holder({"schema": {"$ref": "#/components/schemas/It"}}, ("x",)), examples.doubtful


def wrong(value: Any, schema: Any, version: str = "3.1.0") -> list[str]:
    """What is wrong with *value* as one of *schema*."""
    document = {"components": {"schemas": {**SCHEMAS, "It": schema}}}
    registry: Any = Registry().with_resource("urn:api", DRAFT202012.create_resource(document))
    old = version.startswith("3.0")
    kind: Any = validators.OAS30WriteValidator if old else validators.OAS31Validator
    checker = validators.oas30_format_checker if old else validators.oas31_format_checker
    judge = kind({"$ref": "urn:api#/components/schemas/It"}, registry=registry, format_checker=checker)
    return [error.message for error in judge.iter_errors(value)]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 2.5, "multipleOf": 1.5},
        {"type": "integer", "exclusiveMinimum": 3, "maximum": 4},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
        {"type": "number", "multipleOf": 0.01, "minimum": 0.29},
        {"type": "number", "minimum": 0.2, "maximum": 0.2},
        {"type": "number", "maximum": float("inf"), "minimum": float("-inf")},
        {"type": "integer", "exclusiveMinimum": 1, "minimum": 7},
        {"type": "array", "minItems": 5, "uniqueItems": True, "items": {"type": "integer", "maximum": 5}},
        {"type": "array", "minItems": 2, "uniqueItems": True, "items": {"type": "boolean"}},
        {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"enum": ["a", "b", "c"], "default": "b"}},
        {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "string", "maxLength": 4}},
        {"type": "array", "minItems": 12, "uniqueItems": True, "items": {"type": "string", "minLength": 9}},
        {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "string", "format": "email"}},
        {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "string", "format": "date"}},
        {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "string", "pattern": "^[ab]{2}$"}},
        {
            "type": "array",
            "minItems": 2,
            "uniqueItems": True,
            "items": {"type": "array", "minItems": 2, "uniqueItems": True, "items": {"type": "integer"}},
        },
        {"type": "array", "minItems": 30, "items": {"type": "integer"}},
        {"type": "array", "contains": {"const": 3}, "minContains": 2, "maxItems": 2},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
        {"type": "array", "items": False},
        {"type": "object", "required": ["a"], "properties": {"b": False}},
        {"type": "object", "minProperties": 3, "properties": {"key": {"type": "integer"}}},
        {"type": "object", "required": ["c"], "maxProperties": 2, "properties": {"a": {}, "b": {}, "c": {}}},
        {"type": "object", "minProperties": 2, "additionalProperties": False, "patternProperties": {"^a+$": {}}},
        {"type": ["null", "string"], "minLength": 6},
        {"type": "string", "format": "uri", "minLength": 30},
        {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        {"type": "string", "pattern": "[A-F0-9]+", "minLength": 9, "maxLength": 9},
        {"allOf": [{"minimum": 5}, {"type": "integer"}, {"multipleOf": 4}]},
        {"allOf": [{"type": "number"}, {"type": "integer", "maximum": -3}]},
        {"allOf": [{"enum": [1, 2, 3]}, {"enum": [3, 4]}]},
        {"allOf": [{"required": ["a"]}, {"properties": {"a": {"type": "integer"}}}]},
        {"$ref": "#/components/schemas/Int", "minimum": 8},
        {"$ref": "#/components/schemas/Chain"},
        {"$ref": "#/components/schemas/List"},
        {"anyOf": [False, {"type": "integer"}]},
        {"type": "integer", "oneOf": [False, {"minimum": 5}]},
        {"oneOf": [{"type": "null"}]},
        {"type": "object", "required": ["a"], "anyOf": [{"properties": {"a": {"type": "integer"}}}]},
        {"type": "string", "example": 7},
        {"type": "number", "example": float("nan")},
        {"type": "string", "example": None},
        {"enum": ["a", "b"], "default": "c"},
        {"const": {"a": 1}, "example": 2},
        True,
    ],
)
def test_values_fit(schema: Any) -> None:
    value, doubtful = made(schema)
    assert wrong(value, schema) == []
    assert doubtful == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 3, "exclusiveMinimum": True},
        {"type": "integer", "maximum": 1, "exclusiveMaximum": True},
        {"type": "number", "minimum": 0, "exclusiveMinimum": False, "maximum": 0.1},
        {"allOf": [{"minimum": 3, "exclusiveMinimum": True}, {"type": "integer", "minimum": 2}]},
        {"type": "string", "nullable": True, "example": None},
        {"type": "string", "nullable": True, "enum": [None]},
        {"type": "object", "properties": {"a": {"type": "string", "readOnly": True}}},
    ],
)
def test_values_fit_schemas_of_openapi_3_0(schema: Any) -> None:
    assert wrong(made(schema, "3.0.3")[0], schema, "3.0.3") == []


def test_what_is_beside_a_reference_does_not_count_in_openapi_3_0() -> None:
    assert made({"$ref": "#/components/schemas/Int", "minimum": 8}, "3.0.3")[0] == 1


NUMBERS = st.integers(-20, 20) | st.sampled_from([-0.5, 0.25, 0.1, 1.5])


@given(
    st.sampled_from(["integer", "number"]),
    st.dictionaries(st.sampled_from(["minimum", "exclusiveMinimum"]), NUMBERS),
    st.none() | st.integers(1, 9),
)
def test_numbers_have_their_lower_bound(kind: str, bounds: dict[str, Any], step: int | None) -> None:
    schema = {"type": kind, **bounds} | ({"multipleOf": step} if step else {})
    assert wrong(made(schema)[0], schema) == []


@given(NUMBERS, st.sampled_from(["minimum", "exclusiveMinimum"]), st.sampled_from(["maximum", "exclusiveMaximum"]))
def test_numbers_are_between_their_bounds(least: float, lower: str, upper: str) -> None:
    schema = {"type": "number", lower: least, upper: least + 0.125}
    assert wrong(made(schema)[0], schema) == []


@given(
    st.text("ab0", max_size=3), st.integers(0, 3), st.integers(0, 3), st.sampled_from([r"\d", "[a-c]", "(x|yz)", "."])
)
def test_texts_match_their_pattern(head: str, least: int, more: int, part: str) -> None:
    pattern = f"^{head}{part}{{{least},{least + more}}}$"
    text = matching_text(pattern, variant=more)
    assert text is not None
    assert re.search(pattern, text)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(?=a)b",
        r"^(?!a)",
        r"\bword",
        r"^(a)\1$",
        r"^\p{L}+$",
        "[",
        "(",
        "a^b",
        "a$b",
        "^(a{5000}){5000}$",
        "(?i)a",
        "[^\\s\\S]",
    ],
)
def test_a_pattern_that_is_not_known_is_told(pattern: str) -> None:
    value, doubtful = made({"type": "object", "properties": {"code": {"type": "string", "pattern": pattern}}})
    assert value == {"code": "text"}
    assert doubtful == ["code (pattern)"]


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"not": {"type": "null"}}, "x (not)"),
        ({"type": "object", "properties": {"a": {"if": {}, "then": {}}}}, "a (if)"),
        ({"type": "array", "minItems": 3, "uniqueItems": True, "items": {"enum": [1, 2]}}, "x (uniqueItems)"),
    ],
)
def test_what_is_not_regarded_is_told(schema: Any, told: str) -> None:
    assert made(schema)[1] == [told]


def test_a_schema_that_nothing_fits_ends() -> None:
    assert made({"$ref": "#/components/schemas/Endless"})[0] is NO_VALUE
    assert made({"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Endless"}})[0] is NO_VALUE
    endless = {"type": "object", "minProperties": 2, "additionalProperties": {"$ref": "#/components/schemas/Endless"}}
    assert made(endless)[0] is NO_VALUE
    assert made(False)[0] is NO_VALUE


IT = {"$ref": "#/components/schemas/It"}


@pytest.mark.parametrize(
    ("below", "value"),
    [
        ({"anyOf": [IT, {"type": "null"}]}, {"below": None}),
        ({"type": "array", "items": IT}, {"below": []}),
        ({"type": "array", "prefixItems": [{"type": "integer"}, IT, {"type": "boolean"}]}, {"below": [1]}),
        ({"type": "object", "properties": {"it": IT}}, {"below": {}}),
        ({"type": "object", "additionalProperties": IT}, {"below": {}}),
        ({"oneOf": [IT, {"type": "string"}]}, {"below": "text"}),
        ({"type": ["object", "null"], "required": ["it"], "properties": {"it": IT}}, {"below": None}),
    ],
)
def test_a_schema_within_itself_gives_its_smallest_value(below: Any, value: Any) -> None:
    schema = {"type": "object", "required": ["below"], "properties": {"below": below}}
    assert made(schema) == (value, [])
    assert wrong(value, schema) == []


def test_null_ends_a_schema_of_openapi_3_0() -> None:
    schema = {"type": "object", "nullable": True, "required": ["below"], "properties": {"below": IT}}
    assert made(schema, "3.0.3")[0] == {"below": None}
    assert wrong({"below": None}, schema, "3.0.3") == []


@pytest.mark.parametrize("name", ["Loop", "Within"])
def test_a_circle_of_references_is_told(name: str) -> None:
    with pytest.raises(PlanError, match="leads back to itself"):
        made({"$ref": f"#/components/schemas/{name}"})


@pytest.mark.parametrize("word", ["minItems", "minProperties", "minLength"])
def test_no_bound_makes_endless_work(word: str) -> None:
    kind = {"minItems": "array", "minProperties": "object", "minLength": "string"}[word]
    schema = {"type": kind, word: 10**9, "uniqueItems": True, "items": {"type": "integer"}}
    if kind == "string":
        assert len(made(schema)[0]) <= 10_000
        return
    with pytest.raises(PlanError, match="over 10,000 values"):
        made(schema)
