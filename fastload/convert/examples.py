"""Example values for a schema: its examples, its defaults, or else a made-up value of the right type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastload.convert.openapi import ApiDescription, Steps

_TEXTS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1M",
    "email": "user@example.com",
    "idn-email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uri-reference": "/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "byte": "dGV4dA==",
    "password": "password",
}
_LONGEST_TEXT = 10_000
_MOST_ITEMS = 20
_MOST_VALUES = 10_000
"""Of one body or parameter. Schemas that each refer twice to the next have twice as many values with each of them."""
_NOTHING = object()


class Examples:
    """Makes example values. ``doubtful`` has the names of made-up texts that may not match their pattern."""

    def __init__(self, api: ApiDescription) -> None:
        self._api = api
        self.ignored_patterns: list[str] = []
        self._values = 0

    def of_holder(self, holder: Mapping[str, Any], steps: Steps) -> Any:
        """Return a value for a parameter or media type: its (first) example, or else a value for its schema."""
        if "example" in holder:
            return holder["example"]
        given = holder.get("examples")
        if isinstance(given, dict) and given:
            key, first = next(iter(given.items()))
            first = self._api.resolve(first, (*steps, "examples", key))
            if isinstance(first, dict) and "value" in first:
                return first["value"]
        self._values = 0
        return self.of_schema(holder.get("schema", {}), (*steps, "schema"))

    def has_own(self, holder: Mapping[str, Any], steps: Steps) -> bool:
        """Return whether *holder* or its schema has an example."""
        if "example" in holder or holder.get("examples"):
            return True
        schema = self._api.resolve(holder.get("schema", {}), (*steps, "schema"))
        return isinstance(schema, dict) and any(key in schema for key in ("example", "examples"))

    def of_schema(self, schema: Any, steps: Steps, above: tuple[int, ...] = ()) -> Any:
        """Return a value for *schema*. *above* has the ids of the enclosing schemas, to stop at recursion."""
        self._values += 1
        if self._values > _MOST_VALUES:
            self._api.refuse(steps, f"its example has over {_MOST_VALUES:,} values", "give a schema an 'example'")
        schema = self._api.resolve(schema, steps)
        if not isinstance(schema, dict):
            return None
        given = _given(schema)
        if given is not _NOTHING:
            return given
        if id(schema) in above:
            return None
        above = (*above, id(schema))
        if parts := schema.get("allOf"):
            return self._merged(schema, parts, steps, above)
        for choice in ("oneOf", "anyOf"):
            for number, one in enumerate(schema.get(choice, ())):
                if not (isinstance(one, dict) and one.get("type") == "null"):
                    return self._with_own(schema, self.of_schema(one, (*steps, choice, number), above), steps, above)
        return self._by_type(schema, steps, above)

    def _merged(self, schema: dict[str, Any], parts: list[Any], steps: Steps, above: tuple[int, ...]) -> Any:
        values = [self.of_schema(part, (*steps, "allOf", number), above) for number, part in enumerate(parts)]
        objects = [value for value in values if isinstance(value, dict)]
        if not objects:
            found = next((value for value in values if value is not None), None)
            return self._with_own(schema, found, steps, above)
        return self._with_own(schema, {key: value for one in objects for key, value in one.items()}, steps, above)

    def _with_own(self, schema: dict[str, Any], value: Any, steps: Steps, above: tuple[int, ...]) -> Any:
        """Return *value*, made for a part of *schema* (like ``allOf``), plus the properties of *schema* itself."""
        own = self._object(schema, steps, above) if "properties" in schema else {}
        return {**value, **own} if isinstance(value, dict) else own or value

    def _by_type(self, schema: dict[str, Any], steps: Steps, above: tuple[int, ...]) -> Any:
        match _type_of(schema):
            case "object":
                return self._object(schema, steps, above)
            case "array":
                return self._array(schema, steps, above)
            case "integer" | "number" as kind:
                return _number(schema, kind)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._text(schema, steps)

    def _object(self, schema: dict[str, Any], steps: Steps, above: tuple[int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        required = schema.get("required", ())
        for key, below in schema.get("properties", {}).items():
            place = (*steps, "properties", key)
            inner = self._api.resolve(below, place)
            if isinstance(inner, dict) and inner.get("readOnly"):
                continue
            if id(inner) in above and key not in required:
                continue
            values[key] = self.of_schema(inner, place, above)
        more = schema.get("additionalProperties")
        if not values and isinstance(more, dict):
            values["key"] = self.of_schema(more, (*steps, "additionalProperties"), above)
        return values

    def _array(self, schema: dict[str, Any], steps: Steps, above: tuple[int, ...]) -> list[Any]:
        place = (*steps, "items")
        items = self._api.resolve(schema.get("items", {}), place)
        if id(items) in above or schema.get("maxItems") == 0:
            return []
        size = min(max(1, int(schema.get("minItems", 1))), _MOST_ITEMS)
        return [self.of_schema(items, place, above) for _ in range(size)]

    def _text(self, schema: dict[str, Any], steps: Steps) -> str:
        text = _TEXTS.get(str(schema.get("format", "")), "text")
        if "pattern" in schema:
            name = next((step for step in reversed(steps) if step not in ("schema", "items")), "")
            self.ignored_patterns.append(str(name))
        least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", _LONGEST_TEXT))
        if len(text) < least:
            text = (text * (least // len(text) + 1))[: min(least, _LONGEST_TEXT)]
        return text[:most]


def _given(schema: dict[str, Any]) -> Any:
    """Return the example, constant, default or first enum value of *schema*, or `_NOTHING`."""
    for key in ("example", "const"):
        if key in schema:
            return schema[key]
    if isinstance(schema.get("examples"), list) and schema["examples"]:
        return schema["examples"][0]
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    return _NOTHING


def _type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind:
        return str(kind)
    implied: Iterable[tuple[str, str]] = (
        ("properties", "object"),
        ("additionalProperties", "object"),
        ("items", "array"),
        ("minimum", "number"),
        ("maximum", "number"),
    )
    return next((of for key, of in implied if key in schema), "string")


def _number(schema: dict[str, Any], kind: str) -> int | float:
    """Return a number within the bounds of *schema* that is a multiple of its ``multipleOf``."""
    step = schema.get("multipleOf") or (1 if kind == "integer" else 0.5)
    least, most = schema.get("minimum"), schema.get("maximum")
    # In OpenAPI 3.0 a bool that makes minimum or maximum exclusive; in 3.1 a bound of its own.
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if least is None and above is not None and not isinstance(above, bool):
        least, above = above, True
    if most is None and below is not None and not isinstance(below, bool):
        most, below = below, True
    if least is not None:
        count = -(-least // step)
        value = count * step
        value = value + step if above is True and value == least else value
    elif most is not None and most <= step:
        value = most // step * step
        value = value - step if below is True and value == most else value
    else:
        value = step
    return int(value) if kind == "integer" or value == int(value) else float(value)
