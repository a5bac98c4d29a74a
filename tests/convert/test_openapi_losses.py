"""What a script cannot have of a description is said in a note, and in a comment where a request lacks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.convert.test_openapi import made_of

ENDLESS = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/components/schemas/Endless"}}}
BODY = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Endless"}}}}


@pytest.mark.parametrize("content", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_never_ends_is_told(tmp_path: Path, content: str) -> None:
    body = {"required": True, "content": {content: BODY["content"]["application/json"]}}
    made = made_of(tmp_path, {"requestBody": body}, components={"schemas": {"Endless": ENDLESS}})
    assert "None" not in made.text.partition("reply =")[2].partition("\n")[0]
    assert "    # No value that ends fits the schema of its body: give one of your own.\n    reply = await" in made.text
    assert made.notes[0] == "no body is written for these, for no value that ends fits its schema: POST /a"


def test_a_parameter_that_never_ends_is_told(tmp_path: Path) -> None:
    parameter = {"name": "filter", "in": "query", "required": True, "schema": {"$ref": "#/components/schemas/Endless"}}
    made = made_of(tmp_path, {"parameters": [parameter]}, components={"schemas": {"Endless": ENDLESS}})
    assert made.notes[0] == "parameters sent empty, for no value that ends fits their schema: filter"


def test_a_body_within_itself_that_may_end_is_its_smallest_value(tmp_path: Path) -> None:
    node = {
        "type": "object",
        "required": ["below"],
        "properties": {"below": {"type": "array", "items": {"$ref": "#/components/schemas/Endless"}}},
    }
    made = made_of(tmp_path, {"requestBody": BODY}, components={"schemas": {"Endless": node}})
    assert 'json={"below": []}' in made.text
    assert made.notes == ()


KEY = {"type": "apiKey", "in": "header", "name": "X-Key"}
BEARER = {"type": "http", "scheme": "bearer"}


@pytest.mark.parametrize(
    ("operation", "top", "note"),
    [
        (
            {"parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}]},
            {},
            "left out, for they are optional and have no example: limit of POST /a",
        ),
        (
            {"parameters": [{"name": "Authorization", "in": "header", "required": True, "schema": {"type": "string"}}]},
            {},
            "left out, for OpenAPI ignores header parameters of these names: Authorization of POST /a",
        ),
        (
            {"security": [{"key": []}, {"token": []}]},
            {"components": {"securitySchemes": {"key": KEY, "token": BEARER}}},
            "of several kinds of credentials, the first is written: key and not token",
        ),
        (
            {"security": [{"token": [], "other": []}]},
            {"components": {"securitySchemes": {"token": BEARER, "other": {"type": "oauth2", "flows": {}}}}},
            "the security scheme other (oauth2) is not written: see to it",
        ),
        (
            {},
            {"servers": [{"url": "http://a.test"}, {"url": "http://ada:pw@b.test"}]},
            "of several servers, the first is written, and not: http://b.test",
        ),
        (
            {"responses": {"200": {"description": "fine", "links": {"next": {"operationId": "send"}}}}},
            {},
            "links of responses are not followed: POST /a",
        ),
        (
            {"callbacks": {"done": {}}},
            {},
            "callbacks and webhooks are requests of the server, and not written: POST /a",
        ),
        ({}, {"webhooks": {"sold": {}}}, "callbacks and webhooks are requests of the server, and not written: sold"),
        (
            {"requestBody": {"content": {"application/json": {}, "application/xml": {}}}},
            {},
            "of several media types of a body, one is written: application/json of POST /a",
        ),
    ],
)
def test_what_is_left_out_is_told(tmp_path: Path, operation: dict[str, Any], top: dict[str, Any], note: str) -> None:
    assert note in made_of(tmp_path, operation, **top).notes


def test_digest_is_written(tmp_path: Path) -> None:
    schemes = {"login": {"type": "http", "scheme": "Digest"}}
    made = made_of(tmp_path, {"security": [{"login": []}]}, components={"securitySchemes": schemes})
    assert 'auth=fl.Auth("digest", LOGIN_USER, LOGIN_PASSWORD)' in made.text
    assert made.notes == ("give LOGIN_USER, LOGIN_PASSWORD with -e, or in the environment",)
