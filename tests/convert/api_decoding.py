"""Requests read back by a description of an API as its specification (and RFC 6570) says: without any of fastload.

Whatever is not as described raises `Refused`. Values are judged by openapi-schema-validator.
"""

from __future__ import annotations

import email
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

import openapi_schema_validator as validators
from referencing import Registry
from referencing.jsonschema import DRAFT202012

Pointer = tuple[str | int, ...]
_BASE = "urn:api"
_STYLED = {"style", "explode", "allowReserved"}


class Refused(Exception):
    """The request is not as the description says."""


class Request(NamedTuple):
    """A request as it came; *headers* by their names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def pairs_of(query: str) -> list[tuple[str, str]]:
    """The names, decoded, and the values, as they came."""
    pairs = [part.partition("=") for part in query.split("&") if part]
    return [(unquote_plus(name), value) for name, _, value in pairs]


class Decoder:
    """Reads requests by *document*, whose references and schemas it knows."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.is_31 = str(document["openapi"]).startswith("3.1")
        self._registry: Any = Registry().with_resource(_BASE, DRAFT202012.create_resource(document))

    def resolve(self, pointer: Pointer) -> tuple[Any, Pointer]:
        """The node at *pointer*, and where it really is."""
        node: Any = self.document
        for step in pointer:
            node = node[step]
        if isinstance(node, dict) and "$ref" in node:
            steps = [unquote(part).replace("~1", "/").replace("~0", "~") for part in node["$ref"].split("/")[1:]]
            return self.resolve(tuple(int(step) if step.isdigit() else step for step in steps))
        return node, pointer

    def check(self, value: Any, pointer: Pointer) -> None:
        reference = "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in pointer)
        quoted = reference.replace("%", "%25").replace("{", "%7B").replace("}", "%7D").replace("^", "%5E")
        kind: Any = validators.OAS31Validator if self.is_31 else validators.OAS30WriteValidator
        checker = validators.oas31_format_checker if self.is_31 else validators.oas30_format_checker
        judge = kind({"$ref": f"{_BASE}#/{quoted}"}, registry=self._registry, format_checker=checker)
        for error in judge.iter_errors(value):
            raise Refused(f"{'/'.join(map(str, pointer))}: {error.message}")

    def types(self, pointer: Pointer) -> set[str]:
        """The types that a value at *pointer* can have, also by the parts of its schema."""
        schema, pointer = self.resolve(pointer)
        if not isinstance(schema, dict):
            return set()
        kind = schema.get("type", [])
        found = {kind} if isinstance(kind, str) else set(kind)
        found |= {"object"} if "properties" in schema else set()
        for key in ("allOf", "anyOf", "oneOf"):
            for number, _ in enumerate(schema.get(key, ())):
                found |= self.types((*pointer, key, number))
        return found

    def cast(self, text: str, pointer: Pointer) -> Any:
        """*text* as the type of the schema at *pointer*."""
        types = self.types(pointer)
        for kind, read in (("integer", int), ("number", float)):
            if kind in types:
                try:
                    return read(text)
                except ValueError:
                    pass
        if "boolean" in types and text in ("true", "false"):
            return text == "true"
        if {"object", "array"} & types and text[:1] in "{[":
            return json.loads(text)
        return text

    def listed(self, texts: Iterable[str], pointer: Pointer) -> list[Any]:
        schema, pointer = self.resolve(pointer)
        places: list[Pointer] = [(*pointer, "prefixItems", n) for n, _ in enumerate(schema.get("prefixItems", ()))]
        found = []
        for number, text in enumerate(texts):
            found.append(self.cast(text, places[number] if number < len(places) else (*pointer, "items")))
        return found

    def named(self, pairs: Iterable[tuple[str, str]], pointer: Pointer) -> dict[str, Any]:
        schema, pointer = self.resolve(pointer)
        known = schema.get("properties", {})
        return {
            name: self.cast(text, (*pointer, "properties", name)) if name in known else text for name, text in pairs
        }

    def split(self, raw: str, delimiter: str, exploded: bool, pointer: Pointer, decode: Any) -> Any:
        """A list or an object between its delimiters. With *exploded*, an object is ``name=value`` pairs."""
        parts = raw.split(delimiter)
        if "object" not in self.types(pointer):
            return self.listed(map(decode, parts), pointer)
        if exploded:
            pairs = [part.partition("=") for part in parts]
            return self.named([(decode(name), decode(value)) for name, _, value in pairs], pointer)
        if len(parts) % 2:
            raise Refused(f"{raw!r} is no list of names and values")
        texts = list(map(decode, parts))
        return self.named(zip(texts[::2], texts[1::2], strict=True), pointer)

    def of_path(self, raw: str, name: str, parameter: Mapping[str, Any], pointer: Pointer) -> Any:
        style, exploded = parameter.get("style", "simple"), parameter.get("explode", False)
        schema = (*pointer, "schema")
        many = {"array", "object"} & self.types(schema)
        lead = {"simple": "", "label": ".", "matrix": ";"}[style]
        if not raw.startswith(lead):
            raise Refused(f"{raw!r} does not begin with {lead!r}")
        raw = raw.removeprefix(lead)
        between = {"simple": ",", "label": ".", "matrix": ";"}[style] if exploded else ","
        if style == "matrix" and not (exploded and "object" in many):
            parts = raw.split(";")
            if any(not part.startswith(f"{name}=") for part in parts):
                raise Refused(f"{raw!r} is not of {name}")
            raw = ";".join(part.removeprefix(f"{name}=") for part in parts)
        if many:
            return self.split(raw, between, exploded, schema, unquote)
        if set(raw) & set("/?#;,="):
            raise Refused(f"{raw!r} is not encoded")
        return self.cast(unquote(raw), schema)

    def of_query(self, pairs: list[tuple[str, str]], name: str, holder: Mapping[str, Any], pointer: Pointer) -> Any:
        """The value of *name*, whose pairs are taken out of *pairs*; None if it is not there."""
        style = holder.get("style", "form")
        exploded = holder.get("explode", style == "form")
        types = self.types(pointer)
        if "object" in types and (style == "deepObject" or (style == "form" and exploded)):
            schema, _ = self.resolve(pointer)
            names = {f"{name}[{key}]" if style == "deepObject" else key: key for key in schema["properties"]}
            mine = [(names[key], unquote_plus(value)) for key, value in pairs if key in names]
            pairs[:] = [pair for pair in pairs if pair[0] not in names]
            return self.named(mine, pointer) if mine else None
        values = [value for key, value in pairs if key == name]
        pairs[:] = [pair for pair in pairs if pair[0] != name]
        if not values:
            return None
        if "array" in types and exploded:
            return self.listed(map(unquote_plus, values), pointer)
        if len(values) > 1:
            raise Refused(f"{name} is there {len(values)} times")
        if not {"array", "object"} & types:
            return self.cast(unquote_plus(values[0]), pointer)
        delimiter = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}[style]
        return self.split(values[0], delimiter, False, pointer, unquote_plus)

    def of_header(self, raw: str, parameter: Mapping[str, Any], pointer: Pointer) -> Any:
        if {"array", "object"} & self.types(pointer):
            return self.split(raw, ",", parameter.get("explode", False), pointer, str)
        return self.cast(raw, pointer)

    def of_cookies(self, cookies: dict[str, str], name: str, parameter: Mapping[str, Any], pointer: Pointer) -> Any:
        schema, pointer = self.resolve(pointer)
        types = self.types(pointer)
        if "object" in types and parameter.get("explode", True):
            mine = {key: unquote(cookies.pop(key)) for key in schema["properties"] if key in cookies}
            return self.named(mine.items(), pointer)
        raw = cookies.pop(name)
        if {"array", "object"} & types:
            return self.split(raw, ",", False, pointer, unquote)
        return self.cast(unquote(raw), pointer)

    def of_form(self, body: bytes, media: Mapping[str, Any], pointer: Pointer) -> dict[str, Any]:
        pairs = pairs_of(body.decode())
        schema, place = self.resolve((*pointer, "schema"))
        found = {}
        for name in schema["properties"]:
            encoding = media.get("encoding", {}).get(name, {})
            below: Pointer = (*place, "properties", name)
            if _STYLED & set(encoding):
                value = self.of_query(pairs, name, encoding, below)
            else:
                texts = [unquote_plus(value) for key, value in pairs if key == name]
                pairs = [pair for pair in pairs if pair[0] != name]
                as_json = encoding.get("contentType") == "application/json"
                several = "array" in self.types(below)
                value = (
                    [json.loads(text) for text in texts] if as_json else self.listed(texts, below) if several else None
                )
                if texts and not several:
                    value = value[0] if value else self.cast(texts[0], below)
            if value not in (None, []):
                found[name] = value
        if pairs:
            raise Refused(f"unknown fields: {pairs}")
        return found

    def of_parts(self, body: bytes, kind: str, media: Mapping[str, Any], pointer: Pointer) -> dict[str, Any]:
        message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        _, place = self.resolve((*pointer, "schema"))
        found: dict[str, Any] = {}
        for part in message.get_payload():
            assert isinstance(part, email.message.Message)
            name = str(part.get_param("name", header="content-disposition"))
            below: Pointer = (*place, "properties", name)
            encoding = media.get("encoding", {}).get(name, {})
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            below = self.resolve(below)[1]
            if "array" in self.types(below) and not (self.is_31 and _STYLED & set(encoding)):
                value = self._part(part, content, encoding, (*below, "items"))
                found.setdefault(name, []).append(value)
            elif self.is_31 and _STYLED & set(encoding):
                assert encoding == {"style": "pipeDelimited", "explode": False}, "the others are not read here"
                found[name] = self.listed(content.decode().split("|"), below)
            elif name in found:
                raise Refused(f"{name} is there twice")
            else:
                found[name] = self._part(part, content, encoding, below)
        return found

    def _part(self, part: Any, content: bytes, encoding: Mapping[str, Any], pointer: Pointer) -> Any:
        schema, pointer = self.resolve(pointer)
        told = part.get_content_type() if "content-type" in part else "text/plain"
        is_file = schema == {} or schema.get("format") == "binary" or "contentMediaType" in schema
        default = "application/json" if "object" in self.types(pointer) else "text/plain"
        default = schema.get("contentMediaType", "application/octet-stream") if is_file else default
        wanted = [one.strip() for one in encoding.get("contentType", default).split(",")]
        if not any(re.fullmatch(re.escape(one).replace(r"\*", "[^/]+"), told) for one in wanted):
            raise Refused(f"a part is {told}, and not of {wanted}")
        if bool(part.get_filename()) != is_file:
            raise Refused(f"a part has the file name {part.get_filename()!r}")
        if told.endswith("json"):
            return json.loads(content)
        return content.decode() if is_file else self.cast(content.decode(), pointer)
